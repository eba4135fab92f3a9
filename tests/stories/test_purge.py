"""A purge reaches every process of every node, also those that are stopped, hanging or rendering."""

import asyncio
import contextlib
import json
import signal
from itertools import count
from pathlib import Path

import pytest

from tests.stories.fleet import Node, SharedServices, client, descendants, get_all, running, s3, send_signal
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.tcp_faults import FaultyProxy
from tests.support.waiting import eventually

TARGET = "/w_320,f_webp/a.jpg"


def colour(number: int) -> bytes:
    """An original of its own colour."""
    return pictures.encoded(pictures.photo(160, 120, seed=number), "png")


async def get(url: str, **headers: str) -> Answer:
    (answer,) = await get_all([url], **headers)
    return answer


async def seen(node: Node, target: str = TARGET) -> bytes:
    answer = await get(node.url + target)
    assert answer.status == 200, answer.body
    return answer.body


async def purge(node: Node, **what: object) -> tuple[int, dict[str, object]]:
    reply = await asyncio.to_thread(node.call, "POST", "/v1/purge", what)
    return reply.status, reply.body


async def eventually_other(node: Node, old: bytes) -> None:
    """Waits until it serves another picture than the old one."""

    async def is_other() -> bool:
        return await seen(node) != old

    await eventually(is_other)


async def heartbeats(services: SharedServices, count: int) -> None:
    """Until each of two nodes has said so often that it lives, from when both are there."""
    with services.redis.client() as redis:

        def heartbeat_times() -> dict[str, str]:
            return {name: at for name, at in redis.hgetall("calotype:nodes").items() if at != "gone"}

        await eventually(lambda: len(heartbeat_times()) == 2)
        for _ in range(count):
            before = heartbeat_times()
            await eventually(lambda: all(heartbeat_times().get(name) != at for name, at in before.items()))  # noqa: B023


def fronts(node: Node) -> list[int]:
    assert node.process is not None
    back, workers = node.back(), set(node.workers())
    return [pid for pid in descendants(node.process.pid) if pid != back and pid not in workers]


@pytest.mark.parametrize("processes", [1, 2])
async def test_after_a_purge_no_process_serves_the_old_variant(
    services: SharedServices, processes: int
) -> None:
    services.put("a.jpg", colour(1))
    nodes = [services.node(name, processes=processes) for name in "ab"]
    with running(*nodes):
        old = {await seen(node) for node in nodes for _ in range(8)}
        assert len(old) == 1
        services.put("a.jpg", colour(2))
        assert {await seen(node) for node in nodes for _ in range(4)} == old  # S3 tells nobody.
        before = nodes[1].call("GET", f"/v1/explain?url={TARGET}").body["key"]
        status, reply = await purge(nodes[0], original="a.jpg")
        assert (status, reply["open"]) == (200, [])
        tiers = reply["tiers"]
        assert isinstance(tiers, dict)
        assert tiers["memory"] >= 1
        # A variant and the entity tag of its original.
        assert (tiers["disk"], tiers["bucket"], tiers["originals"]) == (2, 2, 1)
        new = {await seen(node) for node in nodes for _ in range(8)}
        assert len(new) == 1
        assert not new & old
        # The client that has the old one is not told that it is current.
        key = nodes[1].call("GET", f"/v1/explain?url={TARGET}").body["key"]
        assert (await get(nodes[1].url + TARGET, **{"If-None-Match": f'"{key[:32]}"'})).status == 304
        assert (await get(nodes[1].url + TARGET, **{"If-None-Match": f'"{before[:32]}"'})).status == 200


@pytest.mark.parametrize("fill", [(), ("b",)])
async def test_a_purge_of_a_url_shows_the_replaced_original_on_every_node(
    services: SharedServices, fill: tuple[str, ...]
) -> None:
    """Whether the node that is asked has made anything of the original itself or not."""
    services.put("a.jpg", colour(1))
    nodes = [services.node(name, processes=2) for name in "ab"]
    others = [TARGET, "/w_160,f_webp/a.jpg"]
    with running(*nodes):
        old = {target: await seen(nodes[1], target) for target in others}
        if not fill:
            assert {await seen(nodes[0]) for _ in range(4)} == {old[TARGET]}
        services.put("a.jpg", colour(2))
        status, reply = await purge(nodes[0], url=TARGET)
        assert (status, reply["open"]) == (200, [])
        for target in others:
            new = {await seen(node, target) for node in nodes for _ in range(4)}
            assert len(new) == 1
            assert old[target] not in new
        renders = [node.metric("calotype_renders_total") for node in nodes]
        assert (await purge(nodes[1], url=TARGET))[0] == 200
        await seen(nodes[0], others[1])
        assert [node.metric("calotype_renders_total") for node in nodes] == renders, "it is the same"
        await seen(nodes[0])
        assert sum(node.metric("calotype_renders_total") for node in nodes) == sum(renders) + 1


async def notified(node: Node, event: dict[str, object]) -> None:
    """A notice of the store, and all that comes of it."""
    reply = await asyncio.to_thread(node.call, "POST", "/v1/events/s3", {"Records": [event]})
    assert reply.status == 200, reply.body
    await eventually(lambda: all(job["state"] == "done" for job in node.call("GET", "/v1/warm").body))


async def test_an_event_that_a_node_has_handled_is_ignored_by_the_others(services: SharedServices) -> None:
    sections = {
        "presets": {"card": "w_90,f_auto", "large": "w_320,f_webp"},
        "eager": {"presets": ["card", "large"]},
    }
    nodes = [services.node(name, **sections) for name in "abc"]  # type: ignore[arg-type]

    def renders() -> list[float]:
        return [node.metric("calotype_renders_total") for node in nodes]

    with running(*nodes):
        for number in (1, 2):
            services.put("a.jpg", colour(number))
            tag = services.direct.headers(services.originals, "a.jpg")["etag"].strip('"')
            event = {
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": services.originals},
                    "object": {"key": "a.jpg", "eTag": tag, "sequencer": f"{number}"},
                },
            }
            await notified(nodes[0], event)
            assert renders() == [4 * number, 0, 0]
            pictures_of = {await seen(node, target) for node in nodes for target in ("/t_large/a.jpg",)}
            assert len(pictures_of) == 1
            for node in nodes[1:]:
                await notified(node, event)
            assert renders() == [4 * number, 0, 0]
            assert {await seen(node, "/t_large/a.jpg") for node in nodes} == pictures_of
            assert renders() == [4 * number, 0, 0]


async def test_a_node_that_was_down_applies_the_purge_before_it_serves(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    first, second = services.node("a"), services.node("b")
    with running(first, second):
        old = await seen(first)
        assert await seen(second) == old
        assert second.stop() == 0
        services.put("a.jpg", colour(2))
        status, _ = await purge(first, original="a.jpg")
        assert status == 200  # Who has signed off is not waited for.
        second.start()
        assert await seen(second) != old


async def test_a_purge_waits_for_a_killed_node_until_it_has_applied_it(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    first, second = services.node("a").with_default("CONFIRM_TIMEOUT_S"), services.node("b", processes=2)
    with running(first, second):
        old = await seen(second)
        second.kill()
        services.put("a.jpg", colour(2))
        status, reply = await purge(first, original="a.jpg")
        assert status == 503
        assert reply["type"] == "urn:calotype:error:purge-incomplete"
        (line,) = reply["open"]  # type: ignore[misc]
        assert "has not confirmed" in line
        assert await seen(first) != old
        second.start()
        assert await seen(second) != old


async def test_a_purge_without_redis_is_reported_incomplete_and_published_later(
    services: SharedServices,
) -> None:
    services.put("a.jpg", colour(1))
    first, second = services.node("a"), services.node("b")
    with running(first, second):
        old = await seen(first)
        assert await seen(second) == old
        services.redis.kill()
        services.put("a.jpg", colour(2))
        status, reply = await purge(first, original="a.jpg")
        assert status == 503
        assert "redis" in str(reply["open"])
        assert await seen(first) != old
        assert await seen(second) == old  # It is cut off, and says nothing.
        services.redis.start()

        def has_applied_the_purge() -> bool:
            return (
                second.call("GET", "/v1/explain?url=" + TARGET).body["key"]
                == first.call("GET", "/v1/explain?url=" + TARGET).body["key"]
            )

        await asyncio.to_thread(lambda: asyncio.run(eventually(has_applied_the_purge)))
        assert await seen(second) != old
        assert (await purge(first, original="a.jpg"))[0] == 200


async def test_a_hanging_node_is_named_and_applies_the_purge_later(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    first, second = services.node("a").with_default("CONFIRM_TIMEOUT_S"), services.node("b")
    with running(first, second):
        old = await seen(second)
        assert second.process is not None
        send_signal(second.process.pid, signal.SIGSTOP)
        services.put("a.jpg", colour(2))
        status, reply = await purge(first, original="a.jpg")
        send_signal(second.process.pid, signal.SIGCONT)
        assert status == 503
        assert len(reply["open"]) == 1  # type: ignore[arg-type]
        await eventually_other(second, old)


async def test_a_purge_waits_for_a_hanging_process_until_it_is_replaced(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    node = services.node("a", processes=2, redis=False)
    with running(node):
        old = {await seen(node) for _ in range(16)}
        send_signal(fronts(node)[0], signal.SIGSTOP)
        services.put("a.jpg", colour(2))
        status, reply = await purge(node, original="a.jpg")
        assert (status == 200) or "processes did not confirm" in str(reply["open"])
        while status != 200:
            status, _ = await purge(node, original="a.jpg")
        assert not {await seen(node) for _ in range(16)} & old


async def test_purges_survive_the_loss_of_redis_data(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    first, second = services.node("a"), services.node("b")
    with running(first, second):
        old = await seen(second)
        second.stop()
        services.put("a.jpg", colour(2))
        assert (await purge(first, original="a.jpg"))[0] == 200
        services.redis.client().flushall()
        second.start()
        assert await seen(second) != old


async def test_a_node_does_not_serve_before_it_has_read_the_purges(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    node = services.node("a")
    with running(node):
        await seen(node)
    services.redis.kill()
    for processes in (2,):
        late = services.node("a", processes=processes)
        starting = asyncio.create_task(asyncio.to_thread(late.start))
        try:
            await eventually(
                lambda late=late: (
                    _lacking(late) == ["not all purges are known yet: redis.url cannot be reached"]
                )
            )  # type: ignore[misc]
            async with client() as session:
                with pytest.raises(OSError, match="Cannot connect"):
                    await session.get(late.url + TARGET)
            services.redis.start()
            await starting
            await seen(late)
        finally:
            await asyncio.gather(starting, return_exceptions=True)
            late.kill()
        services.redis.kill()
    services.redis.start()


def _lacking(node: Node) -> object:
    with contextlib.suppress(OSError):
        return node.call("GET", "/readyz").body["lacking"]
    return None


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_running_render_does_not_restore_the_old_variant(
    services: SharedServices, processes: int
) -> None:
    target = "/w_320,f_webp/large.png"
    services.put("large.png", pictures.photo_as("png", 800, 600, seed=1))
    with FaultyProxy("127.0.0.1", services.direct.port) as held:
        photos = s3(services.direct.via(held.url), services.originals)
        node = services.node("a", processes=processes, sources={"photos": photos})
        incoming = node.folder / "cache/originals/incoming"
        with running(node):
            held.drip(20_000)
            under_way = asyncio.create_task(get(node.url + target))
            await eventually(lambda: any(part.stat().st_size for part in incoming.glob("*.part")))
            services.put("large.png", pictures.photo_as("png", 800, 600, seed=2))
            assert (await purge(node, original="large.png"))[0] == 200
            assert not under_way.done()
            held.up()
            after = [await get(node.url + target) for _ in range(3)]
            old = await under_way
            assert {answer.status for answer in (old, *after)} == {200}
            assert len({answer.body for answer in after}) == 1
            assert old.body != after[0].body
            assert (await get(node.url + target)).body == after[0].body
        with running(node):  # Whatever was still to be written is.
            assert (await get(node.url + target)).body == after[0].body


@pytest.mark.parametrize("processes", [2])
async def test_no_old_variant_is_served_after_a_purge_under_load(
    services: SharedServices, processes: int
) -> None:
    """Reads and purges side by side: what is asked for after a purge was answered is what was stored before it."""
    nodes = [services.node(name, processes=processes) for name in "ab"]
    rendered: dict[bytes, int] = {}
    stored = 0
    services.put("a.jpg", colour(0))
    stop = asyncio.Event()
    wrong: list[str] = []
    with running(*nodes):
        async with client() as session:

            async def read(number: int) -> None:
                for turn in count():
                    if stop.is_set():
                        return
                    since = stored
                    async with session.get(nodes[(turn + number) % 2].url + TARGET) as answer:
                        body = await answer.read()
                    version = rendered.get(body)
                    if answer.status != 200 or (version is not None and version < since):
                        wrong.append(f"{answer.status}: {version} after {since}")

            readers = [asyncio.create_task(read(number)) for number in range(12)]
            for version in range(1, 13):
                services.put("a.jpg", colour(version))
                status, reply = await purge(nodes[version % 2], original="a.jpg")
                assert status == 200, reply
                answers: list[Answer] = [await get(node.url + TARGET) for node in nodes]
                assert len({answer.body for answer in answers}) == 1
                assert answers[0].body not in rendered
                rendered[answers[0].body] = version
                stored = version
            stop.set()
            await asyncio.gather(*readers)
    assert not wrong


async def test_a_purge_deletes_variants_from_the_bucket(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    services.put("b.jpg", colour(2))
    node = services.node("a")
    with running(node):
        for key in ("a.jpg", "b.jpg"):
            await get(f"{node.url}/w_320,f_webp/{key}")
        # Of each a variant, and the entity tag it is known by.
        await eventually(lambda: len(services.direct.keys(services.processed)) == 4)
        status, reply = await purge(node, original="a.jpg")
        assert status == 200
        left = services.direct.keys(services.processed)
        assert sorted(Path(key).suffix for key in left) == [".json", ".webp"]
        of = [services.direct.metadata(services.processed, key)["calotype-original"] for key in left]
        assert of == ["photos:b.jpg"] * 2
        assert services.flagged() == 2
    assert json.dumps(reply)


async def test_a_killed_and_restarted_node_does_not_delay_a_purge(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    first, second = services.node("a"), services.node("b")
    with running(first, second):
        for _ in range(2):
            second.kill()
            second.start()
            assert (await purge(first, original="a.jpg"))[0] == 200
        assert (await purge(second, all=True))[0] == 200


async def test_a_purge_waits_for_a_hanging_node_after_redis_lost_its_data(services: SharedServices) -> None:
    services.put("a.jpg", colour(1))
    first, second = services.node("a").with_default("CONFIRM_TIMEOUT_S"), services.node("b")
    with running(first, second):
        old = await seen(second)
        assert second.process is not None
        await heartbeats(services, 2)  # By which they know each other.
        send_signal(second.process.pid, signal.SIGSTOP)
        services.redis.kill()
        services.redis.start()
        services.put("a.jpg", colour(2))
        status, _ = await purge(first, original="a.jpg")
        assert status == 503
        send_signal(second.process.pid, signal.SIGCONT)
        await eventually_other(second, old)
        assert (await purge(first, original="a.jpg"))[0] == 200


async def test_more_events_than_the_stream_holds_are_applied(services: SharedServices) -> None:
    first, second = services.node("a"), services.node("b")
    with running(first, second):
        records = [
            {
                "eventName": "ObjectRemoved:Delete",
                "s3": {"bucket": {"name": services.originals}, "object": {"key": f"k{n}"}},
            }
            for n in range(15_000)
        ]
        reply = await asyncio.to_thread(first.call, "POST", "/v1/events/s3", {"Records": records})
        assert reply.status == 200
        services.put("k0", colour(1))
        services.put("k7000", colour(1))
        for key in ("k0", "k7000", "k14999"):
            target = f"/v1/explain?url=/w_10,f_webp/{key}"
            assert first.call("GET", target).body["key"] == second.call("GET", target).body["key"]
