"""Presence flags and leases over a real redis-server that is slow, hangs, is killed, full, read-only or has wrong values."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.fleet import presence as redis_module
from proxy.fleet.presence import RedisPresence
from proxy.ports.tiers import Presence
from tests.support import servers
from tests.support.fakes import FakeMetrics
from tests.support.servers import Redis
from tests.support.waiting import LONGEST_S, deadline, eventually, settle

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with servers.redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


def presence_of(server: Redis, metrics: FakeMetrics | None = None, timeout_s: float = 0.5) -> RedisPresence:
    return RedisPresence(
        server.url,
        timeout_s=timeout_s,
        flag_ttl_s=1000,
        metrics=metrics or FakeMetrics(),
        clock=time.monotonic,
    )


@pytest.fixture
async def one(server: Redis) -> AsyncIterator[RedisPresence]:
    async with presence_of(server) as flags:
        yield flags


@pytest.fixture
async def two(server: Redis) -> AsyncIterator[RedisPresence]:
    async with presence_of(server) as flags:
        yield flags


async def test_a_flag_has_three_values(one: RedisPresence, two: RedisPresence, server: Redis) -> None:
    assert await one.presence(KEY) is Presence.UNKNOWN
    await one.mark_absent(KEY)
    assert await two.presence(KEY) is Presence.ABSENT
    await two.mark_present(KEY)
    assert await one.presence(KEY) is Presence.PRESENT
    await one.unmark(KEY)
    assert await two.presence(KEY) is Presence.UNKNOWN
    await one.mark_absent(OTHER)
    with server.client() as client:
        assert 0 < client.ttl(f"calotype:flag:{OTHER}") <= 60
        await one.mark_present(KEY)
        assert 900 < client.ttl(f"calotype:flag:{KEY}") <= 1000


async def test_an_absent_flag_never_hides_an_object_that_another_node_stored(
    one: RedisPresence, two: RedisPresence
) -> None:
    assert await one.presence(KEY) is Presence.UNKNOWN
    await two.mark_present(KEY)
    await one.mark_absent(KEY)
    assert await one.presence(KEY) is Presence.PRESENT


@pytest.mark.parametrize("forged", ["", "yes", "PRESENT", "x" * 10_000])
async def test_a_forged_flag_is_unknown(one: RedisPresence, server: Redis, forged: str) -> None:
    with server.client() as client:
        client.set(f"calotype:flag:{KEY}", forged)
    assert await one.presence(KEY) is Presence.UNKNOWN


async def test_a_flag_of_another_type_is_unknown(server: Redis) -> None:
    metrics = FakeMetrics()
    async with presence_of(server, metrics) as flags:
        with server.client() as client:
            client.rpush(f"calotype:flag:{KEY}", "present")
        assert await flags.presence(KEY) is Presence.UNKNOWN
        assert await flags.presence(OTHER) is Presence.UNKNOWN
        assert metrics.counts == {"redis refused": 1}


async def test_one_node_has_the_lease_and_the_other_waits_for_the_object(
    one: RedisPresence, two: RedisPresence
) -> None:
    assert await one.acquire(KEY, deadline=deadline())
    waiting = asyncio.create_task(two.acquire(KEY, deadline=deadline()))
    assert await two.acquire(OTHER, deadline=deadline()), "another key has another lease"
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await one.mark_present(KEY)
    await one.release(KEY)
    assert await waiting is False


async def test_a_released_lease_goes_to_the_waiter(one: RedisPresence, two: RedisPresence) -> None:
    assert await one.acquire(KEY, deadline=deadline())
    waiting = asyncio.create_task(two.acquire(KEY, deadline=deadline()))
    await settle()
    await one.release(KEY)
    assert await waiting is True
    await one.release(KEY)
    assert await asyncio.wait_for(two.acquire(KEY, deadline=deadline()), 1), (
        "a node releases only its own lease"
    )


async def test_a_waiter_leaves_time_for_a_render_before_its_deadline(
    one: RedisPresence, two: RedisPresence
) -> None:
    assert await one.acquire(KEY, deadline=deadline())
    began_s, end_s = time.monotonic(), deadline(4.0)
    assert await two.acquire(KEY, deadline=end_s), "better a second render than none in time"
    assert began_s + 1.6 < time.monotonic() < end_s, "half of the time is left for the render"


async def test_a_lease_without_an_expiry_is_not_waited_for(one: RedisPresence, server: Redis) -> None:
    with server.client() as client:
        client.set(f"calotype:turn:{KEY}", "forged, and without an expiry")
    assert await one.acquire(KEY, deadline=deadline(0.5))


async def test_a_short_failure_of_redis_ends_no_wait(
    two: RedisPresence, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with presence_of(server, timeout_s=0.05) as one:
        assert await two.acquire(KEY, deadline=deadline())
        waiting = asyncio.create_task(one.acquire(KEY, deadline=deadline(LONGEST_S)))
        await asyncio.sleep(0.2)
        server.pause()
        await asyncio.sleep(0.3)
        server.resume()
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await two.mark_present(KEY)
        assert await waiting is False


async def test_a_flag_that_is_no_text_is_unknown(one: RedisPresence, server: Redis) -> None:
    with server.client() as client:
        client.set(f"calotype:flag:{KEY}", b"\xff\xfe")
        client.set(f"calotype:turn:{OTHER}", b"\xff\xfe", px=100)
    assert await one.presence(KEY) is Presence.UNKNOWN
    assert await one.acquire(OTHER, deadline=deadline())


@pytest.mark.parametrize("url", ["redis://h/0?typo=1", "redis://h/0?ssl_cert_reqs=none"])
def test_an_unknown_option_of_the_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="unknown option"):
        RedisPresence(url, timeout_s=1, flag_ttl_s=1, metrics=FakeMetrics(), clock=time.monotonic)


async def test_a_cancelled_waiter_leaves_no_lease(
    one: RedisPresence, two: RedisPresence, server: Redis
) -> None:
    taking = asyncio.create_task(one.acquire(KEY, deadline=deadline()))
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await settle()
    assert await asyncio.wait_for(two.acquire(KEY, deadline=deadline()), 3)


async def test_a_lease_lasts_while_its_node_runs(
    server: Redis, two: RedisPresence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_module, "LEASE_TTL_S", 4.0)
    monkeypatch.setattr(redis_module, "MAINTENANCE_INTERVAL_S", 0.05)
    name = f"calotype:turn:{KEY}"
    with server.client() as client:
        async with presence_of(server) as one:
            assert await one.acquire(KEY, deadline=deadline())
            holder, until_ms = client.get(name), client.pexpiretime(name)
            await eventually(lambda: client.pexpiretime(name) > until_ms)
            assert await two.acquire(KEY, deadline=deadline(0.2)), "the waiter leaves time for its own render"
            assert client.get(name) == holder
            await two.release(KEY)
            assert client.get(name) == holder
        end_s = deadline(LONGEST_S)
        assert await two.acquire(KEY, deadline=end_s)
        assert time.monotonic() < end_s - LONGEST_S / 2, "a lease of a node that is gone expires"
        assert client.get(name) not in (None, holder)


async def test_a_variant_that_is_rendered_and_not_stored_in_time_frees_the_lease(
    server: Redis, two: RedisPresence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_module, "LEASE_TTL_S", 0.3)
    monkeypatch.setattr(redis_module, "MAINTENANCE_INTERVAL_S", 0.05)
    async with presence_of(server) as one:
        assert await one.acquire(KEY, deadline=deadline())
        one.complete(KEY)
        end_s = deadline(LONGEST_S)
        assert await two.acquire(KEY, deadline=end_s)
        assert time.monotonic() < end_s - LONGEST_S / 2, "the lease expires long before the waiter gives up"
        await one.mark_present(KEY)
        await one.release(KEY)
        assert await two.presence(KEY) is Presence.PRESENT
        with server.client() as client:
            assert client.exists(f"calotype:turn:{KEY}"), "a node releases only its own lease"


@pytest.mark.parametrize("how", ["pause", "kill"])
async def test_an_unavailable_redis_costs_one_timeout(server: Redis, how: str) -> None:
    metrics = FakeMetrics()
    async with presence_of(server, metrics, timeout_s=0.05) as flags:
        assert await flags.presence(KEY) is Presence.UNKNOWN
        getattr(server, how)()
        began_s = time.monotonic()
        for _ in range(200):
            assert await flags.presence(KEY) is Presence.UNKNOWN
            await flags.mark_absent(KEY)
            await flags.mark_present(KEY)
            assert await flags.acquire(KEY, deadline=deadline())
            await flags.release(KEY)
        assert sum(metrics.counts.values()) == 1
        assert time.monotonic() - began_s < 20, "a timeout for each call would take 50 seconds"
        server.resume() if how == "pause" else server.start()

        async def is_found_again() -> bool:
            await flags.mark_present(OTHER)
            return await flags.presence(OTHER) is Presence.PRESENT

        await eventually(is_found_again)


async def test_concurrent_calls_share_one_timeout(server: Redis) -> None:
    metrics = FakeMetrics()
    # Long enough for 500 answers on a busy machine.
    async with presence_of(server, metrics, timeout_s=1.0) as flags:
        await asyncio.gather(*(flags.presence(KEY) for _ in range(500)))
        assert metrics.counts == {}
        server.pause()
        await asyncio.gather(*(flags.presence(KEY) for _ in range(500)))
        assert 1 <= sum(metrics.counts.values()) <= redis_module.CONNECTIONS
        server.resume()


async def test_a_busy_event_loop_is_no_failure_of_redis(server: Redis) -> None:
    metrics = FakeMetrics()
    async with presence_of(server, metrics, timeout_s=0.05) as flags:
        await flags.mark_present(KEY)
        asking = asyncio.create_task(flags.presence(KEY))
        for _ in range(3):
            await asyncio.sleep(0)
        time.sleep(0.2)
        assert await asking is Presence.PRESENT
        assert metrics.counts == {}


async def test_a_full_redis_is_still_read(server: Redis) -> None:
    metrics = FakeMetrics()
    async with presence_of(server, metrics) as flags:
        await flags.mark_present(KEY)
        with server.client() as client:
            client.config_set("maxmemory", "1")
        await flags.mark_present(OTHER)
        assert await flags.acquire(OTHER, deadline=deadline()), "every node gets the lease"
        assert metrics.counts["redis refused"] >= 2
        assert await flags.presence(KEY) is Presence.PRESENT


async def test_a_read_only_redis_grants_every_lease(server: Redis) -> None:
    async with presence_of(server) as flags:
        await flags.mark_present(KEY)
        with server.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
        await flags.mark_present(OTHER)
        assert await flags.acquire(OTHER, deadline=deadline())


async def test_a_missing_password_is_counted_as_a_failure(server: Redis) -> None:
    metrics = FakeMetrics()
    with server.client() as client:
        client.config_set("requirepass", "secret")
    async with presence_of(server, metrics) as flags:
        assert await flags.presence(KEY) is Presence.UNKNOWN
        assert await flags.acquire(KEY, deadline=deadline())
    assert sum(metrics.counts.values()) >= 1


async def test_the_documented_access_list_is_sufficient(server: Redis) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "node", "on", ">secret", *servers.documented_rights())
    metrics = FakeMetrics()
    url = server.url.replace("redis://", "redis://node:secret@")
    async with RedisPresence(
        url, timeout_s=0.5, flag_ttl_s=9, metrics=metrics, clock=time.monotonic
    ) as flags:
        await flags.measure_round_trip()
        assert await flags.acquire(KEY, deadline=deadline())
        await asyncio.sleep(2 * redis_module.MAINTENANCE_INTERVAL_S)
        await flags.mark_present(KEY)
        await flags.release(KEY)
        assert await flags.presence(KEY) is Presence.PRESENT
        await flags.unmark(KEY)
    assert metrics.counts == {}


async def test_an_invalid_url_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        RedisPresence("ftp://x", timeout_s=1, flag_ttl_s=1, metrics=FakeMetrics(), clock=time.monotonic)
