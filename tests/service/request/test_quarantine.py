"""Broken pictures are spared the workers, and workers the pictures that kill them."""

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
from proxy.service.request.quarantine import UNDECODABLE_S, WORKER_DIED_S, Quarantine
from tests.support.fakes import FakeClock, FakeOriginalFile, FakeRenderer

PLAN = resolve(Transform(), Format.JPEG, RenderDefaults(quality=80, effort={}, max_side_px=4000))


@pytest.fixture
async def ward() -> SimpleNamespace:
    clock, inner = FakeClock(), FakeRenderer()
    return SimpleNamespace(clock=clock, inner=inner, renderer=Quarantine(inner, clock))


def picture(version: str = "1") -> Original:
    return Original(original_key(Identity(OriginalRef("photos", "a"), version)), FakeOriginalFile(b"1"))


async def render(ward: SimpleNamespace, version: str = "1") -> None:
    original = picture(version)
    try:
        await ward.renderer.render(
            original, PLAN, deadline=asyncio.get_running_loop().time() + 5, on_start=lambda: None
        )
    finally:
        original.file.close()


async def test_undecodable_is_remembered_for_five_minutes(ward: SimpleNamespace) -> None:
    ward.inner.failures = [Undecodable("broken")]
    for _ in range(3):
        with pytest.raises(Undecodable, match="broken"):
            await render(ward)
    assert ward.inner.renders == 1
    ward.clock.ahead_s = UNDECODABLE_S + 1
    await render(ward)
    assert ward.inner.renders == 2


@pytest.mark.parametrize(
    ("failure", "renders"), [(Undecodable("broken"), 1), (UnsupportedFormat("html"), 1), (OriginalTooLarge("huge"), 3)]
)  # fmt: skip
async def test_what_was_wrong_with_an_original_is_remembered_from_its_beginning(
    ward: SimpleNamespace, failure: CalotypeError, renders: int
) -> None:
    name = original_key(Identity(OriginalRef("photos", "a"), "1"))
    ward.inner.failures = [failure] * 4
    for seconds in (0, 100, UNDECODABLE_S - 1):
        ward.clock.ahead_s = seconds
        assert not ward.renderer.has_expired(name)
        with pytest.raises(type(failure), match=failure.detail):
            await render(ward)
    assert ward.inner.renders == renders
    ward.clock.ahead_s = UNDECODABLE_S
    assert ward.renderer.has_expired(name)
    ward.inner.failures = []
    await render(ward)
    assert not ward.renderer.has_expired(name), "it was a picture after all"


async def test_a_replaced_original_starts_anew(ward: SimpleNamespace) -> None:
    ward.inner.failures = [Undecodable("broken")]
    with pytest.raises(Undecodable):
        await render(ward)
    await render(ward, version="2")


async def test_one_death_is_tried_again_at_once(ward: SimpleNamespace) -> None:
    ward.inner.failures = [WorkerDied("died")]
    await render(ward)
    assert ward.inner.renders == 2
    # A success clears the count.
    ward.inner.failures = [WorkerDied("died")]
    await render(ward)


async def test_two_deaths_are_remembered_for_ten_minutes(ward: SimpleNamespace) -> None:
    ward.inner.failures = [WorkerDied("died"), WorkerDied("died")]
    with pytest.raises(WorkerDied):
        await render(ward)
    assert ward.inner.renders == 2
    with pytest.raises(Undecodable, match="killed two workers"):
        await render(ward)
    ward.clock.ahead_s = WORKER_DIED_S - 1
    with pytest.raises(Undecodable):
        await render(ward)
    assert ward.inner.renders == 2
    ward.clock.ahead_s = WORKER_DIED_S + 1
    await render(ward)


async def test_two_that_die_side_by_side_may_have_died_of_something_else(ward: SimpleNamespace) -> None:
    shot: list[FakeOriginalFile] = []

    def shoot_once(original: FakeOriginalFile) -> None:
        if original not in shot:
            shot.append(original)
            raise WorkerDied("died")

    ward.inner.during = shoot_once
    await asyncio.gather(render(ward), render(ward))
    assert len(shot) == 2
    await render(ward)


@pytest.mark.parametrize("failure", [Overloaded("busy"), RenderTimeout("slow")])
async def test_the_nodes_own_troubles_are_not_held_against_a_picture(
    ward: SimpleNamespace, failure: CalotypeError
) -> None:
    ward.inner.failures = [failure]
    with pytest.raises(type(failure)):
        await render(ward)
    await render(ward)


async def test_probing_is_guarded_too(ward: SimpleNamespace) -> None:
    original = picture()
    ward.inner.failures = [Undecodable("broken")]
    for _ in range(2):
        with pytest.raises(Undecodable):
            await ward.renderer.probe(original, deadline=asyncio.get_running_loop().time() + 5)
    assert ward.inner.probes == 1
    original.file.close()
