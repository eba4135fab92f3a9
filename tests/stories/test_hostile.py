"""A part of `benchmarks.hostile`: hostile pictures and killed workers do not affect other requests."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import hostile
from benchmarks.hostile import Tally
from benchmarks.hostile_checks import Node, Rules, Watch, running
from tests.support import bombs

SEED, MUTANTS = hostile.SEED, 150
RULES = Rules(slack_s=30.0, decode_every=1)


@pytest.fixture
def node() -> Iterator[Node]:
    with running() as node:
        yield node


async def test_hostile_and_damaged_pictures_are_refused_or_rendered(node: Node, tmp_path: Path) -> None:
    tally, watch = Tally(tmp_path), Watch(node)
    async with watch.looking():
        await hostile.storm(node, hostile.forged(bombs.forged()), RULES, tally)
        await hostile.storm(node, hostile.mutated(SEED, MUTANTS), RULES, tally)
    assert tally.faults + watch.faults() + await hostile.still_works(node, RULES) == []
    assert tally.decoded > MUTANTS / 10


@pytest.mark.parametrize("kinds", [hostile.KINDS, [signal.SIGSTOP]], ids=["all", "stop"])
async def test_killed_workers_fail_no_request(node: Node, kinds: list[signal.Signals]) -> None:
    done = await hostile.shots(node, 4.0, random.Random(SEED), RULES, kinds=kinds, every_s=0.5, a_second=20)
    assert done.fired.total() > 3
    assert done.faults + await hostile.still_works(node, RULES) == []
