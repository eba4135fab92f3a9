"""A node with hostile originals, then with signals sent to its workers: statuses, latency and memory.

`python -m benchmarks.hostile [mutants] [seconds of shots] [seed]`. Exits with 1 if a check failed, and prints the
folder with the failed originals. `CALOTYPE_CORPUS` is an extra corpus; the default is the one beside the checkout.
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

from benchmarks.hostile_checks import (
    WORKERS,
    Answer,
    Node,
    Rules,
    Watch,
    client,
    decoded,
    fetch,
    judged,
    running,
)
from tests.corpus.conftest import CORPUS
from tests.stories.fleet import alive, send_signal
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
"""Each mutant is requested with two of them in turn; corpus and bombs with every second one."""
DEAR = "w_4000,h_4000,c_fill,f_avif,e_blur:50"
"""Additional transforms for very large originals: about as long as a render may take, and longer under load."""


@dataclass
class Tally:
    """The statuses, and every fault with its request. Failed originals are copied to `kept`."""

    folder: Path
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
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(original, self.folder / original.name)


class Case(NamedTuple):
    """An original and its transforms. `content` is written before and removed afterwards unless the file exists. An
    original that `is_cut` must not be rendered."""

    key: str
    content: bytes | None
    transforms: Sequence[str]
    is_cut: bool = False


async def request_and_check(
    session: aiohttp.ClientSession, node: Node, case: Case, tokens: str, rules: Rules, tally: Tally
) -> None:
    """Requests a variant and checks the response. An error is requested again: it must not have been stored."""
    target, original = f"/{tokens}/{quote(case.key)}", node.originals / case.key
    answer = await fetch(session, target)
    faults = judged(answer, rules)
    if answer.status == 200:
        if tally.answers["200"] % rules.decode_every == 0:
            faults += await asyncio.to_thread(decoded, answer.body, tokens)
            tally.decoded += 1
        if case.is_cut:
            faults.append("half drawn")
    tally.note(answer, faults, original)
    if answer.status != 200:
        again = await fetch(session, target)
        faults = judged(again, rules)
        if again.is_hit:
            faults.append("an error left a variant")
        if again.status == 200 and answer.status in (415, 422):
            faults.append(f"{answer.says} before")
        tally.note(again, faults, original)


async def storm(node: Node, everything: Iterable[Case], rules: Rules, tally: Tally) -> None:
    """Runs all requests from 16 clients."""
    waiting = iter(everything)

    async def one(session: aiohttp.ClientSession) -> None:
        for case in waiting:
            original = node.originals / case.key
            if case.content is not None:
                original.write_bytes(case.content)
            for tokens in case.transforms:
                await request_and_check(session, node, case, tokens, rules, tally)
            if case.content is not None:
                original.unlink()

    async with client(node) as session:
        await asyncio.gather(*(one(session) for _ in range(CLIENTS)))


def mutated(seed: int, count: int) -> Iterator[Case]:
    """Mutants, each with two transforms, so that every kind of picture meets all transforms."""
    for number in range(count):
        name, content = mangled_pictures.mutant(seed, number)
        index = number + number // len(mangled_pictures.good())
        transforms = [TOKENS[index % len(TOKENS)], TOKENS[(index + 3) % len(TOKENS)]]
        yield Case(name, content, transforms, mangled_pictures.is_cut(content))


def forged(named: Iterable[tuple[str, bytes]], *more: str) -> Iterator[Case]:
    """Bombs by name, each with half of the transforms and some additional ones."""
    for name, content in named:
        yield Case(name, content, [*TOKENS[1::2], *more], name.startswith("cut-"))


def corpus(node: Node) -> Iterator[Case]:
    """The extra corpus, if there is one."""
    if (CORPUS / "manifest.json").is_file():
        shutil.copytree(CORPUS, node.originals / "corpus")
        for path in sorted(CORPUS.rglob("*")):
            if path.is_file():
                yield Case(f"corpus/{path.relative_to(CORPUS)}", None, TOKENS[1::2])


@dataclass
class Shots:
    """Responses for healthy keys while workers were killed: counts by kind of request and status."""

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
    """Writes undamaged originals; returns their keys."""
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
    """Sends requests at a fixed rate, every second one for a cached variant, while workers get signals.

    The parameter `v` makes each cold request a new variant.
    """
    done = Shots()
    keys = healthy(node)
    async with client(node) as session:
        warm = [f"/w_200,f_webp/{key}" for key in keys]
        for target in warm:
            await fetch(session, target)

        async def one(number: int) -> None:
            key = keys[number // 2 % len(keys)]
            tokens = f"w_{64 + number % 300},f_{chance.choice(('webp', 'jpg', 'auto'))},v_{number}"
            what, target = ("cold", f"/{tokens}/{key}") if number % 2 else ("warm", f"/w_200,f_webp/{key}")
            done.note(what, await fetch(session, target), rules)

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
            send_signal(chance.choice(workers), kind)
            fired[kind.name] += 1


async def still_works(node: Node, rules: Rules) -> list[str]:
    """Checks that the node still runs and renders, at the latest when a stopped worker was replaced."""
    if not alive(node.pid):
        return ["the node is no more"]
    key = healthy(node)[0]
    until_s = time.monotonic() + MENDS_S
    async with client(node) as session:
        for number in itertools.count():
            answer = await fetch(session, f"/w_64,f_webp,v_last-{number}/{key}")
            if answer.status == 200:
                return judged(answer, rules)
            if time.monotonic() > until_s:
                return [f"a healthy key is answered {answer.says} in the end"]
            await asyncio.sleep(0.5)
    raise AssertionError


async def run(node: Node, count: int, duration_s: float, seed: int, folder: Path) -> list[str]:
    """Runs everything and prints a table; returns the failures."""
    rules = Rules()
    failed: list[str] = []
    watch = Watch(node)
    async with watch.looking():
        # Prepared before the first request, because a busy client would measure its own delay.
        known = [*forged(bombs.forged()), *forged(bombs.giants(), DEAR), *corpus(node)]
        for name, everything in (("bombs and corpus", known), ("mutants", mutated(seed, count))):
            tally = Tally(folder)
            began_s = time.monotonic()
            await storm(node, everything, rules, tally)
            report(name, tally, time.monotonic() - began_s)
            failed += tally.faults + await still_works(node, rules)
        report_memory(watch)
        before = len(watch.seen)
        done = await shots(node, duration_s, random.Random(seed), rules)
    report_shots(done, len(watch.seen) - before)
    return failed + done.faults + watch.faults() + await still_works(node, rules)


def report(name: str, tally: Tally, seconds: float) -> None:
    print(f"\n{name}: {tally.answers.total()} answers in {seconds:.0f} s, {tally.decoded} decoded here")
    for says, count in sorted(tally.answers.items()):
        print(f"  {says:<26}{count:>8}")
    print(f"  slowest {tally.slowest[0]:.2f} s ({tally.slowest[1]}), late {tally.late}")


def report_memory(watch: Watch) -> None:
    print(
        f"\nworkers: at most {watch.resident_kib / 1024:.0f} MiB resident, {watch.address_kib / 1024:.0f} MiB of"
        f" address space; {len(watch.seen) - WORKERS} died"
    )


def report_shots(done: Shots, died: int) -> None:
    fired = ", ".join(f"{count} {name}" for name, count in sorted(done.fired.items()))
    print(f"\nshots: {fired}; {died} workers died")
    for what, answers in sorted(done.answers.items()):
        arguments = ", ".join(f"{count} {says}" for says, count in sorted(answers.items()))
        print(f"  {what}: {arguments}; slowest {done.slowest[what]:.2f} s")


def main() -> None:
    arguments = [float(word) for word in sys.argv[1:]]
    arguments += (MUTANTS, SHOTS_S, SEED)[len(arguments) :]
    count, duration_s, seed = arguments
    folder = Path(tempfile.gettempdir(), f"calotype-hostile-{seed:.0f}")
    print(f"seed {seed:.0f}, {count:.0f} mutants, {duration_s:.0f} s of shots")
    with running() as node:
        failed = asyncio.run(run(node, int(count), duration_s, int(seed), folder))
    for fault in failed[:KEEP_AT_MOST]:
        print(f"  {fault}")
    print(
        f"\n{len(failed)} checks failed; originals, if they did, in {folder}"
        if failed
        else "\nevery check passed"
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
