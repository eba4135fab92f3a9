"""The results as text, JSON and SVG: medians, spreads, and ratios to the first contender within each round."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.common import spread
from benchmarks.contest.contenders import Contest
from benchmarks.contest.scenarios import Block, Scenario

_MS = 1000
_BAR, _GAP, _LEFT, _WIDTH = 18, 8, 240, 760


def processor_ms(block: Block) -> float:
    """Processor time of a request, in milliseconds."""
    return block.processor_s / block.requests * _MS


def rate(block: Block) -> float:
    """Requests per second."""
    return block.requests / block.elapsed_s


def document(
    contest: Contest, scenarios: Sequence[Scenario], peak_bytes: Mapping[str, int]
) -> dict[str, Any]:
    """Everything that was measured, for other programs."""
    return {
        "scenarios": [
            {
                "name": scenario.name,
                "note": scenario.note,
                "contenders": {
                    name: [
                        {
                            "requests": each.requests,
                            "elapsed_s": each.elapsed_s,
                            "processor_s": None if math.isnan(each.processor_s) else each.processor_s,
                        }
                        for each in blocks
                    ]
                    for name, blocks in scenario.blocks.items()
                },
            }
            for scenario in scenarios
        ],
        "start_s": {each.name: round(each.start_s, 3) for each in contest.running},
        "peak_bytes": dict(peak_bytes),
        "not_measured": contest.missing,
    }


def lines(contest: Contest, scenarios: Sequence[Scenario], peak_bytes: Mapping[str, int]) -> list[str]:
    """The report of a terminal."""
    found = []
    for scenario in scenarios:
        first = next(iter(scenario.blocks), "")
        found += [
            "",
            f"{scenario.name} ({scenario.note})",
            f"  {'':36}{'ms of processor':>16}{'of ' + first:>26}{'requests/s':>14}",
        ]
        for name, blocks in scenario.blocks.items():
            ratios = _ratios(blocks, scenario.blocks[first])
            used = statistics.median(map(processor_ms, blocks))
            found.append(
                f"  {name:36}{used:16.2f}{spread(ratios):>26}{statistics.median(map(rate, blocks)):14.1f}"
            )
    found += ["", f"  {'':36}{'start, s':>16}{'most memory, MB':>26}"]
    found += [
        f"  {each.name:36}{each.start_s:16.2f}{peak_bytes.get(each.name, 0) / 1e6:26.0f}"
        for each in contest.running
    ]
    found += ["", *(f"not measured: {name}: {reason}" for name, reason in contest.missing.items())]
    return found


def _ratios(blocks: Sequence[Block], others: Sequence[Block]) -> list[float]:
    """Processor time of a request against that of the other contender in the same round. A block of less than a tick of
    the clock has none."""
    pairs = zip(map(processor_ms, blocks), map(processor_ms, others), strict=True)
    return [mine / other for mine, other in pairs if other] or [float("nan")]


def chart(scenario: Scenario) -> str:
    """An SVG with a bar for each contender: the median of the processor time of a request, and its spread."""
    values = {name: sorted(map(processor_ms, blocks)) for name, blocks in scenario.blocks.items()}
    most = max((each[-1] for each in values.values()), default=1) or 1
    height = 40 + len(values) * (_BAR + _GAP)
    scale = (_WIDTH - _LEFT - 80) / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<text x="8" y="20" font-weight="bold">{escape(scenario.name)}: ms of processor time a request</text>',
    ]
    for position, (name, found) in enumerate(values.items()):
        top = 34 + position * (_BAR + _GAP)
        middle = statistics.median(found)
        colour = "#2b6cb0" if name.startswith("calotype") else "#a0aec0"
        base = top + _BAR - 5
        parts += [
            f'<text x="{_LEFT - 8}" y="{base}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{middle * scale:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<path d="M{_LEFT + found[0] * scale:.1f} {top + _BAR / 2}H{_LEFT + found[-1] * scale:.1f}" stroke="#1a202c"/>',
            f'<text x="{_LEFT + found[-1] * scale + 6:.1f}" y="{base}">{middle:.2f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def write(
    folder: Path, contest: Contest, scenarios: Sequence[Scenario], peak_bytes: Mapping[str, int]
) -> list[Path]:
    """The files of a report: results.json, and a chart for each scenario."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / "results.json": json.dumps(document(contest, scenarios, peak_bytes), indent=1)}
    for scenario in scenarios:
        name = "-".join(scenario.name.replace(",", "").lower().split())
        files[folder / f"{name}.svg"] = chart(scenario)
    for path, text in files.items():
        path.write_text(text)
    return list(files)
