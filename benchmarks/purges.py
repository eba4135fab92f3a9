"""Purges of one original among a hundred thousand variants, on two nodes under reads and writes.

`python -m benchmarks.purges [TRIES]`. Uses a real Redis, and an S3 store (moto) that sends no events. Each try
replaces the original, purges it on one node, and counts the old responses of both nodes to requests after the purge
was answered. Goals: one second, and no old response.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import aiohttp

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey, Entry
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.state.database import Database
from proxy.state.entry_index import SCHEMA, SqliteEntryIndex
from proxy.tiers.disk import DiskTier
from tests.stories.fleet import Node, running, s3
from tests.support import pictures, servers
from tests.support.fakes import FakeMetrics
from tests.support.servers import Store

VARIANTS = 100_000
VARIANTS_EACH = 5
READERS = 8
TARGETS = ("/w_64,f_webp/hot.png", "/w_32,f_jpg/hot.png", "/info/hot.png")


async def fill(folder: Path) -> None:
    """A disk tier and an index with VARIANTS small entries, as written by a node."""
    (folder / "cache" / "records").mkdir(parents=True)
    disk = DiskTier(folder / "cache" / "variants", max_bytes=2**33, metrics=FakeMetrics())
    database = Database(folder / "cache" / "records" / "index.db", SCHEMA, FakeMetrics())
    index = SqliteEntryIndex(database)
    for number in range(VARIANTS):
        key = CacheKey(f"{number + 1:064x}", Format.WEBP)
        await disk.store(key, Variant(body=b"x" * 200))
        index.note(
            [OriginalRef("photos", f"{number // VARIANTS_EACH}.jpg")],
            Entry(key),
            f"plan {number % VARIANTS_EACH}",
        )
        if number % 5000 == 0:
            await index.flush()
    await index.flush()
    await database.close()
    await disk.close()


async def run(nodes: list[Node], store: Store, bucket: str, tries: int) -> None:
    current: dict[str, bytes] = {}
    since: dict[bytes, int] = {}
    known = 0
    old, requests, took = 0, 0, []
    stop = asyncio.Event()
    others = count()

    async def read(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal old, requests
        for turn in count(number):
            if stop.is_set():
                return
            answered = known
            target = TARGETS[turn % len(TARGETS)]
            async with session.get(nodes[turn % 2].url + target) as answer:
                body = await answer.read()
            requests += 1
            old += answer.status != 200 or since.get(body, tries + 1) < answered
            # Originals without variants, for new entries.
            async with session.get(
                f"{nodes[turn % 2].url}/w_{16 + next(others) % 200},f_jpg/other.png"
            ) as answer:
                await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        store.put(bucket, "other.png", pictures.encoded(pictures.photo(320, 240), "png"))
        store.put(bucket, "hot.png", pictures.encoded(pictures.photo(160, 120, seed=0), "png"))
        readers = [asyncio.create_task(read(session, number)) for number in range(READERS)]
        for version in range(1, tries + 1):
            content = pictures.encoded(pictures.photo(160, 120, seed=version), "png")
            await asyncio.to_thread(store.put, bucket, "hot.png", content)
            node = nodes[version % 2]
            began_s = time.perf_counter()
            async with session.post(
                f"http://127.0.0.1:{node.admin_port}/v1/purge", json={"original": "hot.png"}
            ) as answer:
                assert answer.status == 200, await answer.text()
            took.append(time.perf_counter() - began_s)
            known = version
            for target in TARGETS:
                bodies = set()
                for each in nodes:
                    async with session.get(each.url + target) as answer:
                        bodies.add(await answer.read())
                (body,) = bodies
                old += body == current.get(target)
                current[target] = body
                since[body] = version
        stop.set()
        await asyncio.gather(*readers)
    took.sort()
    print(
        f"{tries} purges among {VARIANTS} variants: median {statistics.median(took) * 1000:.0f} ms,"
        f" p99 {took[int(len(took) * 0.99)] * 1000:.0f} ms, max {took[-1] * 1000:.0f} ms;"
        f" {old} old answers of {requests + 2 * len(TARGETS) * tries}"
    )


def main() -> None:
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with (
        tempfile.TemporaryDirectory() as made,
        servers.moto(Path(made)) as store,
        servers.redis(Path(made)) as redis,
    ):
        originals, processed = store.bucket("originals"), store.bucket("processed")
        for processes in (1, 2):
            nodes = []
            for name in "ab":
                folder = Path(made, f"{name}{processes}")
                asyncio.run(fill(folder))
                nodes.append(
                    Node(
                        folder,
                        processes=processes,
                        sources={"photos": s3(store, originals)},
                        cache={"bucket": s3(store, processed)},
                        redis={"url": redis.url},
                        render={"workers": 1},
                    )
                )
            with running(*nodes):
                print(
                    f"two nodes of {processes} processes, {READERS} readers that also write",
                    end=": ",
                    flush=True,
                )
                asyncio.run(run(nodes, store, originals, tries))


if __name__ == "__main__":
    main()
