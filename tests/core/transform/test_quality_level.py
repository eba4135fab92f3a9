"""Levels of quality: the encoder's quality for a score, and its one correction."""

import pytest

from proxy.core.image.formats import Format
from proxy.core.transform.plan import Encode, RenderDefaults, resolve
from proxy.core.transform.plan_text import canonical
from proxy.core.transform.quality_level import ALL_SCALES, SCORES, QualityLevel, corrected, quality_for
from proxy.core.url.dialects.native.urls import parse_transform

LOSSY = (Format.JPEG, Format.WEBP, Format.AVIF)
SCALES = (ALL_SCALES, ALL_SCALES - 1)
DEFAULTS = RenderDefaults(quality=80, effort={}, max_side_px=4000)


@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("scales", SCALES)
def test_a_higher_level_has_a_higher_quality(kind: Format, scales: int) -> None:
    qualities = [quality_for(kind, SCORES[level], scales) for level in reversed(QualityLevel)]
    assert qualities == sorted(qualities)
    assert len(set(qualities)) == len(qualities)
    assert qualities[0] >= 20


@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("scales", SCALES)
def test_qualities_have_a_least_and_a_highest_one(kind: Format, scales: int) -> None:
    assert quality_for(kind, -900, scales) == 1
    assert 90 <= quality_for(kind, 100, scales) <= 97


@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("aim", [50.0, 65.0, 75.0])
def test_the_correction_goes_against_the_error(kind: Format, scales: int, aim: float) -> None:
    quality = quality_for(kind, aim, scales)
    by_score = [corrected(kind, quality, scales, found, aim) for found in (-20, aim - 9, aim, aim + 9, 100)]
    assert by_score == sorted(by_score, reverse=True)
    assert abs(by_score[2] - quality) <= 1
    assert by_score[1] > quality > by_score[3]


@pytest.mark.parametrize("level", QualityLevel)
def test_a_level_is_part_of_the_plan_for_lossy_formats(level: QualityLevel) -> None:
    transform = parse_transform(f"w_300,q_auto:{level}", {})
    lossy, lossless = (resolve(transform, kind, DEFAULTS) for kind in (Format.WEBP, Format.PNG))
    assert isinstance(lossy.output, Encode)
    assert isinstance(lossless.output, Encode)
    assert lossy.output.quality is level
    assert lossless.output.quality is None
    assert lossy.output.has_other_quality
    assert canonical(lossy).endswith(f"webp:q{level}:e0:other")


def test_a_quality_of_the_format_is_more_specific_than_a_level() -> None:
    plan = resolve(parse_transform("w_300,q_auto:low,fq_jpg:33", {}), Format.JPEG, DEFAULTS)
    assert isinstance(plan.output, Encode)
    assert plan.output.quality == 33
