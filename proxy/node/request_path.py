"""The request path of a node, from a request for a variant to its bytes, without HTTP, and the purges that concern it. A
back has one, as have the commands that render and explain without a node.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from proxy.config.sections import BucketSection, RedisSection
from proxy.config.settings import Settings
from proxy.core.cache.generations import Generations
from proxy.core.cache.keys import faces_key, facts_key
from proxy.core.image.faces import Faces
from proxy.core.image.facts import Facts
from proxy.core.transform.layers import TEXTS
from proxy.local.process import Process
from proxy.node import factory
from proxy.node.stores import Stores, disk_tier, open_stores
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import Tier
from proxy.render.face_worker import FaceWorker
from proxy.render.text_worker import TextWorker
from proxy.service.admin.explain import Explanation, explain
from proxy.service.admin.purge_log import PurgeLog
from proxy.service.admin.purge_subscribers import PurgeSubscribers
from proxy.service.admin.purges import Purges
from proxy.service.admin.reclaim import Reclaim
from proxy.service.request.original_content import OpenOriginals, OriginalFact
from proxy.service.request.originals import Originals
from proxy.service.request.produce import OriginalServices, Produce, Rendering, VariantStores
from proxy.service.request.quarantine import Quarantine
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import Leased, TierChain
from proxy.service.request.version_checks import VersionChecks
from proxy.sources.texts import TextSource
from proxy.state.node_state import NodeState


class RequestPath:
    """The parts of the request path, on these stores. `tiers` are those below the memory tier, the fastest first, with a
    disk tier below `disk`. `close` writes queued variants until `stop_deadline`, a point on the Clock; if that is
    None, for `server.drain` seconds."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
        generations: Generations,
        state: NodeState,
        stores: Stores,
        *,
        disk: Path | None,
        expects_subscribers: bool,
    ) -> None:
        """Raises ConfigError."""
        self.settings = settings
        self.rules = factory.rules(settings)
        self.stores = stores
        self.state = state
        self.stop_deadline: float | None = None
        self.tiers: list[Tier] = [] if disk is None else [disk_tier(settings, disk, metrics)]
        self.tiers += [] if stores.bucket is None else [stores.bucket]
        index, clock = state.entry_index, factory.clock
        self.pool = factory.pool(settings)
        self.face_worker = FaceWorker(factory.pool(factory.one_worker(settings)))
        renderer = Quarantine(self.pool, self.face_worker, clock)
        self.text_worker = TextWorker(factory.pool(factory.one_worker(settings)))
        texts = TextSource(
            self.text_worker,
            stores.original_store,
            clock,
            folders=settings.render.fonts,
            timeout_s=settings.render.timeout,
        )
        self.memory = factory.memory(settings)
        self.chain = TierChain(self.memory, self.tiers, metrics)
        leased = Leased(self.chain, stores.redis if stores.bucket else None)
        self.flights = Flights()
        self.originals = Originals(
            {**stores.sources, TEXTS: texts},
            self.chain,
            self.flights,
            clock,
            metrics,
            generations,
            index,
            renderer,
        )
        opened = OpenOriginals(self.originals, stores.original_store, self.flights, renderer)
        shared = opened, self.chain, leased, self.flights, index
        self.facts = OriginalFact(Facts, facts_key, renderer.probe, *shared)
        self.faces = OriginalFact(
            Faces, lambda identity: faces_key(identity, renderer.version), renderer.find_faces, *shared
        )
        self.fleet = factory.fleet(settings, state, generations, log)
        purge_log = PurgeLog(generations, state.journal, factory.wall, factory.salt)
        self.subscribers = PurgeSubscribers(
            purge_log, processes=settings.server.processes, are_running=expects_subscribers
        )
        self.reclaim = Reclaim(index, self.chain, stores.original_store, self.subscribers, log)
        self.purges = Purges(
            purge_log,
            self.subscribers,
            self.fleet or state.instances,
            factory.purge_hook(settings, lambda: self.rules.mounts),
            self.reclaim,
            self.originals,
            clock,
            log,
        )
        self.versions = VersionChecks(self.originals, self.purges, clock, log)
        self.produce = Produce(
            OriginalServices(self.originals, opened, self.facts, self.versions, self.faces),
            VariantStores(self.chain, leased, index, redirects=stores.bucket),
            Rendering(renderer, factory.render_defaults(settings), settings.formats.auto),
            self.flights,
            generations,
            clock,
            metrics,
        )

    def reload(self, settings: Settings) -> None:
        """Applies those of `settings` that can change at run time."""
        self.settings, self.rules = settings, factory.rules(settings)
        self.produce.reload(factory.render_defaults(settings))
        self.pool.limits = self.face_worker.pool.limits = factory.input_limits(settings)
        for source in self.stores.sources.values():
            source.max_bytes = self.pool.limits.max_bytes

    async def explain(self, url: str, accept: str) -> Explanation:
        return await explain(
            url,
            accept,
            rules=self.rules,
            produce=self.produce,
            originals=self.originals,
            now_s=factory.wall(),
            deadline=factory.clock() + self.settings.server.request_timeout,
        )

    async def close(self) -> None:
        """Closes what starts flights, then the flights, which use the workers and fill the tiers, then the workers, then the
        tiers, which write to Redis and buckets."""
        if self.fleet is not None:
            await self.fleet.close()
        await self.versions.close()
        await self.reclaim.close()
        await self.flights.close()
        await self.pool.close()
        await self.face_worker.close()
        await self.text_worker.close()
        await self.chain.close(self.stop_deadline or factory.clock() + self.settings.server.drain)


@asynccontextmanager
async def open_request_path(
    settings: Settings,
    metrics: Metrics,
    log: structlog.typing.FilteringBoundLogger,
    first_worker: Process | None = None,
    *,
    disk: Path | None,
    expects_subscribers: bool = False,
    is_exclusive: bool = False,
) -> AsyncIterator[RequestPath]:
    """The request path with its workers running, the first in the process `first_worker` if that is given. With `disk`
    None there is no tier below the memory tier, and nothing is shared with other nodes. With `is_exclusive` no running node may use the disk, and jobs go to a temporary store.
    Raises ConfigError and WorkerDied."""
    async with AsyncExitStack() as stack:
        scratch = None
        if disk is None or is_exclusive:
            scratch = Path(stack.enter_context(TemporaryDirectory(prefix="calotype-")))
        directory = disk or scratch
        assert directory is not None
        settings = _unshared(settings) if disk is None else settings
        generations = Generations()
        state = factory.node_state(
            directory,
            settings.sources,
            generations,
            metrics,
            log,
            jobs_directory=scratch,
            is_exclusive=is_exclusive,
        )
        stack.push_async_callback(state.close)
        stores = await stack.enter_async_context(open_stores(settings, directory, metrics, generations))
        path = RequestPath(
            settings,
            metrics,
            log,
            generations,
            state,
            stores,
            disk=disk,
            expects_subscribers=expects_subscribers,
        )
        stack.push_async_callback(path.close)
        hello = await path.pool.start(first_worker)
        factory.check_worker(settings, hello)
        if missing := factory.unsandboxed(hello):
            log.warning(missing)
        if path.fleet is not None:
            path.fleet.start(path.purges.apply_remote)
        yield path


def _unshared(settings: Settings) -> Settings:
    """The settings without Redis and bucket."""
    cache = settings.cache.model_copy(update={"bucket": BucketSection()})
    return settings.model_copy(update={"cache": cache, "redis": RedisSection()})
