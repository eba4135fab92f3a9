"""The transfer function of sRGB."""

import pytest

from proxy.core.image import srgb


@pytest.mark.parametrize(
    ("value", "light"), [(0, 0.0), (1, 1.0), (0.5, 0.214041), (0.04, 0.00309598), (0.735357, 0.5)]
)
def test_values_and_light(value: float, light: float) -> None:
    assert srgb.light(value) == pytest.approx(light, abs=1e-6)
    assert srgb.value(light) == pytest.approx(value, abs=1e-6)


def test_every_level_comes_back() -> None:
    assert [round(255 * srgb.value(srgb.light(level / 255))) for level in range(256)] == list(range(256))


def test_light_out_of_range_is_black_or_white() -> None:
    assert (srgb.value(-0.1), srgb.value(1.5)) == pytest.approx((0.0, 1.0))
