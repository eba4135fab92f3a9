"""A node under hostile originals, then under shots at its workers: what it answers, how late, at what cost.

`python -m benchmarks.hostile [mutants] [seconds of shots] [seed]`. Exits with 1 if any check failed; the originals it
failed with are kept in a folder that is told. `CALOTYPE_CORPUS` adds an extra corpus, else the one beside the checkout.
"""

import asyncio
import itertools
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import aiohttp

from benchmarks.judge import WORKERS, Answer, Node, Rules, Watch, ask, client, decoded, judged, running
from tests.corpus.conftest import CORPUS
from tests.stories.fleet import alive, shoot
from tests.support import bombs, mangled_pictures, pictures

MUTANTS, SHOTS_S, SEED = 20_000, 60.0, 11
CLIENTS = 16
REQUESTS_A_SECOND = 50
SHOT_EVERY_S = 1.0
KINDS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV)
HEALTHY = 8
KEEP_AT_MOST = 100
MENDS_S = 30.0

TOKENS = (
    "w_64,f_webp",
    "w_64,f_auto",
    "w_64,f_avif",
    "w_64,f_jpg,e_blur:3",
    "w_64,h_48,c_fill,g_auto,f_webp",
    "w_48,h_48,c_pad,f_png",
    "w_200,h_20,c_fill,g_north,f_jpg",
    "w_32,f_gif",
    "w_64,a_90,e_sharpen,e_sepia",
    "f_webp",
)
"""Each mutant meets two of them in turn, the corpus and the bombs every second one."""
DEAR = "w_4000,h_4000,c_fill,f_avif,e_blur:50"
"""What giants meet besides: as much as a render may take, and more under load."""


@dataclass
class Tally:
    """What was answered, and every fault found with its request. Faulty originals are copied to `kept`."""

    kept: Path
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    decoded: int = 0
    late: int = 0

    def note(self, answer: Answer, faults: Sequence[str], original: Path | None = None) -> None:
        self.answers[answer.says] += 1
        self.slowest = max(self.slowest, (answer.seconds, answer.target))
        self.late += "late" in faults
        for fault in faults:
            self.faults.append(f"{answer.target}: {answer.says} after {answer.seconds:.2f} s: {fault}")
        if faults and original is not None and len(self.faults) <= KEEP_AT_MOST:
            self.kept.mkdir(parents=True, exist_ok=True)
            shutil.copy(original, self.kept / original.name)


class Wanted(NamedTuple):
    """An original and what to ask of it. `content` is written first and removed in the end, if it is not there yet;
    what `is_cut` must not be drawn."""

    key: str
    content: bytes | None
    transforms: Sequence[str]
    is_cut: bool = False


async def meet(
    session: aiohttp.ClientSession, node: Node, wanted: Wanted, tokens: str, rules: Rules, tally: Tally
) -> None:
    """Asks for one variant and judges the answer; an error is asked for again, as it must have left nothing."""
    target, original = f"/{tokens}/{quote(wanted.key)}", node.originals / wanted.key
    answer = await ask(session, target)
    faults = judged(answer, rules)
    if answer.status == 200:
        if tally.answers["200"] % rules.decode_every == 0:
            faults += await asyncio.to_thread(decoded, answer.body, tokens)
            tally.decoded += 1
        if wanted.is_cut:
            faults.append("half drawn")
    tally.note(answer, faults, original)
    if answer.status != 200:
        again = await ask(session, target)
        faults = judged(again, rules)
        if again.is_hit:
            faults.append("an error left a variant")
        if again.status == 200 and answer.status in (415, 422):
            faults.append(f"{answer.says} before")
        tally.note(again, faults, original)


async def storm(node: Node, everything: Iterable[Wanted], rules: Rules, tally: Tally) -> None:
    """Has 16 clients ask for everything."""
    waiting = iter(everything)

    async def one(session: aiohttp.ClientSession) -> None:
        for wanted in waiting:
            original = node.originals / wanted.key
            if wanted.content is not None:
                original.write_bytes(wanted.content)
            for tokens in wanted.transforms:
                await meet(session, node, wanted, tokens, rules, tally)
            if wanted.content is not None:
                original.unlink()

    async with client(node) as session:
        await asyncio.gather(*(one(session) for _ in range(CLIENTS)))


def mutated(seed: int, count: int) -> Iterator[Wanted]:
    """Mutants, each with two transforms; in time every kind of picture meets all."""
    for number in range(count):
        name, content = mangled_pictures.mutant(seed, number)
        turn = number + number // len(mangled_pictures.good())
        transforms = [TOKENS[turn % len(TOKENS)], TOKENS[(turn + 3) % len(TOKENS)]]
        yield Wanted(name, content, transforms, mangled_pictures.is_cut(content))


def forged(named: Iterable[tuple[str, bytes]], *more: str) -> Iterator[Wanted]:
    """Bombs by name, each with half of the transforms and some more."""
    for name, content in named:
        yield Wanted(name, content, [*TOKENS[1::2], *more], name.startswith("cut-"))


def corpus(node: Node) -> Iterator[Wanted]:
    """The extra corpus, where there is one."""
    if (CORPUS / "manifest.json").is_file():
        shutil.copytree(CORPUS, node.originals / "corpus")
        for path in sorted(CORPUS.rglob("*")):
            if path.is_file():
                yield Wanted(f"corpus/{path.relative_to(CORPUS)}", None, TOKENS[1::2])


@dataclass
class Shots:
    """What healthy keys were answered while workers were shot: how often, by what was asked and what was said."""

    fired: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    slowest: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    faults: list[str] = field(default_factory=list)

    def note(self, what: str, answer: Answer, rules: Rules) -> None:
        self.answers[what][answer.says] += 1
        self.slowest[what] = max(self.slowest[what], answer.seconds)
        faults = judged(answer, rules)
        if answer.status != 200:
            faults.append("a healthy key failed")
        self.faults += [
            f"{answer.target}: {answer.says} after {answer.seconds:.2f} s: {one}" for one in faults
        ]


def healthy(node: Node) -> list[str]:
    """Writes sound originals; returns their keys."""
    keys = [f"healthy-{number}.jpg" for number in range(HEALTHY)]
    for number, key in enumerate(keys):
        (node.originals / key).write_bytes(pictures.photo_as("jpeg", seed=number))
    return keys


async def shots(
    node: Node,
    seconds: float,
    chance: random.Random,
    rules: Rules,
    *,
    kinds: Sequence[signal.Signals] = KINDS,
    every_s: float = SHOT_EVERY_S,
    a_second: int = REQUESTS_A_SECOND,
) -> Shots:
    """So many requests a second, sent on time and never again, every second one warm, while a worker is shot every so often.

    `v` makes each cold one a variant of its own.
    """
    done = Shots()
    keys = healthy(node)
    async with client(node) as session:
        warm = [f"/w_200,f_webp/{key}" for key in keys]
        for target in warm:
            await ask(session, target)

        async def one(number: int) -> None:
            key = keys[number // 2 % len(keys)]
            tokens = f"w_{64 + number % 300},f_{chance.choice(('webp', 'jpg', 'auto'))},v_{number}"
            what, target = ("cold", f"/{tokens}/{key}") if number % 2 else ("warm", f"/w_200,f_webp/{key}")
            done.note(what, await ask(session, target), rules)

        shooting = asyncio.create_task(_shoot_on(node, chance, kinds, every_s, done.fired))
        tasks = []
        began_s = time.monotonic()
        for number in range(int(seconds * a_second)):
            await asyncio.sleep(max(0.0, began_s + number / a_second - time.monotonic()))
            tasks.append(asyncio.create_task(one(number)))
        shooting.cancel()
        await asyncio.gather(*tasks)
        await asyncio.gather(shooting, return_exceptions=True)
    return done


async def _shoot_on(
    node: Node,
    chance: random.Random,
    kinds: Sequence[signal.Signals],
    every_s: float,
    fired: Counter[str],
) -> None:
    while True:
        await asyncio.sleep(every_s)
        if workers := await asyncio.to_thread(node.workers):
            kind = chance.choice(kinds)
            shoot(chance.choice(workers), kind)
            fired[kind.name] += 1


async def lives_on(node: Node, rules: Rules) -> list[str]:
    """That the node is the process it was, and renders as before, at the latest when a stopped worker was found."""
    if not alive(node.pid):
        return ["the node is no more"]
    key = healthy(node)[0]
    until_s = time.monotonic() + MENDS_S
    async with client(node) as session:
        for number in itertools.count():
            answer = await ask(session, f"/w_64,f_webp,v_last-{number}/{key}")
            if answer.status == 200:
                return judged(answer, rules)
            if time.monotonic() > until_s:
                return [f"a healthy key is answered {answer.says} in the end"]
            await asyncio.sleep(0.5)
    raise AssertionError


async def run(node: Node, count: int, shots_s: float, seed: int, kept: Path) -> list[str]:
    """Everything, with a table of it; returns what failed."""
    rules = Rules()
    failed: list[str] = []
    watch = Watch(node)
    async with watch.looking():
        # Made before anything is asked: a client that is busy would be the one that is late.
        known = [*forged(bombs.forged()), *forged(bombs.giants(), DEAR), *corpus(node)]
        for name, everything in (("bombs and corpus", known), ("mutants", mutated(seed, count))):
            tally = Tally(kept)
            began_s = time.monotonic()
            await storm(node, everything, rules, tally)
            tell(name, tally, time.monotonic() - began_s)
            failed += tally.faults + await lives_on(node, rules)
        tell_memory(watch)
        before = len(watch.seen)
        done = await shots(node, shots_s, random.Random(seed), rules)
    tell_shots(done, len(watch.seen) - before)
    return failed + done.faults + watch.faults() + await lives_on(node, rules)


def tell(name: str, tally: Tally, seconds: float) -> None:
    print(f"\n{name}: {tally.answers.total()} answers in {seconds:.0f} s, {tally.decoded} decoded here")
    for says, count in sorted(tally.answers.items()):
        print(f"  {says:<26}{count:>8}")
    print(f"  slowest {tally.slowest[0]:.2f} s ({tally.slowest[1]}), late {tally.late}")


def tell_memory(watch: Watch) -> None:
    print(
        f"\nworkers: at most {watch.resident_kib / 1024:.0f} MiB resident, {watch.address_kib / 1024:.0f} MiB of"
        f" address space; {len(watch.seen) - WORKERS} died"
    )


def tell_shots(done: Shots, died: int) -> None:
    fired = ", ".join(f"{count} {name}" for name, count in sorted(done.fired.items()))
    print(f"\nshots: {fired}; {died} workers died")
    for what, answers in sorted(done.answers.items()):
        told = ", ".join(f"{count} {says}" for says, count in sorted(answers.items()))
        print(f"  {what}: {told}; slowest {done.slowest[what]:.2f} s")


def main() -> None:
    told = [float(word) for word in sys.argv[1:]]
    told += (MUTANTS, SHOTS_S, SEED)[len(told) :]
    count, shots_s, seed = told
    kept = Path(tempfile.gettempdir(), f"calotype-hostile-{seed:.0f}")
    print(f"seed {seed:.0f}, {count:.0f} mutants, {shots_s:.0f} s of shots")
    with running() as node:
        failed = asyncio.run(run(node, int(count), shots_s, int(seed), kept))
    for fault in failed[:KEEP_AT_MOST]:
        print(f"  {fault}")
    print(
        f"\n{len(failed)} checks failed; originals, if they did, in {kept}"
        if failed
        else "\nevery check passed"
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
