"""Builds the parts of a node from its settings, a function for each part. Only what a function returns has to be
closed. `stores` builds the parts that hold originals and variants.
"""

import hashlib
import random
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import proxy
from proxy.config.errors import ConfigError
from proxy.config.sections import AdminScope, HttpSection, MountSection, S3Section
from proxy.config.settings import Settings
from proxy.core.cache.generations import Generations
from proxy.core.cache.tags import TaggedMount
from proxy.core.errors import CalotypeError
from proxy.core.image.formats import Format
from proxy.core.image.limits import InputLimits
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import FocalPoint, Watermark
from proxy.core.transform.plan import RenderDefaults
from proxy.core.url.dialects.dialect import Unsupported
from proxy.core.url.dialects.native.params import GRAVITIES, colour
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.mounts import Fallback, Mount, MountWatermark, RemoteSource, Rules
from proxy.core.url.original_urls import DIRECTORY, OriginalLocation, S3Location, WebLocation
from proxy.core.url.upstream import Upstream
from proxy.edge.admin.auth import AdminAuth
from proxy.node.first_worker import worker_limits
from proxy.ports.telemetry import Metrics
from proxy.remote.cdn_purge import PurgeHook
from proxy.remote.upstream import UpstreamClient
from proxy.render import libfacedetection
from proxy.render.pool import Pool
from proxy.render.protocol import Hello
from proxy.state.node_state import InUse, NodeState
from proxy.telemetry.traces import Traces
from proxy.tiers.memory import MemoryTier

if TYPE_CHECKING:
    from proxy.fleet.purge_log import RedisPurgeLog

OLDEST_LIBVIPS = (8, 16, 0)

clock = time.monotonic
wall = time.time
chance = random.random


def input_limits(settings: Settings) -> InputLimits:
    limits = settings.limits
    return InputLimits(
        max_bytes=int(limits.original_max_bytes),
        max_side_px=limits.original_max_side,
        max_pixels=limits.original_max_pixels,
        max_pixels_heif=limits.original_max_pixels_heif,
        max_frames=limits.original_max_frames,
    )


def render_defaults(settings: Settings) -> RenderDefaults:
    formats = settings.formats
    return RenderDefaults(
        quality=formats.quality,
        effort={
            Format.WEBP: formats.webp_effort,
            Format.PNG: formats.png_compression,
            Format.GIF: formats.gif_effort,
            **({} if formats.avif_effort == "auto" else {Format.AVIF: formats.avif_effort}),
        },
        max_side_px=settings.limits.output_max_side,
        gps=settings.limits.info_gps,
        face_detector=libfacedetection.version(),
    )


def mounts(settings: Settings) -> list[Mount]:
    presets = settings.parsed_presets()
    return [
        Mount(
            name=name,
            host=mount.host,
            prefix=mount.prefix,
            source=mount.source,
            location=_location_of(settings, mount.source),
            signing=mount.signing,
            keys=settings.keys_of(mount, dialect),
            dimensions=mount.dimensions,
            allowed_px=tuple(sorted(set(settings.dimensions.allowed))),
            colours=frozenset(map(colour, settings.dimensions.colours)),
            transforms=settings.parsed_transforms(name, mount, presets),
            presets_only=mount.presets_only,
            query=mount.query,
            max_age_s=int(mount.max_age),
            dialect=DIALECTS[dialect],
            unsupported=mount.unsupported,
            arguments_separator=mount.arguments_separator,
            base64_url_includes_filename=mount.base64_url_includes_filename,
            suffixes=mount.suffixes if mount.has_own("suffixes") else (),
            upstream=_upstream_of(mount),
            cache_tags=mount.cache_tags,
            watermark=_watermark_of(settings, name, mount),
            fallback=_fallback_of(settings, name, mount),
            remote=RemoteSource(mount.remote, _location_of(settings, mount.remote)) if mount.remote else None,
        )
        for name, mount in settings.named_mounts().items()
        for dialect in mount.dialects
    ]


def _watermark_of(settings: Settings, name: str, mount: MountSection) -> MountWatermark | None:
    if not mount.watermark:
        return None
    original = _original_of(settings, name, mount, "watermark")
    at = GRAVITIES[mount.watermark_position]
    assert isinstance(at, FocalPoint)
    operation = Watermark(
        mount.watermark_width,
        at,
        mount.watermark_margin,
        mount.watermark_opacity,
        mount.watermark_least_width,
    )
    return MountWatermark(original, operation)


def _fallback_of(settings: Settings, name: str, mount: MountSection) -> Fallback | None:
    if not mount.fallback:
        return None
    original = _original_of(settings, name, mount, "fallback")
    return Fallback(original, mount.fallback_status, int(mount.fallback_max_age))


def _original_of(settings: Settings, name: str, mount: MountSection, field: str) -> OriginalRef:
    """The original whose key is in a field of a mount. Raises ConfigError."""
    try:
        key = _location_of(settings, mount.source).key_for(getattr(mount, field))
    except CalotypeError as failure:
        raise ConfigError(f"mounts.{name}.{field}: {failure.detail}") from None
    return OriginalRef(mount.source, key)


def _upstream_of(mount: MountSection) -> Upstream | None:
    if not mount.upstream:
        return None
    return Upstream(
        url=mount.upstream.removesuffix("/"),
        share=mount.share,
        takes_unsupported=mount.unsupported is Unsupported.UPSTREAM,
        allow_private=mount.upstream_allow_private,
    )


def rules(settings: Settings) -> Rules:
    return Rules(
        mounts=mounts(settings),
        presets=settings.parsed_presets(),
        url_max_bytes=settings.limits.url_max_bytes,
        max_side_px=settings.limits.output_max_side,
        session=settings.signing.session,
        finds_faces=bool(libfacedetection.version()),
    )


def _location_of(settings: Settings, source: str) -> OriginalLocation:
    match settings.sources.get(source):
        case S3Section() as s3:
            return s3_location(s3)
        case HttpSection() as http:
            return web_location(http)
    return DIRECTORY


def s3_location(s3: S3Section) -> S3Location:
    return S3Location(bucket=s3.bucket, prefix=s3.prefix, endpoint_url=s3.endpoint_url, region=s3.region)


def web_location(http: HttpSection) -> WebLocation:
    return WebLocation(frozenset(http.hosts), http.base_url)


def one_worker(settings: Settings) -> Settings:
    """The settings with one render process, for commands that render one picture at a time."""
    return settings.model_copy(update={"render": settings.render.model_copy(update={"workers": 1})})


def pool(settings: Settings) -> Pool:
    render = settings.render
    return Pool(
        workers=settings.workers(),
        queue=render.queue,
        timeout_s=render.timeout,
        recycle_after=render.recycle_after,
        worker_limits=worker_limits(settings),
        limits=input_limits(settings),
        clock=clock,
    )


def check_worker(settings: Settings, hello: Hello) -> None:
    """Raises ConfigError if libvips is too old, or if the sandbox is incomplete although it is required."""
    if tuple(hello.libvips) < OLDEST_LIBVIPS:
        found, oldest = (".".join(map(str, version)) for version in (hello.libvips, OLDEST_LIBVIPS))
        raise ConfigError(
            f"libvips {found} is older than {oldest}; get the bundled one with:"
            " pip install --force-reinstall --no-deps pyvips-binary"
        )
    if hello.missing and settings.render.sandbox == "required":
        raise ConfigError(f"render.sandbox: {unsandboxed(hello)}; set auto to start without them")


def unsandboxed(hello: Hello) -> str:
    """A message that names the missing parts of a worker's sandbox; empty if none is missing."""
    return f"workers are not fully sandboxed: {'; '.join(hello.missing)}" if hello.missing else ""


def memory(settings: Settings) -> MemoryTier:
    """The memory tier of one process. The fronts and the back divide `cache.memory.max_bytes`."""
    fronts = settings.server.processes
    return MemoryTier(
        max_bytes=max(1, int(settings.cache.memory.max_bytes) // (fronts + 1 if fronts > 1 else 1)),
        max_entry_bytes=int(settings.cache.memory.max_entry_bytes),
    )


def node_state(
    directory: Path,
    sources: Iterable[str],
    generations: Generations,
    metrics: Metrics,
    log: structlog.typing.FilteringBoundLogger,
    *,
    jobs_directory: Path | None = None,
    is_exclusive: bool = False,
) -> NodeState:
    """The state below `directory`, jobs below `jobs_directory` if given. Raises ConfigError if it cannot be used."""
    folder = directory / "records"
    try:
        return NodeState.open(
            folder,
            sources,
            generations,
            metrics,
            log,
            jobs_directory=jobs_directory or folder,
            is_exclusive=is_exclusive,
            salt=salt,
        )
    except InUse:
        raise ConfigError(
            f"cache.disk.path: a running node uses {directory}; name its admin listener with --node URL"
            if is_exclusive
            else f"cache.disk.path: another calotype command uses {directory}; wait until it ends"
        ) from None
    except (OSError, sqlite3.Error) as fault:
        raise ConfigError(f"cache.disk.path: {folder} cannot be used: {fault}") from None


def salt() -> str:
    """Eight random hex digits: they make the purge tokens of this node differ from those of other nodes."""
    return secrets.token_hex(4)


def fleet(
    settings: Settings,
    records: NodeState,
    generations: Generations,
    log: structlog.typing.FilteringBoundLogger,
) -> "RedisPurgeLog | None":
    """The purge log that the nodes share; None without `redis.url`."""
    if not (url := settings.redis.url.get_secret_value()):
        return None
    from proxy.fleet.purge_log import RedisPurgeLog

    return RedisPurgeLog(
        url,
        name=records.name,
        instance=records.instances.ours,
        is_running=records.instances.is_running,
        generations=generations,
        clock=clock,
        log=log,
    )


def auth(settings: Settings) -> AdminAuth:
    """Tokens and scopes of the admin listener."""
    admin = settings.admin
    tokens = {each.token.get_secret_value(): frozenset(each.scopes) for each in admin.tokens.values()}
    if token := admin.token.get_secret_value():
        tokens[token] = frozenset(AdminScope)
    return AdminAuth(tokens, frozenset(AdminScope), wall)


def purge_hook(settings: Settings, mounts: Callable[[], Iterable[Mount]]) -> PurgeHook | None:
    """The purge API of the CDN; None without `purge.hook`. `mounts` are the present ones."""
    purge = settings.purge
    if not purge.hook:
        return None
    return PurgeHook(
        purge.hook,
        method=purge.hook_method,
        header=purge.hook_header.get_secret_value(),
        body=purge.hook_body,
        tagged=lambda: [TaggedMount(mount.name, mount.sources) for mount in mounts() if mount.cache_tags],
    )


def loop_token(settings: Settings) -> str:
    """The identifier in CDN-Loop (RFC 8586). All nodes with the same sources share it."""
    described = settings.model_dump_json(include={"sources"})
    return f"calotype-{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def upstream(settings: Settings) -> UpstreamClient:
    """The client for the upstreams of all mounts. The caller closes it."""
    return UpstreamClient(
        max_bytes=int(settings.limits.upstream_max_bytes),
        loop_token=loop_token(settings),
        agent=agent(),
        clock=clock,
        chance=chance,
    )


def agent() -> str:
    """The User-Agent of requests to other servers."""
    return f"calotype/{proxy.__version__}"


def traces(settings: Settings) -> Traces | None:
    """None without `traces.endpoint`. Raises ConfigError if OpenTelemetry is not installed."""
    if not settings.traces.endpoint:
        return None
    try:
        return Traces(
            settings.traces.endpoint,
            sample=settings.traces.sample,
            version=proxy.__version__,
            chance=chance,
        )
    except ImportError:
        raise ConfigError("traces.endpoint: needs OpenTelemetry; install calotype[otel]") from None
