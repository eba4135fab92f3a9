"""Processes that acknowledge purges: a purge is confirmed when every expected process is at its position."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from proxy.core.cache.generations import Generations, PurgeScope
from proxy.core.cache.keys import CacheKey
from proxy.core.image.original import OriginalRef
from proxy.local.tasks import Tasks
from proxy.service.admin.purge_log import PurgeLog
from proxy.service.admin.purge_subscribers import PurgeSubscribers
from tests.support.fakes import FakePurgeJournal, FakePurgeSubscriber
from tests.support.waiting import settle

A, B = OriginalRef("photos", "a"), OriginalRef("photos", "b")
OF_A, OF_B = PurgeScope.of_original(A), PurgeScope.of_original(B)
K, L = CacheKey("k"), CacheKey("l")
ONE_OF_TWO_MISSING = ["this node: 1 of its 2 processes did not confirm"]


class Node:
    """The log of a node of two processes and its subscribers."""

    def __init__(self, *, are_running: bool = False) -> None:
        self.log = PurgeLog(Generations(), FakePurgeJournal(), lambda: 1_800_000_000.0, lambda: "5a17")
        self.subscribers = PurgeSubscribers(self.log, processes=2, are_running=are_running)
        self.tasks = Tasks()

    async def subscribe(self, name: str, subscriber: FakePurgeSubscriber) -> "asyncio.Task[None]":
        """Subscribes and lets the process acknowledge; the task ends when the subscription does."""
        task = self.tasks.start(self.subscribers.subscribe(name, subscriber), name)
        await settle()
        return task

    async def purge(self, *scopes: PurgeScope) -> list[str]:
        """Purges in this process and the subscribers; returns the messages about those that did not confirm."""
        position = await self.log.append(self.log.purges_of(scopes))
        return await self.subscribers.confirmed(position)

    async def start_purge(self, *scopes: PurgeScope) -> "asyncio.Task[list[str]]":
        """A purge that waits for a process."""
        purging = asyncio.create_task(self.purge(*scopes))
        await settle()
        assert not purging.done()
        return purging


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node()
    yield made
    await made.tasks.close()


async def test_no_process_is_expected_before_the_first_one_subscribes(node: Node) -> None:
    assert await node.purge(OF_A) == []
    await node.subscribe("1", FakePurgeSubscriber())
    assert await node.purge(OF_A) == ONE_OF_TWO_MISSING


async def test_running_processes_are_expected_from_the_start() -> None:
    """Also for purges from before this process, such as those in its journal."""
    node = Node(are_running=True)
    assert await node.purge() == ["this node: 2 of its 2 processes did not confirm"]
    assert await node.purge(OF_A) == ["this node: 2 of its 2 processes did not confirm"]
    for name in "12":
        await node.subscribe(name, FakePurgeSubscriber())
    assert await node.purge(OF_A) == []
    await node.tasks.close()


async def test_a_process_begins_with_everything_and_is_current_afterwards(node: Node) -> None:
    process, other = FakePurgeSubscriber(), FakePurgeSubscriber()
    await node.purge(OF_A)
    await node.subscribe("1", process)
    await node.subscribe("2", other)
    assert process.scopes == [None]
    assert await node.purge() == []
    assert await node.purge(OF_B) == []
    assert process.scopes == other.scopes == [None, [OF_B]]


async def test_generations_are_applied_before_a_process_drops_its_records(node: Node) -> None:
    generations: list[str] = []

    class Process(FakePurgeSubscriber):
        async def invalidate(self, scopes: Sequence[PurgeScope] | None, keys: Sequence[CacheKey]) -> int:
            generations.append(node.log.generations.original_generation(A))
            return 0

    await node.subscribe("1", Process())
    await node.subscribe("2", FakePurgeSubscriber())
    assert await node.purge(OF_A) == []
    assert generations == ["", node.log.generations.original_generation(A)]


async def test_every_process_has_to_confirm(node: Node) -> None:
    first, second = FakePurgeSubscriber(), FakePurgeSubscriber(fails=True)
    await node.subscribe("1", first)
    assert await node.purge(OF_A) == ONE_OF_TWO_MISSING
    failing = await node.subscribe("2", second)
    assert failing.done(), "a process that does not acknowledge has to subscribe again"
    assert await node.purge(OF_A) == ONE_OF_TWO_MISSING
    second.fails = False
    second.answers.clear()
    await node.subscribe("2", second)
    assert await node.purge(OF_A) == ONE_OF_TWO_MISSING
    # A process that subscribes again drops everything, so that it has missed nothing.
    second.answers.set()
    await node.subscribe("2", second)
    assert second.scopes == [None]
    assert await node.purge() == []
    assert await node.purge(OF_A) == []
    assert first.scopes == [None, *[[OF_A]] * 4]


async def test_a_process_that_hangs_loses_its_subscription(node: Node) -> None:
    process = FakePurgeSubscriber()
    subscription = await node.subscribe("1", process)
    await node.subscribe("2", FakePurgeSubscriber())
    process.answers.clear()
    assert await node.purge(OF_A) == ONE_OF_TWO_MISSING
    await settle()
    assert subscription.done()
    process.answers.set()
    await node.subscribe("1", process)
    assert process.scopes == [None, None]
    assert await node.purge() == []


async def test_a_purge_waits_for_a_process_that_is_being_replaced(node: Node) -> None:
    await node.subscribe("1", FakePurgeSubscriber())
    purging = await node.start_purge(OF_A)
    successor = FakePurgeSubscriber()
    await node.subscribe("2", successor)
    assert await purging == []
    assert successor.scopes == [None]


async def test_a_purge_during_the_first_acknowledgement_reaches_the_process_too(node: Node) -> None:
    """What the process records while it drops everything may be older than the purge."""
    late = FakePurgeSubscriber()
    await node.subscribe("1", FakePurgeSubscriber())
    late.answers.clear()
    await node.subscribe("2", late)
    purging = await node.start_purge(OF_A)
    late.answers.set()
    assert await purging == []
    assert late.scopes == [None, [OF_A]]


async def test_a_subscriber_that_is_replaced_does_not_remove_its_successor(node: Node) -> None:
    old, new = FakePurgeSubscriber(), FakePurgeSubscriber()
    replaced = await node.subscribe("1", old)
    await node.subscribe("1", new)
    assert replaced.done()
    await node.subscribe("2", FakePurgeSubscriber())
    assert await node.purge(OF_A) == []
    assert new.scopes == [None, [OF_A]]
    assert old.scopes == [None]


async def test_a_process_that_is_gone_is_expected_until_its_successor_subscribes(node: Node) -> None:
    await node.subscribe("1", FakePurgeSubscriber())
    gone = await node.subscribe("2", FakePurgeSubscriber())
    gone.cancel()
    purging = await node.start_purge(OF_A)
    await node.subscribe("2", FakePurgeSubscriber())
    assert await purging == []


async def test_a_confirmed_position_stays_confirmed_while_a_process_is_replaced(node: Node) -> None:
    await node.subscribe("1", FakePurgeSubscriber())
    gone = await node.subscribe("2", FakePurgeSubscriber())
    assert await node.purge(OF_A) == []
    gone.cancel()
    await settle()
    assert await node.purge() == []
    assert await node.purge(OF_B) == ONE_OF_TWO_MISSING


async def test_a_retired_process_need_not_confirm(node: Node) -> None:
    await node.subscribe("1", FakePurgeSubscriber())
    purging = await node.start_purge(OF_A)
    await node.subscribers.retire("2")
    assert await purging == []
    again = FakePurgeSubscriber()
    subscription = await node.subscribe("2", again)
    assert await node.purge(OF_A) == []
    assert again.scopes == [None, [OF_A]]
    subscription.cancel()
    await settle()
    assert await node.purge(OF_A) == ONE_OF_TWO_MISSING
    await node.subscribers.retire("2")
    await node.subscribers.retire("2")
    again.fails = True
    await node.subscribe("1", again)
    assert await node.purge(OF_A) == ["this node: 1 of its 1 processes did not confirm"]


async def test_a_process_that_retires_ends_its_subscription(node: Node) -> None:
    subscription = await node.subscribe("1", FakePurgeSubscriber())
    await node.subscribers.retire("1")
    await settle()
    assert subscription.done()


async def test_purges_while_a_process_acknowledges_are_sent_together_afterwards(node: Node) -> None:
    process = FakePurgeSubscriber()
    await node.subscribe("1", process)
    await node.subscribe("2", FakePurgeSubscriber())
    process.answers.clear()
    purging = [await node.start_purge(scope) for scope in (OF_A, OF_A, OF_B)]
    process.answers.set()
    assert [await each for each in purging] == [[], [], []]
    assert process.scopes == [None, [OF_A], [OF_A, OF_B]]


async def test_variants_are_removed_from_the_memory_of_each_subscribed_process(node: Node) -> None:
    first, second, failing = FakePurgeSubscriber(), FakePurgeSubscriber(), FakePurgeSubscriber()
    for name, process in (("1", first), ("2", second), ("3", failing)):
        await node.subscribe(name, process)
    failing.fails = True
    assert await node.subscribers.remove([K, L]) == 4
    assert (first.keys, second.keys, failing.keys) == ([K, L], [K, L], [])
    await node.subscribers.retire("1")
    (await node.subscribe("2", FakePurgeSubscriber())).cancel()
    await settle()
    assert await node.subscribers.remove([K]) == 0
