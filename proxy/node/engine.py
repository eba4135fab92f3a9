"""The miss path of a node, all but HTTP: sources, tiers, workers and the use case, built from the settings, and started and
stopped in order.
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
from proxy.service.admin.explain import Explanation, explained
from proxy.service.admin.pregeneration import Pregeneration
from proxy.service.admin.purges import Purges
from proxy.service.admin.s3_events import S3Events
from proxy.service.admin.uploads import Uploads
from proxy.service.request.leased import Leased
from proxy.service.request.originals import Originals
from proxy.service.request.produce import Produce
from proxy.service.request.quarantine import Quarantine
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import TierChain
from proxy.service.request.versions import VersionChecks
from proxy.state.usage import Usage
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.tiers.bucket import NoFlags

if TYPE_CHECKING:
    from proxy.remote.s3 import S3Bucket

USAGE_S = 2.0
"""How long a stop waits for the store to note what was asked for."""


def watch_tiers(
    metrics: PrometheusMetrics, tiers: Mapping[str, Callable[[], tuple[int, int] | None]]
) -> None:
    """Has the metrics show the usage of these tiers."""

    def of(which: int) -> dict[str, float]:
        read = {name: usage() for name, usage in tiers.items()}
        return {name: used[which] for name, used in read.items() if used is not None}

    metrics.watch("calotype_tier_bytes", "Bytes held by a tier.", lambda: of(0), label="tier")
    metrics.watch("calotype_tier_entries", "Entries held by a tier.", lambda: of(1), label="tier")


class Engine:
    """An async context, made in a running loop;
    leaving it closes everything. With `disk` None nothing is kept beyond memory, and no bucket is asked; who `is_alone`
    shares the disk with no node, and keeps jobs of its own."""

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
        is_alone: bool = False,
    ) -> None:
        self.settings = settings
        self.generations = Generations()
        self.rules = factory.rules(settings)
        self.clock = factory.clock
        self.stop_by: float | None = None
        self.pool = factory.pool(settings, workers=workers)
        self.memory = factory.memory(settings, share=memory_share)
        self.redis = factory.redis(settings, metrics) if disk is not None else None
        self._buckets: dict[str, S3Bucket] = {}
        self._webs: list[WebClient] = []
        self._remote: dict[str, Remote] = {"redis": self.redis} if self.redis else {}
        self._scratch = tempfile.TemporaryDirectory(prefix="calotype-") if disk is None or is_alone else None
        scratch = Path(self._scratch.name) if self._scratch else None
        kept_at = disk or scratch
        assert kept_at is not None
        self.records = factory.records(
            kept_at, settings.sources, self.generations, metrics, log, jobs_at=scratch, is_alone=is_alone
        )
        self.keep = factory.originals(settings, kept_at, metrics)
        self.slow: list[Tier] = []
        bucket = None
        if disk is not None:
            self.slow.append(factory.disk(settings, disk, metrics))
            kind = settings.cache.bucket
            s3 = self._bucket("cache.bucket", kind.as_s3()) if kind.kind == "s3" else None
            bucket = factory.bucket(settings, s3, self.redis or NoFlags(), metrics)
        if bucket is not None:
            self.slow.append(bucket)
            self._remote["cache.bucket"] = bucket
        self.chain = TierChain(self.memory, self.slow, metrics)
        leased = Leased(self.chain, self.redis if bucket else None)
        index = self.records.notes
        self.flights = Flights()
        self.sources = {
            name: factory.source(
                name,
                source,
                self._reached(name, source),
                self.keep,
                settings,
            )
            for name, source in settings.sources.items()
        }
        renderer = Quarantine(self.pool, self.clock)
        self.originals = Originals(
            self.sources,
            self.chain,
            renderer,
            self.flights,
            self.clock,
            metrics,
            self.keep,
            self.generations,
            index,
            renderer,
            leased,
        )
        self.fleet = (
            factory.fleet(settings, self.records, self.generations, log) if disk is not None else None
        )
        self.bucket = bucket
        self.usage = None
        if bucket is not None:
            self.usage = Usage(bucket, writer=f"{self.records.name}.{factory.salt()}", wall=factory.wall)
        self.purges = Purges(
            self.generations,
            self.records.journal,
            self.originals,
            index,
            self.chain,
            self.keep,
            fleet=self.fleet,
            hook=factory.hook(settings),
            neighbours=self.records.instances.siblings,
            processes=processes,
            followed=followed,
            clock=self.clock,
            wall=factory.wall,
            salt=factory.salt,
            log=log,
        )
        self.versions = VersionChecks(self.originals, self.purges, self.clock, log)
        self.produce = Produce(
            self.originals,
            self.chain,
            self.flights,
            renderer,
            factory.recipe(settings),
            settings.formats.auto,
            self.clock,
            metrics,
            bucket,
            self.generations,
            index,
            self.versions,
            leased,
        )
        self.pregeneration = Pregeneration(
            self.records.jobs,
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
            self.pool,
            self.pregeneration,
            self.purges,
            lambda: self.rules,
            eager,
            self.clock,
        )
        events = S3Events(
            {
                name: factory.place(each)
                for name, each in settings.sources.items()
                if isinstance(each, S3Section)
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
            self.records.jobs,
            self.purges,
            events,
            lambda: self.rules,
            factory.recipe(settings),
            self.explain,
            self.note_use,
        )

    def _reached(
        self, name: str, source: DirectorySection | S3Section | HttpSection
    ) -> "S3Bucket | WebClient | None":
        match source:
            case S3Section():
                self._remote[f"sources.{name}"] = bucket = self._bucket(f"sources.{name}", source)
                return bucket
            case HttpSection():
                self._webs.append(factory.web(self.settings, source))
                self._remote[f"sources.{name}"] = self._webs[-1]
                return self._webs[-1]
            case DirectorySection():
                return None

    def _bucket(self, section: str, s3: S3Section) -> "S3Bucket":
        self._buckets[section] = factory.s3_bucket(s3)
        return self._buckets[section]

    async def __aenter__(self) -> "Engine":
        try:
            for section, bucket in self._buckets.items():
                await factory.opened(section, bucket)
            for servers in self._webs:
                await servers.__aenter__()
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
        await self.close(self.stop_by or self.clock() + self.settings.server.drain)

    async def close(self, deadline: float) -> None:
        """Flights first, for they use the workers and fill the tiers; then the workers; then the tiers, which write
        to Redis and buckets until the end."""
        await self.pregeneration.close()
        if self.fleet is not None:
            await self.fleet.close()
        await self.versions.close()
        await self.purges.close()
        await self.flights.close()
        await self.pool.close()
        if self.usage is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(deadline, self.clock() + USAGE_S)):
                    await self.usage.close()
        await self.chain.close(deadline)
        await self.records.close()
        for source in self.sources.values():
            source.close()
        if self.redis is not None:
            await self.redis.__aexit__()
        for bucket in self._buckets.values():
            await bucket.__aexit__()
        for servers in self._webs:
            await servers.__aexit__()
        self.keep.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def note_use(self, keys: Iterable[str]) -> None:
        """Clients have asked for these."""
        if self.usage is not None:
            self.usage.note(keys)

    def is_caught_up(self) -> bool:
        """Whether all is known that was purged while this node was down."""
        return self.fleet is None or self.fleet.caught_up.is_set()

    async def caught_up(self) -> None:
        """Until all is known that was purged while this node was down."""
        if self.fleet is not None:
            await self.fleet.caught_up.wait()

    def adopt(self, settings: Settings) -> None:
        """Goes on with what of these `settings` may change while it runs."""
        self.settings, self.rules = settings, factory.rules(settings)
        self.pool.limits = factory.input_limits(settings)
        for source in self.sources.values():
            source.max_bytes = self.pool.limits.max_bytes

    def watch(self, metrics: PrometheusMetrics) -> None:
        """Has the metrics show what is read here at scrape time."""
        pool = self.pool
        slow = [self.keep.name, *(tier.name for tier in self.slow), *(["redis"] if self.redis else [])]
        metrics.expect(self.sources, slow)
        metrics.watch("calotype_render_queue", "Renders waiting for a worker.", lambda: {"": pool.waiting})
        metrics.watch(
            "calotype_workers",
            "Render processes that are up, by what they do.",
            lambda: {"busy": pool.busy, "idle": pool.alive - pool.busy},
            label="state",
        )
        metrics.watch(
            "calotype_breaker_open",
            "Whether a part that failed again and again is left alone: 1 if so.",
            lambda: {name: part.circuit_open for name, part in self._remote.items()},
            label="part",
        )
        own = {self.memory.name: self.memory.usage, self.keep.name: self.keep.usage}
        watch_tiers(metrics, own | {tier.name: tier.usage for tier in self.slow})
        cache = self.settings.cache
        most = {
            self.memory.name: int(cache.memory.max_bytes),
            self.keep.name: int(cache.originals.max_bytes),
            "disk": int(cache.disk.max_bytes),
        }
        metrics.watch("calotype_tier_max_bytes", "What a tier may hold.", lambda: most, label="tier")

    async def explain(self, url: str, accept: str) -> Explanation:
        return await explained(
            url,
            accept,
            rules=self.rules,
            produce=self.produce,
            originals=self.originals,
            now_s=factory.wall(),
            deadline=self.clock() + self.settings.server.request_timeout,
        )
