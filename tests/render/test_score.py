"""The estimate of SSIMULACRA2, against scores of the metric itself, which were computed for the same pictures."""

import pytest
import pyvips

from proxy.core.image.formats import Format
from proxy.render.score import scales_of, score, score_of

WITHIN = 6.0
"""How far the estimate may be off, for distortions that no encoder makes."""


def painted(width: int, height: int) -> pyvips.Image:
    """Waves on a slope, in three colours."""
    at = pyvips.Image.xyz(width, height)
    waves = [
        (at[0] * a + at[1] * b).sin() * 60 + at[0] * (90 / width) + 60 for a, b in ((7, 3), (2, 9), (13, 1))
    ]
    return waves[0].bandjoin(waves[1:]).cast("uchar").copy(interpretation="srgb").copy_memory()


def coarse(image: pyvips.Image, step: int) -> pyvips.Image:
    """`image` with values that are multiples of `step`."""
    return ((image / step).rint() * step).cast("uchar").copy(interpretation="srgb")


@pytest.mark.parametrize(
    ("size", "step", "reference"),
    [
        ((200, 150), 8, 85.5),
        ((200, 150), 24, 53.8),
        ((200, 150), 48, 15.4),
        ((320, 240), 8, 90.3),
        ((320, 240), 24, 66.1),
        ((900, 600), 8, 90.4),
        ((900, 600), 24, 66.3),
        ((900, 600), 48, 21.1),
    ],
)
def test_scores_are_near_those_of_the_metric(size: tuple[int, int], step: int, reference: float) -> None:
    image = painted(*size)
    assert score(image, coarse(image, step), Format.WEBP) == pytest.approx(reference, abs=WITHIN)


@pytest.mark.parametrize("size", [(200, 150), (320, 240), (900, 600)])
def test_the_worse_a_picture_the_lower_its_score(size: tuple[int, int]) -> None:
    image = painted(*size)
    scores = [score(image, coarse(image, step), Format.JPEG) or 0 for step in (2, 6, 12, 24, 48)]
    assert scores == sorted(scores, reverse=True)


def test_equal_pictures_have_100() -> None:
    for size in ((150, 113), (200, 150)):
        assert score(painted(*size), painted(*size), Format.JPEG) == 100
    assert score_of(0.0) == 100


@pytest.mark.parametrize(
    ("size", "scales"),
    [
        ((7, 900), 0),
        ((8, 8), 1),
        ((9, 9), 1),
        ((15, 900), 2),
        ((224, 900), 5),
        ((900, 225), 6),
        ((9000, 9000), 6),
    ],
)
def test_the_shorter_side_decides_how_many_scales_there_are(size: tuple[int, int], scales: int) -> None:
    assert scales_of(pyvips.Image.black(*size)) == scales


def test_a_picture_with_too_short_a_side_has_no_score() -> None:
    for size in ((7, 300), (300, 112)):
        assert score(painted(*size), painted(*size), Format.JPEG) is None
