"""What is measured: blocks of requests, each to every contender in turn, for several rounds."""

import asyncio
import itertools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.common import photograph, wrk
from benchmarks.contest.contenders import Contender, Picture
from benchmarks.contest.usage import processor_s

AT_ONCE = 2
SET_WIDTHS = tuple(range(320, 2561, 248))
FORMATS = ("jpg", "webp", "avif")
_SIDES_PX = (3000, 2000)
_PHOTOGRAPHS = 3


@dataclass(frozen=True)
class Block:
    """One contender's share of a round. `processor_s` is that of its process tree."""

    requests: int
    elapsed_s: float
    processor_s: float


@dataclass
class Scenario:
    """`blocks` are by contender, in the order of the contest."""

    name: str
    note: str
    blocks: dict[str, list[Block]] = field(default_factory=dict)

    def add(self, contender: Contender, requests: int, elapsed_s: float, used_s: float) -> None:
        self.blocks[contender.name].append(Block(requests, elapsed_s, used_s))


class Originals:
    """A folder of originals. A hard link under a new name is an original that no contender has cached."""

    def __init__(self, folder: Path, own: Path | None) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        if own is None:
            for number in range(_PHOTOGRAPHS):
                photograph(folder / f"photograph{number}.jpg", *_SIDES_PX, seed=number + 1)
        else:
            for path in sorted(own.glob("*.jpg")):
                shutil.copy(path, folder / f"own-{path.name}")
        self._photographs = sorted(folder.glob("*.jpg"))
        if not self._photographs:
            raise SystemExit(f"{own} has no .jpg")
        photograph(folder / "hit.jpg", 1600, 1200, seed=9)
        photograph(folder / "dot.png", 8, 8)  # The server of ipx is ready when it answers this.
        self._numbers = itertools.count()

    def unseen(self, count: int) -> list[str]:
        """The names of `count` new originals; the photographs take turns."""
        names = []
        for _ in range(count):
            number = next(self._numbers)
            photograph_ = self._photographs[number % len(self._photographs)]
            name = f"unseen{number}.jpg"
            (self.folder / name).hardlink_to(photograph_)
            names.append(name)
        return names


def misses(contenders: Sequence[Contender], originals: Originals, rounds: int, kind: str) -> Scenario:
    """Cold misses of originals that were never seen."""
    count = 4 if kind == "avif" else 10
    scenario = Scenario(
        f"cold miss, {kind}", f"{count} unseen originals a round, {AT_ONCE} at a time, 640 px"
    )

    def block(contender: Contender) -> list[str]:
        assert contender.target is not None
        names = originals.unseen(count)
        return [contender.target(Picture(name, 640, kind)) for name in names]

    _run(scenario, [each for each in contenders if each.target], rounds, block)
    return scenario


def further_sizes(contenders: Sequence[Contender], originals: Originals, rounds: int) -> Scenario:
    """Further sizes of originals that were seen a moment before."""
    scenario = Scenario(
        "further size, jpg", f"sizes of 3 originals that were seen before, {AT_ONCE} at a time"
    )
    makers = [each for each in contenders if each.target]
    names = {each.name: originals.unseen(3) for each in makers}
    for each in makers:
        assert each.target is not None
        _requested(each, [each.target(Picture(name, 700, "jpg")) for name in names[each.name]])
    widths = itertools.count(401)

    def block(contender: Contender) -> list[str]:
        assert contender.target is not None
        return [
            contender.target(Picture(name, next(widths), "jpg"))
            for name in names[contender.name]
            for _ in range(3)
        ]

    _run(scenario, makers, rounds, block)
    return scenario


def responsive_set(
    contenders: Sequence[Contender], originals: Originals, rounds: int, suffix: str
) -> Scenario:
    """All sizes and formats of a large original at once."""
    scenario = Scenario(
        f"responsive set of a {suffix.upper()}", "10 widths in 3 formats of 5120 by 2880 px, all at once"
    )
    photograph(originals.folder / f"large.{suffix}", 5120, 2880, seed=7)
    numbers = itertools.count()

    def block(contender: Contender) -> list[str]:
        assert contender.target is not None
        name = f"set{next(numbers)}.{suffix}"
        (originals.folder / name).hardlink_to(originals.folder / f"large.{suffix}")
        return [contender.target(Picture(name, width, kind)) for width in SET_WIDTHS for kind in FORMATS]

    makers = [each for each in contenders if each.target]
    _run(scenario, makers, rounds, block, at_once=len(SET_WIDTHS) * len(FORMATS))
    return scenario


def hits(contenders: Sequence[Contender], rounds: int, seconds: float) -> Scenario:
    """Hits of one picture, from memory where the contender has one."""
    scenario = Scenario("hit", "a 600 px JPEG over keep-alive connections, wrk -t1 -c32")
    keepers = [each for each in contenders if each.hit]
    scenario.blocks = {each.name: [] for each in keepers}
    for _, contender in _turns(keepers, rounds):
        before_s, began_s = processor_s(contender.roots), time.perf_counter()
        rate = wrk(contender.base + contender.hit, seconds=seconds)
        elapsed_s = time.perf_counter() - began_s
        used_s = processor_s(contender.roots) - before_s
        scenario.add(contender, round(rate * elapsed_s), elapsed_s, used_s)
    return scenario


def _run(
    scenario: Scenario,
    contenders: Sequence[Contender],
    rounds: int,
    block: Callable[[Contender], list[str]],
    *,
    at_once: int = AT_ONCE,
) -> None:
    """The first round warms up and is not counted."""
    scenario.blocks = {each.name: [] for each in contenders}
    for round_, contender in _turns(contenders, rounds + 1):
        targets = block(contender)
        before_s, began_s = processor_s(contender.roots), time.perf_counter()
        _requested(contender, targets, at_once)
        elapsed_s = time.perf_counter() - began_s
        used_s = processor_s(contender.roots) - before_s
        if round_:
            scenario.add(contender, len(targets), elapsed_s, used_s)


def _turns(contenders: Sequence[Contender], rounds: int) -> Iterator[tuple[int, Contender]]:
    """Each contender in each round; every round begins with another one."""
    for round_ in range(rounds):
        for position in range(len(contenders)):
            yield round_, contenders[(round_ + position) % len(contenders)]


def _requested(contender: Contender, targets: Sequence[str], at_once: int = AT_ONCE) -> None:
    """Requests each target; every answer must be a picture."""

    async def all_of_them() -> None:
        waiting = iter(targets)
        timeout = aiohttp.ClientTimeout(total=300)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as client:

            async def work() -> None:
                for target in waiting:
                    async with client.get(contender.base + target) as answer:
                        body = await answer.read()
                        if answer.status != 200 or not body:
                            raise SystemExit(f"{contender.name} answers {answer.status}: {target}")

            await asyncio.gather(*(work() for _ in range(at_once)))

    asyncio.run(all_of_them())
