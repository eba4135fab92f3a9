"""Levels of quality (`q_auto`): a score instead of a quality, and the quality of each encoder that reaches it.

The table is made by benchmarks/quality.py from photographs: the mean SSIMULACRA2 score by the quality of the encoder. The metric
has fewer scales for small pictures, and other scores for them.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from proxy.core.image.formats import Format
from proxy.core.transform.quality import on_line


class QualityLevel(StrEnum):
    BEST = "best"
    GOOD = "good"
    ECO = "eco"
    LOW = "low"


LEVELS = {level.value: level for level in QualityLevel}
SCORES = {QualityLevel.BEST: 85.0, QualityLevel.GOOD: 75.0, QualityLevel.ECO: 65.0, QualityLevel.LOW: 50.0}
"""On the scale of SSIMULACRA2."""
ALL_SCALES = 6
MIN_SCALES = 5
"""A picture with fewer scales has no meaningful score: the metric reads its weights for other planes."""


class _Curve(NamedTuple):
    """Mean scores by the quality of an encoder, with all scales of the metric and with one fewer."""

    qualities: Sequence[int]
    all_scales: Sequence[float]
    one_fewer: Sequence[float]

    def scores(self, scales: int) -> Sequence[float]:
        return self.one_fewer if scales == MIN_SCALES else self.all_scales


_CURVES: Mapping[Format, _Curve] = {
    Format.JPEG: _Curve(
        (10, 20, 30, 40, 50, 60, 70, 80, 85, 89, 90, 92, 97),
        (-7.5, 32.4, 48.6, 57.2, 62.7, 66.5, 71.5, 76.7, 79.7, 82.5, 87.2, 88.6, 93.4),
        (20.5, 40.5, 48.2, 51.5, 54.3, 56.0, 58.4, 61.6, 64.3, 67.2, 78.4, 80.4, 88.3),
    ),
    Format.WEBP: _Curve(
        (5, 20, 35, 50, 60, 70, 80, 88, 94, 97),
        (15.0, 38.5, 51.3, 59.5, 63.7, 67.6, 74.5, 81.7, 86.7, 88.3),
        (31.8, 44.6, 51.2, 56.0, 58.9, 61.7, 66.6, 71.8, 74.7, 75.4),
    ),
    Format.AVIF: _Curve(
        (15, 25, 35, 45, 52, 58, 64, 70, 78, 90),
        (2.0, 21.6, 42.1, 57.6, 65.3, 70.9, 75.7, 79.3, 82.8, 89.8),
        (27.5, 37.5, 48.0, 56.5, 60.6, 63.5, 66.7, 68.6, 70.6, 83.8),
    ),
}


def quality_for(kind: Format, score: float, scales: int) -> int:
    """The quality of the encoder of `kind`, which is lossy, whose mean score is `score` for pictures with so many scales of
    the metric. At most the last of the curve: beyond it bytes grow and the score hardly does."""
    curve = _CURVES[kind]
    quality = on_line(score, curve.scores(scales), curve.qualities)
    return int(min(max(quality, 1), curve.qualities[-1]) + 0.5)


def corrected(kind: Format, quality: int, scales: int, found: float, score: float) -> int:
    """The quality for `score` of a picture that got the score `found` with `quality`. What it lacks to 100 is taken to be
    in a fixed proportion to what the mean lacks."""
    curve = _CURVES[kind]
    mean = on_line(quality, curve.qualities, curve.scores(scales))
    return quality_for(kind, 100 - (100 - score) * (100 - mean) / max(100 - found, 1), scales)
