"""A bucket of an S3-compatible store: what must not happen is refused here.

aiobotocore follows redirects anywhere, takes an error document for an object, retries without measure and waits for
a drip for ever; none of that leaves this room. What an object means is for `sources` and `tiers` to say.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError

from proxy.core.net.breaker import RetryBudget
from proxy.core.url.original_urls import DEFAULT_REGION, S3Location
from proxy.ports.clock import Clock
from proxy.ports.originals import Sink
from proxy.remote.errors import Broken, RequestRefused, Unavailable
from proxy.remote.guard import Guard, Meter
from proxy.remote.s3_errors import as_remote_errors

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 3.0
CONNECTIONS = 32
_CHUNK_BYTES = 256 * 1024
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')
_ERROR_DOCUMENT = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<Error[\s>]")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What came with an object's bytes; `metadata` has lower-case names, `tag` is what the store tells it by."""

    size_bytes: int
    tag: str
    content_type: str
    metadata: Mapping[str, str]


class Listed(NamedTuple):
    """An object's name, and when it was stored, in seconds of the unix epoch."""

    name: str
    stored_s: float


class InMemory:
    """Satisfies Sink."""

    def __init__(self) -> None:
        self.body = bytearray()

    async def begin(self, modified_s: int = 0) -> None:
        self.body.clear()

    async def write(self, chunk: bytes) -> None:
        self.body += chunk


class _NoRedirects:
    """The part of an aiohttp session that aiobotocore uses, without redirects."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **how: Any) -> aiohttp.ClientResponse:
        return await self._session.request(method, allow_redirects=False, **how)


class _NoRedirectSession(AIOHTTPSession):  # type: ignore[misc] # aiobotocore has no types
    """The hook aiobotocore offers for its HTTP client."""

    async def _get_session(self, proxy_url: str | None) -> _NoRedirects:
        return _NoRedirects(await super()._get_session(proxy_url))


class S3Bucket:
    """One bucket of one S3-compatible store; an async context. `chance` gives numbers from 0 to 1.

    Without an access key AWS's own chain is asked for credentials (environment, files, the machine's role).
    """

    def __init__(
        self,
        location: S3Location,
        *,
        access_key: str,
        secret_key: str,
        path_style: bool,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self.location = location
        self._keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
        self._config = AioConfig(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=CONNECTIONS,
            # Retries are ours: within a budget, and behind a breaker.
            retries={"mode": "standard", "total_max_attempts": 1},
            signature_version="s3v4",
            s3={"addressing_style": "path" if path_style else "virtual"},
            # Checksums that not every store knows; bodies are checked here and by whoever reads them.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            http_session_cls=_NoRedirectSession,
            user_agent_extra="calotype",
            # Nothing but the endpoint is spoken to, whatever the environment says of proxies.
            proxies={},
        )
        self._clock = clock
        budget = RetryBudget()
        self._reads = Guard(clock, chance, budget)
        self._writes = Guard(clock, chance, budget)
        self._tags_are_md5 = True
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def __aenter__(self) -> "S3Bucket":
        keys = self._keys if self._keys["aws_access_key_id"] else {}
        try:
            self._client = await self._stack.enter_async_context(
                AioSession().create_client(
                    "s3",
                    endpoint_url=self.location.endpoint_url or None,
                    region_name=self.location.region or DEFAULT_REGION,
                    config=self._config,
                    **keys,
                )
            )
        except (BotoCoreError, ValueError):
            raise RequestRefused(
                "endpoint_url or region is not one, or AWS's own settings name no profile"
            ) from None
        self._client.meta.events.register("before-call.s3", _prevent_region_redirect)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def circuit_open(self) -> bool:
        """Whether it is left alone, in reading or in writing."""
        return self._reads.circuit_open or self._writes.circuit_open

    async def get(self, key: str, sink: Sink, *, max_bytes: int, within_s: float | None = None) -> Head:
        """The object's bytes into `sink`; each try takes `within_s` at most, if given. Raises RemoteError."""
        return await self._guarded(self._reads, lambda: self._get(key, sink, max_bytes), within_s)

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        cache_control: str,
        metadata: Mapping[str, str],
        within_s: float | None = None,
        only_new: bool = False,
    ) -> None:
        """Stores an object; one that is `only_new` in no other's place, where the store knows If-None-Match. Raises
        RemoteError."""
        more = {"IfNoneMatch": "*"} if only_new else {}
        if cache_control:
            more["CacheControl"] = cache_control
        await self._guarded(
            self._writes,
            lambda: self._client.put_object(
                Bucket=self.location.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                Metadata=metadata,
                **more,
            ),
            within_s,
        )

    async def metadata(self, key: str, *, within_s: float | None = None) -> Mapping[str, str]:
        """What stands beside an object's bytes. Raises RemoteError."""
        answer = await self._guarded(
            self._reads, lambda: self._client.head_object(Bucket=self.location.bucket, Key=key), within_s
        )
        metadata: Mapping[str, str] = answer.get("Metadata", {})
        return metadata

    async def tag(self, key: str, *, within_s: float | None = None) -> str:
        """What the store tells an object by: its entity tag, bare, else its date. Raises RemoteError."""
        answer = await self._guarded(
            self._reads, lambda: self._client.head_object(Bucket=self.location.bucket, Key=key), within_s
        )
        return _tag_of(answer)

    async def delete(self, key: str, *, within_s: float | None = None) -> None:
        """Removes an object; raises RemoteError."""
        await self._guarded(
            self._writes, lambda: self._client.delete_object(Bucket=self.location.bucket, Key=key), within_s
        )

    async def names(self, prefix: str, *, within_s: float | None = None) -> AsyncIterator[list[Listed]]:
        """All objects whose names begin so, in their order, a page at a time. Raises RemoteError."""
        after = ""
        while True:
            answer = await self._guarded(self._reads, partial(self._page, prefix, after), within_s)
            listed = [
                Listed(each["Key"], each["LastModified"].timestamp()) for each in answer.get("Contents", ())
            ]
            if listed:
                yield listed
                after = listed[-1].name
            if not listed or not answer.get("IsTruncated"):
                return

    def _page(self, prefix: str, after: str) -> Awaitable[Any]:
        start = {"StartAfter": after} if after else {}
        page: Awaitable[Any] = self._client.list_objects_v2(
            Bucket=self.location.bucket, Prefix=prefix, **start
        )
        return page

    async def check(self) -> None:
        """Asks the bucket for a name or none. Raises RemoteError, in words for the owner."""
        await self._guarded(
            self._reads,
            lambda: self._client.list_objects_v2(
                Bucket=self.location.bucket, Prefix=self.location.prefix, MaxKeys=1
            ),
        )

    async def signed(self, key: str, seconds: int) -> str:
        """A pre-signed URL to GET an object. Raises RemoteError."""
        with as_remote_errors():
            params = {"Bucket": self.location.bucket, "Key": key}
            url = await self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)
        return str(url)

    async def _guarded(
        self, guard: Guard, call: Callable[[], Awaitable[T]], within_s: float | None = None
    ) -> T:
        async def translated() -> T:
            with as_remote_errors():
                return await call()

        return await guard.call(translated, within_s)

    async def _get(self, key: str, sink: Sink, max_bytes: int) -> Head:
        """The object, once more where its bytes are not those of its entity tag."""
        head, first = await self._get_once(key, sink, max_bytes)
        if first is not None:
            head, second = await self._get_once(key, sink, max_bytes)
            if second is not None and second != first:
                raise Broken("the bytes of the object do not match its entity tag")
            # What arrives twice alike is what the store has: its tags are not MD5s, as not every store's are.
            self._tags_are_md5 = second is None
        return head

    async def _get_once(self, key: str, sink: Sink, max_bytes: int) -> tuple[Head, bytes | None]:
        """The object, and its MD5 where that is not what its entity tag promised."""
        answer = await self._client.get_object(Bucket=self.location.bucket, Key=key)
        modified = answer.get("LastModified")
        await sink.begin(max(0, int(modified.timestamp())) if modified is not None else 0)
        size_bytes = answer.get("ContentLength")
        md5 = hashlib.md5(usedforsecurity=False)
        async with answer["Body"] as body:
            meter = Meter(self._clock, max_bytes, size_bytes)
            while chunk := await body.read(_CHUNK_BYTES):
                if not meter.received_bytes and _ERROR_DOCUMENT.match(chunk):
                    raise Unavailable("the store sent an error document instead of the object")
                meter.take(chunk)
                md5.update(chunk)
                await sink.write(chunk)
        if size_bytes not in (None, meter.received_bytes):
            raise Broken("the store sent another number of bytes than it promised")
        tag = _MD5.fullmatch(answer.get("ETag", ""))
        head = Head(
            size_bytes=meter.received_bytes,
            tag=_tag_of(answer),
            content_type=answer.get("ContentType", ""),
            metadata=answer.get("Metadata", {}),
        )
        doubted = (
            tag is not None and tag[1] != md5.hexdigest() and self._tags_are_md5 and not _encrypted(answer)
        )
        return head, md5.digest() if doubted else None


def _tag_of(answer: Mapping[str, Any]) -> str:
    tag = str(answer.get("ETag", "")).removeprefix("W/").strip('"')
    return tag or str(answer.get("LastModified", ""))


def _encrypted(answer: Mapping[str, Any]) -> bool:
    """Whether the object's entity tag cannot be its MD5."""
    return "SSECustomerAlgorithm" in answer or str(answer.get("ServerSideEncryption", "")).startswith(
        "aws:kms"
    )


def _prevent_region_redirect(context: dict[str, Any], **_: Any) -> None:
    """Has botocore think that it followed a redirect to another region already."""
    context.setdefault("s3_redirect", {})["redirected"] = True
