"""Several nodes with one cache: the guarantees of a fleet, with a real store and a real Redis."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from proxy.core.url.signing import sign
from tests.stories.fleet import (
    LONG,
    Node,
    SharedServices,
    alive,
    client,
    cpu_s,
    descendants,
    get,
    get_all,
    running,
    s3,
    send_signal,
)
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.tcp_faults import FaultyProxy
from tests.support.waiting import eventually

WEBP = {"Accept": "image/webp"}


def large() -> bytes:
    """A picture whose AVIF takes a second or two."""
    return pictures.photo_as("png", 3000, 2000)


@pytest.mark.parametrize("target", ["/w_320,f_webp/a.jpg", "/w_320,f_auto/a.jpg"])
async def test_concurrent_requests_of_a_fleet_share_one_fetch_one_render_and_one_put(
    services: SharedServices, target: str
) -> None:
    suffix = ".webp"
    services.put("a.jpg", pictures.photo_as("jpeg"))
    nodes = [services.node(name, processes=2) for name in "ab"]
    with running(*nodes):
        services.store_proxy.forget()
        answers = await get_all([nodes[number % 2].url + target for number in range(1000)], **WEBP)
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert sum(node.metric("calotype_renders_total") for node in nodes) == 1
        # A format by facts: one node may read the header, and the other one be the first to lease the variant.
        assert services.gets("a.jpg") <= (2 if "f_auto" in target else 1)
        await eventually(lambda: services.puts(suffix) == 1)
        outcomes = [answer.cache for answer in answers]
        assert sum("fwd=miss; stored" in outcome and "collapsed" not in outcome for outcome in outcomes) == 1
    assert services.puts(suffix) == 1


@pytest.mark.parametrize("who", ["back", "worker"])
async def test_requests_survive_the_death_of_the_rendering_process(
    services: SharedServices, who: str
) -> None:
    services.put("large.png", large())
    nodes = [services.node(name, processes=2).with_default("LEASE_TTL_S") for name in "ab"]
    with running(*nodes):
        asking = asyncio.create_task(
            get_all([nodes[number % 2].url + "/w_2400,f_avif,q_90/large.png" for number in range(1000)])
        )
        rested = {node.url: node.busy_s() for node in nodes}

        def busy() -> list[Node]:
            assert not asking.done(), "the render ended before a process could be killed"
            return [node for node in nodes if node.busy_s() - rested[node.url] > 0.3]

        [renderer] = await eventually(busy)
        if who == "back":
            os.kill(renderer.back(), signal.SIGKILL)
        else:
            os.kill(max(renderer.workers(), key=cpu_s), signal.SIGKILL)
        answers = await asking
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert 1 <= sum(node.metric("calotype_renders_total") for node in nodes) <= 2
        await eventually(lambda: renderer.ready())
        if who == "back":
            assert renderer.metric("calotype_processes_replaced_total", role="back") == 1


def with_time_to_render(node: Node) -> Node:
    """`node` with time for what it does itself; with short timeouts it soon gives up what others should do."""
    node.override("server", request_timeout="2m")
    node.override("render", timeout="1m")
    return node


async def test_another_node_renders_after_the_lease_of_a_dead_node_has_expired(
    services: SharedServices,
) -> None:
    services.put("a.jpg", pictures.photo_as("jpeg"))
    with FaultyProxy("127.0.0.1", services.direct.port) as held:
        photos = s3(services.direct.via(held.url), services.originals)
        first = services.node("a", sources={"photos": photos}).with_default("LEASE_TTL_S")
        second = services.node("b").with_default("LEASE_TTL_S")
        with running(first, second):
            held.hang()
            target = "/w_240,f_webp/a.jpg"
            doomed = asyncio.create_task(get_all([first.url + target]))
            await eventually(lambda: held.count("GET", "/a.jpg") > 0)
            waiting = asyncio.create_task(get_all([second.url + target] * 100))
            await eventually(lambda: second.metric("calotype_connections") == 100)
            assert second.metric("calotype_source_fetches_total") == 0, "it waits for its turn"
            await asyncio.to_thread(first.kill)
            answers = await waiting
            assert {answer.status for answer in answers} == {200}
            assert second.metric("calotype_renders_total") == 1
            await asyncio.gather(doomed, return_exceptions=True)


async def test_a_dead_front_is_replaced_while_the_others_serve(services: SharedServices) -> None:
    services.put("a.jpg", pictures.photo_as("jpeg"))
    node = services.node("a", processes=2)
    with running(node):
        assert node.process is not None
        fronts = set(descendants(node.process.pid)) - {node.back(), *node.workers()}
        assert len(fronts) == 2
        send_signal(fronts.pop(), signal.SIGKILL)
        await eventually(lambda: node.ready())
        answers = await get_all([f"{node.url}/w_{width},f_webp/a.jpg" for width in range(20, 60)])
        assert {answer.status for answer in answers} == {200}
        assert node.metric("calotype_processes_replaced_total", role="front") == 1
        assert node.metric("calotype_renders_total") == 40


async def test_all_processes_end_with_a_killed_supervisor(services: SharedServices) -> None:
    """However long it might drain and whatever it does: who is connected is let go, and another node goes on."""
    for name in ("a.jpg", "hot.jpg"):
        services.put(name, pictures.photo_as("jpeg"))
    target, hot = "/w_320,f_webp/a.jpg", "/w_320,f_webp/hot.jpg"
    with FaultyProxy("127.0.0.1", services.direct.port) as held:
        photos = s3(services.direct.via(held.url), services.originals)
        first = services.node("a", processes=2, sources={"photos": photos}).with_default("LEASE_TTL_S")
        second = services.node("b", processes=2).with_default("LEASE_TTL_S")
        for node in (first, second):
            node.override("server", drain="10m", request_timeout="10m")
        with running(first, second):
            assert first.process is not None
            await get_all([first.url + hot] * 20)
            held.hang()
            async with client() as session:
                under_way = [asyncio.create_task(get(session, first.url + target)) for _ in range(20)]
                await eventually(lambda: held.count("GET", "/a.jpg") == 1)
                waiting = [asyncio.create_task(get(session, second.url + target)) for _ in range(20)]
                await eventually(lambda: second.metric("calotype_connections") == 20)
                hits = [asyncio.create_task(hit_on(session, first.url + hot)) for _ in range(8)]
                idle = [await asyncio.open_connection("127.0.0.1", first.port) for _ in range(8)]
                tree = descendants(first.process.pid)
                assert len(tree) == 5, "two fronts, a back, two workers"
                fronts = sorted(set(tree) - {first.back(), *first.workers()})
                send_signal(fronts[0], signal.SIGSTOP)  # It can notice nothing by itself.
                first.process.kill()
                first.process.wait()
                first.process = None
                await eventually(lambda: not any(map(alive, tree)))
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection("127.0.0.1", first.port)
                lost = await asyncio.gather(*under_way, *hits, return_exceptions=True)
                assert all(isinstance(each, aiohttp.ClientError) for each in lost), "none is answered late"
                for reader, writer in idle:
                    with contextlib.suppress(ConnectionResetError):
                        assert await reader.read() == b""
                    writer.close()
                # The turn of the node that died ends by itself, long before a timeout.
                answers = await asyncio.gather(*waiting)
            assert {answer.status for answer in answers} == {200}
            assert second.metric("calotype_renders_total") == 1


async def hit_on(session: aiohttp.ClientSession, url: str) -> None:
    """Asks again and again, until it cannot."""
    while True:
        assert (await get(session, url)).status == 200


async def test_a_new_node_finds_the_variants_of_the_others(services: SharedServices) -> None:
    count = 500 if LONG else 60
    for number in range(10):
        services.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    targets = [f"/w_{20 + number // 10},f_auto/{number % 10}.jpg" for number in range(count)]
    first, second = services.node("a", processes=2), services.node("b")
    with running(first):
        made = await get_all([first.url + target for target in targets], at_once=16, **WEBP)
        assert [(answer.status, answer.body) for answer in made if answer.status != 200] == []
        await eventually(lambda: services.flagged() == count + 20)  # With facts and entity tags.
    with running(second):
        found = await get_all([second.url + target for target in targets], at_once=16, **WEBP)
        assert second.metric("calotype_renders_total") == 0
        assert second.metric("calotype_source_fetches_total") == 0, "not even for its facts"
    assert [answer.body for answer in found] == [answer.body for answer in made]
    assert {answer.cache for answer in found} == {"calotype; hit; detail=bucket"}


async def test_without_redis_each_node_renders_at_most_once(services: SharedServices) -> None:
    services.put("a.jpg", pictures.photo_as("jpeg"))
    nodes = [services.node(name, redis=False) for name in "ab"]
    with running(*nodes):
        answers = await get_all([nodes[n % 2].url + "/w_320,f_webp/a.jpg" for n in range(200)])
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert all(node.metric("calotype_renders_total") <= 1 for node in nodes)


@pytest.mark.parametrize("delivery", ["proxy", "redirect"])
async def test_forged_and_deleted_presence_flags_serve_no_wrong_answer(
    services: SharedServices, delivery: str
) -> None:
    count = 1000 if LONG else 40
    for number in range(10):
        services.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    targets = [f"/w_{20 + number // 10},f_webp/{number % 10}.jpg" for number in range(count)]
    missing = [f"/w_20,f_webp/missing-{number}.jpg" for number in range(20)]
    bucket = s3(services.store, services.processed, delivery=delivery)
    first, second, third = (services.node(name, cache={"bucket": bucket}) for name in "abc")

    def keys_of(node: Node, targets: list[str]) -> list[str]:
        return [json.loads(node.admin(f"/v1/explain?url={target}"))["key"] for target in targets]

    with running(first):
        keys, unmade = keys_of(first, targets), keys_of(first, missing)
        with services.redis.client() as flags:
            flags.mset({f"calotype:flag:{key}": "present" for key in (*keys, *unmade)})
            answers = await get_all([first.url + target for target in targets], at_once=32)
            nothing = await get_all([first.url + target for target in missing])
            assert {answer.status for answer in answers} == {200}, "no flag makes a picture"
            assert {answer.status for answer in nothing} == {404}
            # With the entity tags of the originals.
            await eventually(lambda: services.flagged() == count + 10)
            await eventually(lambda: len(services.direct.keys(services.processed)) >= count + 10)
    made = {target: answer.body for target, answer in zip(targets, answers, strict=True)}
    with services.redis.client() as flags, running(second):
        assert flags.mget([f"calotype:flag:{key}" for key in keys]) == ["present"] * count
        flags.delete(*(f"calotype:flag:{key}" for key in keys))
        answers = await get_all([second.url + target for target in targets], at_once=32)
        assert {target: answer.body for target, answer in zip(targets, answers, strict=True)} == made
        assert second.metric("calotype_renders_total") == 0, "the bucket was asked"
    with services.redis.client() as flags, running(third):
        flags.mset({f"calotype:flag:{key}": "absent" for key in keys})
        answers = await get_all([third.url + target for target in targets], at_once=32)
        assert {target: answer.body for target, answer in zip(targets, answers, strict=True)} == made


async def test_clients_are_redirected_to_variants_with_a_presence_flag(services: SharedServices) -> None:
    services.put("a.jpg", pictures.photo_as("jpeg"))
    bucket = s3(services.store, services.processed, delivery="redirect")
    first, second = (services.node(name, cache={"bucket": bucket}, processes=2) for name in "ab")
    target = "/w_320,f_auto/a.jpg"
    with running(first):
        [made] = await get_all([first.url + target], **WEBP)
        assert made.status == 200
        await eventually(lambda: services.flagged() == 3)  # With facts and entity tag.
    with running(second):
        async with client() as session:
            locations = set()
            for method in ("GET", "HEAD", "GET"):
                async with session.request(
                    method, second.url + target, headers=WEBP, allow_redirects=False
                ) as answer:
                    assert answer.status == 302
                    assert answer.headers["Cache-Control"] == "public, max-age=60"
                    assert answer.headers["Vary"] == "Accept"
                    assert answer.headers["Cache-Status"] == "calotype; hit; detail=bucket"
                    locations.add(location := answer.headers["Location"])
            assert len(locations) == 1, "a browser that has the picture of one need not fetch it from another"
            assert f"/{services.processed}/thumbnails/" in location
            assert "X-Amz-Signature=" in location
            sent = await get(session, location)
            assert (sent.status, sent.body) == (200, made.body)
            # Another format is another variant.
            jpeg = await get(session, second.url + target)
            assert (jpeg.status, jpeg.body[:2]) == (200, b"\xff\xd8")
            # A pre-signed URL of an original says which; what it is signed with goes nowhere.
            presigned = services.store.client.generate_presigned_url(
                "get_object", Params={"Bucket": services.originals, "Key": "a.jpg"}
            )
            fetched = await get(
                session, f"{second.url}/thumbnail?url={quote(presigned, safe='')}&w=320&format=jpg"
            )
            assert (fetched.status, fetched.body[:2]) == (200, b"\xff\xd8")
            named = json.loads(
                second.admin(f"/v1/explain?url=/thumbnail?url={quote(quote(presigned, safe=''))}")
            )
            assert named["original"] == "photos:a.jpg"
        texts = second.log() + second.admin("/metrics").decode() + json.dumps(named)
        assert presigned.partition("Signature=")[2][:20] not in texts
        assert services.store.secret_key not in texts


async def test_a_redirect_expires_with_the_signature(services: SharedServices) -> None:
    services.put("a.jpg", pictures.photo_as("jpeg"))
    secret = "s" * 32
    nodes = [
        services.node(
            name,
            cache={"bucket": s3(services.store, services.processed, delivery="redirect")},
            signing={"keys": {"k": secret}, "session": "header:X-Session"},
            mounts={"all": {"source": "photos", "signing": "required"}},
        )
        for name in "ab"
    ]

    def signed(**how: Any) -> str:
        return sign("/w_321,f_webp/a.jpg", secret.encode(), **how)

    with running(nodes[0]):
        [made] = await get_all([nodes[0].url + signed()])
        assert made.status == 200
        await eventually(lambda: services.flagged() == 2)  # With the entity tag.
    with running(nodes[1]):
        async with client() as session:

            async def ask(target: str, **headers: str) -> tuple[int, str, str]:
                url = URL(nodes[1].url + target, encoded=True)
                async with session.get(url, headers=headers, allow_redirects=False) as answer:
                    return answer.status, answer.headers.get("Location", ""), answer.headers["Cache-Control"]

            status, location, cache_control = await ask(signed())
            assert (status, URL(location).query["X-Amz-Expires"], cache_control) == (
                302,
                "3600",
                "public, max-age=60",
            )
            for seconds in (30, 600):
                until_s = int(time.time()) + seconds
                status, location, cache_control = await ask(signed(until_s=until_s))
                assert status == 302
                left_s = until_s - time.time()
                assert left_s - 2 <= int(URL(location).query["X-Amz-Expires"]) <= seconds
                assert int(cache_control.removeprefix("public, max-age=")) <= min(60, seconds)
            status, location, _ = await ask(signed(domain="shop.example"), Referer="https://shop.example/")
            assert (status, location) == (200, "")
        nodes[1].kill()
        nodes[1].start()
        async with client() as session:
            status, location, cache_control = await ask(signed(session="abc"), **{"X-Session": "abc"})
            assert (status, location, cache_control) == (200, "", "private, max-age=31536000, immutable")


async def test_damaged_disks_and_buckets_serve_no_wrong_byte(services: SharedServices) -> None:
    count, damages = (200, 300) if LONG else (80, 120)
    for number in range(5):
        services.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    targets = [f"/w_{20 + number // 5},f_webp/{number % 5}.jpg" for number in range(count)]
    node = services.node("a")
    with running(node):
        made = await get_all([node.url + target for target in targets], at_once=8)
        await eventually(lambda: services.flagged() >= count and node.disk_entries() >= count)
    rotting = random.Random(4)
    files = sorted(
        path for path in (node.folder / "cache").rglob("*") if path.suffix == ".val" or len(path.name) == 64
    )
    objects = services.direct.keys(services.processed)
    assert len(files) >= count
    assert len(objects) >= count

    def rotten(content: bytes) -> bytes:
        if rotting.random() < 0.5:
            return content[: rotting.randrange(len(content))]
        at = rotting.randrange(len(content))
        return content[:at] + bytes([content[at] ^ 1 << rotting.randrange(8)]) + content[at + 1 :]

    for _ in range(damages // 2):
        path = rotting.choice(files)
        if content := path.read_bytes():
            path.write_bytes(rotten(content))
        name = rotting.choice(objects)
        if body := services.direct.get(services.processed, name):
            metadata = services.direct.metadata(services.processed, name)
            services.direct.put(services.processed, name, rotten(body), metadata=metadata)
    with running(node):
        again = await get_all([node.url + target for target in targets], at_once=8)
        assert [(answer.status, answer.body) for answer in again] == [(200, answer.body) for answer in made]
        assert node.metric("calotype_tier_errors_total", kind="damaged") > 0


async def test_killing_all_processes_during_writes_leaves_a_consistent_cache(
    services: SharedServices,
) -> None:
    rounds = 50 if LONG else 3
    for number in range(5):
        services.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    reference = services.node("reference", redis=False, cache={})
    targets = [f"/w_{20 + number},f_webp/{number % 5}.jpg" for number in range(40 * rounds)]
    node = services.node("a", processes=2)

    async def request_until_killed(urls: list[str]) -> None:
        async with client() as session:
            slots = asyncio.Semaphore(8)

            async def one(url: str) -> None:
                async with slots:
                    try:
                        answer = await get(session, url)
                    except OSError:
                        return
                    assert answer.status in (200, 503)

            await asyncio.gather(*(one(url) for url in urls), return_exceptions=True)

    for number in range(rounds):
        node.start()
        asking = asyncio.create_task(
            request_until_killed([node.url + t for t in targets[40 * number : 40 * number + 40]])
        )
        # When so many more are written, and the next is under way.
        so_many = node.disk_entries() + number % 5
        await eventually(lambda: node.disk_entries() >= so_many or asking.done())  # noqa: B023 (awaited)
        await asyncio.to_thread(node.kill)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    with running(reference):
        right = await get_all([reference.url + target for target in targets], at_once=8)
    with running(node):
        found = await get_all([node.url + target for target in targets], at_once=8)
        assert [(answer.status, answer.body) for answer in found] == [(200, answer.body) for answer in right]
        assert any("hit" in answer.cache for answer in found), "something outlived the killing"
    assert orphans(node.folder / "cache") == []


def orphans(cache: Path) -> list[str]:
    """Files that no look-up will ever find."""
    with contextlib.closing(sqlite3.connect(cache / "variants/cache.db")) as database:
        rows = {name for (name,) in database.execute("SELECT filename FROM Cache")}
    variants = {p.relative_to(cache / "variants").as_posix() for p in (cache / "variants").rglob("*.val")}
    half = [path.name for path in (cache / "originals").rglob("*.part")]
    return [*sorted(variants - rows), *half]


@pytest.mark.parametrize("how", ["hang", "refuse"])
async def test_a_bucket_that_refuses_writes_does_not_delay_other_nodes(
    services: SharedServices, how: str
) -> None:
    for number in range(5):
        services.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    targets = [f"/w_{20 + number},f_auto/{number % 5}.jpg" for number in range(20)]
    nodes = [services.node(name) for name in "ab"]
    with running(*nodes):
        if how == "hang":
            services.store_proxy.answer(b"", only="PUT")
        else:
            services.store_proxy.answer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", only="PUT")
        for node in nodes:
            answers = await get_all([node.url + target for target in targets], **WEBP)
            assert {answer.status for answer in answers} == {200}
        services.store_proxy.up()


async def test_a_node_serves_without_a_hanging_bucket(services: SharedServices) -> None:
    """Originals in a directory: only the bucket is out of order."""
    originals = services.folder / "originals"
    originals.mkdir()
    (originals / "a.jpg").write_bytes(pictures.photo_as("jpeg"))
    node = with_time_to_render(
        services.node("a", has_longer_timeouts=False, sources={"photos": {"path": str(originals)}})
    )
    with running(node):
        services.store_proxy.hang()
        answers = await get_all([f"{node.url}/w_{width},f_auto/a.jpg" for width in range(20, 60)], at_once=4)
        assert {answer.status for answer in answers} == {200}
        assert node.metric("calotype_tier_errors_total", tier="bucket", kind="circuit-open") > 0
        services.store_proxy.up()


async def test_cached_variants_are_served_while_the_source_refuses_access(services: SharedServices) -> None:
    services.put("a.jpg", pictures.photo_as("jpeg"))
    node = services.node("a")
    hot = [f"{node.url}/w_{width},f_auto/a.jpg" for width in range(20, 30)]
    with running(node):
        await get_all(hot)
        await eventually(lambda: node.disk_entries() == len(hot) + 2)  # With facts and entity tag.
    with running(node):
        body = b"<Error><Code>AccessDenied</Code></Error>"
        services.store_proxy.answer(
            b"HTTP/1.1 403 F\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), only="GET"
        )
        for path in (node.folder / "cache/originals").rglob("*"):
            if path.is_file():
                path.unlink()
        [cold] = await get_all([node.url + "/w_90,f_auto/a.jpg"])
        assert cold.status == 404
        answers = await get_all(hot)
        assert {answer.status for answer in answers} == {200}


async def test_hits_continue_while_redis_is_stopped(services: SharedServices) -> None:
    seconds = 60.0 if LONG else 2.0
    services.put("a.jpg", pictures.photo_as("jpeg"))
    node = with_time_to_render(services.node("a", processes=2, has_longer_timeouts=False))
    with running(node):
        hot = [f"{node.url}/w_{width},f_webp/a.jpg" for width in range(20, 40)]
        await get_all(hot)
        calm = await load(hot, node, 100, seconds)
        services.redis.pause()
        hung = await load(hot, node, 200, seconds)
        services.redis.resume()
    assert {answer.status for answer in (*calm, *hung)} == {200}
    print_latencies("redis stopped", calm, hung)


async def test_hits_continue_while_the_store_is_down(services: SharedServices) -> None:
    seconds = 60.0 if LONG else 2.0
    services.put("a.jpg", pictures.photo_as("jpeg"))
    node = services.node("a", processes=2)
    with running(node):
        hot = [f"{node.url}/w_{width},f_webp/a.jpg" for width in range(20, 40)]
        await get_all(hot)
        calm = await load(hot, node, 100, seconds)
        services.store_proxy.down()
        away = asyncio.create_task(load(hot, node, None, seconds))
        cold = await get_all(
            [f"{node.url}/w_{width},f_webp/b-{width}.jpg" for width in range(20, 60)], at_once=4
        )
        down = await away
        services.store_proxy.up()
        came_s = time.monotonic()
        services.put("c.jpg", pictures.photo_as("jpeg"))
        async with client() as session:

            async def is_back() -> bool:
                return (await get(session, f"{node.url}/w_300,f_png/c.jpg")).status == 200

            await eventually(is_back)
        recovered_s = time.monotonic() - came_s
        await eventually(lambda: services.puts(".png") == 1)
    assert {answer.status for answer in (*calm, *down)} == {200}, "every cached key is served"
    assert {answer.status for answer in cold} == {502}
    print_latencies("store down", calm, down)
    print(f"store down: 502 within {max(a.seconds for a in cold):.3f} s, back after {recovered_s:.2f} s")


async def load(hot: list[str], node: Node, cold_from: int | None, seconds: float) -> list[Answer]:
    """Hits from four clients for so long; every twentieth a miss, of widths from `cold_from` on, if any."""
    answers: list[Answer] = []
    until_s = time.monotonic() + seconds

    async with client() as session:

        async def one(number: int) -> None:
            turn = 0
            while time.monotonic() < until_s:
                turn += 1
                url = hot[turn % len(hot)]
                if cold_from is not None and turn % 20 == 0:
                    url = f"{node.url}/w_{cold_from + turn // 20 % 100},f_webp,v_{number}/a.jpg"
                answers.append(await get(session, url))
                await asyncio.sleep(0.005)

        await asyncio.gather(*(one(number) for number in range(4)))
    return answers


def print_latencies(what: str, calm: list[Answer], other: list[Answer]) -> None:
    """The figures of benchmarks/README.md; nothing is asserted of times."""
    for name, answers in (("calm", calm), (what, other)):
        hits = sorted(answer.seconds for answer in answers if "hit; detail=memory" in answer.cache)
        print(
            f"{name}: {len(answers)} answers, hits p50 {hits[len(hits) // 2] * 1000:.2f} ms,"
            f" p99 {hits[len(hits) * 99 // 100] * 1000:.2f} ms"
        )
