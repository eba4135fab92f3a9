"""The parameters of a URL override those of its preset."""

from hypothesis import given

from proxy.core.transform.operations import Colour, Transform, overlay
from tests.support.strategies import transforms


@given(transforms, transforms)
def test_parameters_override_the_preset(below: Transform, above: Transform) -> None:
    merged = overlay(below, above)
    for name in Transform.__slots__:
        override = getattr(above, name)
        assert getattr(merged, name) == (getattr(below, name) if override is None else override)


@given(transforms)
def test_an_empty_transform_overrides_nothing(transform: Transform) -> None:
    assert overlay(transform, Transform()) == transform == overlay(Transform(), transform)


def test_colours_are_written_in_hexadecimal() -> None:
    assert Colour(1, 2, 255).hex == "0102ff"
    assert Colour(1, 2, 255, 16).hex == "0102ff10"
