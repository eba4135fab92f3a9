"""Flights: shared results and failures, cancellation, deadlines, promotion, and closing."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from proxy.core.errors import Draining, RenderTimeout, Undecodable
from proxy.ports.rendering import Priority
from proxy.service.request.singleflight import Flight, FlightResult, Flights
from tests.support.waiting import deadline, settle


@pytest.fixture
async def flights() -> AsyncIterator[Flights]:
    registry = Flights()
    yield registry
    await registry.close()
    await asyncio.sleep(0)
    assert len(registry) == 0


async def test_a_thousand_equal_requests_are_one_flight(flights: Flights) -> None:
    release = asyncio.Event()
    starts = 0

    async def work(_: Flight) -> str:
        nonlocal starts
        starts += 1
        await release.wait()
        return "picture"

    asking = [asyncio.create_task(flights.run("k", work, deadline=deadline())) for _ in range(1000)]
    await settle()
    release.set()
    results = await asyncio.gather(*asking)
    assert starts == 1
    assert results.count(FlightResult("picture", False)) == 1
    assert results.count(FlightResult("picture", True)) == 999


async def test_flights_of_different_keys_do_not_wait_for_each_other(flights: Flights) -> None:
    async def slow(_: Flight) -> None:
        await asyncio.sleep(60)

    async def quick(_: Flight) -> str:
        return "b"

    waiting = asyncio.create_task(flights.run("a", slow, deadline=deadline()))
    await settle()
    assert (await flights.run("b", quick, deadline=deadline())).result == "b"
    waiting.cancel()


async def test_a_failure_is_shared_and_not_stored(flights: Flights) -> None:
    release = asyncio.Event()

    async def fail(_: Flight) -> None:
        await release.wait()
        raise Undecodable("broken")

    asking = [asyncio.create_task(flights.run("k", fail, deadline=deadline())) for _ in range(50)]
    await settle()
    release.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(result, Undecodable) for result in results)

    async def work(_: Flight) -> str:
        return "fine"

    assert await flights.run("k", work, deadline=deadline()) == FlightResult("fine", False)


async def test_a_waiter_gets_the_result_though_the_leader_is_cancelled(flights: Flights) -> None:
    release = asyncio.Event()

    async def work(_: Flight) -> str:
        await release.wait()
        return "picture"

    leader = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    waiter = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    leader.cancel()
    await settle()
    release.set()
    assert await waiter == FlightResult("picture", True)
    assert leader.cancelled()


async def test_a_flight_without_waiters_is_cancelled(flights: Flights) -> None:
    ended = asyncio.Event()

    async def work(_: Flight) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    asking = [asyncio.create_task(flights.run("k", work, deadline=deadline())) for _ in range(3)]
    await settle()
    for task in asking:
        task.cancel()
    await asyncio.wait_for(ended.wait(), 1)
    assert len(flights) == 0


async def test_a_request_does_not_join_a_cancelled_flight(flights: Flights) -> None:
    async def work(_: Flight) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)

    async def fresh(_: Flight) -> str:
        return "fresh"

    alone = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    assert await flights.run("k", fresh, deadline=deadline()) == FlightResult("fresh", False)


async def test_a_flight_that_keeps_running_ends_without_waiters(flights: Flights) -> None:
    release, ended = asyncio.Event(), asyncio.Event()

    async def work(flight: Flight) -> None:
        flight.keep_running()
        await release.wait()
        ended.set()

    alone = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    assert len(flights) == 1
    release.set()
    await asyncio.wait_for(ended.wait(), 1)


async def test_a_waiter_fails_at_its_own_deadline_and_the_flight_goes_on(flights: Flights) -> None:
    release = asyncio.Event()

    async def work(_: Flight) -> str:
        await release.wait()
        return "late"

    leader = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    with pytest.raises(RenderTimeout, match="^the picture was not ready"):
        await flights.run("k", work, deadline=asyncio.get_running_loop().time() + 0.01)
    release.set()
    assert await leader == FlightResult("late", False)


async def test_a_request_at_its_deadline_gets_a_result_that_is_almost_ready(flights: Flights) -> None:
    async def work(_: Flight) -> str:
        await settle()
        return "just in time"

    result = await flights.run("k", work, deadline=asyncio.get_running_loop().time())
    assert result == FlightResult("just in time", False)


async def test_a_request_does_not_join_a_flight_that_has_just_ended(flights: Flights) -> None:
    release, other_release = asyncio.Event(), asyncio.Event()

    async def old(_: Flight) -> str:
        await release.wait()
        return "old"

    async def new(_: Flight) -> str:
        await other_release.wait()
        return "new"

    first = asyncio.create_task(flights.run("k", old, deadline=deadline()))
    await settle()
    release.set()
    # The first step of this task follows the last one of the flight, before a waiter resumes.
    second = asyncio.create_task(flights.run("k", new, deadline=deadline()))
    assert await first == FlightResult("old", False)
    assert len(flights) == 1
    other_release.set()
    assert await second == FlightResult("new", False)


async def test_the_task_of_a_flight_has_its_key_or_the_first_part_as_a_name(flights: Flights) -> None:
    async def work(_: Flight) -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    assert (await flights.run("k", work, deadline=deadline())).result == "flight k"
    assert (await flights.run(("fetch", "k"), work, deadline=deadline())).result == "flight fetch"


async def test_closing_fails_the_waiters_after_the_flights_have_ended() -> None:
    flights = Flights()
    down: list[str] = []

    async def work(_: Flight) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await settle()
            down.append("k")

    asking = [asyncio.create_task(flights.run("k", work, deadline=deadline())) for _ in range(3)]
    await settle()
    await flights.close()
    assert down == ["k"]
    for result in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(result, Draining)
        assert (result.detail, result.retry_after_s) == ("the node is stopping", 1)


@pytest.mark.parametrize("turns", range(5))
async def test_a_waiter_that_is_cancelled_during_closing_is_cancelled(turns: int) -> None:
    flights = Flights()

    async def work(_: Flight) -> None:
        await asyncio.sleep(60)

    asking = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    closing = asyncio.create_task(flights.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    was_there = asking.cancel()
    await closing
    await asyncio.wait([asking])
    assert asking.cancelled() is was_there
    assert asking.cancelled() or isinstance(asking.exception(), Draining)


async def test_a_failure_without_waiters_is_not_reported(flights: Flights) -> None:
    release = asyncio.Event()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def work(flight: Flight) -> None:
        flight.keep_running()
        await release.wait()
        raise Undecodable("broken")

    alone = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    release.set()
    await settle()
    del alone  # Its traceback holds the flight.
    gc.collect()
    assert complaints == []
    assert len(flights) == 0


async def test_a_base_exception_ends_the_flight(flights: Flights) -> None:
    class Worst(BaseException):
        pass

    async def work(_: Flight) -> None:
        raise Worst

    with pytest.raises(Worst):
        await flights.run("k", work, deadline=deadline())
    await settle()
    assert len(flights) == 0


async def test_an_interactive_waiter_promotes_a_background_flight(flights: Flights) -> None:
    release = asyncio.Event()
    begun: list[Flight] = []
    promoted: list[str] = []

    async def work(flight: Flight) -> str:
        begun.append(flight)
        flight.on_promote(lambda: promoted.append("first"))
        flight.on_promote(lambda: promoted.append("second"))
        await release.wait()
        return "picture"

    asking = [
        asyncio.create_task(flights.run("k", work, deadline=deadline(), priority=Priority.BACKGROUND))
        for _ in range(2)
    ]
    await settle()
    assert begun[0].priority is Priority.BACKGROUND
    assert not promoted
    for _ in range(2):
        asking.append(asyncio.create_task(flights.run("k", work, deadline=deadline())))
        await settle()
        assert begun[0].priority is Priority.INTERACTIVE
        assert promoted == ["first", "second"], "once"
    release.set()
    assert [result.collapsed for result in await asyncio.gather(*asking)] == [False, True, True, True]
    assert len(begun) == 1


async def test_a_detached_flight_runs_once_without_waiters(flights: Flights) -> None:
    release = asyncio.Event()
    begun: list[Flight] = []

    async def work(flight: Flight) -> str:
        begun.append(flight)
        await release.wait()
        return "picture"

    for _ in range(2):
        flights.start_detached("k", work)
        await settle()
    assert len(begun) == 1
    assert begun[0].is_detached
    assert begun[0].priority is Priority.INTERACTIVE
    leaving = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    leaving.cancel()
    await settle()
    assert len(flights) == 1, "a detached flight goes on without waiters"
    release.set()
    assert await flights.run("k", work, deadline=deadline()) == FlightResult("picture", True)
    assert len(begun) == 1
