"""Deletion of purged entries: in the background, and without influence on what is served."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from proxy.core.cache.generations import PurgeScope
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from tests.service.composition import Composition
from tests.support.waiting import deadline, settle

A = OriginalRef("photos", "a")
OF_A = PurgeScope.of_original(A)


@pytest.fixture
async def node() -> AsyncIterator[Composition]:
    """A node with one variant in memory and on disk. Its source does not report changes, as S3."""
    made = Composition()
    made.source.freshness_lifetime_s = float("inf")
    made.source.put("a", b"old")
    await made.get(made.request())
    await settle()
    yield made
    await made.close()


async def test_entries_are_deleted_from_every_tier(node: Composition) -> None:
    purged = await node.purges.purge([OF_A])
    assert (purged.tiers, purged.removed, purged.pending) == ({"memory": 1, "disk": 1}, 2, 0)
    assert not node.index.notes
    assert not node.disk.entries


async def test_stored_originals_are_deleted(node: Composition) -> None:
    identity = await node.originals.identify(A, deadline=deadline())
    node.original_store.stored[identity] = b"old"
    await node.get(node.request(tokens="w_200,f_webp"))
    purged = await node.purges.purge([OF_A])
    assert purged.tiers["originals"] == 1
    assert not node.original_store.stored


async def test_a_purge_does_not_wait_long_for_a_deletion(node: Composition) -> None:
    disk_answers = asyncio.Event()
    remove = node.disk.remove

    async def slow_remove(*arguments: object) -> object:
        await disk_answers.wait()
        return await remove(*arguments)

    node.disk.remove = slow_remove
    purged = await node.purges.purge([OF_A])
    assert purged.pending == 1
    disk_answers.set()
    await settle()
    assert not node.index.notes


async def test_entries_of_a_purge_of_another_node_are_deleted(node: Composition) -> None:
    purges = node.purge_log.purges_of([OF_A])
    assert await node.purges.apply_remote(purges) == []
    await settle()
    assert not node.index.notes
    assert not node.disk.entries


async def test_a_failed_deletion_changes_nothing_for_clients(
    node: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = structlog.testing.CapturingLogger()
    node.purges.log = node.reclaim.log = log

    async def broken(_: object) -> list[object]:
        raise RuntimeError("the index is broken")

    monkeypatch.setattr(node.index, "find", broken)
    node.source.put("a", b"new")
    purged = await node.purges.purge([OF_A])
    assert (purged.removed, purged.open) == (0, [])
    assert (await node.get(node.request())).startswith(b"new")
    assert [(call.method_name, call.kwargs.get("reason")) for call in log.calls] == [
        ("error", "RuntimeError('the index is broken')"),
        ("info", None),
    ]


async def test_an_entry_that_a_tier_could_not_delete_is_deleted_by_the_next_purge(
    node: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(*_: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(node.disk, "remove", unknown)
        purged = await node.purges.purge([OF_A])
    assert (purged.tiers, purged.pending) == ({"memory": 1}, 1)
    assert len(node.index.notes) == 1
    purged = await node.purges.purge([OF_A])
    assert (purged.tiers, purged.pending) == ({"memory": 0, "disk": 1}, 0)
    assert not node.index.notes


async def test_a_stop_leaves_the_entries_that_are_not_deleted_yet(
    node: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(node.disk, "remove", never)
    assert (await node.purges.purge([OF_A])).pending == 1
    await node.reclaim.close()
    assert not node.reclaim._tasks
    assert Format.WEBP in [entry.key.format for _, entry, _ in node.index.notes]
