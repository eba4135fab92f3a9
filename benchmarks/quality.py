"""Calibrates the q scale: which quality of each encoder has the same SSIMULACRA2 score as a JPEG of quality q.

`python -m benchmarks.quality measure FILE PHOTOGRAPH...` appends the scores and sizes of each photograph at 320, 640 and 1280 px,
in every format, quality and effort, to FILE (about ten seconds, a minute and five minutes a photograph; needs `pip install
ssimulacra2`; what FILE has is not measured again). `python -m benchmarks.quality table FILE` prints the table of
`core/transform/quality.py`, and what it gives: the mean scores, and the bytes of AVIF and WebP.
"""

import json
import statistics
import sys
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyvips

from benchmarks.common import ssimulacra2
from proxy.core.image.formats import Format
from proxy.core.transform.quality import ANCHORS_Q, SIDES_PX, avif_effort, encoder_quality
from proxy.core.transform.quality_level import ALL_SCALES
from proxy.render.score import scales_of

QUALITIES = {
    Format.JPEG: (10, 20, 30, 40, 50, 60, 70, 80, 85, 89, 90, 92, 97),
    Format.WEBP: (5, 20, 35, 50, 60, 70, 80, 88, 94, 97),
    Format.AVIF: (15, 25, 35, 45, 52, 58, 64, 70, 78, 90),
}
EFFORTS = {Format.JPEG: (0,), Format.WEBP: (4,), Format.AVIF: (0, 1, 2)}
LOWER = {320: 3.0, 640: 2.0, 1280: 1.5}
"""By how many points AVIF may look worse than a JPEG, so that no photograph is larger than as a WebP."""
CHECKED_Q = (30, 40, 50, 60, 70, 80, 85)


class Curve(NamedTuple):
    """The scores and sizes of one photograph in one format and effort, by quality."""

    qualities: Sequence[int]
    scores: Sequence[float]
    sizes: Sequence[int]

    def size(self, quality: float) -> float:
        return _between(quality, self.qualities, self.sizes)

    def score(self, quality: float) -> float:
        return _between(quality, self.qualities, self.scores)


def measure(results: Path, paths: Sequence[str]) -> None:
    known = {(each["photograph"], each["width"]) for each in _read(results)}
    for width in SIDES_PX:
        for path in paths:
            name = Path(path).name
            image = pyvips.Image.new_from_file(path)
            if image.width < width or (name, width) in known:
                continue
            image = pyvips.Image.thumbnail(path, width, output_profile="srgb")
            image = (image.flatten() if image.hasalpha() else image).copy_memory()
            rows = [
                (kind.value, effort, quality, *_measured(image, kind, effort, quality))
                for kind, qualities in QUALITIES.items()
                for effort in EFFORTS[kind]
                for quality in qualities
            ]
            with results.open("a") as file:
                file.write(
                    json.dumps({"photograph": name, "width": width, "scales": scales_of(image), "rows": rows})
                    + "\n"
                )


def _measured(image: pyvips.Image, kind: Format, effort: int, quality: int) -> tuple[float, int]:
    """The score and the number of bytes."""
    match kind:
        case Format.JPEG:
            content = image.jpegsave_buffer(Q=quality, optimize_coding=True, keep="none")
        case Format.WEBP:
            content = image.webpsave_buffer(Q=quality, effort=effort, exact=True, keep="none")
        case _:
            content = image.heifsave_buffer(
                compression="av1", Q=quality, effort=effort, bitdepth=8, keep="none"
            )
    return round(ssimulacra2(image, pyvips.Image.new_from_buffer(content, "")), 2), len(content)


def table(results: Path) -> None:
    curves: dict[int, list[dict[tuple[str, int], Curve]]] = {}
    for each in _read(results):
        of_photograph = {}
        for kind, effort in {(row[0], row[1]) for row in each["rows"]}:
            rows = sorted(row[2:] for row in each["rows"] if (row[0], row[1]) == (kind, effort))
            of_photograph[kind, effort] = Curve(*zip(*rows, strict=True))
        curves.setdefault(each["width"], []).append(of_photograph)
    for kind in (Format.WEBP, Format.AVIF):
        print(kind)
        for side_px, photographs in sorted(curves.items()):
            print(f"    {side_px}: {tuple(_anchors(photographs, kind, side_px))},")
    print("mean scores with all scales of the metric, and with fewer")
    for kind, qualities in QUALITIES.items():
        print(f"    {kind}: {qualities}")
        for has_all in (True, False):
            print(f"        {_mean_scores(_read(results), kind, has_all=has_all)},")
    for side_px, photographs in sorted(curves.items()):
        print(f"{len(photographs)} photographs at {side_px} px; mean scores, and bytes of AVIF to WebP")
        for q in CHECKED_Q:
            _print_row(photographs, q, side_px)


def _anchors(photographs: Sequence[dict[tuple[str, int], Curve]], kind: Format, side_px: int) -> list[int]:
    """The qualities of the encoder of `kind` for ANCHORS_Q."""
    jpegs = [each["jpeg", 0] for each in photographs]
    curves = [each[kind.value, _effort(kind, side_px)] for each in photographs]
    qualities = curves[0].qualities
    scores = [statistics.mean(curve.scores[at] for curve in curves) for at in range(len(qualities))]
    lower = LOWER[side_px] if kind is Format.AVIF else 0
    found = []
    for q in ANCHORS_Q[1:-1]:
        score = statistics.mean(curve.score(q) for curve in jpegs) - lower
        found.append(min(qualities[-1], max(1, round(_between(score, scores, qualities)))))
    return [1, *found, 100]


def _mean_scores(measured: Sequence[dict[str, Any]], kind: Format, *, has_all: bool) -> tuple[float, ...]:
    """The mean scores by the quality of the encoder, each above the one before it."""
    found: list[float] = []
    of_scales = [each for each in measured if (each["scales"] == ALL_SCALES) == has_all]
    for quality in QUALITIES[kind]:
        mean = statistics.mean(
            row[3]
            for each in of_scales
            for row in each["rows"]
            if row[:3] == [kind.value, _effort(kind, each["width"]), quality]
        )
        found.append(round(max(mean, found[-1] + 0.1 if found else mean), 1))
    return tuple(found)


def _effort(kind: Format, side_px: int) -> int:
    return avif_effort(side_px) if kind is Format.AVIF else EFFORTS[kind][0]


def _print_row(photographs: Sequence[dict[tuple[str, int], Curve]], q: int, side_px: int) -> None:
    scores, sizes = {}, {}
    for kind in (Format.JPEG, Format.WEBP, Format.AVIF):
        quality = encoder_quality(kind, q, side_px)
        assert quality is not None
        curves = [each[kind.value, _effort(kind, side_px)] for each in photographs]
        scores[kind] = statistics.mean(curve.score(quality) for curve in curves)
        sizes[kind] = [curve.size(quality) for curve in curves]
    avif, webp = sizes[Format.AVIF], sizes[Format.WEBP]
    worst = max(one / other for one, other in zip(avif, webp, strict=True))
    means = ", ".join(f"{kind} {score:.1f}" for kind, score in scores.items())
    print(f"    q {q}: {means}; {sum(avif) / sum(webp):.2f} in all, {worst:.2f} at worst")


def _between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Linear between the points, and beyond them."""
    at = min(max(bisect_right(xs, x), 1), len(xs) - 1)
    return ys[at - 1] + (x - xs[at - 1]) * (ys[at] - ys[at - 1]) / (xs[at] - xs[at - 1])


def _read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


if __name__ == "__main__":
    {"measure": measure, "table": lambda results, _: table(results)}[sys.argv[1]](
        Path(sys.argv[2]), sys.argv[3:]
    )
