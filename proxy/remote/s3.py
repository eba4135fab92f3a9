"""A bucket of an S3-compatible store, with restrictions on aiobotocore.

aiobotocore follows redirects to any host, accepts an error document as an object, retries without a budget, and
waits for a slow body without a limit. This module prevents that. `sources` and `tiers` interpret the objects.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader, create_loader

from proxy.core.net.breaker import RetryBudget
from proxy.core.url.original_urls import DEFAULT_REGION, S3Location
from proxy.ports.clock import Clock
from proxy.ports.originals import Sink
from proxy.remote.errors import Broken, RequestRefused, Unavailable
from proxy.remote.guard import Guard, body_meter
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
    """The headers of an object. `metadata` has lower-case names; `tag` is the entity tag, else the date."""

    tag: str
    content_type: str
    metadata: Mapping[str, str]


class Listed(NamedTuple):
    """The name of an object. `stored_s` is its time in seconds of the Unix epoch."""

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
    """The methods of an aiohttp session that aiobotocore uses, without redirects."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **how: Any) -> aiohttp.ClientResponse:
        return await self._session.request(method, allow_redirects=False, **how)


class _NoRedirectSession(AIOHTTPSession):  # type: ignore[misc] # aiobotocore has no types
    """The HTTP client that aiobotocore allows to replace."""

    async def _get_session(self, proxy_url: str | None) -> _NoRedirects:
        return _NoRedirects(await super()._get_session(proxy_url))


@cache
def _models() -> Loader:
    """The descriptions of the services of AWS; reading them takes longer than all else that a client needs."""
    return create_loader()


def _session() -> AioSession:
    session = AioSession()
    session.register_component("data_loader", _models())
    return session


class S3Bucket:
    """A bucket of an S3-compatible store; an async context. `chance` returns numbers from 0 to 1.

    Without an access key, credentials come from the AWS default chain (environment, files, the machine's role).
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
            # `Guard` retries, within a budget and behind a circuit breaker.
            retries={"mode": "standard", "total_max_attempts": 1},
            signature_version="s3v4",
            s3={"addressing_style": "path" if path_style else "virtual"},
            # Not every store supports checksums; bodies are checked here and by the callers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            http_session_cls=_NoRedirectSession,
            user_agent_extra="calotype",
            # Proxies of the environment are ignored.
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
                _session().create_client(
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
        """Whether the circuit breaker for reads or for writes is open."""
        return self._reads.circuit_open or self._writes.circuit_open

    async def get(self, key: str, sink: Sink, *, max_bytes: int, within_s: float | None = None) -> Head:
        """Reads the object into `sink`. Each attempt takes at most `within_s`, if given. Raises RemoteError."""
        return await self._call(self._reads, lambda: self._get(key, sink, max_bytes), within_s)

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
        """Stores an object. Raises RemoteError; with `only_new` Exists, if the store supports If-None-Match."""
        more = {"IfNoneMatch": "*"} if only_new else {}
        if cache_control:
            more["CacheControl"] = cache_control
        await self._call(
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
        """The metadata of an object. Raises RemoteError."""
        metadata: Mapping[str, str] = (await self._head(key, within_s)).get("Metadata", {})
        return metadata

    async def tag(self, key: str) -> str:
        """The entity tag of an object without quotes, else its date. Raises RemoteError."""
        return _tag_of(await self._head(key))

    async def _head(self, key: str, within_s: float | None = None) -> Mapping[str, Any]:
        head = partial(self._client.head_object, Bucket=self.location.bucket, Key=key)
        return await self._call(self._reads, head, within_s)

    async def delete(self, key: str, *, within_s: float | None = None) -> None:
        """Deletes an object. Raises RemoteError."""
        await self._call(
            self._writes, lambda: self._client.delete_object(Bucket=self.location.bucket, Key=key), within_s
        )

    async def names(self, prefix: str) -> AsyncIterator[list[Listed]]:
        """All objects whose names start with `prefix`, in order, page by page. Raises RemoteError."""
        after: dict[str, str] = {}
        while True:
            page = partial(self._client.list_objects_v2, Bucket=self.location.bucket, Prefix=prefix, **after)
            answer = await self._call(self._reads, page)
            listed = [
                Listed(item["Key"], item["LastModified"].timestamp()) for item in answer.get("Contents", ())
            ]
            if listed:
                yield listed
                after = {"StartAfter": listed[-1].name}
            if not listed or not answer.get("IsTruncated"):
                return

    async def check(self) -> None:
        """Lists at most one object. Raises RemoteError."""
        await self._call(
            self._reads,
            lambda: self._client.list_objects_v2(
                Bucket=self.location.bucket, Prefix=self.location.prefix, MaxKeys=1
            ),
        )

    async def signed(self, key: str, seconds: int) -> str:
        """A pre-signed URL to GET an object, valid for `seconds`. Raises RemoteError."""
        with as_remote_errors():
            params = {"Bucket": self.location.bucket, "Key": key}
            url = await self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)
        return str(url)

    async def _call(self, guard: Guard, call: Callable[[], Awaitable[T]], within_s: float | None = None) -> T:
        async def mapped() -> T:
            with as_remote_errors():
                return await call()

        return await guard.call(mapped, within_s)

    async def _get(self, key: str, sink: Sink, max_bytes: int) -> Head:
        """Reads the object; reads it again if its bytes do not match its entity tag."""
        head, first_md5 = await self._get_once(key, sink, max_bytes)
        if first_md5 is not None:
            head, second_md5 = await self._get_once(key, sink, max_bytes)
            if second_md5 is not None and second_md5 != first_md5:
                raise Broken("the bytes of the object do not match its entity tag")
            # The same bytes twice are the stored bytes: the tags of this store are not MD5 digests.
            self._tags_are_md5 = second_md5 is None
        return head

    async def _get_once(self, key: str, sink: Sink, max_bytes: int) -> tuple[Head, bytes | None]:
        """Reads the object; returns its MD5 digest too if that differs from the entity tag."""
        answer = await self._client.get_object(Bucket=self.location.bucket, Key=key)
        size_bytes = answer.get("ContentLength")
        modified = answer.get("LastModified")
        md5 = hashlib.md5(usedforsecurity=False)
        async with answer["Body"] as body:
            await sink.begin(max(0, int(modified.timestamp())) if modified is not None else 0)
            meter = body_meter(self._clock, max_bytes, size_bytes)
            while chunk := await body.read(_CHUNK_BYTES):
                if not meter.received_bytes and _ERROR_DOCUMENT.match(chunk):
                    raise Unavailable("the store sent an error document instead of the object")
                meter.take(len(chunk), self._clock())
                md5.update(chunk)
                await sink.write(chunk)
        if size_bytes not in (None, meter.received_bytes):
            raise Broken("the store sent another number of bytes than it promised")
        tag = _MD5.fullmatch(answer.get("ETag", ""))
        head = Head(
            tag=_tag_of(answer),
            content_type=answer.get("ContentType", ""),
            metadata=answer.get("Metadata", {}),
        )
        mismatched = (
            tag is not None and tag[1] != md5.hexdigest() and self._tags_are_md5 and not _encrypted(answer)
        )
        return head, md5.digest() if mismatched else None


def _tag_of(answer: Mapping[str, Any]) -> str:
    tag = str(answer.get("ETag", "")).removeprefix("W/").strip('"')
    return tag or str(answer.get("LastModified", ""))


def _encrypted(answer: Mapping[str, Any]) -> bool:
    """Whether encryption makes the entity tag differ from the MD5 digest."""
    return "SSECustomerAlgorithm" in answer or str(answer.get("ServerSideEncryption", "")).startswith(
        "aws:kms"
    )


def _prevent_region_redirect(context: dict[str, Any], **_: Any) -> None:
    """Makes botocore skip its redirect to another region."""
    context.setdefault("s3_redirect", {})["redirected"] = True
