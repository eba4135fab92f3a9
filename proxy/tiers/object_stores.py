"""The two object stores of the bucket tier: an S3 bucket, and a directory that the nodes share."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from proxy.core.net.breaker import Breaker
from proxy.local.files import open_regular, replacing
from proxy.ports.clock import Clock
from proxy.remote.errors import CircuitOpen, Missing, RemoteError, TooLarge, TooSlow
from proxy.remote.guard import CIRCUIT_OPEN_S, MAX_FAILURES
from proxy.remote.s3 import InMemory, S3Bucket
from proxy.tiers.bucket import MAX_OBJECT_BYTES, StoredObject

_SIDECAR = ".json"
_MAX_METADATA_BYTES = 64 * 2**10
_PARTS = ".calotype-parts"
_MIN_PART_AGE_S = 600.0
LOOKUP_TIMEOUT_S = 1.0
STORE_TIMEOUT_S = 10.0
_THREADS = 4

T = TypeVar("T")


class S3ObjectStore:
    """Satisfies ObjectStore. The caller closes `bucket`."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket

    @property
    def circuit_open(self) -> bool:
        """Whether the circuit breaker of the bucket is open."""
        return self._bucket.circuit_open

    async def get(self, name: str) -> StoredObject | None:
        sink = InMemory()
        with suppress(Missing):
            head = await self._bucket.get(name, sink, max_bytes=MAX_OBJECT_BYTES, within_s=LOOKUP_TIMEOUT_S)
            return StoredObject(body=bytes(sink.body), metadata=head.metadata)
        return None

    async def put(self, name: str, stored: StoredObject) -> None:
        await self._bucket.put(
            name,
            stored.body,
            content_type=stored.content_type,
            cache_control=stored.cache_control,
            metadata=stored.metadata,
            within_s=STORE_TIMEOUT_S,
        )

    async def metadata(self, name: str) -> Mapping[str, str] | None:
        with suppress(Missing):
            return await self._bucket.metadata(name, within_s=LOOKUP_TIMEOUT_S)
        return None

    async def delete(self, name: str) -> bool:
        # S3 answers the same whether the object existed or not; deleted names come from an index.
        await self._bucket.delete(name, within_s=STORE_TIMEOUT_S)
        return True

    async def names(self, prefix: str) -> AsyncIterator[tuple[str, float]]:
        async for page in self._bucket.names(prefix):
            for listed in page:
                yield listed

    async def signed(self, name: str, seconds: int) -> str:
        return await self._bucket.signed(name, seconds)


class DirectoryFault(RemoteError):
    """The directory cannot be read or written."""

    kind = "io"


class Unsigned(RemoteError):
    """The store has no signed URLs."""

    kind = "unsigned"


class DirectoryObjectStore:
    """Satisfies ObjectStore: a file for each object, and a `.json` file beside it for the metadata.

    The metadata file is written first: a process that is killed in between leaves a miss, or an older object whose
    digest does not match. URLs cannot be signed.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._breaker = Breaker(failures=MAX_FAILURES, pause_s=CIRCUIT_OPEN_S)
        self._parts = root / _PARTS
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bucket")
        self._threads.submit(self._sweep, time.time() - _MIN_PART_AGE_S)

    @property
    def circuit_open(self) -> bool:
        """Whether the circuit breaker is open, after repeated timeouts."""
        return self._breaker.open

    async def get(self, name: str) -> StoredObject | None:
        return await self._off_loop(lambda: self._get(name), LOOKUP_TIMEOUT_S)

    async def put(self, name: str, stored: StoredObject) -> None:
        await self._off_loop(lambda: self._put(name, stored), STORE_TIMEOUT_S)

    async def metadata(self, name: str) -> Mapping[str, str] | None:
        found = await self.get(name)
        return None if found is None else found.metadata

    async def delete(self, name: str) -> bool:
        return await self._off_loop(lambda: self._delete(name), STORE_TIMEOUT_S)

    async def names(self, prefix: str) -> AsyncIterator[tuple[str, float]]:
        for listed in await asyncio.get_running_loop().run_in_executor(self._threads, self._listed, prefix):
            yield listed

    async def signed(self, name: str, seconds: int) -> str:
        raise Unsigned

    async def _off_loop(self, work: Callable[[], T], within_s: float) -> T:
        """Runs `work` on a thread, because a network file system may hang."""
        if not self._breaker.admits(self._clock()):
            raise CircuitOpen
        try:
            async with asyncio.timeout(within_s):
                done = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            self._breaker.failed(self._clock())
            raise TooSlow from None
        except OSError:
            raise DirectoryFault from None
        self._breaker.succeeded()
        return done

    def _get(self, name: str) -> StoredObject | None:
        path = self._root / name
        try:
            with open_regular(path) as file, open_regular(f"{path}{_SIDECAR}") as beside:
                if os.fstat(file.fileno()).st_size > MAX_OBJECT_BYTES:
                    raise TooLarge
                body, metadata = file.read(), beside.read(_MAX_METADATA_BYTES)
        except FileNotFoundError:
            if not self._root.is_dir():
                raise
            return None
        return StoredObject(body=body, metadata=_metadata(metadata))

    def _put(self, name: str, stored: StoredObject) -> None:
        path = self._root / name
        if not self._root.is_dir():
            raise FileNotFoundError
        path.parent.mkdir(parents=True, exist_ok=True)
        self._parts.mkdir(exist_ok=True)
        for written, content in (
            (Path(f"{path}{_SIDECAR}"), msgspec.json.encode(dict(stored.metadata))),
            (path, stored.body),
        ):
            with replacing(written, self._parts) as file:
                file.write(content)

    def _listed(self, prefix: str) -> list[tuple[str, float]]:
        listed = []
        for folder, below, names in os.walk(self._root / prefix.rpartition("/")[0]):
            below[:] = sorted(set(below) - {_PARTS})
            for name in sorted(names):
                path = Path(folder, name)
                shown = path.relative_to(self._root).as_posix()
                # A metadata file has the name of its object and a second suffix.
                if shown.startswith(prefix) and not (path.suffix == _SIDECAR and path.with_suffix("").suffix):
                    with suppress(OSError):
                        listed.append((shown, path.stat().st_mtime))
        return listed

    def _delete(self, name: str) -> bool:
        """Deletes the picture first: metadata without a picture is a miss."""
        path = self._root / name
        was_there = path.exists()
        for part in (path, Path(f"{path}{_SIDECAR}")):
            part.unlink(missing_ok=True)
        return was_there

    def _sweep(self, before_s: float) -> None:
        """Removes partial files of killed processes. A recent one may belong to a running node."""
        with suppress(OSError):
            for part in self._parts.iterdir():
                if part.stat().st_mtime < before_s:
                    part.unlink()


def _metadata(metadata: bytes) -> dict[str, str]:
    """The metadata of an object; empty if the file is damaged."""
    # For bytes that are not UTF-8 msgspec raises UnicodeDecodeError.
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(metadata, type=dict[str, str])
    return {}
