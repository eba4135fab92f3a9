"""The sources of originals, the tiers below the memory tier, and their connections, built from the settings.

The clients of S3 and Redis take longer to import than everything else together, so only the functions that need them
import them.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config.errors import ConfigError
from proxy.config.sections import DirectorySection, HttpSection, S3Section
from proxy.config.settings import Settings
from proxy.core.cache.generations import Generations
from proxy.node import factory
from proxy.ports.originals import Remote
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import PresenceFlags
from proxy.remote.errors import RequestRefused
from proxy.remote.web import WebClient
from proxy.sources.directory import DirectorySource
from proxy.sources.original_store import DiskOriginalStore
from proxy.sources.web import WebSource
from proxy.tiers.bucket import BucketTier, NoFlags, ObjectStore
from proxy.tiers.disk import DiskTier

if TYPE_CHECKING:
    from proxy.fleet.presence import RedisPresence
    from proxy.remote.s3 import S3Bucket
    from proxy.sources.s3 import S3Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The sources by name, the store of fetched originals, and what the nodes share: the bucket tier, and Redis with
    its presence flags and leases. `remote` has the parts with a circuit breaker, by their section."""

    sources: "Mapping[str, DirectorySource | S3Source | WebSource]"
    original_store: DiskOriginalStore
    bucket: BucketTier | None
    redis: "RedisPresence | None"
    remote: Mapping[str, Remote]


@asynccontextmanager
async def open_stores(
    settings: Settings, directory: Path, metrics: Metrics, generations: Generations
) -> AsyncIterator[Stores]:
    """Connects to everything that the settings name. Fetched originals are below `directory`. Raises ConfigError."""
    async with AsyncExitStack() as stack:
        flags = redis(settings, metrics)
        original_store = originals(settings, directory, metrics, generations)
        stack.callback(original_store.close)
        remote: dict[str, Remote] = {} if flags is None else {"redis": flags}
        sources = {}
        for name, section in settings.sources.items():
            sources[name], client = await _open_source(name, section, original_store, settings, stack)
            stack.callback(sources[name].close)
            if client is not None:
                remote[f"sources.{name}"] = client
        kind = settings.cache.bucket
        s3 = await _open_s3("cache.bucket", kind.as_s3(), stack) if kind.kind == "s3" else None
        tier = bucket(settings, s3, flags or NoFlags(), metrics)
        if tier is not None:
            remote["cache.bucket"] = tier
        if flags is not None:
            await stack.enter_async_context(flags)
        yield Stores(sources=sources, original_store=original_store, bucket=tier, redis=flags, remote=remote)


async def _open_source(
    name: str,
    section: DirectorySection | S3Section | HttpSection,
    store: DiskOriginalStore,
    settings: Settings,
    stack: AsyncExitStack,
) -> "tuple[DirectorySource | S3Source | WebSource, Remote | None]":
    """The source `name`, and its connection if it is on the network: it then receives into `store`."""
    max_bytes = int(settings.limits.original_max_bytes)
    match section:
        case DirectorySection():
            return DirectorySource(name, section.path, max_bytes=max_bytes), None
        case HttpSection():
            client = await stack.enter_async_context(web(settings, section))
            return WebSource(name, client, store, max_bytes=max_bytes, ttl_s=section.ttl), client
        case S3Section():
            from proxy.sources.s3 import S3Source

            s3 = await _open_s3(f"sources.{name}", section, stack)
            return S3Source(name, s3, store, max_bytes=max_bytes), s3


async def _open_s3(part: str, section: S3Section, stack: AsyncExitStack) -> "S3Bucket":
    """Raises a ConfigError that names the `part`."""
    try:
        return await stack.enter_async_context(s3_bucket(section))
    except RequestRefused as failure:
        raise ConfigError(f"{part}: {failure}") from None


def disk_tier(settings: Settings, directory: Path, metrics: Metrics) -> DiskTier:
    """The disk tier below `directory`. Raises ConfigError if the directory cannot be used."""
    try:
        return DiskTier(directory / "variants", max_bytes=int(settings.cache.disk.max_bytes), metrics=metrics)
    except OSError as fault:
        raise ConfigError(f"cache.disk.path: {directory} cannot be used: {fault.strerror}") from None


def originals(
    settings: Settings, directory: Path, metrics: Metrics, generations: Generations
) -> DiskOriginalStore:
    """The store of fetched originals below `directory`. Raises ConfigError if the directory cannot be used."""
    try:
        return DiskOriginalStore(
            directory / "originals",
            max_bytes=int(settings.cache.originals.max_bytes),
            metrics=metrics,
            generations=generations,
        )
    except OSError as fault:
        raise ConfigError(f"cache.disk.path: {directory} cannot be used: {fault.strerror}") from None


def s3_bucket(s3: S3Section) -> "S3Bucket":
    """An async context, to be entered before use."""
    from proxy.remote.s3 import S3Bucket

    return S3Bucket(
        factory.s3_location(s3),
        access_key=s3.access_key,
        secret_key=s3.secret_key.get_secret_value(),
        path_style=s3.path_style,
        clock=factory.clock,
        chance=factory.chance,
    )


def redis(settings: Settings, metrics: Metrics) -> "RedisPresence | None":
    """An async context, to be entered before use; None without `redis.url`."""
    if not (url := settings.redis.url.get_secret_value()):
        return None
    from proxy.fleet.presence import RedisPresence

    try:
        return RedisPresence(
            url,
            timeout_s=settings.redis.timeout,
            flag_ttl_s=settings.redis.flag_ttl,
            metrics=metrics,
            clock=factory.clock,
        )
    except ValueError:
        raise ConfigError("redis.url: is not the URL of a Redis server") from None


def bucket(
    settings: Settings, s3: "S3Bucket | None", flags: PresenceFlags, metrics: Metrics
) -> BucketTier | None:
    """The bucket tier: in `s3`, or in a directory if `s3` is None. None if no bucket is configured."""
    section = settings.cache.bucket
    if section.kind != "directory" and s3 is None:
        return None
    from proxy.tiers.object_stores import DirectoryObjectStore, S3ObjectStore

    objects: ObjectStore = (
        DirectoryObjectStore(Path(section.path), factory.clock) if s3 is None else S3ObjectStore(s3)
    )
    return BucketTier(
        objects,
        flags,
        prefix=section.prefix,
        public_url=section.public_url.removesuffix("/"),
        metrics=metrics,
        clock=factory.clock,
        chance=factory.chance,
    )


def web(settings: Settings, http: HttpSection) -> WebClient:
    """An async context, to be entered before use."""
    return WebClient(
        factory.web_location(http),
        headers={name: value.get_secret_value() for name, value in http.headers.items()},
        allow_private=http.allow_private,
        loop_token=factory.loop_token(settings),
        agent=factory.agent(),
        clock=factory.clock,
        chance=factory.chance,
    )
