"""Parsing and verifying the URLs of each dialect, and a hundred thousand mutants, none of which may raise another error than
those of a dialect, or be accepted with a signature of another URL.

`python -m benchmarks.dialects [mutants] [seed]`. Exits with 1 if a mutant did, or takes longer than a millisecond. The URLs
are those of the vendors' clients and of the generators of tests/rivals. A time is the least of twenty rounds, so that a
busy machine counts little; the twenty slowest mutants are timed so.
"""

import contextlib
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from heapq import nlargest
from pathlib import Path
from typing import NamedTuple

from proxy.core.errors import CalotypeError
from proxy.core.url.dialects.dialect import Dialect, Reading
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.parsed_url import InfoUrl, VariantUrl
from proxy.core.url.signing import Keys, sign
from tests.rivals import client_keys, imgproxy_urls, ipx_urls, thumbor_urls
from tests.rivals.comparison import Case

MUTANTS, SEED, ROUNDS, SLOWEST, MOST_US = 100_000, 11, 20, 20, 1000
READING = Reading(presets={})
SECRET = b"k" * 32
KEYS: dict[str, Keys] = {
    "native": {"k": SECRET},
    "imgproxy": {"k": f"{client_keys.IMGPROXY_KEY}:{client_keys.IMGPROXY_SALT}".encode()},
    "thumbor": {"k": client_keys.THUMBOR_KEY.encode()},
    "cloudinary": {"k": client_keys.CLOUDINARY_SECRET.encode()},
    "next": {},
    "cloudflare": {"k": client_keys.CLOUDFLARE_KEY.encode()},
    "imgix": {"k": client_keys.IMGIX_TOKEN.encode()},
    "imagekit": {"k": client_keys.IMAGEKIT_KEY.encode()},
}
GENERATORS: dict[str, Callable[[], Iterator[Case]]] = {
    "imgproxy": imgproxy_urls.urls,
    "thumbor": thumbor_urls.urls,
    "next": ipx_urls.urls,
}
NATIVE = (
    "/w_400,h_300,c_fill,f_auto/product-123.jpg",
    "/w_640,f_auto,q_75/a/b%20c.jpg",
    "/c_crop,x_10,y_10,w_300,h_300~w_100,h_100,c_fill~e_sepia/photo.jpg",
    "/thumbnail?url=product-123.jpg&w=400&h=300&fit=cover&format=auto",
)
PIECES = "/:.,_-~%?&=()@+x0123456789AZaz\x00é\udcff"


class Url(NamedTuple):
    target: str
    is_signed: bool


def urls(name: str) -> list[Url]:
    """Valid URLs of a dialect, below a mount at `/`."""
    if name == "native":
        return [Url(url, False) for url in NATIVE] + [Url(sign(url, SECRET), True) for url in NATIVE]
    rows = json.loads((Path("tests") / "rivals" / "client_urls.json").read_text())
    of_clients = [Url(row["url"], row["signed"]) for row in rows if row["dialect"] == name]
    return of_clients + [Url(case.target, False) for case in GENERATORS.get(name, lambda: iter(()))()]


def read(dialect: Dialect, url: Url) -> None:
    """What a node does with a URL that it does not remember: verifies it if it is signed, and parses it."""
    target = url.target
    if url.is_signed:
        signed = dialect.verify(target, "/", KEYS[dialect.name])
        assert signed is not None, target
        target = signed.target
    dialect.parse(target, READING)


def meaning(dialect: Dialect, target: str) -> object:
    """The original and the transform of a URL, without its version, which a signature of Cloudinary does not cover."""
    parsed = dialect.parse(dialect.unsigned(target, "/"), READING)
    transform = parsed.transform if isinstance(parsed, VariantUrl | InfoUrl) else None
    return parsed.key, transform and replace(transform, version=None)


def least_us(dialect: Dialect, url: Url) -> float:
    def once() -> float:
        began = time.perf_counter()
        with contextlib.suppress(CalotypeError):
            read(dialect, url)
        return time.perf_counter() - began

    return min(once() for _ in range(ROUNDS)) * 1e6


def mutants(sound: list[Url], count: int, chance: random.Random) -> Iterator[str]:
    """Valid targets with one to four characters replaced, removed or inserted, some of them repeated up to 8 kB."""
    for _ in range(count):
        text = chance.choice(sound).target
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(1, len(text) + 1)
            text = (
                text[:at]
                + chance.choice(PIECES) * chance.choice((0, 1, 1, 2))
                + text[at + chance.randint(0, 1) :]
            )
        if chance.random() < 0.02:
            at = chance.randrange(1, len(text))
            text = text[:at] + text[at : at + chance.randint(1, 20)] * 400
        yield text[:8192]


def main(count: int = MUTANTS, seed: int = SEED) -> int:
    """Prints a line a dialect; returns the exit status."""
    faults = 0
    print("dialect    URLs  median µs  95 % µs | mutants  other errors  accepted  slowest µs")
    for name, dialect in DIALECTS.items():
        sound = urls(name)
        sound_signed = {meaning(dialect, url.target) for url in sound if url.is_signed}
        others, accepted, timed = 0, 0, list[tuple[float, str]]()
        for target in mutants(sound, count, random.Random(seed)):
            began = time.perf_counter()
            try:
                signed = dialect.verify(target, "/", KEYS[name]) if KEYS[name] else None
                accepted += signed is not None and meaning(dialect, signed.target) not in sound_signed
                dialect.parse(target, READING)
            except CalotypeError:
                pass
            except Exception as failure:
                others += 1
                print(f"{name}: {failure!r}: {target[:200]!r}")
            timed.append((time.perf_counter() - began, target))
        times = [least_us(dialect, url) for url in sound]
        slowest_us = max(least_us(dialect, Url(target, False)) for _, target in nlargest(SLOWEST, timed))
        faults += others + accepted + (slowest_us > MOST_US)
        print(
            f"{name:9} {len(times):5} {statistics.median(times):10.1f} {sorted(times)[len(times) * 95 // 100]:8.1f}"
            f" | {count:7} {others:13} {accepted:9} {slowest_us:11.1f}"
        )
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
