"""Hit ratio and origin load of a fleet, by the number of nodes, the size of their caches, routing and purges.

`python -m benchmarks.simulation [REQUESTS]`. A simulation of counts, not of time: requests choose an original by Zipf's law
and one of its variants; each node has an LRU cache of variants and keeps the last originals; a consistent hash, or chance,
chooses the node. A variant that no node has is rendered; with a bucket it is rendered once in the fleet. A purge drops the
variants of an original that is requested about then.
"""

import bisect
import hashlib
import random
import sys
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

ORIGINALS = 20_000
VARIANTS = 8
EXPONENT = 0.9
"""Of Zipf's law: the popularity of a rank is 1 / rank ** EXPONENT."""
KEPT_ORIGINALS = 400
POINTS = 64
"""Points of each node on the ring."""
Key = tuple[int, int, int]
"""An original, its generation, and a variant."""


@dataclass(frozen=True)
class Fleet:
    """`share` is the part of all variants that one node keeps; `purges` are those in 1,000 requests."""

    nodes: int
    share: float
    by_hash: bool = True
    has_bucket: bool = False
    purges: float = 0.0


@dataclass
class Counts:
    requests: int = 0
    hits: int = 0
    bucket_hits: int = 0
    fetches: int = 0

    @property
    def rendered(self) -> int:
        return self.requests - self.hits - self.bucket_hits


class _Lru(OrderedDict[object, None]):
    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def uses(self, key: object) -> bool:
        """Whether the key is here; it is from now on."""
        found = key in self
        self[key] = None
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
        return found


def ring(nodes: int) -> list[tuple[int, int]]:
    """The points of a consistent hash, each with its node."""
    return sorted((_hash(f"{node} {point}"), node) for node in range(nodes) for point in range(POINTS))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def simulated(fleet: Fleet, requests: int, *, seed: int = 1) -> Counts:
    """The counts of the second half of the requests, when the caches are warm."""
    chance = random.Random(seed)
    points = ring(fleet.nodes)
    nodes_of = [
        points[bisect.bisect(points, (_hash(f"original {number}"),)) % len(points)][1]
        for number in range(ORIGINALS)
    ]
    caches = [_Lru(max(1, round(fleet.share * ORIGINALS * VARIANTS))) for _ in range(fleet.nodes)]
    originals = [_Lru(KEPT_ORIGINALS) for _ in range(fleet.nodes)]
    bucket, generations = set[Key](), dict[int, int]()
    counts = Counts()
    for number, original in enumerate(_popular(chance, requests)):
        if number == requests // 2:
            counts = Counts()
        if chance.random() * 1000 < fleet.purges:
            generations[original] = generations.get(original, 0) + 1
        generation = generations.get(original, 0)
        key = (original, generation, chance.randrange(VARIANTS))
        node = nodes_of[original] if fleet.by_hash else chance.randrange(fleet.nodes)
        counts.requests += 1
        if caches[node].uses(key):
            counts.hits += 1
        elif fleet.has_bucket and key in bucket:
            counts.bucket_hits += 1
        else:
            bucket.add(key)
            counts.fetches += not originals[node].uses((original, generation))
    return counts


def _popular(chance: random.Random, count: int) -> Iterator[int]:
    """Originals by Zipf's law."""
    weights = list(accumulate(1 / rank**EXPONENT for rank in range(1, ORIGINALS + 1)))
    yield from chance.choices(range(ORIGINALS), cum_weights=weights, k=count)


FLEETS = (
    *(Fleet(nodes, 0.05) for nodes in (1, 2, 4, 10)),
    *(Fleet(nodes, 0.05, by_hash=False) for nodes in (2, 10)),
    *(Fleet(nodes, 0.05, by_hash=False, has_bucket=True) for nodes in (2, 10)),
    *(Fleet(2, share) for share in (0.01, 0.2)),
    *(Fleet(2, 0.05, has_bucket=True, purges=purges) for purges in (0, 1, 10)),
)


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    print(
        f"{ORIGINALS} originals in {VARIANTS} variants, Zipf {EXPONENT}, the second half of {requests} requests"
    )
    print(
        "| nodes | a node keeps | routing | bucket | purges of 1,000 | hits | from the bucket | rendered | fetched |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for fleet in FLEETS:
        found = simulated(fleet, requests)
        ratios = (
            each / found.requests for each in (found.hits, found.bucket_hits, found.rendered, found.fetches)
        )
        cells = (
            *(fleet.nodes, f"{fleet.share:.0%}", "hash" if fleet.by_hash else "chance"),
            *(
                "yes" if fleet.has_bucket else "no",
                f"{fleet.purges:g}",
                *(f"{ratio:.1%}" for ratio in ratios),
            ),
        )
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
