"""The use cases of the operations API over fakes of everything outside of them."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import structlog

from proxy.core.cache.delivery import Variant
from proxy.core.cache.generations import Generations
from proxy.core.cache.keys import facts_key
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.transform.negotiate import accept_class
from proxy.core.transform.plan import RenderDefaults
from proxy.core.url.dialects.native.urls import parse_tokens, parse_transform
from proxy.core.url.mounts import Mount, Rules, Signing
from proxy.core.url.original_urls import S3Location
from proxy.core.url.policy import Dimensions
from proxy.local.tasks import Tasks
from proxy.ports.operations import PurgeSubscriber
from proxy.service.admin.dispatch import Dispatch
from proxy.service.admin.pregeneration import Pregeneration
from proxy.service.admin.purge_log import PurgeLog
from proxy.service.admin.purge_subscribers import PurgeSubscribers
from proxy.service.admin.purges import Purges
from proxy.service.admin.reclaim import Reclaim
from proxy.service.admin.s3_events import S3Events
from proxy.service.admin.uploads import Uploads
from proxy.service.request.deliver import Deliver
from proxy.service.request.original_content import OpenOriginals, OriginalFact
from proxy.service.request.originals import Originals
from proxy.service.request.produce import OriginalServices, Produce, Rendering, VariantStores
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import Leased, TierChain
from proxy.service.request.version_checks import VersionChecks
from tests.support.fakes import (
    FakeClock,
    FakeEntryIndex,
    FakeInstantTier,
    FakeMetrics,
    FakeOriginalStore,
    FakePurgeJournal,
    FakeRenderer,
    FakeSharedPurgeLog,
    FakeTier,
    FakeWritableSource,
)
from tests.support.waiting import deadline

AUTO = (Format.AVIF, Format.WEBP, Format.JPEG)
RENDER_DEFAULTS = RenderDefaults(quality=80, effort={}, max_side_px=4000)
SECRET = b"k" * 32


def rules(*more: Mount, signing: Signing = Signing.OFF) -> Rules:
    shop = Mount(
        name="shop",
        source="photos",
        dimensions=Dimensions.LISTED,
        allowed_px=(100, 200),
        max_age_s=9,
        signing=signing,
        keys={} if signing is Signing.OFF else {"k": SECRET},
    )
    presets = {
        name: parse_tokens(text, {}).components
        for name, text in {"card": "w_90,f_auto", "small": "w_33"}.items()
    }
    return Rules(mounts=[shop, *more], presets=presets, url_max_bytes=4096, max_side_px=4000, session="")


def originals_of(
    sources: Mapping[str, Any],
    chain: TierChain,
    renderer: Any,
    flights: Flights,
    clock: Any,
    metrics: Any,
    *,
    store: FakeOriginalStore | None = None,
    generations: Generations | None = None,
    index: FakeEntryIndex | None = None,
    refusals: Any = None,
) -> tuple[Originals, OpenOriginals, OriginalFact[Facts]]:
    """The originals of `sources`, open and with their facts, as a node puts them together."""
    generations = Generations() if generations is None else generations
    index = FakeEntryIndex() if index is None else index
    originals = Originals(sources, chain, flights, clock, metrics, generations, index, refusals)
    opened = OpenOriginals(originals, store or FakeOriginalStore(), flights, refusals)
    facts = OriginalFact(Facts, facts_key, renderer.probe, opened, chain, Leased(chain), flights, index)
    return originals, opened, facts


class Composition(SimpleNamespace):
    """All use cases of a node. With a `fleet` it is one of several nodes."""

    def __init__(self, *, fleet: FakeSharedPurgeLog | None = None, processes: int = 1) -> None:
        super().__init__()
        self.clock, self.metrics, self.index = FakeClock(), FakeMetrics(), FakeEntryIndex()
        self.source, self.renderer, self.original_store = (
            FakeWritableSource(),
            FakeRenderer(),
            FakeOriginalStore(),
        )
        self.memory, self.disk, self.flights = FakeInstantTier(), FakeTier(), Flights()
        self.generations, self.journal, self.fleet = Generations(), FakePurgeJournal(), fleet
        self.rules = rules()
        self.chain = TierChain(self.memory, [self.disk], self.metrics)
        self.originals, self.opened, self.facts = originals_of(
            {"photos": self.source},
            self.chain,
            self.renderer,
            self.flights,
            self.clock,
            self.metrics,
            store=self.original_store,
            generations=self.generations,
            index=self.index,
        )
        self.tasks = Tasks()
        self.now_s = 1_800_000_000.0
        log = structlog.wrap_logger(structlog.ReturnLogger())
        self.purge_log = PurgeLog(self.generations, self.journal, lambda: self.now_s, lambda: "5a17")
        self.subscribers = PurgeSubscribers(self.purge_log, processes=processes)
        self.reclaim = Reclaim(self.index, self.chain, self.original_store, self.subscribers, log)
        self.purges = Purges(
            self.purge_log,
            self.subscribers,
            fleet or FakeSharedPurgeLog(),
            None,
            self.reclaim,
            self.originals,
            self.clock,
            log,
        )
        self.versions = VersionChecks(
            self.originals, self.purges, self.clock, structlog.wrap_logger(structlog.ReturnLogger())
        )
        self.produce = Produce(
            OriginalServices(self.originals, self.opened, self.facts, self.versions),
            VariantStores(self.chain, Leased(self.chain), self.index),
            Rendering(self.renderer, RENDER_DEFAULTS, AUTO),
            self.flights,
            self.generations,
            self.clock,
            self.metrics,
        )
        self.deliver = Deliver(self.memory, self.produce, Flights(), self.clock)
        if processes == 1:
            self.subscribe("", self.deliver)

    def subscribe(self, name: str, subscriber: PurgeSubscriber) -> "asyncio.Task[None]":
        """Subscribes a process to purges; the task ends when the subscription does."""
        return self.tasks.start(self.subscribers.subscribe(name, subscriber), name)

    def with_jobs(self, jobs: object) -> "Composition":
        self.pregeneration = Pregeneration(
            jobs,  # type: ignore[arg-type]
            self.produce,
            {"photos": self.source},
            lambda: self.rules,
            AUTO,
            self.clock,
            workers=2,
            log=structlog.wrap_logger(structlog.ReturnLogger()),
        )
        self.uploads = Uploads(
            {"photos": self.source},
            self.originals,
            self.facts,
            self.renderer,
            self.pregeneration,
            self.purges,
            lambda: self.rules,
            ("card", "small"),
            self.clock,
        )
        self.events = S3Events(
            {"photos": S3Location(bucket="b", prefix="p/")},
            self.originals,
            self.purges,
            self.pregeneration,
            self.index,
            lambda: self.rules,
            ("card",),
            is_alone=self.fleet is None,
        )

        async def explain(url: str, accept: str) -> dict[str, str]:
            return {"url": url, "accept": accept}

        self.used: set[str] = set()
        self.dispatch = Dispatch(
            self.uploads,
            self.pregeneration,
            jobs,  # type: ignore[arg-type]
            self.purges,
            self.events,
            lambda: self.rules,
            lambda: RENDER_DEFAULTS,
            explain,
            self.used.update,
        )
        return self

    def request(self, key: str = "a", tokens: str = "w_100,f_webp", accept: str = "") -> VariantRequest:
        transform = parse_transform(tokens, self.rules.presets)
        return VariantRequest(self.rules.mounts[0].ref(key), transform, accept_class(accept), 4000)

    async def get(self, variant_request: VariantRequest) -> bytes:
        """The body that a client receives."""
        delivered = self.deliver.fresh_hit(variant_request) or await self.deliver.variant(
            variant_request, deadline=deadline()
        )
        assert delivered.variant is not None
        return delivered.variant.body

    async def close(self) -> None:
        await self.tasks.close()
        await self.versions.close()
        await self.reclaim.close()
        await self.flights.close()
        await self.chain.close(deadline())


def variant(body: bytes = b"x") -> Variant:
    return Variant(body=body)
