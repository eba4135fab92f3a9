"""A node with URLs of random options: no crash, and no status that does not belong to its error.

`python -m benchmarks.option_soup [SECONDS [SEED]]`. Exits with 1 if an answer was wrong, and prints its URL.
"""

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

from benchmarks.hostile_checks import Node, Rules, Watch, client, decoded, fetch, judged, running
from proxy.core.transform.operations import Auto
from proxy.core.url.dialects.component import OUTPUT_FIELDS, Component
from proxy.core.url.dialects.native.urls import path_url
from tests.support import pictures, strategies

SECONDS, SEED = 60.0, 20
CLIENTS = 4
BATCH = 200
FONTS = ("DejaVu Sans", "sans-serif", "No Such Font")
ORIGINALS = {
    "photo.jpg": pictures.photo_as("jpeg"),
    "quarters.png": pictures.quarters_as("png"),
    "cut-out.webp": pictures.cut_out_as("webp"),
    "film.gif": pictures.film_as("gif"),
}
_EXPECTED_S = Rules(deadline_s=30.0)
"""The load of this program makes renders wait for each other."""

_keys = st.sampled_from(sorted(ORIGINALS))
_components = st.builds(
    lambda component, layers: component._replace(layers=tuple(layers) or None),
    strategies.components | strategies.crops | strategies.sized_by_ratio,
    st.lists(strategies.layers_of(_keys, st.sampled_from(FONTS)), max_size=2),
)


def urls(seed: int) -> list[str]:
    """`BATCH` URLs, about; the same for a seed."""
    found: list[str] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=BATCH,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(_keys, st.lists(_components, min_size=1, max_size=3))
    def collect(key: str, components: list[Component]) -> None:
        first, *rest = components
        # Those of the output may be given once, and a transform must not be empty.
        unset = dict.fromkeys(OUTPUT_FIELDS)
        found.append(
            path_url(
                key,
                first._replace(format=first.format or Auto.AUTO),
                *(each._replace(**unset) for each in rest),
            )
        )

    collect()
    return found


async def ask(node: Node, seconds: float, seed: int) -> tuple[Counter[str], list[str]]:
    """The statuses, and what was wrong with its URL."""
    statuses: Counter[str] = Counter()
    faults: list[str] = []
    ends_s = time.monotonic() + seconds
    batches = (urls(seed + number) for number in itertools.count())
    pending: Iterator[str] = itertools.chain.from_iterable(batches)

    async def work() -> None:
        while time.monotonic() < ends_s:
            target = next(pending)
            answer = await fetch(session, target)
            statuses[answer.says] += 1
            wrong = judged(answer, _EXPECTED_S)
            wrong += decoded(answer.body, "") if answer.status == 200 else []
            faults.extend(f"{answer.says}: {fault}: {target}" for fault in wrong)

    watch = Watch(node)
    async with client(node) as session, watch.looking():
        await asyncio.gather(*(work() for _ in range(CLIENTS)))
    return statuses, faults + watch.faults()


def main() -> None:
    numbers = sys.argv[1:]
    seconds = float(numbers[0]) if numbers else SECONDS
    seed = int(numbers[1]) if len(numbers) > 1 else SEED
    with running() as node:
        for name, content in ORIGINALS.items():
            Path(node.originals, name).write_bytes(content)
        statuses, faults = asyncio.run(ask(node, seconds, seed))
    print(f"{sum(statuses.values())} answers in {seconds:g} s, seed {seed}:")
    for says, count in statuses.most_common():
        print(f"  {count:7d} {says}")
    for fault in faults:
        print(fault)
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
