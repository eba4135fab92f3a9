"""The parts of a node that answer requests, over fakes."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.core.cache.generations import Generations
from proxy.core.cache.keys import faces_key
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.image.faces import Faces
from proxy.core.image.formats import Format
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.service.request.deliver import Deliver
from proxy.service.request.original_content import OriginalFact
from proxy.service.request.produce import OriginalServices, Produce, Rendering, VariantStores
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import Leased, TierChain
from tests.service.composition import AUTO, RENDER_DEFAULTS, originals_of
from tests.support.fakes import (
    FakeClock,
    FakeEntryIndex,
    FakeInstantTier,
    FakeMetrics,
    FakeRenderer,
    FakeSource,
    FakeTier,
)
from tests.support.waiting import deadline


@pytest.fixture
async def parts() -> AsyncIterator[SimpleNamespace]:
    """Originals of an empty source, with their content and facts. Each original that is fetched has to be closed."""
    made = SimpleNamespace(
        clock=FakeClock(),
        metrics=FakeMetrics(),
        source=FakeSource(),
        renderer=FakeRenderer(),
        flights=Flights(),
        generations=Generations(),
        memory=FakeInstantTier(),
        disk=FakeTier(),
        index=FakeEntryIndex(),
    )
    made.chain = TierChain(made.memory, [made.disk], made.metrics)
    made.originals, made.opened, made.facts = originals_of(
        {"photos": made.source},
        made.chain,
        made.renderer,
        made.flights,
        made.clock,
        made.metrics,
        generations=made.generations,
        index=made.index,
    )
    yield made
    await made.flights.close()
    await made.chain.close(deadline())
    assert all(original.closed for original in made.source.fetched)


@pytest.fixture
async def node(parts: SimpleNamespace) -> SimpleNamespace:
    """The parts with Produce, Deliver, and one original `ref`."""
    parts.faces = OriginalFact(
        Faces,
        lambda identity: faces_key(identity, parts.renderer.version),
        parts.renderer.find_faces,
        parts.opened,
        parts.chain,
        Leased(parts.chain),
        parts.flights,
        parts.index,
    )
    parts.produce = Produce(
        OriginalServices(parts.originals, parts.opened, parts.facts, faces=parts.faces),
        VariantStores(parts.chain, Leased(parts.chain), FakeEntryIndex()),
        Rendering(parts.renderer, RENDER_DEFAULTS, AUTO),
        parts.flights,
        parts.generations,
        parts.clock,
        parts.metrics,
    )
    parts.deliver = Deliver(parts.memory, parts.produce, parts.flights, parts.clock)
    parts.ref = parts.source.put("a", b"1")

    def request(tokens: str = "w_400,f_jpg", *accepted: Format) -> VariantRequest:
        return VariantRequest(parts.ref, parse_transform(tokens, {}), frozenset(accepted), 4000)

    async def variant(variant_request: VariantRequest, **how: Any) -> SimpleNamespace:
        """A delivery and its variant as one value, for short assertions."""
        delivery, variant = await parts.deliver.variant(variant_request, **how)
        fields = ("key", "outcome", "tier", "stored", "timings")
        return SimpleNamespace(
            variant=variant, format=delivery.key.format, **{name: getattr(delivery, name) for name in fields}
        )

    parts.request, parts.variant = request, variant
    return parts
