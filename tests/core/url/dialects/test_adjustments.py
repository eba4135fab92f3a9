"""Factors as steps of adjustments."""

from fractions import Fraction

import pytest

from proxy.core.transform.operations import Adjust, Tone
from proxy.core.url.dialects.adjustments import scaled


@pytest.mark.parametrize(
    ("percent", "steps"),
    [
        (100, []),
        (0, [-100]),
        (150, [50]),
        (200, [100]),
        (300, [100, 50]),
        (1600, [100, 100, 100, 100]),
        (5000, [100, 100, 100, 100]),
        (Fraction(1005, 10), []),
        (Fraction(1006, 10), [1]),
    ],
)
def test_one_step_at_most_doubles(percent: Fraction | int, steps: list[int]) -> None:
    assert scaled(Tone.CONTRAST, percent) == [Adjust(Tone.CONTRAST, step) for step in steps]
