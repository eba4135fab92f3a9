"""Sizes in whole pixels."""

from proxy.core.image.size import Size, pixels


def test_the_area_is_width_times_height() -> None:
    assert pixels(Size(1, 1)) == 1
    assert pixels(Size(400, 300)) == 120_000


def test_a_size_is_written_with_an_x() -> None:
    assert str(Size(400, 300)) == "400x300"
