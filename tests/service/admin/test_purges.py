"""Purges: nothing old after the answer, and no answer that says more than is true."""

import asyncio
import errno
from collections.abc import AsyncIterator

import pytest
import structlog

from proxy.core.cache.generations import Purge, PurgeScope, ScopeKind
from proxy.core.errors import OriginalNotFound
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.plan import canonical
from proxy.service.admin import purges as module
from tests.service.composition import Composition, soon
from tests.support.fakes import FakePurgeLog, FakePurgeSubscriber
from tests.support.waiting import settle

A = OriginalRef("photos", "a")


@pytest.fixture
async def house() -> AsyncIterator[Composition]:
    made = Composition(fleet=FakePurgeLog())
    # As with S3: the source does not tell that an original is another by now.
    made.source.freshness_lifetime_s = float("inf")
    made.source.put("a", b"old")
    made.source.put("b", b"other")
    yield made
    await made.close()


def replace(house: Composition, content: bytes = b"new") -> None:
    house.source.put("a", content)


async def test_what_was_made_before_is_never_served_again(house: Composition) -> None:
    wanted = house.request()
    old = await house.get(wanted)
    replace(house)
    assert await house.get(wanted) == old
    purged = await house.purges.purge([PurgeScope.of_original(A)])
    assert await house.get(wanted) != old
    assert (purged.open, purged.pending) == ([], 0)
    assert purged.tiers == {"memory": 1, "disk": 1}
    assert purged.removed == 2
    (purge,) = house.journal.purges
    assert house.fleet.published == [purge]
    assert len(house.disk.entries) == 1


NFC, NFD = "gr\u00fcn", "gru\u0308n"


@pytest.mark.parametrize("there", [NFC, NFD])
@pytest.mark.parametrize("purged", [NFC, NFD])
async def test_both_normal_forms_of_a_key_are_one_entry_and_purged_by_either(
    house: Composition, there: str, purged: str
) -> None:
    house.source.put(there, b"old")
    wanted = [house.request(key) for key in (NFC, NFD)]
    old = {await house.get(each) for each in wanted}
    assert (len(old), house.renderer.renders) == (1, 1)
    assert all(house.deliver.fresh_hit(each) for each in wanted), "it is a hit by either"
    house.source.put(there, b"new")
    told = await house.purges.purge([PurgeScope.of_original(OriginalRef("photos", purged))])
    assert told.tiers == {"memory": 1, "disk": 1}
    assert {scope.text for scope, _ in house.fleet.published} == {NFC, NFD}
    new = {await house.get(each) for each in wanted}
    assert (len(new), new & old, house.renderer.renders) == (1, set(), 2)
    assert len(house.disk.entries) == 1


async def test_what_changes_while_it_is_fetched_is_found_by_the_other_form(house: Composition) -> None:
    house.source.put(NFD, b"old", "1")
    wanted = house.request(NFC)
    await house.originals.identify(wanted.ref, deadline=soon())
    house.source.put(NFD, b"new", "2")
    assert b"new" in await house.get(wanted)


async def test_what_is_found_ends_the_absence_of_either_form(house: Composition) -> None:
    with pytest.raises(OriginalNotFound):
        await house.get(house.request(NFC))
    house.source.put(NFD, b"new")
    await house.purges.original_changed([OriginalRef("photos", NFD)])
    assert b"new" in await house.get(house.request(NFC))


@pytest.mark.parametrize("reach", list(ScopeKind))
async def test_each_reach_takes_what_it_covers_and_leaves_the_rest(
    house: Composition, reach: ScopeKind
) -> None:
    mine, same, other = house.request(), house.request(tokens="w_200,f_webp"), house.request("b")
    for wanted in (mine, same, other):
        await house.get(wanted)
    plan = (await house.produce.resolve(mine, deadline=soon())).plan
    text = {
        ScopeKind.ORIGINAL: "a",
        ScopeKind.PREFIX: "a",
        ScopeKind.PLAN: canonical(plan),
        ScopeKind.VARIANT: f"a\n{canonical(plan)}",
    }[reach]
    renders = house.renderer.renders
    await house.purges.purge([PurgeScope("photos", reach, text)])
    for wanted in (mine, same, other):
        await house.get(wanted)
        await house.get(wanted)
    again = {ScopeKind.ORIGINAL: 2, ScopeKind.PREFIX: 2, ScopeKind.PLAN: 2, ScopeKind.VARIANT: 1}[reach]
    assert house.renderer.renders == renders + again


async def test_a_render_that_is_under_way_is_for_those_who_asked_before(house: Composition) -> None:
    wanted = house.request()
    house.renderer.gate.clear()
    before = asyncio.create_task(house.get(wanted))
    while not house.renderer.renders:
        await asyncio.sleep(0)
    replace(house)
    await house.purges.purge([PurgeScope.of_original(A)])
    after = asyncio.create_task(house.get(wanted))
    while house.renderer.renders < 2:
        await asyncio.sleep(0)
    house.renderer.gate.set()
    old, new = await before, await after
    assert old.startswith(b"old")
    assert new.startswith(b"new")
    assert await house.get(wanted) == new
    await settle()
    assert all(variant.body == new for variant in house.disk.entries.values())


async def test_a_name_that_was_asked_for_before_is_not_remembered(house: Composition) -> None:
    wanted = house.request()
    await house.get(wanted)
    house.clock.ahead_s = 10.0
    house.source.freshness_lifetime_s = 1.0
    house.originals.drop_negative(A)
    gate = asyncio.Event()
    identify = house.source.identify

    async def slow(*arguments: object) -> object:
        found = await identify(*arguments)
        await gate.wait()
        return found

    house.source.identify = slow
    asking = asyncio.create_task(house.deliver._resolve(wanted, soon()))
    await settle()
    replace(house)
    purging = asyncio.create_task(house.purges.purge([PurgeScope.of_original(A)]))
    await settle()
    gate.set()
    await asking
    await purging
    assert (await house.get(wanted)).startswith(b"new")


async def test_a_missing_original_that_came_is_found(house: Composition) -> None:
    wanted = house.request("late")
    with pytest.raises(Exception, match="no original"):
        await house.get(wanted)
    house.source.put("late", b"here")
    with pytest.raises(Exception, match="no original"):
        await house.get(wanted)
    assert await house.purges.original_changed([wanted.ref]) == []
    assert house.fleet.published == [Purge(PurgeScope.of_original(wanted.ref), "")]
    assert (await house.get(wanted)).startswith(b"here")


async def test_what_other_nodes_purge_is_purged_here_once(house: Composition) -> None:
    wanted = house.request()
    await house.get(wanted)
    replace(house)
    purge = Purge(PurgeScope.of_original(A), house.generations.next_token(5, "x"))
    assert await house.purges.apply_remote([purge]) == []
    assert (await house.get(wanted)).startswith(b"new")
    assert await house.purges.apply_remote([purge, purge]) == []
    assert house.journal.purges == [purge]
    with pytest.raises(Exception, match="no original"):
        await house.get(house.request("late"))
    house.source.put("late", b"here")
    await house.purges.apply_remote([Purge(PurgeScope("photos", ScopeKind.ORIGINAL, "late"), "")])
    assert (await house.get(house.request("late"))).startswith(b"here")


async def test_nobody_is_told_that_all_is_well_when_it_is_not(house: Composition) -> None:
    house.fleet.unheard = ["node b: has not confirmed"]
    house.journal.fault = OSError(errno.ENOSPC, "No space left on device")
    purged = await house.purges.purge([PurgeScope.of_original(A)])
    assert len(purged.open) == 2
    assert "No space left" in purged.open[0]
    replace(house)
    assert (await house.get(house.request())).startswith(b"new")


async def test_all_processes_have_to_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACKNOWLEDGE_TIMEOUT_S", 0.1)
    house = Composition(processes=2)
    scopes = [PurgeScope.of_original(A)]
    # While nobody answers yet there is nobody to tell.
    assert (await house.purges.purge(scopes)).open == []
    first, second = FakePurgeSubscriber(), FakePurgeSubscriber()
    house.purges.subscribe("1", first)
    assert (await house.purges.purge(scopes)).open == ["this node: 1 of its 2 processes did not confirm"]
    second.deaf = True
    house.purges.subscribe("2", second)
    assert len((await house.purges.purge(scopes)).open) == 1
    house.purges.unsubscribe("2", second)
    second.gate.clear()
    second.deaf = False
    house.purges.subscribe("2", second)
    assert len((await house.purges.purge(scopes)).open) == 1
    # What is owed is told with the next word, whatever that is about.
    second.gate.set()
    assert await house.purges.apply_remote([]) == []
    assert scopes in [told for told, _ in second.told]
    assert (await house.purges.purge(scopes)).open == []
    await house.close()


async def test_a_process_that_is_being_replaced_is_waited_for() -> None:
    house = Composition(processes=2)
    house.purges.subscribe("1", FakePurgeSubscriber())
    purging = asyncio.create_task(house.purges.purge([PurgeScope.of_original(A)]))
    await settle()
    assert not purging.done()
    late = FakePurgeSubscriber()
    house.purges.subscribe("2", late)
    assert (await purging).open == []
    assert late.told
    await house.close()


async def test_a_back_that_takes_over_waits_for_the_processes_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ACKNOWLEDGE_TIMEOUT_S", 0.05)
    house = Composition(processes=1)
    house.purges._subscribers.clear()
    assert len((await house.purges.purge([PurgeScope.of_original(A)])).open) == 1
    await house.close()


async def test_what_takes_long_to_delete_is_deleted_behind_the_answer(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELETE_WAIT_S", 0.05)
    await house.get(house.request())
    gate = asyncio.Event()
    remove = house.disk.remove

    async def slow(*arguments: object) -> object:
        await gate.wait()
        return await remove(*arguments)

    house.disk.remove = slow
    purged = await house.purges.purge([PurgeScope.of_original(A)])
    assert purged.pending == 1
    gate.set()
    await settle()
    assert not house.index.notes


async def test_a_cdn_is_told_behind_the_nodes(house: Composition) -> None:
    told: list[object] = []

    class Hook:
        async def call(self, scopes: object) -> list[str]:
            told.append((scopes, list(house.fleet.published)))
            return ["purge.hook: it answered 500"]

    house.purges._cdn = Hook()
    purged = await house.purges.purge([PurgeScope.of_original(A)])
    assert purged.open == ["purge.hook: it answered 500"]
    assert told == [([PurgeScope.of_original(A)], house.fleet.published)]


async def test_kept_originals_go_too(house: Composition) -> None:
    await house.get(house.request())
    identity = await house.originals.identify(A, deadline=soon())
    house.keep.kept[identity] = b"old"
    purged = await house.purges.purge([PurgeScope.of_original(A)])
    assert purged.tiers["originals"] == 1
    assert not house.keep.kept


async def test_forgetting_everything_is_what_a_new_follower_begins_with(house: Composition) -> None:
    wanted = house.request()
    await house.get(wanted)
    assert house.deliver.fresh_hit(wanted) is not None
    await house.deliver.invalidate(None, [])
    assert house.deliver.fresh_hit(wanted) is None
    assert await house.get(wanted)


async def test_a_process_that_has_been_replaced_does_not_take_the_new_one_with_it() -> None:
    house = Composition(processes=1)
    old, new = FakePurgeSubscriber(), FakePurgeSubscriber()
    house.purges.subscribe("1", old)
    house.purges.subscribe("1", new)
    house.purges.unsubscribe("1", old)
    house.purges.unsubscribe("none", old)
    house.purges.unsubscribe("", house.deliver)
    assert (await house.purges.purge([PurgeScope.of_original(A)])).open == []
    assert new.told
    assert not old.told
    await house.close()


async def test_a_process_that_has_answered_its_last_request_need_not_confirm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = Composition(processes=2)
    first, second = FakePurgeSubscriber(), FakePurgeSubscriber()
    house.purges.subscribe("1", first)
    purging = asyncio.create_task(house.purges.purge([PurgeScope.of_original(A)]))
    await settle()
    assert not purging.done()
    house.purges.retire("2")
    assert (await purging).open == []
    house.purges.subscribe("2", second)
    assert (await house.purges.purge([PurgeScope.of_original(A)])).open == []
    assert second.told
    house.purges.unsubscribe("2", second)
    monkeypatch.setattr(module, "ACKNOWLEDGE_TIMEOUT_S", 0.05)
    missing = ["this node: 1 of its 2 processes did not confirm"]
    assert (await house.purges.purge([PurgeScope.of_original(A)])).open == missing
    await house.close()


async def test_starts_that_share_the_disk_are_told_of_where_there_is_no_fleet() -> None:
    house = Composition()
    house.purges._siblings = lambda: 2
    told = ["this node: 2 other instances share its cache, as in a restart, and are not purged"]
    assert (await house.purges.purge([PurgeScope.of_original(A)])).open == told
    house.purges._siblings = lambda: 0
    assert (await house.purges.purge([PurgeScope.of_original(A)])).open == []
    await house.close()
    house = Composition(fleet=FakePurgeLog())
    house.purges._siblings = lambda: 2
    assert (await house.purges.purge([PurgeScope.of_original(A)])).open == [], "they are part of the fleet"
    await house.close()


async def test_a_hook_is_not_called_while_something_old_may_be_served(house: Composition) -> None:
    called: list[object] = []

    class Hook:
        async def call(self, scopes: object) -> list[str]:
            called.append(scopes)
            return []

    house.purges._cdn = Hook()
    house.fleet.unheard = ["node b: has not confirmed"]
    await house.purges.purge([PurgeScope.of_original(A)])
    assert not called
    house.fleet.unheard = []
    await house.purges.purge([PurgeScope.of_original(A)])
    assert called == [[PurgeScope.of_original(A)]]


async def test_all_that_is_open_is_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACKNOWLEDGE_TIMEOUT_S", 0.05)
    house = Composition(processes=1)
    deaf = FakePurgeSubscriber()
    deaf.deaf = True
    house.purges.subscribe("", deaf)
    house.journal.fault = OSError(errno.ENOSPC, "No space left on device")
    assert (await house.purges.purge([PurgeScope.of_original(A)])).open == [
        "this node: the purge could not be written (No space left on device); a restart loses it",
        "this node: 1 of its 1 processes did not confirm",
    ]
    # Both are made up for with the next word.
    deaf.deaf, house.journal.fault = False, None
    assert await house.purges.apply_remote([]) == []
    assert [purge.scope for purge in house.journal.purges] == [PurgeScope.of_original(A)]
    assert deaf.told == [([PurgeScope.of_original(A)], [])]
    await house.close()


async def test_a_purge_that_comes_while_the_one_before_is_told_is_owed_too() -> None:
    house = Composition(processes=1)
    follower = FakePurgeSubscriber()
    house.purges.subscribe("", follower)
    follower.gate.clear()
    purging = [
        asyncio.create_task(house.purges.purge([PurgeScope.of_original(OriginalRef("photos", key))]))
        for key in ("a", "a", "b")
    ]
    await settle()
    assert len(house.purges._unacknowledged) == 2
    follower.gate.set()
    assert [(await each).open for each in purging] == [[], [], []]
    assert not house.purges._unacknowledged
    await house.close()


async def test_what_cannot_be_deleted_does_not_hold_up_a_purge(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = house.request()
    await house.get(wanted)
    log = structlog.testing.CapturingLogger()
    house.purges._log = log

    async def broken(_: object) -> list[object]:
        raise RuntimeError("the index is broken")

    monkeypatch.setattr(house.index, "find", broken)
    replace(house)
    purged = await house.purges.purge([PurgeScope.of_original(A)])
    assert (purged.removed, purged.open) == (0, [])
    assert (await house.get(wanted)).startswith(b"new")
    assert [(call.method_name, call.kwargs.get("reason")) for call in log.calls] == [
        ("error", "RuntimeError('the index is broken')"),
        ("info", None),
    ]


async def test_what_a_tier_may_still_have_is_deleted_by_the_next_purge(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.get(house.request())
    await settle()

    async def unsure(*_: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(house.disk, "remove", unsure)
        purged = await house.purges.purge([PurgeScope.of_original(A)])
    assert (purged.tiers, purged.pending) == ({"memory": 1}, 1)
    assert len(house.index.notes) == 1
    purged = await house.purges.purge([PurgeScope.of_original(A)])
    assert (purged.tiers, purged.pending) == ({"memory": 0, "disk": 1}, 0)
    assert not house.index.notes


async def test_a_stop_leaves_what_is_not_deleted_yet(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELETE_WAIT_S", 0.01)
    await house.get(house.request())
    await settle()

    async def forever(*_: object) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(house.disk, "remove", forever)
    assert (await house.purges.purge([PurgeScope.of_original(A)])).pending == 1
    await house.purges.close()
    assert not house.purges._tasks
    assert Format.WEBP in [entry.key.format for _, entry, _ in house.index.notes]
