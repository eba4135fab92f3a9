"""Quarantine: originals that cannot be decoded, or whose worker died, are refused for a while."""

import asyncio
from types import SimpleNamespace

import pytest

from proxy.core.cache.keys import original_key
from proxy.core.errors import (
    CalotypeError,
    OriginalTooLarge,
    Overloaded,
    RenderTimeout,
    Undecodable,
    UnsupportedFormat,
    WorkerDied,
)
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.transform.operations import Transform
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.ports.originals import Original
from proxy.ports.rendering import Schedule
from proxy.service.request.quarantine import UNDECODABLE_S, WORKER_DIED_S, Quarantine
from tests.support.fakes import FakeClock, FakeOriginalFile, FakeRenderer

PLAN = resolve(Transform(), Format.JPEG, RenderDefaults(quality=80, effort={}, max_side_px=4000))


@pytest.fixture
async def parts() -> SimpleNamespace:
    clock, inner = FakeClock(), FakeRenderer()
    return SimpleNamespace(clock=clock, inner=inner, renderer=Quarantine(inner, inner, clock))


def picture(version: str = "1") -> Original:
    return Original(original_key(Identity(OriginalRef("photos", "a"), version)), FakeOriginalFile(b"1"))


async def render(parts: SimpleNamespace, version: str = "1") -> None:
    original = picture(version)
    try:
        schedule = Schedule(deadline=asyncio.get_running_loop().time() + 5)
        await parts.renderer.render([original], PLAN, schedule)
    finally:
        original.file.close()


async def test_an_undecodable_original_is_quarantined_for_five_minutes(parts: SimpleNamespace) -> None:
    parts.inner.failures = [Undecodable("broken")]
    for _ in range(3):
        with pytest.raises(Undecodable, match="broken"):
            await render(parts)
    assert parts.inner.renders == 1
    parts.clock.ahead_s = UNDECODABLE_S + 1
    await render(parts)
    assert parts.inner.renders == 2


@pytest.mark.parametrize(
    ("failure", "renders"), [(Undecodable("broken"), 1), (UnsupportedFormat("html"), 1), (OriginalTooLarge("huge"), 3)]
)  # fmt: skip
async def test_a_quarantine_lasts_from_the_first_failure(
    parts: SimpleNamespace, failure: CalotypeError, renders: int
) -> None:
    name = original_key(Identity(OriginalRef("photos", "a"), "1"))
    parts.inner.failures = [failure] * 4
    for seconds in (0, 100, UNDECODABLE_S - 1):
        parts.clock.ahead_s = seconds
        assert not parts.renderer.has_expired(name)
        with pytest.raises(type(failure), match=failure.detail):
            await render(parts)
    assert parts.inner.renders == renders
    parts.clock.ahead_s = UNDECODABLE_S
    assert parts.renderer.has_expired(name)
    parts.inner.failures = []
    await render(parts)
    assert not parts.renderer.has_expired(name), "a success ends the quarantine"


async def test_a_replaced_original_is_not_quarantined(parts: SimpleNamespace) -> None:
    parts.inner.failures = [Undecodable("broken")]
    with pytest.raises(Undecodable):
        await render(parts)
    await render(parts, version="2")


async def test_a_render_whose_worker_died_is_repeated_once(parts: SimpleNamespace) -> None:
    parts.inner.failures = [WorkerDied("died")]
    await render(parts)
    assert parts.inner.renders == 2
    # A success clears the count.
    parts.inner.failures = [WorkerDied("died")]
    await render(parts)


async def test_an_original_that_killed_two_workers_is_quarantined_for_ten_minutes(
    parts: SimpleNamespace,
) -> None:
    parts.inner.failures = [WorkerDied("died"), WorkerDied("died")]
    with pytest.raises(WorkerDied):
        await render(parts)
    assert parts.inner.renders == 2
    with pytest.raises(Undecodable, match="killed two workers"):
        await render(parts)
    parts.clock.ahead_s = WORKER_DIED_S - 1
    with pytest.raises(Undecodable):
        await render(parts)
    assert parts.inner.renders == 2
    parts.clock.ahead_s = WORKER_DIED_S + 1
    await render(parts)


async def test_concurrent_deaths_of_two_workers_quarantine_nothing(parts: SimpleNamespace) -> None:
    killed: list[FakeOriginalFile] = []

    def die_once(original: FakeOriginalFile) -> None:
        if original not in killed:
            killed.append(original)
            raise WorkerDied("died")

    parts.inner.during = die_once
    await asyncio.gather(render(parts), render(parts))
    assert len(killed) == 2
    await render(parts)


@pytest.mark.parametrize("failure", [Overloaded("busy"), RenderTimeout("slow")])
async def test_overload_and_timeouts_quarantine_nothing(
    parts: SimpleNamespace, failure: CalotypeError
) -> None:
    parts.inner.failures = [failure]
    with pytest.raises(type(failure)):
        await render(parts)
    await render(parts)


async def test_a_quarantined_original_is_not_probed(parts: SimpleNamespace) -> None:
    original = picture()
    parts.inner.failures = [Undecodable("broken")]
    for _ in range(2):
        with pytest.raises(Undecodable):
            await parts.renderer.probe(original, deadline=asyncio.get_running_loop().time() + 5)
    assert parts.inner.probes == 1
    original.file.close()


async def test_an_original_that_kills_two_face_workers_is_not_rendered_either(parts: SimpleNamespace) -> None:
    assert parts.renderer.version == parts.inner.version
    parts.inner.failures = [WorkerDied("gone"), WorkerDied("gone")]
    original = picture()
    with pytest.raises(WorkerDied):
        await parts.renderer.find_faces(original, deadline=asyncio.get_running_loop().time() + 5)
    with pytest.raises(Undecodable, match="killed two workers"):
        await render(parts)
    assert (parts.inner.searches, parts.inner.renders) == (2, 0)
    parts.clock.ahead_s = WORKER_DIED_S + 1
    assert await parts.renderer.find_faces(original, deadline=asyncio.get_running_loop().time() + 5)
    original.file.close()


async def render_both(parts: SimpleNamespace, first: str, second: str) -> None:
    originals = [picture(first), picture(second)]
    try:
        schedule = Schedule(deadline=asyncio.get_running_loop().time() + 5)
        await parts.renderer.render(originals, PLAN, schedule)
    finally:
        for original in originals:
            original.file.close()


async def test_of_several_originals_the_one_at_fault_is_quarantined(parts: SimpleNamespace) -> None:
    parts.inner.failures = [Undecodable("broken").at(1)]
    with pytest.raises(Undecodable):
        await render_both(parts, "picture", "logo")
    await render(parts, "picture")
    with pytest.raises(Undecodable, match="broken") as failure:
        await render_both(parts, "other", "logo")
    assert failure.value.original == 1
    assert parts.inner.renders == 2


async def test_several_originals_that_killed_two_workers_are_quarantined_together(
    parts: SimpleNamespace,
) -> None:
    parts.inner.failures = [WorkerDied("died"), WorkerDied("died")]
    with pytest.raises(WorkerDied):
        await render_both(parts, "picture", "logo")
    with pytest.raises(Undecodable, match="these originals killed two workers"):
        await render_both(parts, "picture", "logo")
    assert parts.inner.renders == 2
    await render_both(parts, "other", "logo")
    await render(parts, "picture")
    parts.clock.ahead_s = WORKER_DIED_S + 1
    await render_both(parts, "picture", "logo")
