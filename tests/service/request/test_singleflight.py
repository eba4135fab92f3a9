"""The outcome table of flights, row by row."""

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


async def test_a_thousand_askers_are_one_flight(flights: Flights) -> None:
    gate = asyncio.Event()
    starts = 0

    async def work(_: Flight) -> str:
        nonlocal starts
        starts += 1
        await gate.wait()
        return "picture"

    asking = [asyncio.create_task(flights.run("k", work, deadline=deadline())) for _ in range(1000)]
    await settle()
    gate.set()
    landed = await asyncio.gather(*asking)
    assert starts == 1
    assert landed.count(FlightResult("picture", False)) == 1
    assert landed.count(FlightResult("picture", True)) == 999


async def test_keys_do_not_wait_for_one_another(flights: Flights) -> None:
    async def slow(_: Flight) -> None:
        await asyncio.sleep(60)

    async def quick(_: Flight) -> str:
        return "b"

    waiting = asyncio.create_task(flights.run("a", slow, deadline=deadline()))
    await settle()
    assert (await flights.run("b", quick, deadline=deadline())).result == "b"
    waiting.cancel()


async def test_a_failure_is_shared_once_and_not_remembered(flights: Flights) -> None:
    gate = asyncio.Event()

    async def fail(_: Flight) -> None:
        await gate.wait()
        raise Undecodable("broken")

    asking = [asyncio.create_task(flights.run("k", fail, deadline=deadline())) for _ in range(50)]
    await settle()
    gate.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(result, Undecodable) for result in results)

    async def work(_: Flight) -> str:
        return "fine"

    assert await flights.run("k", work, deadline=deadline()) == FlightResult("fine", False)


async def test_the_leader_may_leave(flights: Flights) -> None:
    gate = asyncio.Event()

    async def work(_: Flight) -> str:
        await gate.wait()
        return "picture"

    leader = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    follower = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    leader.cancel()
    await settle()
    gate.set()
    assert await follower == FlightResult("picture", True)
    assert leader.cancelled()


async def test_a_flight_nobody_waits_for_is_cancelled_before_it_is_held(flights: Flights) -> None:
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


async def test_a_newcomer_does_not_board_a_cancelled_flight(flights: Flights) -> None:
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


async def test_a_held_flight_lands_without_passengers(flights: Flights) -> None:
    gate, landed = asyncio.Event(), asyncio.Event()

    async def work(flight: Flight) -> None:
        flight.keep_running()
        await gate.wait()
        landed.set()

    alone = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    assert len(flights) == 1
    gate.set()
    await asyncio.wait_for(landed.wait(), 1)


async def test_a_waiter_gives_up_at_its_own_deadline_and_the_flight_goes_on(flights: Flights) -> None:
    gate = asyncio.Event()

    async def work(_: Flight) -> str:
        await gate.wait()
        return "late"

    patient = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    with pytest.raises(RenderTimeout, match="^the picture was not ready"):
        await flights.run("k", work, deadline=asyncio.get_running_loop().time() + 0.01)
    gate.set()
    assert await patient == FlightResult("late", False)


async def test_a_deadline_that_is_over_leaves_the_work_its_grace(flights: Flights) -> None:
    async def work(_: Flight) -> str:
        await settle()
        return "just in time"

    landed = await flights.run("k", work, deadline=asyncio.get_running_loop().time())
    assert landed == FlightResult("just in time", False)


async def test_a_newcomer_does_not_board_a_flight_that_has_landed_in_this_turn(flights: Flights) -> None:
    gate, other_gate = asyncio.Event(), asyncio.Event()

    async def old(_: Flight) -> str:
        await gate.wait()
        return "old"

    async def new(_: Flight) -> str:
        await other_gate.wait()
        return "new"

    first = asyncio.create_task(flights.run("k", old, deadline=deadline()))
    await settle()
    gate.set()
    # Its first step comes right after the last one of the flight, before anybody is told.
    second = asyncio.create_task(flights.run("k", new, deadline=deadline()))
    assert await first == FlightResult("old", False)
    assert len(flights) == 1
    other_gate.set()
    assert await second == FlightResult("new", False)


async def test_a_flight_can_be_told_by_its_name(flights: Flights) -> None:
    async def work(_: Flight) -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    assert (await flights.run("k", work, deadline=deadline())).result == "flight k"


async def test_closing_tells_the_waiters_when_all_is_down() -> None:
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
async def test_a_waiter_that_leaves_while_all_is_closing_has_left(turns: int) -> None:
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


async def test_a_failure_nobody_waits_for_is_quiet(flights: Flights) -> None:
    gate = asyncio.Event()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def work(flight: Flight) -> None:
        flight.keep_running()
        await gate.wait()
        raise Undecodable("broken")

    alone = asyncio.create_task(flights.run("k", work, deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    gate.set()
    await settle()
    del alone  # Its traceback holds the flight.
    gc.collect()
    assert complaints == []
    assert len(flights) == 0


async def test_even_the_worst_exception_leaves_no_flight_behind(flights: Flights) -> None:
    class Worst(BaseException):
        pass

    async def work(_: Flight) -> None:
        raise Worst

    with pytest.raises(Worst):
        await flights.run("k", work, deadline=deadline())
    await settle()
    assert len(flights) == 0


async def test_a_flight_is_behind_until_somebody_is_in_a_hurry(flights: Flights) -> None:
    gate = asyncio.Event()
    begun: list[Flight] = []
    hurried: list[str] = []

    async def work(flight: Flight) -> str:
        begun.append(flight)
        flight.on_promote(lambda: hurried.append("first"))
        flight.on_promote(lambda: hurried.append("second"))
        await gate.wait()
        return "picture"

    asking = [
        asyncio.create_task(flights.run("k", work, deadline=deadline(), priority=Priority.BACKGROUND))
        for _ in range(2)
    ]
    await settle()
    assert begun[0].priority is Priority.BACKGROUND
    assert not hurried
    for _ in range(2):
        asking.append(asyncio.create_task(flights.run("k", work, deadline=deadline())))
        await settle()
        assert begun[0].priority is Priority.INTERACTIVE
        assert hurried == ["first", "second"], "once"
    gate.set()
    assert [landed.collapsed for landed in await asyncio.gather(*asking)] == [False, True, True, True]
    assert len(begun) == 1


async def test_what_is_begun_for_later_is_done_once_though_nobody_waits(flights: Flights) -> None:
    gate = asyncio.Event()
    begun: list[Flight] = []

    async def work(flight: Flight) -> str:
        begun.append(flight)
        await gate.wait()
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
    assert len(flights) == 1, "it is worth finishing"
    gate.set()
    assert await flights.run("k", work, deadline=deadline()) == FlightResult("picture", True)
    assert len(begun) == 1
