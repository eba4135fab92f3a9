"""The modifiers of ipx: every one with its aliases, the order of the operations, every error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadTransform
from proxy.core.image.formats import Format
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    TRANSPARENT,
    WHITE,
    Adjust,
    Auto,
    Blur,
    Colour,
    Convolve,
    Crop,
    Enlarge,
    Fit,
    Flatten,
    FocalPoint,
    Gamma,
    Gravity,
    Median,
    Offset,
    Operation,
    Pad,
    Remap,
    Resize,
    Sharpen,
    Smart,
    Threshold,
    Tint,
    Tone,
    Transform,
    Turn,
)
from proxy.core.url.dialects.css_colours import NAMES as CSS_COLOURS
from proxy.core.url.dialects.dialect import Support
from proxy.core.url.dialects.next.ipx import read
from proxy.core.url.dialects.next.ipx_modifiers import MODIFIERS, OPTIONS

ORANGE = Colour(0xFF, 0x88, 0x00)
GRAY = Adjust(Tone.GRAYSCALE, 100)
LUMINANCE = Tint(Colour(128, 128, 128))
CROP = Crop(width=30, height=40, at=Offset(1, 2))


def ops(modifiers: str) -> tuple[Operation, ...]:
    return read(modifiers)[0].ops


def unused(modifiers: str) -> list[str]:
    return [each.parameter for each in read(modifiers)[1]]


def box(
    width: int,
    height: int,
    fit: Fit = Fit.COVER,
    *,
    enlarge: Enlarge = Enlarge.ORIGINAL,
    gravity: Gravity = CENTER,
    background: Colour = WHITE,
) -> Resize:
    return Resize(
        width=width, height=height, fit=fit, enlarge=enlarge, gravity=gravity, background=background
    )


@pytest.mark.parametrize(
    ("modifiers", "expected"),
    [
        ("_", ()),
        ("w_300", (Resize(width=300),)),
        ("width_300", (Resize(width=300),)),
        ("w:300", (Resize(width=300),)),
        ("w=300", (Resize(width=300),)),
        ("w_3e2", (Resize(width=300),)),
        ("w_300.0", (Resize(width=300),)),
        ("w_200,w_300", (Resize(width=300),)),
        ("h_300", (Resize(height=300),)),
        ("height_300", (Resize(height=300),)),
        ("w_300,enlarge", (Resize(width=300, enlarge=Enlarge.ALLOW),)),
        ("enlarge_false&h_300", (Resize(height=300, enlarge=Enlarge.ALLOW),)),
        ("s_300x200", (box(300, 200),)),
        ("resize_300x200", (box(300, 200),)),
        ("s_300", (box(300, 300),)),
        ("s_300x", (box(300, 300),)),
        ("s_300x0", (box(300, 300),)),
        ("s_300x200x100", (box(300, 200),)),
        ("s_x200", ()),
        ("s_0x5", ()),
        ("s_100X50", ()),
        ("s_300x200,enlarge", (box(300, 200, enlarge=Enlarge.ALLOW),)),
        ("crop_1_2_30_40", (Crop(width=30, height=40, at=Offset(1, 2)),)),
        ("extract_1_2_30_40", (Crop(width=30, height=40, at=Offset(1, 2)),)),
        ("extend_1_2_3_4", (Pad(top_px=1, right_px=2, bottom_px=3, left_px=4, background=BLACK),)),
        ("extend_1,b_f80", (Pad(top_px=1, background=ORANGE),)),
        ("rotate_90", (Turn.R90,)),
        ("rotate_-90", (Turn.R270,)),
        ("rotate_540", (Turn.R180,)),
        ("rotate_360", ()),
        ("flip", (Turn.VFLIP,)),
        ("flop_false", (Turn.HFLIP,)),
        ("flip,flop", (Turn.R180,)),
        ("flip,flop,rotate_180", ()),
        ("flatten", (Flatten(BLACK),)),
        ("flatten,b_ff8800", (Flatten(ORANGE),)),
        ("flatten,background_%23FF8800", (Flatten(ORANGE),)),
        ("flatten,b_%23ff880080", (Flatten(Colour(0xFF, 0x88, 0, 0x80)),)),
        ("flatten,b_Teal", (Flatten(Colour(0, 128, 128)),)),
        ("flatten,b_transparent", (Flatten(TRANSPARENT),)),
        ("flatten,b_000,background_f80", (Flatten(ORANGE),)),
        ("flatten,background_000,b_f80", (Flatten(ORANGE),)),
        ("grayscale", (GRAY,)),
        ("grayscale,threshold_9", (LUMINANCE, Threshold(9))),
        ("grayscale,normalize", (LUMINANCE, Remap.NORMALIZE)),
        ("grayscale,tint_red", (LUMINANCE,)),
        ("blur_2", (Blur(2),)),
        ("blur_0.5", (Blur(0.5),)),
        ("blur_1.23456", (Blur(1.23),)),
        ("sharpen_2", (Sharpen(2),)),
        ("sharpen_3_1_2", (Sharpen(3),)),
        ("gamma", ()),
        ("gamma_2.2", ()),
        ("gamma_2_2", ()),
        ("w_300,gamma_3_1", (Gamma(0.3333), Resize(width=300))),
        ("w_300,gamma_1_2.2", (Resize(width=300), Gamma(2.2))),
        ("gamma_2_1.5,crop_1_2_30_40,w_9", (CROP, Gamma(0.5), Resize(width=9), Gamma(1.5))),
        ("blur_true", (Convolve(3, 9, (1,) * 9),)),
        ("sharpen_true", (Convolve(3, 24, (-1, -1, -1, -1, 32, -1, -1, -1, -1)),)),
        ("median_3", (Median(3),)),
        ("threshold_100", (Threshold(100),)),
        ("threshold_true", (Threshold(128),)),
        ("normalize", (Remap.NORMALIZE,)),
        ("negate_false", (Remap.NEGATE_ALPHA,)),
        ("tint_red", (Tint(Colour(255, 0, 0)),)),
        ("tint_%23ff000080", (Tint(Colour(255, 0, 0)),)),
        (
            "negate,tint_red,normalize,sharpen_2,gamma_1_2,blur_2,threshold_9,median_3,extend_1",
            (
                *(Pad(top_px=1, background=BLACK), Median(3), Threshold(9), Blur(2), Sharpen(2), Gamma(2)),
                *(Remap.NORMALIZE, Tint(Colour(255, 0, 0)), Remap.NEGATE_ALPHA),
            ),
        ),
    ],
)
def test_modifiers(modifiers: str, expected: tuple[Operation, ...]) -> None:
    assert ops(modifiers) == expected


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("cover", box(30, 20, gravity=FocalPoint(0, 0.5))),
        ("contain", box(30, 20, Fit.CONTAIN, gravity=FocalPoint(0, 0.5), background=ORANGE)),
        ("inside", box(30, 20, Fit.INSIDE)),
        ("outside", box(30, 20, Fit.OUTSIDE)),
        ("fill", box(30, 20, Fit.FILL)),
    ],
)
def test_fits(fit: str, expected: Resize) -> None:
    assert ops(f"s_30x20,pos_left,b_f80,fit_{fit}") == (expected,)


def test_a_contain_is_padded_with_black() -> None:
    assert ops("s_30x20,fit_contain") == (box(30, 20, Fit.CONTAIN, background=BLACK),)


@pytest.mark.parametrize(
    ("position", "gravity"),
    [
        ("center", CENTER),
        ("centre", CENTER),
        ("top", FocalPoint(0.5, 0)),
        ("north", FocalPoint(0.5, 0)),
        ("right%20top", FocalPoint(1, 0)),
        ("northeast", FocalPoint(1, 0)),
        ("right", FocalPoint(1, 0.5)),
        ("east", FocalPoint(1, 0.5)),
        ("right%20bottom", FocalPoint(1, 1)),
        ("southeast", FocalPoint(1, 1)),
        ("bottom", FocalPoint(0.5, 1)),
        ("south", FocalPoint(0.5, 1)),
        ("left%20bottom", FocalPoint(0, 1)),
        ("southwest", FocalPoint(0, 1)),
        ("left", FocalPoint(0, 0.5)),
        ("west", FocalPoint(0, 0.5)),
        ("left_top", FocalPoint(0, 0.5)),
        ("left%20top", FocalPoint(0, 0)),
        ("northwest", FocalPoint(0, 0)),
        ("entropy", Smart.ENTROPY),
        ("attention", Smart.ATTENTION),
    ],
)
def test_positions(position: str, gravity: Gravity) -> None:
    for name in ("position", "pos"):
        assert ops(f"s_30x20,{name}_{position}") == (box(30, 20, gravity=gravity),)


@pytest.mark.parametrize(
    ("modifiers", "expected"),
    [
        ("w_100,h_50", (Resize(width=100),)),
        ("h_50,s_30x20", (box(30, 20),)),
        ("s_30x20,resize_50", (box(30, 20),)),
        ("w_100,s_30x20", (Resize(width=100),)),
        ("w_100,width_200", (Resize(width=200),)),
        ("width_200,w_100", (Resize(width=200),)),
        ("h_50,s_x20", (Resize(height=50),)),
    ],
)
def test_of_several_sizes_the_last_one_by_name_applies(
    modifiers: str, expected: tuple[Operation, ...]
) -> None:
    assert ops(modifiers) == expected


@pytest.mark.parametrize(
    ("modifiers", "expected"),
    [
        ("w_100,rotate_90", (Turn.R90, Resize(width=100))),
        ("s_100x50,rotate_90", (Turn.R90, box(100, 50))),
        ("w_9,crop_1_2_30_40,rotate_90", (Turn.R90, CROP, Resize(width=9))),
        ("crop_1_2_30_40,rotate_90", (CROP, Turn.R90)),
        ("s_50x50,crop_1_2_30_40", (CROP, box(50, 50))),
        ("w_9,crop_1_2_30_40", (CROP, Resize(width=9))),
        ("h_100,rotate_180", (Resize(height=100), Turn.R180)),
        ("h_100,rotate_90", (Resize(height=100), Turn.R90, Crop(height=100))),
        ("resize_100x50,rotate_90", (box(100, 50, Fit.OUTSIDE), Turn.R90, Crop(width=100, height=50))),
        ("resize_100x50,rotate_90,fit_fill", (box(100, 50, Fit.FILL), Turn.R90)),
        ("flip,w_9,rotate_90", (Turn.R90, Resize(width=9), Turn.VFLIP)),
        ("flip,rotate_90", (Turn.TRANSPOSE,)),
        (
            "sharpen_1,blur_2,grayscale,extend_1,flatten,flop,w_9",
            (
                Resize(width=9),
                Turn.HFLIP,
                Flatten(BLACK),
                Pad(top_px=1, background=BLACK),
                GRAY,
                Blur(2),
                Sharpen(1),
            ),
        ),
    ],
)
def test_the_order_is_that_of_ipx(modifiers: str, expected: tuple[Operation, ...]) -> None:
    assert ops(modifiers) == expected
    backwards = ",".join(reversed(modifiers.split(",")))
    assert ops(backwards) == expected


@pytest.mark.parametrize(
    ("modifiers", "expected"),
    [
        ("f_jpeg", Format.JPEG),
        ("f_jpg", Format.JPEG),
        ("format_png", Format.PNG),
        ("f_webp", Format.WEBP),
        ("f_avif", Format.AVIF),
        ("f_gif", Format.GIF),
        ("f_auto", Auto.AUTO),
        ("format_auto", Auto.AUTO),
        ("format_png,f_webp", Format.WEBP),
        ("f_,format_png", Format.PNG),
        ("f_bmp", None),
        ("f_WEBP", None),
        ("_", None),
    ],
)
def test_formats(modifiers: str, expected: Format | Auto | None) -> None:
    assert read(modifiers)[0] == Transform(format=expected)


def test_quality() -> None:
    assert read("q_60")[0] == read("quality_60")[0] == Transform(quality=60)


@pytest.mark.parametrize(
    ("modifiers", "expected"),
    [
        ("w_9,loading_lazy", ["loading"]),
        ("w_9,%22_1", ["2"]),
        ("w_9,,", []),
        ("w_9,kernel_x,fit_x,pos_x,b_x", ["b", "fit", "kernel", "pos"]),
        ("s_9,kernel_cubic", ["kernel"]),
        ("s_x9", ["s"]),
        ("w_9,h_9", ["h"]),
        ("animated,a", ["a", "animated"]),
        ("gamma_2", ["gamma"]),
        ("median_1,threshold_0,blur_false", ["blur", "median", "threshold"]),
        ("grayscale,tint_red", ["tint"]),
        ("f_bmp", ["f"]),
    ],
)
def test_what_has_no_effect_is_reported(modifiers: str, expected: list[str]) -> None:
    assert sorted(unused(modifiers)) == expected


WRONG = {
    "w": ("w", "w_", "w_0", "w_-5", "w_1.5", "w_abc", "w_0640", "w_0x64", "w_1e999", "w_" + "9" * 5000),
    "h": ("h", "h_0", "h_-5", "w_9,h_x"),
    "s": ("s_-5x5", "s_5x-5", "s_1.5x5", "s_5x1.5", "s_" + "9" * 14),
    "resize": ("resize_-5x5",),
    "crop": ("crop", "crop_1_2_3", "crop_-1_2_3_4", "crop_1_2_0_4", "crop_1_2_x_4"),
    "extend": ("extend", "extend_-1", "extend_1_x", "extend_1_2_3_4.5", "extend_10000"),
    "rotate": ("rotate", "rotate_x", "rotate_45", "rotate_90.5"),
    "fit": ("s_9,fit", "s_9,fit_crop"),
    "position": ("s_9,position_middle",),
    "kernel": ("s_9,kernel_box",),
    "b": ("s_9,b_12345", "extend_1,b_nocolour", "flatten,b"),
    "blur": ("blur", "blur_0.1", "blur_101"),
    "sharpen": ("sharpen", "sharpen_0", "sharpen_11"),
    "gamma": ("gamma_9", "gamma_0.5", "gamma_x"),
    "q": ("q", "q_0", "q_101", "q_7.5", "q_best"),
    "f": ("f_tiff", "f_heic", "format_heif"),
    "trim": ("trim", "trim_10"),
    "modulate": ("modulate_1_2_3",),
    "median": ("median", "median_0", "median_16"),
    "threshold": ("threshold", "threshold_256", "threshold_1.5"),
    "tint": ("tint", "tint_nocolour"),
}


@pytest.mark.parametrize(
    ("name", "modifiers"), [(name, each) for name, several in WRONG.items() for each in several]
)
def test_errors_name_the_modifier(name: str, modifiers: str) -> None:
    with pytest.raises(BadTransform, match=rf"^modifier {name} "):
        read(modifiers)


def test_every_modifier_is_documented_and_refused_ones_are_always_refused() -> None:
    assert {name for option in OPTIONS for name in option.names} == set(MODIFIERS)
    for option in OPTIONS:
        if option.support is Support.REFUSED:
            with pytest.raises(BadTransform):
                read(option.names[0])


def test_css_names_are_in_lower_case_and_opaque_except_one() -> None:
    assert len(CSS_COLOURS) == 149
    assert all(name == name.lower() for name in CSS_COLOURS)
    assert [name for name, colour in CSS_COLOURS.items() if colour.alpha != 255] == ["transparent"]


@given(st.permutations(("w_300", "f_webp", "q_70", "blur_2", "flip", "rotate_90", "crop_1_2_30_40")))
def test_the_order_of_the_url_has_no_effect(parts: list[str]) -> None:
    assert read(",".join(parts)) == read("&".join(sorted(parts)))


def test_sizes_are_exact_numbers() -> None:
    sizes = [op for op in ops("s_300.0x200.") if isinstance(op, Resize)]
    assert [(type(size.width), size.ratio) for size in sizes] == [(int, None)]
