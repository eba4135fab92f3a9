"""A slice of `benchmarks.hostile`: bombs and mutants cost nobody but themselves, and shot workers nobody at all."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import hostile
from benchmarks.hostile import Tally
from benchmarks.judge import Node, Rules, Watch, running
from tests import bombs

SEED, MUTANTS = hostile.SEED, 300
RULES = Rules(slack_s=2.0, decode_every=1)
DEADLY = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)


@pytest.fixture
def node() -> Iterator[Node]:
    with running() as node:
        yield node


async def test_bombs_and_mutants_are_refused_or_drawn(node: Node, tmp_path: Path) -> None:
    tally, watch = Tally(tmp_path), Watch(node)
    async with watch.looking():
        await hostile.storm(node, hostile.forged(bombs.forged()), RULES, tally)
        await hostile.storm(node, hostile.mutated(SEED, MUTANTS), RULES, tally)
    assert tally.faults + watch.faults() + await hostile.lives_on(node, RULES) == []
    assert tally.decoded > MUTANTS / 10


async def test_a_worker_that_dies_costs_nobody_anything(node: Node) -> None:
    done = await hostile.shots(node, 5.0, random.Random(SEED), RULES, kinds=DEADLY, every_s=0.5)
    assert done.fired.total() > 3
    assert done.faults + await hostile.lives_on(node, RULES) == []


async def test_a_worker_that_hangs_costs_one_request(node: Node) -> None:
    done = await hostile.shots(node, 1.5, random.Random(SEED), RULES, kinds=[signal.SIGSTOP], every_s=1.0)
    assert done.fired == {"SIGSTOP": 1}
    assert set(done.answers["warm"]) == {"200"}
    assert done.answers["cold"].total() - done.answers["cold"]["200"] <= 1
    assert await hostile.lives_on(node, RULES) == []
