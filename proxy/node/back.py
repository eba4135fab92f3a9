"""The back of a node: the request path with its start warnings, and the administration with pre-generation running. It
offers a producer and a dispatcher to fronts, in this process or in others.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from proxy.config.messages import shown
from proxy.config.sections import S3Section
from proxy.config.settings import WEAK_SECRET_BYTES, Settings
from proxy.core.transform.plan import RenderDefaults
from proxy.core.url.mounts import Rules
from proxy.local.process import Process
from proxy.node import factory
from proxy.node.readiness import MissingParts
from proxy.node.request_path import RequestPath, open_request_path
from proxy.service.admin.dispatch import Dispatch
from proxy.service.admin.pregeneration import Pregeneration
from proxy.service.admin.s3_events import S3Events
from proxy.service.admin.uploads import Uploads
from proxy.state.usage import Usage
from proxy.telemetry.metrics import PrometheusMetrics

USAGE_TIMEOUT_S = 2.0
"""How long a stop waits for the usage records to be stored."""


class Back:
    """A running back. `path.produce` is its producer, `dispatch` its dispatcher."""

    def __init__(self, path: RequestPath, log: structlog.typing.FilteringBoundLogger) -> None:
        self.path = path
        self._pregeneration = Pregeneration(
            path.state.jobs,
            path.produce,
            path.stores.sources,
            lambda: path.rules,
            path.settings.formats.auto,
            factory.clock,
            workers=path.settings.workers(),
            log=log,
        )
        self._usage = None
        if path.stores.bucket is not None:
            writer = f"{path.state.name}.{factory.salt()}"
            self._usage = Usage(path.stores.bucket, writer=writer, wall=factory.wall)
        self.dispatch = _dispatch(path, self._pregeneration, self._record_usage)

    def start(self) -> None:
        """Continues the jobs, once the purges are known, and begins to record usage."""
        self._pregeneration.start(self.caught_up)
        if self._usage is not None:
            self._usage.start()

    def reload(self, settings: Settings) -> None:
        """Applies those of `settings` that can change at run time."""
        self.path.reload(settings)

    def missing(self) -> MissingParts:
        """The parts that it is without."""
        fleet, missing = self.path.fleet, MissingParts.NOTHING
        if fleet is not None and not fleet.caught_up.is_set():
            missing |= MissingParts.PURGES
        if not self.path.pool.alive:
            missing |= MissingParts.WORKERS
        return missing

    async def caught_up(self) -> None:
        """Waits until this node has applied every purge that happened while it was down."""
        if self.path.fleet is not None:
            await self.path.fleet.caught_up.wait()

    async def close(self) -> None:
        """Stops pre-generation and stores the usage records. The caller closes the request path."""
        await self._pregeneration.close()
        if self._usage is not None:
            by = factory.clock() + USAGE_TIMEOUT_S
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(by, self.path.stop_deadline or by)):
                    await self._usage.close()

    def _record_usage(self, keys: Iterable[str]) -> None:
        if self._usage is not None:
            self._usage.add(keys)


@asynccontextmanager
async def open_back(
    settings: Settings,
    metrics: PrometheusMetrics,
    log: structlog.typing.FilteringBoundLogger,
    first_worker: Process | None = None,
    *,
    expects_subscribers: bool = False,
    is_exclusive: bool = False,
) -> AsyncIterator[Back]:
    """A back on the disk of the settings, whose first worker may have been started already. With `expects_subscribers` fronts are running, which must subscribe before a
    purge is complete. An exclusive back shares the disk with no node. Raises ConfigError and WorkerDied."""
    async with open_request_path(
        settings,
        metrics,
        log,
        first_worker,
        disk=settings.disk_path(),
        expects_subscribers=expects_subscribers,
        is_exclusive=is_exclusive,
    ) as path:
        _log_warnings(path, log)
        _watch(path, metrics)
        back = Back(path, log)
        back.start()
        try:
            yield back
        finally:
            await back.close()


def _dispatch(
    path: RequestPath, pregeneration: Pregeneration, record_usage: Callable[[Iterable[str]], None]
) -> Dispatch:
    """The administration of this request path: it executes uploads, pre-generation orders, purges and events."""
    settings, stores, jobs, purges = path.settings, path.stores, path.state.jobs, path.purges
    eager = settings.eager.presets

    def rules() -> Rules:
        return path.rules

    def defaults() -> RenderDefaults:
        return factory.render_defaults(path.settings)

    uploads = Uploads(
        stores.sources,
        path.originals,
        path.facts,
        path.pool,
        pregeneration,
        purges,
        rules,
        eager,
        factory.clock,
    )
    s3_sources = {name: s3 for name, s3 in settings.sources.items() if isinstance(s3, S3Section)}
    events = S3Events(
        {name: factory.s3_location(s3) for name, s3 in s3_sources.items()},
        path.originals,
        purges,
        pregeneration,
        path.state.entry_index,
        rules,
        eager,
        is_alone=path.fleet is None and stores.bucket is None,
    )
    return Dispatch(uploads, pregeneration, jobs, purges, events, rules, defaults, path.explain, record_usage)


def _log_warnings(path: RequestPath, log: structlog.typing.FilteringBoundLogger) -> None:
    """Logs mounts with unsigned URLs of any size, weak keys, and other instances on this disk."""
    for name, mount in path.settings.named_mounts().items():
        if path.settings.is_exposed(mount):
            log.warning(
                f"mounts.{name}.open: unsigned URLs may request any size, so any client can fill the cache"
            )
    for key_id in path.settings.weak_keys():
        log.warning(
            f"signing.keys.{shown(key_id)}: a secret of fewer than {WEAK_SECRET_BYTES} bytes can be guessed"
        )
    if siblings := path.state.instances.siblings():
        log.warning(
            "another node uses this cache directory; set cache.disk.path, or --cache, unless that node is about to stop",
            path=str(path.settings.disk_path()),
            others=siblings,
        )


def _watch(path: RequestPath, metrics: PrometheusMetrics) -> None:
    """Adds the gauges that are read at scrape time."""
    pool, stores = path.pool, path.stores
    slow = [stores.original_store.name, *(tier.name for tier in path.tiers)]
    slow += ["redis"] if stores.redis else []
    metrics.expect(stores.sources, slow)
    metrics.watch("calotype_render_queue", "Renders waiting for a worker.", lambda: {"": pool.waiting})
    metrics.watch(
        "calotype_workers",
        "Running render processes, by state.",
        lambda: {"busy": pool.busy, "idle": pool.alive - pool.busy},
        label="state",
    )
    metrics.watch(
        "calotype_breaker_open",
        "1 while the circuit breaker of a remote part is open.",
        lambda: {name: part.circuit_open for name, part in stores.remote.items()},
        label="part",
    )
    own = {path.memory.name: path.memory.usage, stores.original_store.name: stores.original_store.usage}
    watch_tiers(metrics, own | {tier.name: tier.usage for tier in path.tiers})
    cache = path.settings.cache
    max_bytes = {
        path.memory.name: int(cache.memory.max_bytes),
        stores.original_store.name: int(cache.originals.max_bytes),
        "disk": int(cache.disk.max_bytes),
    }
    metrics.watch("calotype_tier_max_bytes", "Size limit of a tier.", lambda: max_bytes, label="tier")


def watch_tiers(
    metrics: PrometheusMetrics, tiers: Mapping[str, Callable[[], tuple[int, int] | None]]
) -> None:
    """Adds the size and the number of entries of `tiers` to the metrics. A tier that returns None is left out."""

    def of(which: int) -> dict[str, float]:
        read = {name: usage() for name, usage in tiers.items()}
        return {name: used[which] for name, used in read.items() if used is not None}

    metrics.watch("calotype_tier_bytes", "Bytes held by a tier.", lambda: of(0), label="tier")
    metrics.watch("calotype_tier_entries", "Entries held by a tier.", lambda: of(1), label="tier")
