"""What the levels of `q_auto` reach: `python -m benchmarks.auto_quality PHOTOGRAPH...`, at 320, 640 and 1280 px.

Prints for each size and level how many photographs lie within 4 points of its SSIMULACRA2 score in each format, or of the score
of the highest quality if that is less; with the quality that has this score in the mean, and after the correction. Then the constants of
`render/score.py` as these pictures give them. Needs `pip install ssimulacra2`; a minute a photograph.
"""

import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import pyvips

from benchmarks.common import ssimulacra2
from proxy.core.image.formats import Format
from proxy.core.transform.plan import Encode
from proxy.core.transform.quality import SIDES_PX, avif_effort
from proxy.core.transform.quality_level import ALL_SCALES, SCORES, QualityLevel, quality_for
from proxy.render.encoding import encoded
from proxy.render.score import distortion, scales_of, score_of

KINDS = (Format.JPEG, Format.WEBP, Format.AVIF)
WITHIN = 4.0


class Result(NamedTuple):
    """One photograph in one format. `uncorrected` and `reached` are scores. `distortions` are those of the corrected
    picture, by how many scales were skipped. `ceiling` is the score of
    the encoder's highest quality."""

    kind: Format
    level: QualityLevel
    uncorrected: float
    reached: float
    ceiling: float
    distortions: dict[int, float]

    def misses(self, reached: float) -> bool:
        return abs(reached - min(SCORES[self.level], self.ceiling)) > WITHIN


def results(paths: Sequence[str], width: int) -> Iterator[Result]:
    for path in paths:
        if pyvips.Image.new_from_file(path).width < width:
            continue
        image = pyvips.Image.thumbnail(path, width, output_profile="srgb")
        image = (image.flatten() if image.hasalpha() else image).copy_memory()
        skips = (1, 2) if scales_of(image) == ALL_SCALES else ()
        for kind in KINDS:
            effort = avif_effort(width) if kind is Format.AVIF else 4
            ceiling = _score_of(image, Encode(format=kind, quality=100, effort=effort, flatten=None))
            for level in QualityLevel:
                encode = Encode(format=kind, quality=level, effort=effort, flatten=None)
                mean = quality_for(kind, SCORES[level], scales_of(image))
                shown = pyvips.Image.new_from_buffer(encoded([image], encode), "")
                yield Result(
                    kind,
                    level,
                    _score_of(image, replace(encode, quality=mean)),
                    ssimulacra2(image, shown),
                    ceiling,
                    {skip: distortion(image, shown, skip) for skip in skips},
                )


def _score_of(image: pyvips.Image, encode: Encode) -> float:
    return ssimulacra2(image, pyvips.Image.new_from_buffer(encoded([image], encode), ""))


def print_levels(found: Sequence[Result], width: int) -> None:
    print(
        f"{len(found) // len(KINDS) // len(QualityLevel)} photographs at {width} px: within {WITHIN:g} points"
    )
    for level in QualityLevel:
        for kind in KINDS:
            of_level = [each for each in found if (each.level, each.kind) == (level, kind)]
            before = sum(not each.misses(each.uncorrected) for each in of_level)
            after = sum(not each.misses(each.reached) for each in of_level)
            apart = [abs(each.reached - SCORES[level]) for each in of_level]
            print(
                f"    {level} ({SCORES[level]:g}) {kind}: {before} with the quality of the mean, {after} corrected;"
                f" {statistics.median(apart):.1f} apart in the median, {max(apart):.1f} at worst"
            )


def print_constants(found: Sequence[Result]) -> None:
    """The line through all distortions without the finest scales, by least squares."""
    for skip in (1, 2):
        pairs = [
            (each.distortions[skip], distortion_of(each.reached), each) for each in found if each.distortions
        ]
        if len(pairs) < 3:
            continue
        slope, offset = statistics.linear_regression(
            [one for one, _, _ in pairs], [other for _, other, _ in pairs]
        )
        print(f"{skip} skipped: offset {offset:.3f}, factor {slope:.3f}")
        for kind in KINDS:
            errors = [
                score_of(offset + slope * one) - each.reached for one, _, each in pairs if each.kind is kind
            ]
            print(
                f"    {kind}: too high by {statistics.mean(errors):.1f} in the mean, deviation {statistics.stdev(errors):.1f}"
            )


def distortion_of(score: float) -> float:
    """The inverse of `score_of`."""
    low, high = 0.0, 200.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if score_of(middle) > score else (low, middle)
    return low


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    everything = []
    for width in SIDES_PX:
        found = list(results(sys.argv[1:], width))
        if found:
            print_levels(found, width)
        everything += found
    print_constants(everything)


if __name__ == "__main__":
    main()
