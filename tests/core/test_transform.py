"""Overlaying and bounding: presets under tokens, and what an unsigned URL gets."""

import pytest
from hypothesis import given

from proxy.core.errors import DimensionNotAllowed
from proxy.core.transform import (
    Adjust,
    Blur,
    Colour,
    Dimensions,
    Fit,
    FocalPoint,
    Sharpen,
    Smart,
    Tone,
    Transform,
    bound,
    overlay,
)
from tests.strategies import transforms

ALLOWED = (100, 200, 400)


@given(transforms, transforms)
def test_what_is_said_above_wins(below: Transform, above: Transform) -> None:
    merged = overlay(below, above)
    for name in Transform.__slots__:
        said = getattr(above, name)
        assert getattr(merged, name) == (getattr(below, name) if said is None else said)


@given(transforms)
def test_silence_changes_nothing(transform: Transform) -> None:
    assert overlay(transform, Transform()) == transform == overlay(Transform(), transform)


@given(transforms)
def test_any_takes_everything(transform: Transform) -> None:
    assert bound(transform, Dimensions.ANY, ALLOWED) == transform


@pytest.mark.parametrize(
    ("asked", "got"), [(1, 100), (100, 100), (101, 200), (399, 400), (401, 400), (10**9, 400)]
)
def test_snap_moves_up_to_the_list(asked: int, got: int) -> None:
    bounded = bound(Transform(width_px=asked, height_px=100), Dimensions.SNAP, ALLOWED)
    assert (bounded.width_px, bounded.height_px) == (got, 100)


@pytest.mark.parametrize("name", ["width_px", "height_px"])
def test_listed_refuses_other_sizes_by_name(name: str) -> None:
    with pytest.raises(DimensionNotAllowed, match=f"^{name[0]} must be one of 100, 200, 400"):
        bound(Transform(**{name: 150}), Dimensions.LISTED, ALLOWED)  # type: ignore[arg-type]
    assert bound(Transform(width_px=200), Dimensions.LISTED, ALLOWED) == Transform(width_px=200)


@pytest.mark.parametrize(
    ("asked", "got"), [(1, 5), (2, 5), (3, 5), (7, 5), (8, 10), (82, 80), (83, 85), (100, 100), (98, 100)]
)
def test_quality_is_rounded_to_five(asked: int, got: int) -> None:
    assert bound(Transform(quality=asked), Dimensions.LISTED, ALLOWED).quality == got


def test_everything_else_that_could_be_endless_is_coarse() -> None:
    asked = Transform(
        gravity=FocalPoint(0.274, 0.126),
        effects=(
            Blur(1.26), Blur(0.3), Sharpen(1.74), Adjust(Tone.SEPIA, 82),
            Adjust(Tone.BRIGHTNESS, -13), Adjust(Tone.CONTRAST, 2),
        ),
    )  # fmt: skip
    bounded = bound(asked, Dimensions.SNAP, ALLOWED)
    assert bounded.gravity == FocalPoint(0.25, 0.15)
    assert bounded.effects == (
        Blur(1.5), Blur(0.5), Sharpen(1.5), Adjust(Tone.SEPIA, 80),
        Adjust(Tone.BRIGHTNESS, -15), Adjust(Tone.CONTRAST, 0),
    )  # fmt: skip
    assert (
        bound(Transform(gravity=Smart.ENTROPY, fit=Fit.COVER), Dimensions.SNAP, ALLOWED).gravity
        is Smart.ENTROPY
    )


def test_colours_in_hexadecimal() -> None:
    assert Colour(1, 2, 255).hex == "0102ff"
    assert Colour(1, 2, 255, 16).hex == "0102ff10"
