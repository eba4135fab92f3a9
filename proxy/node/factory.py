"""Settings into the parts they describe. Builds and opens nothing that must be closed but what it returns.
Longer than other files: it is one list, a part a function.

Clients of S3 and Redis take longer to import than all else together, so a part that needs one imports it.
"""

import hashlib
import random
import secrets
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import proxy
from proxy.config.errors import ConfigError
from proxy.config.sections import DirectorySection, HttpSection, S3Section
from proxy.config.settings import Settings
from proxy.core.cache.generations import Generations
from proxy.core.image.formats import Format
from proxy.core.image.limits import InputLimits
from proxy.core.transform.plan import RenderDefaults
from proxy.core.url.dialects.native_params import colour
from proxy.core.url.mounts import Mount, Rules
from proxy.core.url.original_urls import NO_URLS, OriginalLocation, S3Location, WebLocation
from proxy.edge.admin.auth import AdminAuth
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import PresenceFlags
from proxy.remote.cdn_purge import PurgeHook
from proxy.remote.errors import RequestRefused
from proxy.remote.web import WebClient
from proxy.render.pool import Pool
from proxy.render.protocol import Hello
from proxy.sources.directory import DirectorySource
from proxy.sources.original_store import DiskOriginalStore
from proxy.sources.web import WebSource
from proxy.state.node_state import InUse, NodeState
from proxy.telemetry.traces import Traces
from proxy.tiers.bucket import BucketTier, ObjectStore
from proxy.tiers.disk import DiskTier
from proxy.tiers.memory import MemoryTier

if TYPE_CHECKING:
    from proxy.fleet.presence import RedisPresence
    from proxy.fleet.purge_log import RedisPurgeLog
    from proxy.remote.s3 import S3Bucket
    from proxy.sources.s3 import S3Source

OLDEST_LIBVIPS = (8, 16, 0)

clock = time.monotonic
wall = time.time


def input_limits(settings: Settings) -> InputLimits:
    limits = settings.limits
    return InputLimits(
        max_bytes=int(limits.original_max_bytes),
        max_side_px=limits.original_max_side,
        max_pixels=limits.original_max_pixels,
        max_pixels_heif=limits.original_max_pixels_heif,
        max_frames=limits.original_max_frames,
    )


def recipe(settings: Settings) -> RenderDefaults:
    formats = settings.formats
    return RenderDefaults(
        quality=formats.quality,
        effort={
            Format.AVIF: formats.avif_effort,
            Format.WEBP: formats.webp_effort,
            Format.PNG: formats.png_compression,
            Format.GIF: formats.gif_effort,
        },
        max_side_px=settings.limits.output_max_side,
        gps=settings.limits.info_gps,
    )


def mounts(settings: Settings) -> list[Mount]:
    presets = settings.parsed_presets()
    return [
        Mount(
            name=name,
            host=mount.host,
            prefix=mount.prefix,
            source=mount.source,
            location=_place_of(settings, mount.source),
            signing=mount.signing,
            keys=settings.keys_of(mount),
            dimensions=mount.dimensions,
            allowed_px=tuple(sorted(set(settings.dimensions.allowed))),
            colours=frozenset(map(colour, settings.dimensions.colours)),
            transforms=settings.parsed_transforms(name, mount, presets),
            presets_only=mount.presets_only,
            query=mount.query,
            max_age_s=settings.max_age_s(mount),
        )
        for name, mount in settings.named_mounts().items()
    ]


def rules(settings: Settings) -> Rules:
    return Rules(
        mounts=mounts(settings),
        presets=settings.parsed_presets(),
        url_max_bytes=settings.limits.url_max_bytes,
        max_side_px=settings.limits.output_max_side,
        session=settings.signing.session,
    )


def _place_of(settings: Settings, source: str) -> OriginalLocation:
    match settings.sources.get(source):
        case S3Section() as s3:
            return place(s3)
        case HttpSection() as http:
            return web_place(http)
    return NO_URLS


def place(s3: S3Section) -> S3Location:
    return S3Location(bucket=s3.bucket, prefix=s3.prefix, endpoint_url=s3.endpoint_url, region=s3.region)


def web_place(http: HttpSection) -> WebLocation:
    return WebLocation(frozenset(http.hosts), http.base_url)


def pool(settings: Settings, *, workers: int | None = None) -> Pool:
    render = settings.render
    return Pool(
        workers=workers or settings.workers(),
        queue=render.queue,
        timeout_s=render.timeout,
        memory_bytes=int(render.memory),
        recycle_after=render.recycle_after,
        sandboxed=render.sandbox != "off",
        limits=input_limits(settings),
        clock=clock,
    )


def check_worker(settings: Settings, hello: Hello) -> None:
    """Raises ConfigError for a worker that cannot be trusted with strangers' pictures."""
    if tuple(hello.libvips) < OLDEST_LIBVIPS:
        found, oldest = (".".join(map(str, version)) for version in (hello.libvips, OLDEST_LIBVIPS))
        raise ConfigError(
            f"libvips {found} is older than {oldest}; get the bundled one with:"
            " pip install --force-reinstall --no-deps pyvips-binary"
        )
    if hello.missing and settings.render.sandbox == "required":
        raise ConfigError(f"render.sandbox: {unsandboxed(hello)}; auto would go on without")


def unsandboxed(hello: Hello) -> str:
    """What a worker's sandbox lacks; empty if nothing."""
    return f"workers are not fully sandboxed: {'; '.join(hello.missing)}" if hello.missing else ""


def memory(settings: Settings, *, share: int = 1) -> MemoryTier:
    """The tier of one of `share` processes that divide the node's memory."""
    return MemoryTier(
        max_bytes=max(1, int(settings.cache.memory.max_bytes) // share),
        max_entry_bytes=int(settings.cache.memory.max_entry_bytes),
    )


def disk(settings: Settings, directory: Path, metrics: Metrics) -> DiskTier:
    """The disk tier below `directory`; raises ConfigError where it cannot be used."""
    try:
        return DiskTier(directory / "variants", max_bytes=int(settings.cache.disk.max_bytes), metrics=metrics)
    except OSError as fault:
        raise ConfigError(f"cache.disk.path: {directory} cannot be used: {fault.strerror}") from None


def originals(settings: Settings, directory: Path, metrics: Metrics) -> DiskOriginalStore:
    """The originals kept below `directory`; raises ConfigError where it cannot be used."""
    try:
        return DiskOriginalStore(
            directory / "originals", max_bytes=int(settings.cache.originals.max_bytes), metrics=metrics
        )
    except OSError as fault:
        raise ConfigError(f"cache.disk.path: {directory} cannot be used: {fault.strerror}") from None


def s3_bucket(s3: S3Section) -> "S3Bucket":
    """An async context, to be entered before use."""
    from proxy.remote.s3 import S3Bucket

    return S3Bucket(
        place(s3),
        access_key=s3.access_key,
        secret_key=s3.secret_key.get_secret_value(),
        path_style=s3.path_style,
        clock=clock,
        chance=random.random,
    )


async def opened(section: str, bucket: "S3Bucket") -> None:
    """Enters `bucket`; raises ConfigError that names its `section`."""
    try:
        await bucket.__aenter__()
    except RequestRefused as failure:
        raise ConfigError(f"{section}: {failure}") from None


def records(
    directory: Path,
    sources: Iterable[str],
    generations: Generations,
    metrics: Metrics,
    log: structlog.typing.FilteringBoundLogger,
    *,
    jobs_at: Path | None = None,
    is_alone: bool = False,
) -> NodeState:
    """Those below `directory`, jobs below `jobs_at`, if that is given; raises ConfigError where they cannot be used."""
    folder = directory / "records"
    try:
        return NodeState.open(
            folder,
            sources,
            generations,
            metrics,
            log,
            jobs_at=jobs_at or folder,
            is_alone=is_alone,
            salt=salt,
        )
    except InUse:
        raise ConfigError(
            f"cache.disk.path: a node is at work in {directory}; say which with --node URL of its admin listener"
            if is_alone
            else f"cache.disk.path: a command of calotype is at work in {directory}; wait for its end"
        ) from None
    except (OSError, sqlite3.Error) as fault:
        raise ConfigError(f"cache.disk.path: {folder} cannot be used: {fault}") from None


def salt() -> str:
    """What makes a purge's token unlike those of other nodes."""
    return secrets.token_hex(4)


def fleet(
    settings: Settings,
    records: NodeState,
    generations: Generations,
    log: structlog.typing.FilteringBoundLogger,
) -> "RedisPurgeLog | None":
    """The other nodes, where there is a Redis to meet them."""
    if not (url := settings.redis.url.get_secret_value()):
        return None
    from proxy.fleet.purge_log import RedisPurgeLog

    return RedisPurgeLog(
        url,
        name=records.name,
        instance=records.instances.ours,
        lives=records.instances.is_running,
        generations=generations,
        clock=clock,
        log=log,
    )


def auth(settings: Settings) -> AdminAuth:
    """Who may do what on the admin listener."""
    admin = settings.admin
    tokens = {each.token.get_secret_value(): frozenset(each.scopes) for each in admin.tokens.values()}
    return AdminAuth(admin.token.get_secret_value(), tokens, wall)


def hook(settings: Settings) -> PurgeHook | None:
    """The CDN to tell of purges, if there is one."""
    purge = settings.purge
    if not purge.hook:
        return None
    return PurgeHook(purge.hook, method=purge.hook_method, header=purge.hook_header.get_secret_value())


def redis(settings: Settings, metrics: Metrics) -> "RedisPresence | None":
    """An async context, to be entered before use; None without a URL."""
    if not (url := settings.redis.url.get_secret_value()):
        return None
    from proxy.fleet.presence import RedisPresence

    try:
        return RedisPresence(
            url,
            timeout_s=settings.redis.timeout,
            flag_ttl_s=settings.redis.flag_ttl,
            metrics=metrics,
            clock=clock,
        )
    except ValueError:
        raise ConfigError("redis.url: is not a URL of a Redis") from None


def bucket(
    settings: Settings, s3: "S3Bucket | None", flags: PresenceFlags, metrics: Metrics
) -> BucketTier | None:
    """The processed bucket: in `s3` where it is of that kind; None where there is none."""
    bucket = settings.cache.bucket
    if bucket.kind != "directory" and s3 is None:
        return None
    from proxy.tiers.object_stores import DirectoryObjectStore, S3ObjectStore

    objects: ObjectStore = DirectoryObjectStore(Path(bucket.path), clock) if s3 is None else S3ObjectStore(s3)
    return BucketTier(
        objects,
        flags,
        prefix=bucket.prefix,
        public_url=bucket.public_url.removesuffix("/"),
        metrics=metrics,
        clock=clock,
        chance=random.random,
    )


def web(settings: Settings, http: HttpSection) -> WebClient:
    """An async context, to be entered before use."""
    return WebClient(
        web_place(http),
        headers={name: value.get_secret_value() for name, value in http.headers.items()},
        allow_private=http.allow_private,
        me=loop_token(settings),
        agent=f"calotype/{proxy.__version__}",
        clock=clock,
        chance=random.random,
    )


def loop_token(settings: Settings) -> str:
    """What this node, and all that have its sources, is called in CDN-Loop (RFC 8586)."""
    described = settings.model_dump_json(include={"sources"})
    return f"calotype-{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def traces(settings: Settings) -> Traces | None:
    """None where they are off; raises ConfigError where they cannot be made."""
    if not settings.traces.endpoint:
        return None
    try:
        return Traces(
            settings.traces.endpoint,
            sample=settings.traces.sample,
            version=proxy.__version__,
            chance=random.random,
        )
    except ImportError:
        raise ConfigError("traces.endpoint: needs OpenTelemetry; install calotype[otel]") from None


def source(
    name: str,
    described: DirectorySection | S3Section | HttpSection,
    reached: "S3Bucket | WebClient | None",
    keep: DiskOriginalStore,
    settings: Settings,
) -> "DirectorySource | S3Source | WebSource":
    """The source of that name; one on the network reads what is `reached` into `keep`."""
    max_bytes = int(settings.limits.original_max_bytes)
    match described, reached:
        case DirectorySection(), None:
            return DirectorySource(name, described.path, max_bytes=max_bytes)
        case HttpSection(), WebClient():
            return WebSource(name, reached, keep, max_bytes=max_bytes, ttl_s=described.ttl)
    from proxy.remote.s3 import S3Bucket
    from proxy.sources.s3 import S3Source

    assert isinstance(reached, S3Bucket)
    return S3Source(name, reached, keep, max_bytes=max_bytes)
