"""Many nodes, one cache: what the fleet promises, with a real store whose requests are counted and a real Redis."""

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
    Place,
    alive,
    client,
    cpu_s,
    descendants,
    get,
    get_all,
    running,
    s3,
    shoot,
)
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.tcp_faults import FaultyProxy
from tests.support.waiting import eventually

WEBP = {"Accept": "image/webp"}


def large() -> bytes:
    """A picture whose AVIF takes a second or two."""
    return pictures.photo_as("png", 3000, 2000)


@pytest.mark.parametrize(
    ("target", "suffix"), [("/w_320,f_webp/a.jpg", ".webp"), ("/w_320,f_auto/a.jpg", ".webp")]
)
async def test_a_thousand_at_once_are_one_fetch_one_render_and_one_put(
    place: Place, target: str, suffix: str
) -> None:
    place.put("a.jpg", pictures.photo_as("jpeg"))
    nodes = [place.node(name, processes=2) for name in "ab"]
    with running(*nodes):
        place.between.forget()
        answers = await get_all([nodes[number % 2].url + target for number in range(1000)], **WEBP)
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert sum(node.metric("calotype_renders_total") for node in nodes) == 1
        assert place.gets("a.jpg") == 1
        await eventually(lambda: place.puts(suffix) == 1)
        outcomes = [answer.cache for answer in answers]
        assert sum("fwd=miss; stored" in outcome and "collapsed" not in outcome for outcome in outcomes) == 1
    assert place.puts(suffix) == 1


@pytest.mark.parametrize("who", ["back", "worker"])
async def test_the_rendering_process_is_killed_in_the_middle_of_a_render(place: Place, who: str) -> None:
    place.put("large.png", large())
    nodes = [place.node(name, processes=2).brief("LEASE_TTL_S") for name in "ab"]
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


def impatient(node: Node) -> Node:
    """Gives up soon what others should do, and has time for what it does itself."""
    node.tell("server", request_timeout="2m")
    node.tell("render", timeout="1m")
    return node


async def test_a_node_that_dies_while_it_has_its_turn_is_not_waited_for(place: Place) -> None:
    place.put("a.jpg", pictures.photo_as("jpeg"))
    with FaultyProxy("127.0.0.1", place.direct.port) as held:
        photos = s3(place.direct.via(held.url), place.originals)
        first = place.node("a", sources={"photos": photos}).brief("LEASE_TTL_S")
        second = place.node("b").brief("LEASE_TTL_S")
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


async def test_a_front_that_dies_is_replaced_and_the_others_go_on(place: Place) -> None:
    place.put("a.jpg", pictures.photo_as("jpeg"))
    node = place.node("a", processes=2)
    with running(node):
        assert node.process is not None
        fronts = set(descendants(node.process.pid)) - {node.back(), *node.workers()}
        assert len(fronts) == 2
        shoot(fronts.pop(), signal.SIGKILL)
        await eventually(lambda: node.ready())
        answers = await get_all([f"{node.url}/w_{width},f_webp/a.jpg" for width in range(20, 60)])
        assert {answer.status for answer in answers} == {200}
        assert node.metric("calotype_processes_replaced_total", role="front") == 1
        assert node.metric("calotype_renders_total") == 40


async def test_nothing_outlives_a_supervisor_that_is_shot(place: Place) -> None:
    """However long it might drain and whatever it does: who is connected is let go, and another node goes on."""
    for name in ("a.jpg", "hot.jpg"):
        place.put(name, pictures.photo_as("jpeg"))
    target, hot = "/w_320,f_webp/a.jpg", "/w_320,f_webp/hot.jpg"
    with FaultyProxy("127.0.0.1", place.direct.port) as held:
        photos = s3(place.direct.via(held.url), place.originals)
        first = place.node("a", processes=2, sources={"photos": photos}).brief("LEASE_TTL_S")
        second = place.node("b", processes=2).brief("LEASE_TTL_S")
        for node in (first, second):
            node.tell("server", drain="10m", request_timeout="10m")
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
                shoot(fronts[0], signal.SIGSTOP)  # It can notice nothing by itself.
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
                # The turn of the node that died ends by itself, long before anybody loses patience.
                answers = await asyncio.gather(*waiting)
            assert {answer.status for answer in answers} == {200}
            assert second.metric("calotype_renders_total") == 1


async def hit_on(session: aiohttp.ClientSession, url: str) -> None:
    """Asks again and again, until it cannot."""
    while True:
        assert (await get(session, url)).status == 200


async def test_a_new_node_finds_the_variants_of_the_others(place: Place) -> None:
    count = 500 if LONG else 150
    for number in range(10):
        place.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    targets = [f"/w_{20 + number // 10},f_auto/{number % 10}.jpg" for number in range(count)]
    first, second = place.node("a", processes=2), place.node("b")
    with running(first):
        made = await get_all([first.url + target for target in targets], at_once=16, **WEBP)
        assert {answer.status for answer in made} == {200}
        await eventually(lambda: place.flagged() == count + 20)  # With facts and entity tags.
    with running(second):
        found = await get_all([second.url + target for target in targets], at_once=16, **WEBP)
        assert second.metric("calotype_renders_total") == 0
        assert second.metric("calotype_source_fetches_total") == 0, "not even for its facts"
    assert [answer.body for answer in found] == [answer.body for answer in made]
    assert {answer.cache for answer in found} == {"calotype; hit; detail=bucket"}


async def test_without_redis_each_node_renders_at_most_once(place: Place) -> None:
    place.put("a.jpg", pictures.photo_as("jpeg"))
    nodes = [place.node(name, redis=False) for name in "ab"]
    with running(*nodes):
        answers = await get_all([nodes[n % 2].url + "/w_320,f_webp/a.jpg" for n in range(200)])
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert all(node.metric("calotype_renders_total") <= 1 for node in nodes)


@pytest.mark.parametrize("delivery", ["proxy", "redirect"])
async def test_forged_and_deleted_flags(place: Place, delivery: str) -> None:
    count = 1000 if LONG else 100
    for number in range(10):
        place.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    targets = [f"/w_{20 + number // 10},f_webp/{number % 10}.jpg" for number in range(count)]
    missing = [f"/w_20,f_webp/missing-{number}.jpg" for number in range(50)]
    bucket = s3(place.store, place.processed, delivery=delivery)
    first, second, third = (place.node(name, cache={"bucket": bucket}) for name in "abc")

    def keys_of(node: Node, wanted: list[str]) -> list[str]:
        return [json.loads(node.admin(f"/v1/explain?url={target}"))["key"] for target in wanted]

    with running(first):
        keys, unmade = keys_of(first, targets), keys_of(first, missing)
        with place.redis.client() as flags:
            flags.mset({f"calotype:flag:{key}": "present" for key in (*keys, *unmade)})
            answers = await get_all([first.url + target for target in targets], at_once=32)
            nothing = await get_all([first.url + target for target in missing])
            assert {answer.status for answer in answers} == {200}, "no flag makes a picture"
            assert {answer.status for answer in nothing} == {404}
            # With the entity tags of the originals.
            await eventually(lambda: place.flagged() == count + 10)
            await eventually(lambda: len(place.direct.keys(place.processed)) >= count + 10)
    made = {target: answer.body for target, answer in zip(targets, answers, strict=True)}
    with place.redis.client() as flags, running(second):
        assert flags.mget([f"calotype:flag:{key}" for key in keys]) == ["present"] * count
        flags.delete(*(f"calotype:flag:{key}" for key in keys))
        answers = await get_all([second.url + target for target in targets], at_once=32)
        assert {target: answer.body for target, answer in zip(targets, answers, strict=True)} == made
        assert second.metric("calotype_renders_total") == 0, "the bucket was asked"
    with place.redis.client() as flags, running(third):
        flags.mset({f"calotype:flag:{key}": "absent" for key in keys})
        answers = await get_all([third.url + target for target in targets], at_once=32)
        assert {target: answer.body for target, answer in zip(targets, answers, strict=True)} == made


async def test_flagged_variants_are_redirected_to(place: Place) -> None:
    place.put("a.jpg", pictures.photo_as("jpeg"))
    bucket = s3(place.store, place.processed, delivery="redirect")
    first, second = (place.node(name, cache={"bucket": bucket}, processes=2) for name in "ab")
    target = "/w_320,f_auto/a.jpg"
    with running(first):
        [made] = await get_all([first.url + target], **WEBP)
        assert made.status == 200
        await eventually(lambda: place.flagged() == 3)  # With facts and entity tag.
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
            assert f"/{place.processed}/thumbnails/" in location
            assert "X-Amz-Signature=" in location
            sent = await get(session, location)
            assert (sent.status, sent.body) == (200, made.body)
            # Another format is another variant.
            jpeg = await get(session, second.url + target)
            assert (jpeg.status, jpeg.body[:2]) == (200, b"\xff\xd8")
            # A pre-signed URL of an original says which; what it is signed with goes nowhere.
            presigned = place.store.client.generate_presigned_url(
                "get_object", Params={"Bucket": place.originals, "Key": "a.jpg"}
            )
            asked = await get(
                session, f"{second.url}/thumbnail?url={quote(presigned, safe='')}&w=320&format=jpg"
            )
            assert (asked.status, asked.body[:2]) == (200, b"\xff\xd8")
            named = json.loads(
                second.admin(f"/v1/explain?url=/thumbnail?url={quote(quote(presigned, safe=''))}")
            )
            assert named["original"] == "photos:a.jpg"
        told = second.log() + second.admin("/metrics").decode() + json.dumps(named)
        assert presigned.partition("Signature=")[2][:20] not in told
        assert place.store.secret_key not in told


async def test_a_redirect_outlives_no_signature(place: Place) -> None:
    place.put("a.jpg", pictures.photo_as("jpeg"))
    secret = "s" * 32
    nodes = [
        place.node(
            name,
            cache={"bucket": s3(place.store, place.processed, delivery="redirect")},
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
        await eventually(lambda: place.flagged() == 1)
    with running(nodes[1]):
        async with client() as session:

            async def ask(target: str, **headers: str) -> tuple[int, str, str]:
                url = URL(nodes[1].url + target, encoded=True)
                async with session.get(url, headers=headers, allow_redirects=False) as answer:
                    return answer.status, answer.headers.get("Location", ""), answer.headers["Cache-Control"]

            status, location, kept = await ask(signed())
            assert (status, URL(location).query["X-Amz-Expires"], kept) == (302, "3600", "public, max-age=60")
            for seconds in (30, 600):
                until_s = int(time.time()) + seconds
                status, location, kept = await ask(signed(until_s=until_s))
                assert status == 302
                left_s = until_s - time.time()
                assert left_s - 2 <= int(URL(location).query["X-Amz-Expires"]) <= seconds
                assert int(kept.removeprefix("public, max-age=")) <= min(60, seconds)
            status, location, _ = await ask(signed(domain="shop.example"), Referer="https://shop.example/")
            assert (status, location) == (200, "")
        nodes[1].kill()
        nodes[1].start()
        async with client() as session:
            status, location, kept = await ask(signed(session="abc"), **{"X-Session": "abc"})
            assert (status, location, kept) == (200, "", "private, max-age=31536000, immutable")


async def test_rotten_disks_and_buckets_serve_no_wrong_byte(place: Place) -> None:
    damages = 300
    for number in range(5):
        place.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    targets = [f"/w_{20 + number // 5},f_webp/{number % 5}.jpg" for number in range(200)]
    node = place.node("a")
    with running(node):
        made = await get_all([node.url + target for target in targets], at_once=8)
        await eventually(lambda: place.flagged() >= 200 and node.kept() >= 200)
    rotting = random.Random(4)
    files = sorted(
        path for path in (node.folder / "cache").rglob("*") if path.suffix == ".val" or len(path.name) == 64
    )
    objects = place.direct.keys(place.processed)
    assert len(files) >= 200
    assert len(objects) >= 200

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
        if body := place.direct.get(place.processed, name):
            metadata = place.direct.metadata(place.processed, name)
            place.direct.put(place.processed, name, rotten(body), metadata=metadata)
    with running(node):
        again = await get_all([node.url + target for target in targets], at_once=8)
        assert [(answer.status, answer.body) for answer in again] == [(200, answer.body) for answer in made]
        assert node.metric("calotype_tier_errors_total", kind="damaged") > 0


async def test_kill_9_of_everything_in_mid_write(place: Place) -> None:
    rounds = 50 if LONG else 6
    for number in range(5):
        place.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    reference = place.node("reference", redis=False, cache={})
    targets = [f"/w_{20 + number},f_webp/{number % 5}.jpg" for number in range(40 * rounds)]
    node = place.node("a", processes=2)

    async def until_shot(urls: list[str]) -> None:
        async with client() as session:
            seats = asyncio.Semaphore(8)

            async def one(url: str) -> None:
                async with seats:
                    try:
                        answer = await get(session, url)
                    except OSError:
                        return
                    assert answer.status in (200, 503)

            await asyncio.gather(*(one(url) for url in urls), return_exceptions=True)

    for number in range(rounds):
        node.start()
        asking = asyncio.create_task(
            until_shot([node.url + t for t in targets[40 * number : 40 * number + 40]])
        )
        # When so many more are written, and the next is under way.
        so_many = node.kept() + number % 5
        await eventually(lambda: node.kept() >= so_many or asking.done())  # noqa: B023 (awaited)
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
async def test_a_bucket_that_takes_nothing_delays_no_other_node(place: Place, how: str) -> None:
    for number in range(5):
        place.put(f"{number}.jpg", pictures.photo_as("jpeg"))
    targets = [f"/w_{20 + number},f_auto/{number % 5}.jpg" for number in range(20)]
    nodes = [place.node(name) for name in "ab"]
    with running(*nodes):
        if how == "hang":
            place.between.answer(b"", only="PUT")
        else:
            place.between.answer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", only="PUT")
        for node in nodes:
            answers = await get_all([node.url + target for target in targets], **WEBP)
            assert {answer.status for answer in answers} == {200}
        place.between.up()


async def test_a_bucket_that_hangs_is_done_without(place: Place) -> None:
    """Originals in a directory: only the bucket is out of order."""
    originals = place.folder / "originals"
    originals.mkdir()
    (originals / "a.jpg").write_bytes(pictures.photo_as("jpeg"))
    node = impatient(place.node("a", is_patient=False, sources={"photos": {"path": str(originals)}}))
    with running(node):
        place.between.hang()
        answers = await get_all([f"{node.url}/w_{width},f_auto/a.jpg" for width in range(20, 60)], at_once=4)
        assert {answer.status for answer in answers} == {200}
        assert node.metric("calotype_tier_errors_total", tier="bucket", kind="circuit-open") > 0
        place.between.up()


async def test_a_source_that_refuses_hides_nothing_that_is_cached(place: Place) -> None:
    place.put("a.jpg", pictures.photo_as("jpeg"))
    node = place.node("a")
    hot = [f"{node.url}/w_{width},f_auto/a.jpg" for width in range(20, 30)]
    with running(node):
        await get_all(hot)
        await eventually(lambda: node.kept() == len(hot) + 2)  # With facts and entity tag.
    with running(node):
        body = b"<Error><Code>AccessDenied</Code></Error>"
        place.between.answer(
            b"HTTP/1.1 403 F\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), only="GET"
        )
        for path in (node.folder / "cache/originals").rglob("*"):
            if path.is_file():
                path.unlink()
        [cold] = await get_all([node.url + "/w_90,f_auto/a.jpg"])
        assert cold.status == 404
        answers = await get_all(hot)
        assert {answer.status for answer in answers} == {200}


async def test_redis_stopped_under_load(place: Place) -> None:
    seconds = 60.0 if LONG else 4.0
    place.put("a.jpg", pictures.photo_as("jpeg"))
    node = impatient(place.node("a", processes=2, is_patient=False))
    with running(node):
        hot = [f"{node.url}/w_{width},f_webp/a.jpg" for width in range(20, 40)]
        await get_all(hot)
        calm = await load(hot, node, 100, seconds)
        place.redis.pause()
        hung = await load(hot, node, 200, seconds)
        place.redis.resume()
    assert {answer.status for answer in (*calm, *hung)} == {200}
    tell("redis stopped", calm, hung)


async def test_a_store_that_is_down_under_load(place: Place) -> None:
    seconds = 60.0 if LONG else 4.0
    place.put("a.jpg", pictures.photo_as("jpeg"))
    node = place.node("a", processes=2)
    with running(node):
        hot = [f"{node.url}/w_{width},f_webp/a.jpg" for width in range(20, 40)]
        await get_all(hot)
        calm = await load(hot, node, 100, seconds)
        place.between.down()
        away = asyncio.create_task(load(hot, node, None, seconds))
        cold = await get_all(
            [f"{node.url}/w_{width},f_webp/b-{width}.jpg" for width in range(20, 60)], at_once=4
        )
        down = await away
        place.between.up()
        came_s = time.monotonic()
        place.put("c.jpg", pictures.photo_as("jpeg"))
        async with client() as session:

            async def is_back() -> bool:
                return (await get(session, f"{node.url}/w_300,f_png/c.jpg")).status == 200

            await eventually(is_back)
        recovered_s = time.monotonic() - came_s
        await eventually(lambda: place.puts(".png") == 1)
    assert {answer.status for answer in (*calm, *down)} == {200}, "every cached key is served"
    assert {answer.status for answer in cold} == {502}
    tell("store down", calm, down)
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


def tell(what: str, calm: list[Answer], other: list[Answer]) -> None:
    """The figures of benchmarks/README.md; nothing is asserted of times."""
    for name, answers in (("calm", calm), (what, other)):
        hits = sorted(answer.seconds for answer in answers if "hit; detail=memory" in answer.cache)
        print(
            f"{name}: {len(answers)} answers, hits p50 {hits[len(hits) // 2] * 1000:.2f} ms,"
            f" p99 {hits[len(hits) * 99 // 100] * 1000:.2f} ms"
        )
