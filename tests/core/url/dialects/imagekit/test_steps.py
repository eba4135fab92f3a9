"""The operations and sizes of ImageKit's transformations, with the examples of its documentation."""

from fractions import Fraction

import pytest

from proxy.core.errors import BadTransform
from proxy.core.image.size import Size
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    Adjust,
    Blur,
    Colour,
    Crop,
    Ellipse,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Offset,
    Operation,
    Pad,
    Remap,
    Resize,
    Rounded,
    Sharpen,
    Smart,
    Tone,
    Transform,
    Trim,
    Turn,
    UnsharpMask,
)
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.imagekit.urls import parse
from proxy.core.url.parsed_url import VariantUrl
from tests.support.laid_out import size_of

READING = Reading(presets={})
PLANT, CAFE, WIDE = Size(640, 865), Size(600, 600), Size(300, 200)
GREY, RED = Colour(0xF3, 0xF3, 0xF3), Colour(255, 0, 0)


def drawn(steps: str) -> Transform:
    parsed = parse(f"/tr:{steps}/a.jpg", READING)
    assert isinstance(parsed, VariantUrl)
    return parsed.transform


SIZES = [
    ("w-200", PLANT, (200, 270)),
    ("w-0.4", PLANT, (256, 346)),
    ("h-0.4", PLANT, (256, 346)),
    ("h-200", PLANT, (148, 200)),
    ("w-400,ar-4-3", PLANT, (400, 300)),
    ("h-300,ar-4-3", PLANT, (400, 300)),
    ("w-300,h-200,cm-pad_resize,bg-F3F3F3", PLANT, (300, 200)),
    ("w-300,h-200,c-force", PLANT, (300, 200)),
    ("w-300,h-200,c-at_max", PLANT, (148, 200)),
    ("w-850,h-1000,c-at_max", PLANT, (640, 865)),
    ("w-850,h-1000,c-at_max_enlarge", PLANT, (740, 1000)),
    ("w-300,h-200,c-at_least", PLANT, (300, 405)),
    ("w-300,h-200,c-maintain_ratio", PLANT, (300, 200)),
    ("w-300,h-200", PLANT, (300, 200)),
    ("w-1200,h-1200", PLANT, (1200, 1200)),
    ("w-1280", PLANT, (1280, 1730)),
    ("w-1280,c-at_max", PLANT, (640, 865)),
    ("w-500,h-100,fo-auto", PLANT, (500, 100)),
    ("w-200,h-200,cm-extract", PLANT, (200, 200)),
    ("w-300,h-300,cm-extract,fo-bottom_right", PLANT, (300, 300)),
    ("w-300,h-300,cm-extract,x-100,y-300", PLANT, (300, 300)),
    ("w-300,h-300,cm-extract,xc-300,yc-500", PLANT, (300, 300)),
    ("w-300,h-300,cm-extract,x-500,y-800", PLANT, (140, 65)),
    ("w-300,cm-extract,ar-3-1", PLANT, (300, 100)),
    ("h-100,cm-extract,ar-3-1", PLANT, (300, 100)),
    ("w-700,h-700,cm-pad_extract,bg-F3F3F3", CAFE, (700, 700)),
    ("w-700,h-300,cm-pad_extract", CAFE, (700, 300)),
    ("w-300,cm-pad_resize", PLANT, (300, 405)),
    ("w-100,h-100,dpr-2", PLANT, (200, 200)),
    ("w-100,dpr-0.5", PLANT, (50, 68)),
    ("w-3000,h-3000,dpr-2,c-at_max_enlarge", WIDE, (3000, 2000)),
    ("dpr-2", WIDE, (300, 200)),
    ("w-iw_div_2", WIDE, (150, 100)),
    ("w-cw_mul_0.5,h-ch", WIDE, (150, 200)),
    ("h-ih_mul_2", WIDE, (600, 400)),
    ("w-100:rt-90", WIDE, (67, 100)),
    ("w-100,rt-90", WIDE, (67, 100)),
    ("w-400,h-300:rt-90", PLANT, (300, 400)),
    ("w-300,h-300,c-at_max:w-100,h-100,cm-extract", PLANT, (100, 100)),
    ("w-100,dpr-2:h-50,dpr-2", WIDE, (150, 100)),
    ("w-750,c-at_max:w-750,h-750,cm-pad_extract,bg-FFFFFF", PLANT, (750, 750)),
    ("q-50", WIDE, (300, 200)),
]


@pytest.mark.parametrize(("steps", "original", "size"), SIZES)
def test_sizes(steps: str, original: Size, size: tuple[int, int]) -> None:
    assert size_of(drawn(steps), original) == size


def resize(width: Length | None, height: Length | None, fit: Fit, gravity: Gravity = CENTER) -> Resize:
    return Resize(width=width, height=height, fit=fit, enlarge=Enlarge.ALLOW, gravity=gravity)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("w-9,h-5", [resize(9, 5, Fit.COVER)]),
        ("w-9,h-5,fo-top_left", [resize(9, 5, Fit.COVER, FocalPoint(0.0, 0.0))]),
        ("w-9,h-5,fo-auto", [resize(9, 5, Fit.COVER, Smart.ATTENTION)]),
        ("w-9,h-5,fo-face,z-1", [resize(9, 5, Fit.COVER, Smart.FACES)]),
        ("w-9,h-5,c-force,fo-top", [resize(9, 5, Fit.FILL)]),
        ("w-9,h-5,c-at_least", [resize(9, 5, Fit.OUTSIDE)]),
        ("w-9,h-5,c-at_max", [Resize(width=9, height=5)]),
        ("w-9,c-at_max", [Resize(width=9)]),
        ("w-9,fo-top", [resize(9, None, Fit.INSIDE)]),
        (
            "w-9,h-5,cm-pad_resize",
            [Resize(width=9, height=5, fit=Fit.CONTAIN, enlarge=Enlarge.ALLOW, background=BLACK)],
        ),
        (
            "w-9,h-5,cm-pad_resize,bg-F3F3F3,fo-left",
            [
                Resize(
                    width=9, height=5, fit=Fit.CONTAIN, enlarge=Enlarge.ALLOW, background=GREY, gravity=FocalPoint(0, 0.5)
                ),
                Flatten(GREY),
            ],
        ),
        ("w-9,h-5,cm-extract,fo-top", [Crop(width=9, height=5, at=FocalPoint(0.5, 0.0))]),
        ("w-9,h-5,cm-extract,fo-auto", [Crop(width=9, height=5, at=Smart.ATTENTION)]),
        ("w-9,h-5,cm-extract,x-4", [Crop(width=9, height=5, at=Offset(4, 0))]),
        ("w-9,h-5,cm-extract,xc-20,yc-2", [Crop(width=9, height=5, at=Offset(16, 0))]),
        ("w-9,h-5,cm-extract,x-4,xc-20", [Crop(width=9, height=5, at=Offset(4, 0))]),
        (
            "w-9,h-5,cm-pad_extract,bg-FF000050",
            [
                Crop(width=9, height=5),
                Extend(width_px=9, height_px=5, background=Colour(255, 0, 0, 128)),
            ],
        ),
        ("w-0.5,dpr-2", [resize(Part(Fraction(1)), None, Fit.INSIDE)]),
        ("t-true", [Trim(threshold=10)]),
        ("t-15", [Trim(threshold=15)]),
        ("t-false", []),
        ("rt-90", [Turn.R90]),
        ("rt-N90", [Turn.R270]),
        ("rt-360", []),
        ("rt-auto", []),
        ("fl-h", [Turn.HFLIP]),
        ("fl-h_v", [Turn.R180]),
        ("rt-180,fl-v", [Turn.HFLIP]),
        ("bg-red", [Flatten(RED)]),
        ("bg-FF000050", []),
        ("bl-10", [Blur(5.0)]),
        ("bl-500", [Blur(50.0)]),
        ("e-grayscale", [Adjust(Tone.GRAYSCALE, 100)]),
        ("e-grayscale-false", []),
        ("e-contrast", [Remap.NORMALIZE]),
        ("e-contrast-true", [Remap.NORMALIZE]),
        ("e-sharpen", [Sharpen(1.0)]),
        ("e-sharpen-5", [Sharpen(5.0)]),
        ("e-usm-2-2-0.8-0.024", [UnsharpMask(2.0, 80, 6)]),
        ("e-usm-2-2-0-0.024", []),
        ("r-20", [Rounded((20, 20, 20, 20))]),
        ("r-1_2_3_4", [Rounded((1, 2, 3, 4))]),
        ("r-max,b-5_FF0000", [Pad(top_px=5, right_px=5, bottom_px=5, left_px=5, background=Colour(255, 0, 0)), Ellipse()]),
        (
            "bg-red,bl-2,e-grayscale,rt-90,w-9,t-5",
            [Trim(threshold=5), resize(9, None, Fit.INSIDE), Turn.R90, Adjust(Tone.GRAYSCALE, 100), Blur(1.0), Flatten(RED)],
        ),
        ("rt-90:w-9", [Turn.R90, resize(9, None, Fit.INSIDE)]),
    ],
)  # fmt: skip
def test_operations(steps: str, expected: list[Operation]) -> None:
    assert list(drawn(steps).ops) == expected


@pytest.mark.parametrize(
    ("steps", "dpr_percent"),
    [("w-9,dpr-2", 200), ("w-9,dpr-2:rt-90", 200), ("w-9,dpr-1.333", None), ("w-9:h-5,dpr-2", None), ("w-0.5,dpr-2", None)],
)  # fmt: skip
def test_a_dpr_of_the_only_size_is_that_of_the_transform(steps: str, dpr_percent: int | None) -> None:
    assert drawn(steps).dpr_percent == dpr_percent


@pytest.mark.parametrize("steps", ["w-0.5,h-0.5,cm-pad_extract", "w-0.5,cm-extract,xc-9"])
def test_what_needs_pixels_is_refused_without(steps: str) -> None:
    with pytest.raises(BadTransform, match="^transformation cm is not supported"):
        drawn(steps)
