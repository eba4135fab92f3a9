"""The operations API: bodies to commands for the dispatcher, and its results to responses. Each kind of call has a
concurrency limit, and the number of waiting calls is limited. Longer than other files because all
calls share these limits."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, NamedTuple, TypeVar

import aiohttp
import msgspec
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import UNSET, UnsetType

from proxy.core.admin.commands import (
    AdminCommand,
    CancelJob,
    Explain,
    JobStatus,
    PurgeCommand,
    RetryJob,
    S3Notification,
    Upload,
    Warm,
)
from proxy.core.errors import BadRequest, BadUrl, Internal, OriginalTooLarge, RateLimited
from proxy.core.nearest import meant, named, nearest
from proxy.core.net.body_meter import BodyMeter
from proxy.edge import responses
from proxy.edge.admin.auth import AdminAuth
from proxy.edge.headers import joined
from proxy.local.files import write_all
from proxy.ports.operations import CommandDispatcher

AT_ONCE = {
    Upload: 8,
    Warm: 4,
    RetryJob: 4,
    CancelJob: 16,
    PurgeCommand: 16,
    S3Notification: 4,
    JobStatus: 8,
    Explain: 8,
}
MAX_WAITING = 1000
MAX_BODY_BYTES = 16 * 2**20
MAX_KEYS = 100_000
MAX_TRANSFORMS = 1000
MAX_SIGNED = 100
MAX_EXPIRES_S = 10 * 365 * 86_400
MAX_RECEIVED = 32
"""Uploads received at the same time; each is a file on disk until it is validated."""
MIN_BYTES_PER_S = 16 * 1024
MIN_RATE_AFTER_S = 10.0
MAX_EVENT_BYTES = 4 * 2**20
BODY_TIMEOUT_S = 300.0
SILENCE_TIMEOUT_S = 30.0
_CHUNK_BYTES = 256 * 1024
_MAX_ONCE_CHARS = 256
_FORM = "multipart/form-data"
_AROUND_BYTES = 64 * 1024
"""Bytes of a form beside its file."""
_ONE_FILE = "a form must have one file and no other field: name, mount, key and overwrite belong in the query"

T = TypeVar("T", bound=msgspec.Struct)
Sign = Callable[[Sequence[str], float | None], list[str]]
"""URLs with signatures that are valid for some seconds, or for ever. Raises CalotypeErrors."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Read = Callable[[int], Awaitable[bytes]]


class WarmRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/warm."""

    keys: list[str] | UnsetType = UNSET
    prefix: str | UnsetType = UNSET
    presets: list[str] = []
    transforms: list[str] = []
    mount: str = ""


class PurgeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/purge."""

    original: str | UnsetType = UNSET
    prefix: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    preset: str | UnsetType = UNSET
    all: bool | UnsetType = UNSET
    mount: str = ""


class SignRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/sign. `expires_s` is how long the signatures are valid; without it they do not expire."""

    urls: list[str]
    expires_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_EXPIRES_S)] | None = None


class _Spooled(NamedTuple):
    """An upload on disk; `name` is the file name of the form."""

    file: IO[bytes]
    size_bytes: int
    name: str


class _ConcurrencyLimit:
    """Limits calls at the same time; raises RateLimited if MAX_WAITING calls wait already."""

    def __init__(self, at_once: int) -> None:
        self._semaphore = asyncio.Semaphore(at_once)
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._waiting >= MAX_WAITING:
            raise RateLimited("too many calls of this kind wait; retry after Retry-After", retry_after_s=1)
        self._waiting += 1
        try:
            await self._semaphore.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._semaphore.release()


class Operations:
    """The request handlers. `spool` is the directory of unnamed files for uploads in progress."""

    def __init__(
        self,
        dispatcher: CommandDispatcher,
        auth: AdminAuth,
        sign: Sign,
        *,
        spool: Path,
        max_bytes: Callable[[], int],
    ) -> None:
        self._dispatcher = dispatcher
        self._auth = auth
        self._sign = sign
        self._spool = spool
        self._max_bytes = max_bytes
        self.handlers: set[Handler] = set()
        """Handlers that check the token themselves."""
        self._limits = {kind: _ConcurrencyLimit(at_once) for kind, at_once in AT_ONCE.items()}
        self._receiving = _ConcurrencyLimit(MAX_RECEIVED)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds all routes, each with its scope and its query parameters."""
        for method, path, scope, known, handler in (
            (hdrs.METH_POST, "/v1/originals", "upload", ("name", "mount", "key", "overwrite"), self._upload),
            (hdrs.METH_POST, "/v1/warm", "warm", ("mount",), self._warm),
            (hdrs.METH_GET, "/v1/warm", "read", (), self._job),
            (hdrs.METH_GET, "/v1/warm/{id}", "read", (), self._job),
            (hdrs.METH_POST, "/v1/warm/{id}", "warm", (), self._again),
            (hdrs.METH_DELETE, "/v1/warm/{id}", "warm", (), self._cancel),
            (hdrs.METH_POST, "/v1/purge", "purge", ("mount",), self._purge),
            (hdrs.METH_POST, "/v1/events/s3", "events", (), self._events),
            (hdrs.METH_POST, "/v1/sign", "sign", (), self._signed),
            (hdrs.METH_GET, "/v1/explain", "read", ("url", "accept"), self._explain),
        ):
            guarded = self._guarded(scope, known, handler)
            self.handlers.add(guarded)
            router.add_route(method, path, guarded)

    def _guarded(self, scope: str, known: tuple[str, ...], handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self._auth.enforce(request, scope)
            check_query(request, known)
            return await handler(request)

        return guarded

    async def _upload(self, request: web.Request) -> web.Response:
        once = _checked_text(joined(request.headers, "Idempotency-Key"), "header Idempotency-Key")
        if len(request.headers.getall("Idempotency-Key", ())) > 1:
            raise BadRequest("header Idempotency-Key is given twice")
        if len(once) > _MAX_ONCE_CHARS:
            raise BadRequest(f"header Idempotency-Key is longer than {_MAX_ONCE_CHARS} characters")
        name, key, overwrite = (request.query.get(name, "") for name in ("name", "key", "overwrite"))
        if overwrite not in ("", "true", "false"):
            raise BadRequest("parameter overwrite must be true or false")
        if overwrite == "true" and not key:
            raise BadRequest("parameter overwrite requires parameter key")
        if key and name:
            raise BadRequest("parameters name and key: only one may be given")
        async with self._receiving, self._spooled(request) as spooled, self._limits[Upload]:
            command = Upload(
                mount=request.query.get("mount", ""),
                name=name or spooled.name,
                once=once,
                key=key,
                overwrite=overwrite == "true",
            )
            answer = await self._dispatcher.execute(
                command, content=spooled.file.fileno(), size_bytes=spooled.size_bytes
            )
        return responses.json_response(answer, 201)

    @asynccontextmanager
    async def _spooled(self, request: web.Request) -> AsyncIterator["_Spooled"]:
        """The picture of the body, in a file that is deleted when it is closed."""
        is_form = request.content_type == _FORM
        max_bytes = self._max_bytes()
        too_large = OriginalTooLarge(f"the original is larger than {max_bytes} bytes")
        if (request.content_length or 0) > max_bytes + (_AROUND_BYTES if is_form else 0):
            raise too_large
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._spool, buffering=0) as file:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S), _picture(request) as (name, read):
                    async for chunk in _chunks(read, max_bytes, too_large):
                        await _write(file, chunk)
                if not (size_bytes := file.tell()):
                    raise BadRequest("the body must be a picture, or a form with one file")
                yield _Spooled(file, size_bytes, name)
            except TimeoutError:
                raise BadRequest("the body arrives too slowly") from None
            except OSError as fault:
                raise Internal(f"the upload could not be written: {fault.strerror}") from None

    async def _warm(self, request: web.Request) -> web.Response:
        body = await _read(request, WarmRequest)
        if (body.keys is UNSET) == (body.prefix is UNSET):
            raise BadRequest("parameters keys and prefix: exactly one must be given")
        if body.keys == [] or len(body.keys or ()) > MAX_KEYS:
            raise BadRequest(f"parameter keys must have 1 to {MAX_KEYS} entries")
        if len(body.presets) + len(body.transforms) > MAX_TRANSFORMS:
            raise BadRequest(f"parameters presets and transforms may have {MAX_TRANSFORMS} entries at most")
        return await self._execute(msgspec.convert(_given(request, body), Warm), 202)

    async def _purge(self, request: web.Request) -> web.Response:
        body = await _read(request, PurgeRequest)
        if len(msgspec.to_builtins(body).keys() - {"mount"}) != 1:
            raise BadRequest("parameters original, prefix, url, preset and all: exactly one must be given")
        if body.prefix == "":
            raise BadRequest("parameter prefix is empty: use all to purge everything")
        if body.all is False:
            raise BadRequest("parameter all must be true or absent")
        return await self._execute(msgspec.convert(_given(request, body), PurgeCommand))

    async def _events(self, request: web.Request) -> web.Response:
        return await self._execute(S3Notification(await _body(request, MAX_EVENT_BYTES)))

    async def _signed(self, request: web.Request) -> web.Response:
        body = await _read(request, SignRequest)
        if not 1 <= len(body.urls) <= MAX_SIGNED:
            raise BadRequest(f"parameter urls must have 1 to {MAX_SIGNED} entries")
        urls = [_checked_text(url, "parameter urls") for url in body.urls]
        return responses.json_response({"urls": self._sign(urls, body.expires_s)})

    async def _job(self, request: web.Request) -> web.Response:
        return await self._execute(JobStatus(request.match_info.get("id", "")))

    async def _again(self, request: web.Request) -> web.Response:
        return await self._execute(RetryJob(request.match_info["id"]), 202)

    async def _cancel(self, request: web.Request) -> web.Response:
        return await self._execute(CancelJob(request.match_info["id"]))

    async def _explain(self, request: web.Request) -> web.Response:
        url = request.query.get("url", "")
        if not url:
            raise BadUrl("parameter url must be given: the URL to explain")
        return await self._execute(Explain(url, request.query.get("accept", "")))

    async def _execute(self, command: AdminCommand, status: int = 200) -> web.Response:
        async with self._limits[type(command)]:
            return responses.json_response(await self._dispatcher.execute(command), status)


def _given(request: web.Request, body: WarmRequest | PurgeRequest) -> dict[str, object]:
    """The fields that a body has, and the mount of the body or of the query. Raises BadRequest if these differ."""
    of_query = request.query.get("mount", "")
    if body.mount and of_query and body.mount != of_query:
        raise BadRequest("parameter mount differs between the query and the body")
    fields: dict[str, object] = msgspec.to_builtins(body)
    return {**fields, "mount": body.mount or of_query}


@asynccontextmanager
async def _picture(request: web.Request) -> AsyncIterator[tuple[str, Read]]:
    """The file name of the upload and its reader: the body, or the one file of a form (RFC 7578). Raises TimeoutError
    if a form arrives too slowly, BadRequest if it is invalid or has another field."""
    if request.content_type != _FORM:
        yield "", request.content.read
        return
    try:
        form = await request.multipart()
        part = await asyncio.wait_for(form.next(), SILENCE_TIMEOUT_S)
        if not isinstance(part, aiohttp.BodyPartReader) or part.filename is None:
            raise BadRequest(_ONE_FILE)
        yield part.filename, part.read_chunk
        if await asyncio.wait_for(form.next(), SILENCE_TIMEOUT_S) is not None:
            raise BadRequest(_ONE_FILE)
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError, aiohttp.ClientPayloadError):
        raise BadRequest("the body is incomplete, or not the form that Content-Type announces") from None


async def _chunks(read: Read, max_bytes: int, too_large: Exception) -> AsyncIterator[bytes]:
    """The chunks of a body. Raises `too_large`, TimeoutError if it is too slow, BadRequest if incomplete or wrongly encoded."""
    clock = asyncio.get_running_loop().time
    meter = BodyMeter(
        clock(),
        max_bytes=max_bytes,
        min_bytes_per_s=MIN_BYTES_PER_S,
        grace_s=MIN_RATE_AFTER_S,
        too_large=too_large,
        too_slow=TimeoutError(),
    )
    try:
        while chunk := await asyncio.wait_for(read(_CHUNK_BYTES), SILENCE_TIMEOUT_S):
            meter.take(len(chunk), clock())
            yield chunk
    except (aiohttp.ClientPayloadError, web.RequestPayloadError, ConnectionError):
        raise BadRequest("the body is incomplete, or not encoded as its headers say") from None


async def _write(file: IO[bytes], chunk: bytes) -> None:
    """Waits for the write to finish, so that the caller does not close the file during the write."""
    writing = asyncio.get_running_loop().run_in_executor(None, write_all, file, chunk)
    try:
        await asyncio.shield(writing)
    finally:
        await asyncio.wait({writing})


async def _body(request: web.Request, most_bytes: int) -> bytes:
    """The bytes of a body. Raises BadRequest, also for an object with a repeated name."""
    body = bytearray()
    too_large = BadRequest(f"the body is larger than {most_bytes} bytes")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in _chunks(request.content.read, most_bytes, too_large):
                body += chunk
    except TimeoutError:
        raise BadRequest("the body arrives too slowly") from None
    _check_names(bytes(body))
    return bytes(body)


def check_query(request: web.Request, known: Iterable[str] = ()) -> None:
    """Raises BadRequest if a parameter is unknown, repeated or not UTF-8."""
    for pair in request.query.items():
        _checked_text("=".join(pair), "the query")
    _check_known("parameter", request.query, known)
    if len(set(request.query)) < len(request.query):
        raise BadRequest("a parameter of the query is given twice")


def _check_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises BadRequest for an unknown name; gives its position if it cannot be quoted."""
    for at, name in enumerate(given, start=1):
        if name not in known:
            knows = f"known are {', '.join(known)}" if known else "this call takes none"
            raise BadRequest(f"{what} {named(name, at)} is unknown; {knows}{meant(nearest(name, known))}")


def _checked_text(text: str, what: str) -> str:
    """`text` if it is UTF-8. Raises BadRequest, which names it as `what`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{what} is not UTF-8") from None
    return text


def _check_names(body: bytes) -> None:
    """Raises BadRequest for a JSON object with a repeated name; other invalid JSON is refused later."""

    def once(pairs: list[tuple[str, object]]) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            raise BadRequest("the body gives a name twice in one object")

    with suppress(ValueError, RecursionError):
        json.loads(body, object_pairs_hook=once)


async def _read(request: web.Request, kind: type[T]) -> T:
    """The JSON of a body. Raises BadRequest, which repeats at most the name of a field."""
    body = await _body(request, MAX_BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as wrong:
        if "unknown field" in str(wrong):
            _check_known("field", json.loads(body), kind.__struct_fields__)
        raise BadRequest(f"the body is invalid: {wrong}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("the body must be a JSON object") from None
