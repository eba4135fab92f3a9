"""Purges: no old variant after the response, and no response that reports more than is true."""

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence

import pytest

from proxy.core.cache.generations import Purge, PurgeScope, ScopeKind
from proxy.core.errors import OriginalNotFound
from proxy.core.image.original import OriginalRef
from proxy.core.transform.plan_text import canonical
from tests.service.composition import Composition
from tests.support.fakes import FakePurgeSubscriber, FakeSharedPurgeLog
from tests.support.waiting import deadline, settle

A = OriginalRef("photos", "a")
OF_A = PurgeScope.of_original(A)
NFC, NFD = "gr\u00fcn", "gru\u0308n"


@pytest.fixture
async def node() -> AsyncIterator[Composition]:
    """A node of a fleet with two originals. Its source does not report changes, as S3."""
    made = Composition(fleet=FakeSharedPurgeLog())
    made.source.freshness_lifetime_s = float("inf")
    made.source.put("a", b"old")
    made.source.put("b", b"other")
    yield made
    await made.close()


class FakeCdn:
    """Records the purged scopes and the purges that the fleet had by then."""

    def __init__(self, node: Composition, *failures: str) -> None:
        self.calls: list[tuple[Sequence[PurgeScope], list[Purge]]] = []
        self._fleet = node.fleet
        self._failures = list(failures)

    async def call(self, scopes: Sequence[PurgeScope]) -> list[str]:
        self.calls.append((scopes, list(self._fleet.published)))
        return self._failures


async def test_a_purged_variant_is_not_served_again(node: Composition) -> None:
    request = node.request()
    old = await node.get(request)
    node.source.put("a", b"new")
    assert await node.get(request) == old
    purged = await node.purges.purge([OF_A])
    assert await node.get(request) != old
    assert (purged.open, purged.pending) == ([], 0)
    assert purged.tiers == {"memory": 1, "disk": 1}
    assert purged.removed == 2
    (purge,) = node.journal.purges
    assert node.fleet.published == [purge]
    assert len(node.disk.entries) == 1


@pytest.mark.parametrize("existing", [NFC, NFD])
@pytest.mark.parametrize("purged", [NFC, NFD])
async def test_both_normal_forms_of_a_key_are_one_entry_and_purged_by_either(
    node: Composition, existing: str, purged: str
) -> None:
    node.source.put(existing, b"old")
    requests = [node.request(key) for key in (NFC, NFD)]
    old = {await node.get(each) for each in requests}
    assert (len(old), node.renderer.renders) == (1, 1)
    assert all(node.deliver.fresh_hit(each) for each in requests), "it is a hit by either"
    node.source.put(existing, b"new")
    result = await node.purges.purge([PurgeScope.of_original(OriginalRef("photos", purged))])
    assert result.tiers == {"memory": 1, "disk": 1}
    assert {scope.text for scope, _ in node.fleet.published} == {NFC, NFD}
    new = {await node.get(each) for each in requests}
    assert (len(new), new & old, node.renderer.renders) == (1, set(), 2)
    assert len(node.disk.entries) == 1


async def test_an_original_that_changes_during_its_fetch_is_found_by_the_other_form(
    node: Composition,
) -> None:
    node.source.put(NFD, b"old", "1")
    request = node.request(NFC)
    await node.originals.identify(request.ref, deadline=deadline())
    node.source.put(NFD, b"new", "2")
    assert b"new" in await node.get(request)


@pytest.mark.parametrize("kind", list(ScopeKind))
async def test_each_scope_purges_what_it_covers_and_leaves_the_rest(
    node: Composition, kind: ScopeKind
) -> None:
    requests = [node.request(), node.request(tokens="w_200,f_webp"), node.request("b")]
    for request in requests:
        await node.get(request)
    plan = (await node.produce.resolve(requests[0], deadline=deadline())).plan
    text = {
        ScopeKind.ORIGINAL: "a",
        ScopeKind.PREFIX: "a",
        ScopeKind.PLAN: canonical(plan),
        ScopeKind.VARIANT: f"a\n{canonical(plan)}",
    }[kind]
    renders = node.renderer.renders
    await node.purges.purge([PurgeScope("photos", kind, text)])
    for request in requests:
        await node.get(request)
        await node.get(request)
    again = {ScopeKind.ORIGINAL: 2, ScopeKind.PREFIX: 2, ScopeKind.PLAN: 2, ScopeKind.VARIANT: 1}[kind]
    assert node.renderer.renders == renders + again


async def test_a_render_in_progress_is_for_requests_from_before_the_purge(node: Composition) -> None:
    request = node.request()
    node.renderer.release.clear()
    before = asyncio.create_task(node.get(request))
    while not node.renderer.renders:
        await asyncio.sleep(0)
    node.source.put("a", b"new")
    await node.purges.purge([OF_A])
    after = asyncio.create_task(node.get(request))
    while node.renderer.renders < 2:
        await asyncio.sleep(0)
    node.renderer.release.set()
    old, new = await before, await after
    assert old.startswith(b"old")
    assert new.startswith(b"new")
    assert await node.get(request) == new
    await settle()
    assert all(variant.body == new for variant in node.disk.entries.values())


async def test_a_cache_key_that_was_resolved_before_a_purge_is_not_recorded(node: Composition) -> None:
    request = node.request()
    await node.get(request)
    node.clock.ahead_s = 10.0
    node.source.freshness_lifetime_s = 1.0
    node.originals.drop_record(A)
    source_answers = asyncio.Event()
    identify = node.source.identify

    async def slow_identify(*arguments: object) -> object:
        identity = await identify(*arguments)
        await source_answers.wait()
        return identity

    node.source.identify = slow_identify
    resolving = asyncio.create_task(node.deliver._resolve(request, deadline()))
    await settle()
    node.source.put("a", b"new")
    purging = asyncio.create_task(node.purges.purge([OF_A]))
    await settle()
    source_answers.set()
    await resolving
    await purging
    assert (await node.get(request)).startswith(b"new")


async def test_a_changed_original_loses_its_negative_entry_on_all_nodes(node: Composition) -> None:
    request = node.request("late")
    with pytest.raises(OriginalNotFound, match="no original"):
        await node.get(request)
    node.source.put("late", b"here")
    with pytest.raises(OriginalNotFound, match="no original"):
        await node.get(request)
    assert await node.purges.original_changed([request.ref]) == []
    assert node.fleet.published == [Purge(PurgeScope.of_original(request.ref), "")]
    assert (await node.get(request)).startswith(b"here")
    assert await node.purges.original_changed([]) == []
    assert len(node.fleet.published) == 1


async def test_a_changed_original_loses_the_negative_entries_of_all_normal_forms(node: Composition) -> None:
    with pytest.raises(OriginalNotFound):
        await node.get(node.request(NFC))
    node.source.put(NFD, b"new")
    await node.purges.original_changed([OriginalRef("photos", NFD)])
    assert b"new" in await node.get(node.request(NFC))


@pytest.mark.parametrize("purged", [NFC, NFD])
async def test_a_purge_ends_the_negative_entry_of_an_original(node: Composition, purged: str) -> None:
    """The negative entry has the old generation."""
    request = node.request(NFC)
    with pytest.raises(OriginalNotFound):
        await node.get(request)
    node.source.put(NFD, b"here")
    await node.purges.purge([PurgeScope.of_original(OriginalRef("photos", purged))])
    assert (await node.get(request)).startswith(b"here")


async def test_a_purge_of_another_node_is_applied_once(node: Composition) -> None:
    request = node.request()
    await node.get(request)
    node.source.put("a", b"new")
    purge = Purge(OF_A, node.generations.next_token(5, "x"))
    assert await node.purges.apply_remote([purge]) == []
    assert (await node.get(request)).startswith(b"new")
    assert await node.purges.apply_remote([purge, purge]) == []
    assert node.journal.purges == [purge]
    assert not node.fleet.published, "the other node has published it"


async def test_a_purge_without_a_token_only_drops_the_negative_entry(node: Composition) -> None:
    request = node.request("late")
    with pytest.raises(OriginalNotFound, match="no original"):
        await node.get(request)
    node.source.put("late", b"here")
    await node.purges.apply_remote([Purge(PurgeScope.of_original(request.ref), "")])
    assert (await node.get(request)).startswith(b"here")
    assert not node.journal.purges


async def test_a_purge_of_another_node_is_confirmed_by_every_process(node: Composition) -> None:
    """As a purge of this node, and also if the other node repeats it."""
    process = FakePurgeSubscriber()
    node.subscribe("", process)
    await settle()
    process.answers.clear()
    purges = node.purge_log.purges_of([OF_A])
    missing = ["this node: 1 of its 1 processes did not confirm"]
    assert await node.purges.apply_remote(purges) == missing
    assert await node.purges.apply_remote(purges) == missing
    process.answers.set()
    node.subscribe("", process)
    assert await node.purges.apply_remote(purges) == []
    assert len(node.journal.purges) == 1


async def test_an_incomplete_purge_is_reported_and_applied_all_the_same(node: Composition) -> None:
    node.fleet.unconfirmed = ["node b: has not confirmed"]
    node.journal.fault = OSError(errno.ENOSPC, "No space left on device")
    purged = await node.purges.purge([OF_A])
    assert len(purged.open) == 2
    assert "No space left" in purged.open[0]
    node.source.put("a", b"new")
    assert (await node.get(node.request())).startswith(b"new")


async def test_all_that_is_open_is_reported_and_repeated_with_the_next_purge(node: Composition) -> None:
    process = FakePurgeSubscriber(fails=True)
    node.subscribe("", process)
    node.journal.fault = OSError(errno.ENOSPC, "No space left on device")
    node.fleet.unconfirmed = ["node b: has not confirmed"]
    assert (await node.purges.purge([OF_A])).open == [
        "this node: the purge could not be written (No space left on device); a restart loses it",
        "this node: 1 of its 1 processes did not confirm",
        "node b: has not confirmed",
    ]
    process.fails, node.journal.fault = False, None
    node.subscribe("", process)
    assert await node.purges.apply_remote([]) == []
    assert [purge.scope for purge in node.journal.purges] == [OF_A]
    assert (process.scopes, process.keys) == ([None], [])


async def test_a_process_that_drops_everything_has_no_hits(node: Composition) -> None:
    """A new subscriber begins with that."""
    request = node.request()
    await node.get(request)
    assert node.deliver.fresh_hit(request) is not None
    await node.deliver.invalidate(None, [])
    assert node.deliver.fresh_hit(request) is None
    assert await node.get(request)


async def test_the_cdn_purges_after_all_nodes(node: Composition) -> None:
    node.purges.cdn = cdn = FakeCdn(node, "purge.hook: it answered 500")
    purged = await node.purges.purge([OF_A])
    assert purged.open == ["purge.hook: it answered 500"]
    assert cdn.calls == [([OF_A], node.fleet.published)]


async def test_the_cdn_does_not_purge_while_an_old_variant_may_be_served(node: Composition) -> None:
    node.purges.cdn = cdn = FakeCdn(node)
    node.fleet.unconfirmed = ["node b: has not confirmed"]
    await node.purges.purge([OF_A])
    assert not cdn.calls
    node.fleet.unconfirmed = []
    await node.purges.purge([OF_A])
    assert [scopes for scopes, _ in cdn.calls] == [[OF_A]]
