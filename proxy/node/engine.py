"""The miss path of a node without HTTP: builds sources, tiers, workers and use cases from the settings, and starts
and stops them in order.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from proxy.config.sections import DirectorySection, HttpSection, S3Section
from proxy.config.settings import Settings
from proxy.core.cache.generations import Generations
from proxy.node import factory
from proxy.ports.originals import Remote
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import Tier
from proxy.remote.web import WebClient
from proxy.service.admin.dispatch import Dispatch
from proxy.service.admin.explain import Explanation, explain
from proxy.service.admin.pregeneration import Pregeneration
from proxy.service.admin.purge_log import PurgeLog
from proxy.service.admin.purge_subscribers import PurgeSubscribers
from proxy.service.admin.purges import Purges
from proxy.service.admin.reclaim import Reclaim
from proxy.service.admin.s3_events import S3Events
from proxy.service.admin.uploads import Uploads
from proxy.service.request.facts import OriginalFacts
from proxy.service.request.leased import Leased
from proxy.service.request.open_originals import OpenOriginals
from proxy.service.request.originals import Originals
from proxy.service.request.produce import OriginalServices, Produce, Rendering, VariantStores
from proxy.service.request.quarantine import Quarantine
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import TierChain
from proxy.service.request.version_checks import VersionChecks
from proxy.state.usage import Usage
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.tiers.bucket import NoFlags

if TYPE_CHECKING:
    from proxy.remote.s3 import S3Bucket

USAGE_TIMEOUT_S = 2.0
"""How long a stop waits for the usage records to be stored."""


def watch_tiers(
    metrics: PrometheusMetrics, tiers: Mapping[str, Callable[[], tuple[int, int] | None]]
) -> None:
    """Adds the size and the number of entries of `tiers` to the metrics. A tier that returns None is left out."""

    def of(which: int) -> dict[str, float]:
        read = {name: usage() for name, usage in tiers.items()}
        return {name: used[which] for name, used in read.items() if used is not None}

    metrics.watch("calotype_tier_bytes", "Bytes held by a tier.", lambda: of(0), label="tier")
    metrics.watch("calotype_tier_entries", "Entries held by a tier.", lambda: of(1), label="tier")


class Engine:
    """The parts of the miss path; an async context, built in a running event loop. With `disk` None there is neither
    a disk nor a bucket tier. An exclusive engine shares the disk with no node and has its own job store."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
        *,
        disk: Path | None,
        workers: int | None = None,
        memory_share: int = 1,
        processes: int = 0,
        followed: bool = False,
        is_exclusive: bool = False,
    ) -> None:
        self.settings = settings
        self.generations = Generations()
        self.rules = factory.rules(settings)
        self.clock = factory.clock
        self.stop_deadline: float | None = None
        self.pool = factory.pool(settings, workers=workers)
        self.memory = factory.memory(settings, share=memory_share)
        self.redis = factory.redis(settings, metrics) if disk is not None else None
        self._buckets: dict[str, S3Bucket] = {}
        self._web_clients: list[WebClient] = []
        self._remote: dict[str, Remote] = {"redis": self.redis} if self.redis else {}
        self._scratch = (
            tempfile.TemporaryDirectory(prefix="calotype-") if disk is None or is_exclusive else None
        )
        scratch = Path(self._scratch.name) if self._scratch else None
        directory = disk or scratch
        assert directory is not None
        self.node_state = factory.node_state(
            directory,
            settings.sources,
            self.generations,
            metrics,
            log,
            jobs_directory=scratch,
            is_exclusive=is_exclusive,
        )
        self.original_store = factory.originals(settings, directory, metrics, self.generations)
        self.slow_tiers: list[Tier] = []
        bucket = None
        if disk is not None:
            self.slow_tiers.append(factory.disk(settings, disk, metrics))
            kind = settings.cache.bucket
            s3 = self._bucket("cache.bucket", kind.as_s3()) if kind.kind == "s3" else None
            bucket = factory.bucket(settings, s3, self.redis or NoFlags(), metrics)
        if bucket is not None:
            self.slow_tiers.append(bucket)
            self._remote["cache.bucket"] = bucket
        self.chain = TierChain(self.memory, self.slow_tiers, metrics)
        leased = Leased(self.chain, self.redis if bucket else None)
        index = self.node_state.entry_index
        self.flights = Flights()
        self.sources = {
            name: factory.source(
                name,
                source,
                self._remote_of(name, source),
                self.original_store,
                settings,
            )
            for name, source in settings.sources.items()
        }
        renderer = Quarantine(self.pool, self.clock)
        self.originals = Originals(
            self.sources,
            self.chain,
            self.flights,
            self.clock,
            metrics,
            self.generations,
            index,
            renderer,
        )
        opened = OpenOriginals(self.originals, self.original_store, self.flights, renderer)
        facts = OriginalFacts(opened, self.chain, leased, renderer, self.flights, index)
        self.fleet = (
            factory.fleet(settings, self.node_state, self.generations, log) if disk is not None else None
        )
        self.bucket = bucket
        self.usage = None
        if bucket is not None:
            self.usage = Usage(bucket, writer=f"{self.node_state.name}.{factory.salt()}", wall=factory.wall)
        purge_log = PurgeLog(self.generations, self.node_state.journal, factory.wall, factory.salt)
        self.subscribers = PurgeSubscribers(purge_log, processes=processes, are_running=followed)
        self.reclaim = Reclaim(index, self.chain, self.original_store, self.subscribers, log)
        self.purges = Purges(
            purge_log,
            self.subscribers,
            self.fleet or self.node_state.instances,
            factory.purge_hook(settings),
            self.reclaim,
            self.originals,
            self.clock,
            log,
        )
        self.versions = VersionChecks(self.originals, self.purges, self.clock, log)
        self.produce = Produce(
            OriginalServices(self.originals, opened, facts, self.versions),
            VariantStores(self.chain, leased, index, redirects=bucket),
            Rendering(renderer, factory.render_defaults(settings), settings.formats.auto),
            self.flights,
            self.generations,
            self.clock,
            metrics,
        )
        self.pregeneration = Pregeneration(
            self.node_state.jobs,
            self.produce,
            self.sources,
            lambda: self.rules,
            settings.formats.auto,
            self.clock,
            workers=workers or settings.workers(),
            log=log,
        )
        eager = settings.eager.presets
        uploads = Uploads(
            self.sources,
            self.originals,
            facts,
            self.pool,
            self.pregeneration,
            self.purges,
            lambda: self.rules,
            eager,
            self.clock,
        )
        events = S3Events(
            {
                name: factory.s3_location(section)
                for name, section in settings.sources.items()
                if isinstance(section, S3Section)
            },
            self.originals,
            self.purges,
            self.pregeneration,
            index,
            lambda: self.rules,
            eager,
            is_alone=self.fleet is None and bucket is None,
        )
        self.dispatch = Dispatch(
            uploads,
            self.pregeneration,
            self.node_state.jobs,
            self.purges,
            events,
            lambda: self.rules,
            factory.render_defaults(settings),
            self.explain,
            self.record_usage,
        )

    def _remote_of(
        self, name: str, source: DirectorySection | S3Section | HttpSection
    ) -> "S3Bucket | WebClient | None":
        match source:
            case S3Section():
                self._remote[f"sources.{name}"] = bucket = self._bucket(f"sources.{name}", source)
                return bucket
            case HttpSection():
                self._web_clients.append(factory.web(self.settings, source))
                self._remote[f"sources.{name}"] = self._web_clients[-1]
                return self._web_clients[-1]
            case DirectorySection():
                return None

    def _bucket(self, section: str, s3: S3Section) -> "S3Bucket":
        self._buckets[section] = factory.s3_bucket(s3)
        return self._buckets[section]

    async def __aenter__(self) -> "Engine":
        try:
            for section, bucket in self._buckets.items():
                await factory.open_bucket(section, bucket)
            for web_client in self._web_clients:
                await web_client.__aenter__()
            if self.redis is not None:
                await self.redis.__aenter__()
            self.hello = await self.pool.start()
            factory.check_worker(self.settings, self.hello)
            if self.fleet is not None:
                self.fleet.start(self.purges.apply_remote)
            if self.usage is not None:
                self.usage.start()
        except BaseException:
            await self.close(self.clock())
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(self.stop_deadline or self.clock() + self.settings.server.drain)

    async def close(self, deadline: float) -> None:
        """Closes flights first, because they use the workers and fill the tiers; then the workers; then the tiers,
        which write to Redis and buckets until `deadline`."""
        await self.pregeneration.close()
        if self.fleet is not None:
            await self.fleet.close()
        await self.versions.close()
        await self.reclaim.close()
        await self.flights.close()
        await self.pool.close()
        if self.usage is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(deadline, self.clock() + USAGE_TIMEOUT_S)):
                    await self.usage.close()
        await self.chain.close(deadline)
        await self.node_state.close()
        for source in self.sources.values():
            source.close()
        if self.redis is not None:
            await self.redis.__aexit__()
        for bucket in self._buckets.values():
            await bucket.__aexit__()
        for web_client in self._web_clients:
            await web_client.__aexit__()
        self.original_store.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def record_usage(self, keys: Iterable[str]) -> None:
        """Records that clients requested the variants with these keys."""
        if self.usage is not None:
            self.usage.add(keys)

    def is_caught_up(self) -> bool:
        """Whether this node has applied every purge that happened while it was down."""
        return self.fleet is None or self.fleet.caught_up.is_set()

    async def caught_up(self) -> None:
        """Waits until this node has applied every purge that happened while it was down."""
        if self.fleet is not None:
            await self.fleet.caught_up.wait()

    def reload(self, settings: Settings) -> None:
        """Applies those of `settings` that can change at run time."""
        self.settings, self.rules = settings, factory.rules(settings)
        self.pool.limits = factory.input_limits(settings)
        for source in self.sources.values():
            source.max_bytes = self.pool.limits.max_bytes

    def watch(self, metrics: PrometheusMetrics) -> None:
        """Adds the gauges that are read at scrape time."""
        pool = self.pool
        slow = [self.original_store.name, *(tier.name for tier in self.slow_tiers)]
        slow += ["redis"] if self.redis else []
        metrics.expect(self.sources, slow)
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
            lambda: {name: part.circuit_open for name, part in self._remote.items()},
            label="part",
        )
        own = {self.memory.name: self.memory.usage, self.original_store.name: self.original_store.usage}
        watch_tiers(metrics, own | {tier.name: tier.usage for tier in self.slow_tiers})
        cache = self.settings.cache
        max_bytes = {
            self.memory.name: int(cache.memory.max_bytes),
            self.original_store.name: int(cache.originals.max_bytes),
            "disk": int(cache.disk.max_bytes),
        }
        metrics.watch("calotype_tier_max_bytes", "Size limit of a tier.", lambda: max_bytes, label="tier")

    async def explain(self, url: str, accept: str) -> Explanation:
        return await explain(
            url,
            accept,
            rules=self.rules,
            produce=self.produce,
            originals=self.originals,
            now_s=factory.wall(),
            deadline=self.clock() + self.settings.server.request_timeout,
        )
