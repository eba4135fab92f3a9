"""The dialect of thumbor and imagor: every option, alias, error and signature."""

import base64
import hmac
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.errors import BadSignature, BadTransform, BadUrl, CalotypeError
from proxy.core.image.formats import Format
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    TRANSPARENT,
    WHITE,
    Adjust,
    Auto,
    Blur,
    Colorize,
    Colour,
    Convolve,
    Crop,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Hue,
    Noise,
    Offset,
    Operation,
    OriginalPoint,
    Overlay,
    Pad,
    Pixelate,
    Placing,
    Remap,
    Resize,
    Rgb,
    Rounded,
    Rounding,
    Sharpen,
    Shifted,
    Smart,
    Tone,
    Transform,
    Trim,
    Turn,
    without_no_ops,
)
from proxy.core.url.dialects.dialect import Reading, Support, Unsupported
from proxy.core.url.dialects.native import urls as native
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.dialects.thumbor.filters import FILTERS
from proxy.core.url.dialects.thumbor.signatures import unsigned, verify
from proxy.core.url.dialects.thumbor.urls import DIALECT, parse
from proxy.core.url.parsed_url import InfoUrl, OriginalUrl, VariantUrl
from proxy.core.url.signing import UNRESTRICTED, Keys, Signed
from proxy.edge.problems import PROBLEMS
from tests.rivals.client_keys import THUMBOR_KEY

READING = Reading(presets={})
IGNORING = Reading(presets={}, unsupported=Unsupported.IGNORE)
RED = Colour(255, 0, 0)
OWN = Part(Fraction(1))
HALF = Part(Fraction(1, 2))
PROPORTION = Resize(width=HALF, height=HALF, fit=Fit.FILL, rounding=Rounding.DOWN)


def variant(options: str, image: str = "lake.jpg", reading: Reading = READING) -> VariantUrl:
    parsed = parse(f"/unsafe/{options}{'/' if options else ''}{image}", reading)
    assert isinstance(parsed, VariantUrl)
    return parsed


def cover(width: Length, height: Length, gravity: Gravity = CENTER) -> Resize:
    return Resize(width=width, height=height, fit=Fit.COVER, enlarge=Enlarge.ALLOW, gravity=gravity)


def along(width: Length | None, height: Length | None, rounding: Rounding = Rounding.HALF_EVEN) -> Resize:
    return Resize(width=width, height=height, enlarge=Enlarge.ALLOW, rounding=rounding)


def padded(colour: Colour = WHITE, enlarge: Enlarge = Enlarge.NEVER) -> Resize:
    return Resize(width=300, height=200, fit=Fit.CONTAIN, enlarge=enlarge, background=colour)


FIT_IN = Resize(width=300, height=200)
CROP = Crop(width=300, height=200, at=Offset(10, 20))

PATHS: list[tuple[str, tuple[Operation, ...]]] = [
    ("", ()),
    ("300x200", (cover(300, 200),)),
    ("0300x0200", (cover(300, 200),)),
    ("300x", (along(300, None),)),
    ("300x0", (along(300, None),)),
    ("x200", (along(None, 200),)),
    ("0x200", (along(None, 200),)),
    ("x", ()),
    ("0x0", ()),
    ("-x-", (Turn.HFLIP, Turn.VFLIP)),
    ("-300x200", (cover(300, 200), Turn.HFLIP)),
    ("300x-200", (cover(300, 200), Turn.VFLIP)),
    ("-0x-0", (Turn.HFLIP, Turn.VFLIP)),
    ("origx200", (cover(OWN, 200),)),
    ("300xorig", (cover(300, OWN),)),
    ("origxorig", ()),
    ("origx", ()),
    ("300x200/left/top", (cover(300, 200, FocalPoint(0, 0)),)),
    ("300x200/right/bottom", (cover(300, 200, FocalPoint(1, 1)),)),
    ("300x200/center/middle", (cover(300, 200),)),
    ("300x200/top", (cover(300, 200, FocalPoint(0.5, 0)),)),
    ("300x200/smart", (cover(300, 200, Smart.ATTENTION),)),
    ("300x200/left/smart", (cover(300, 200, Smart.ATTENTION),)),
    ("fit-in/300x200", (FIT_IN,)),
    ("fit-in/300x0", (Resize(width=300),)),
    ("fit-in", ()),
    ("fit-in/origx200", (Resize(width=OWN, height=200),)),
    ("full-fit-in/300x200", (Resize(width=300, height=200, fit=Fit.OUTSIDE, enlarge=Enlarge.ALLOW),)),
    ("full-fit-in/300x", (along(300, None, Rounding.HALF_UP),)),
    (
        "adaptive-fit-in/200x300",
        (
            Resize(
                width=200,
                height=200,
                fit=Fit.OUTSIDE,
                enlarge=Enlarge.NEVER,
                max_width_px=300,
                max_height_px=300,
            ),
        ),
    ),
    ("adaptive-fit-in/300x300", (Resize(width=300, height=300),)),
    ("adaptive-fit-in/300x", (Resize(width=300),)),
    (
        "adaptive-full-fit-in/300x200",
        (
            along(300, 300, Rounding.HALF_UP),
            Resize(width=200, height=200, fit=Fit.OUTSIDE, enlarge=Enlarge.ONLY),
        ),
    ),
    ("stretch/300x200", (Resize(width=300, height=200, fit=Fit.FILL, enlarge=Enlarge.ALLOW),)),
    ("10x20:310x220", (CROP,)),
    ("10x20:310x220/30x20", (CROP, cover(30, 20))),
    ("0x0:0x0", ()),
    ("10x20:10x220", ()),
    ("310x20:10x220", ()),
    (
        "0.1x.25:0.9x1",
        (
            Crop(
                width=Part(Fraction(4, 5)),
                height=Part(Fraction(3, 4)),
                at=Offset(Part(Fraction(1, 10)), Part(Fraction(1, 4))),
            ),
        ),
    ),
    ("9.5x20:310x219.5", (CROP,)),
    ("0x0:1x1", (Crop(width=1, height=1, at=Offset(0, 0)),)),
    ("trim", (Trim(threshold=0),)),
    ("trim:top-left", (Trim(threshold=0),)),
    ("trim:bottom-right:30", (Trim(threshold=30, from_lower_right=True),)),
    ("trim:7", (Trim(threshold=7),)),
    ("trim:999", (Trim(threshold=255),)),
    ("trim/10x20:310x220/30x20", (CROP, Trim(threshold=0), cover(30, 20))),
    (
        "fit-in/300x200/5x6:7x8/filters:fill(red)",
        (padded(RED), Pad(top_px=6, right_px=7, bottom_px=8, left_px=5, background=RED)),
    ),
    (
        "fit-in/300x200/5x6/filters:fill(red)",
        (padded(RED), Pad(top_px=6, right_px=5, bottom_px=6, left_px=5, background=RED)),
    ),
]


@pytest.mark.parametrize(("options", "ops"), PATHS)
def test_the_parts_of_the_path(options: str, ops: tuple[Operation, ...]) -> None:
    parsed = variant(options)
    assert (parsed.key, parsed.transform.ops, parsed.unused) == ("lake.jpg", ops, ())


OPS: list[tuple[str, tuple[Operation, ...]]] = [
    ("grayscale()", (Adjust(Tone.GRAYSCALE_601, 100),)),
    ("rotate(90)", (Turn.R270,)),
    ("rotate(180)", (Turn.R180,)),
    ("rotate(270)", (Turn.R90,)),
    ("rotate(-90)", (Turn.R90,)),
    ("rotate(360)", ()),
    ("blur(1)", (Blur(0.74),)),
    ("blur(3)", (Blur(1.84),)),
    ("blur(%2010%20,%202%20)", (Blur(2.0),)),
    ("blur(7,2.5)", (Blur(2.47),)),
    ("blur(3,0)", (Blur(1.84),)),
    ("blur(3,0.0001)", ()),
    ("blur(0)", ()),
    ("blur(2.5)", (Blur(1.25),)),
    ("blur(9999)", (Blur(86.76),)),
    ("sharpen(2,1,true)", (Sharpen(3.33),)),
    ("sharpen(0,1,false)", ()),
    ("sharpen(9,9,false)", (Sharpen(10),)),
    ("sharpen(0.5)", (Sharpen(2),)),
    ("sharpen(1,0.5)", (Sharpen(2),)),
    ("brightness(20)", (Rgb(20, 20, 20),)),
    ("brightness(-120)", (Rgb(-100, -100, -100),)),
    ("brightness(0)", ()),
    ("contrast(40)", (Adjust(Tone.CONTRAST, 96),)),
    ("contrast(-50)", (Adjust(Tone.CONTRAST, -75),)),
    ("contrast(-100)", (Adjust(Tone.CONTRAST, -100),)),
    ("contrast(0)", ()),
    ("contrast(100)", (Adjust(Tone.CONTRAST, 100), Adjust(Tone.CONTRAST, 100))),
    ("saturation(0)", (Adjust(Tone.SATURATION_HSP, -100),)),
    ("saturation(1.5)", (Adjust(Tone.SATURATION_HSP, 50),)),
    ("saturation(3)", (Adjust(Tone.SATURATION_HSP, 100), Adjust(Tone.SATURATION_HSP, 50))),
    ("proportion(0.5)", (PROPORTION,)),
    ("proportion(1)", ()),
    ("background_color(f00)", (Flatten(RED),)),
    ("background_color(%23ff0000)", (Flatten(RED),)),
    ("padding(red,5)", (Pad(top_px=5, right_px=5, bottom_px=5, left_px=5, background=RED),)),
    ("padding(red,5,6)", (Pad(top_px=6, right_px=5, bottom_px=6, left_px=5, background=RED),)),
    ("padding(red,5,6,7,8)", (Pad(top_px=6, right_px=7, bottom_px=8, left_px=5, background=RED),)),
    ("crop(10,20,300,200)", (CROP,)),
    (
        "crop(0.5,0,0.5,200)",
        (Crop(width=Part(Fraction(1, 2)), height=200, at=Offset(Part(Fraction(1, 2)), 0)),),
    ),
    ("trim()", (Trim(threshold=0),)),
    ("trim(9,top-left)", (Trim(threshold=9),)),
    ("trim(9,bottom-right)", (Trim(threshold=9, from_lower_right=True),)),
    ("proportion(50)", (PROPORTION,)),
    ("proportion(100)", ()),
    ("grayscale():orient(90)", (Turn.R90, Adjust(Tone.GRAYSCALE_601, 100))),
    ("orient(0)", ()),
    ("pixelate()", (Pixelate(10),)),
    ("pixelate(5)", (Pixelate(5),)),
    ("pixelate(5000)", (Pixelate(1000),)),
    ("pixelate(1)", ()),
    ("rgb(10,-20,0)", (Rgb(10, -20, 0),)),
    ("rgb(900,-900,0)", (Rgb(100, -100, 0),)),
    ("rgb(0,0,0)", ()),
    ("equalize()", (Remap.EQUALIZE,)),
    ("colorize(10,20,30,ff8800)", (Colorize(10, 20, 30, Colour(255, 136, 0)),)),
    ("colorize(0,0,0,ff8800)", ()),
    ("noise(20)", (Noise(20),)),
    ("noise(20,7)", (Noise(20),)),
    ("noise(1)", ()),
    (
        "watermark(logo.png,-10,20,25)",
        (Overlay(of="logo.png", at=Shifted(FocalPoint(1.0, 0.0), -10, 20), opacity_percent=75),),
    ),
    (
        "watermark(deep%2Flogo.png,center,-5p,0,20)",
        (
            Overlay(
                of="deep/logo.png",
                width=Part(Fraction(1, 5)),
                at=Shifted(FocalPoint(0.5, 1.0), 0, Part(Fraction(-1, 20))),
            ),
        ),
    ),
    (
        "watermark(logo.png,repeat,repeat,0,none,50)",
        (
            Overlay(
                of="logo.png",
                height=Part(Fraction(1, 2)),
                at=Shifted(FocalPoint(0.0, 0.0), 0, 0),
                placing=Placing.TILE,
            ),
        ),
    ),
    ("round_corner(20)", (Rounded((20, 20, 20, 20)), Flatten(WHITE))),
    ("round_corner(20|20,255,0,0)", (Rounded((20, 20, 20, 20)), Flatten(RED))),
    ("round_corner(20,255,0,0,true)", (Rounded((20, 20, 20, 20)),)),
    ("hue(290)", (Hue(290),)),
    ("hue(-90.2)", (Hue(270),)),
    ("hue(360)", ()),
    ("convolution(1;2;1;2;4;2;1;2;1,3,true)", (Convolve(3, 16, (1, 2, 1, 2, 4, 2, 1, 2, 1)),)),
    ("convolution(-1;-1;-1;-1;8;-1;-1;-1;-1,3)", (Convolve(3, 1, (-1, -1, -1, -1, 8, -1, -1, -1, -1)),)),
    ("convolution(0.5;0;1,3,false)", (Convolve(3, 1, (0.5, 0, 1)),)),
    ("to_colorspace():to_colorspace(sRGB)", ()),
    ("strip_exif():strip_icc():strip_metadata()", ()),
    ("fill(red)", ()),
    ("fill(red,true)", (Flatten(RED),)),
    ("grayscale():rotate(90)", (Adjust(Tone.GRAYSCALE_601, 100), Turn.R270)),
    ("grayscale()%3Arotate(90)", (Adjust(Tone.GRAYSCALE_601, 100), Turn.R270)),
]


@pytest.mark.parametrize(("filters", "ops"), OPS)
def test_the_filters_that_work_on_pixels(filters: str, ops: tuple[Operation, ...]) -> None:
    parsed = variant(f"filters:{filters}")
    assert (parsed.key, parsed.transform.ops, parsed.unused) == ("lake.jpg", ops, ())


AREA = "100x100:200x200"
SIZED: list[tuple[str, tuple[Operation, ...]]] = [
    ("300x200/filters:stretch()", (Resize(width=300, height=200, fit=Fit.FILL, enlarge=Enlarge.ALLOW),)),
    (
        "300x200/filters:stretch():no_upscale()",
        (Resize(width=300, height=200, fit=Fit.FILL, enlarge=Enlarge.CAPPED),),
    ),
    (
        "adaptive-full-fit-in/300x200/filters:no_upscale()",
        (Resize(width=300, height=200, fit=Fit.OUTSIDE),),
    ),
    ("300x200/filters:no_upscale()", (Resize(width=300, height=200, fit=Fit.COVER),)),
    ("300x/filters:no_upscale()", (Resize(width=300),)),
    ("full-fit-in/300x200/filters:no_upscale()", (Resize(width=300, height=200, fit=Fit.OUTSIDE),)),
    ("fit-in/300x200/filters:upscale()", (along(300, 200, Rounding.DOWN),)),
    ("fit-in/300x200/filters:upscale():no_upscale()", (FIT_IN,)),
    ("fit-in/300x/filters:upscale()", (Resize(width=300),)),
    ("301x200/filters:proportion(0.5)", (cover(301, 200), PROPORTION)),
    (
        "10x20:310x220/300x200/filters:no_upscale()",
        (CROP, Resize(width=300, height=200, fit=Fit.COVER, enlarge=Enlarge.CAPPED)),
    ),
    (
        "trim/300x/filters:no_upscale()",
        (Trim(threshold=0), replace(along(300, None), enlarge=Enlarge.CAPPED)),
    ),
    ("10x20:310x220/fit-in/300x200/filters:no_upscale()", (CROP, FIT_IN)),
    (
        "10x20:310x220/fit-in/300x200/filters:no_upscale():upscale()",
        (CROP, replace(along(300, 200, Rounding.DOWN), enlarge=Enlarge.CAPPED)),
    ),
    ("fit-in/300x200/filters:no_upscale():fill(white)", (padded(enlarge=Enlarge.CAPPED),)),
    ("fit-in/300x/filters:no_upscale():fill(white)", (Resize(width=300, enlarge=Enlarge.CAPPED),)),
    ("fit-in/300x200/filters:upscale():fill(white)", (padded(enlarge=Enlarge.ALLOW),)),
    ("fit-in/300x200/filters:fill(white):upscale()", (padded(),)),
    ("300x200/filters:upscale()", (cover(300, 200),)),
    ("300x200/left/filters:focal(10x20:20x40)", (cover(300, 200, OriginalPoint(15, 30)),)),
    ("300x200/filters:focal(0x0:10x10):focal(90x0:110x10)", (cover(300, 200, OriginalPoint(68, 5)),)),
    ("300x200/filters:focal(10x20)", (cover(300, 200, OriginalPoint(10, 20)),)),
    ("300x200/filters:focal(0.1x0.2:0.3x0.4)", (cover(300, 200, FocalPoint(0.2, 0.3)),)),
    ("300x200/filters:focal(0.5x0.25)", (cover(300, 200, FocalPoint(0.5, 0.25)),)),
    ("300x200/filters:focal(100,120)", (cover(300, 200, OriginalPoint(100, 120)),)),
    ("300x200/filters:focal(0.5,0.25)", (cover(300, 200, FocalPoint(0.5, 0.25)),)),
    ("300x200/filters:orient(270)", (Turn.R270, cover(300, 200))),
    ("10x20:310x220/filters:orient(180)", (Turn.R180, CROP)),
    ("300x200/left/filters:focal(10x20:10x40)", (cover(300, 200, FocalPoint(0, 0.5)),)),
    (
        f"{AREA}/30x20/filters:focal(10x10:20x20):focal(150x150:160x160)",
        (Crop(width=100, height=100, at=Offset(100, 100)), cover(30, 20, OriginalPoint(155, 155))),
    ),
    ("fit-in/300x200/filters:fill(white)", (padded(),)),
    ("fit-in/300x200/filters:upscale():fill(white)", (padded(enlarge=Enlarge.ALLOW),)),
    ("fit-in/300x200/filters:fill(transparent)", (padded(TRANSPARENT),)),
    ("fit-in/300x200/filters:fill(none)", (padded(TRANSPARENT),)),
    ("fit-in/300x200/filters:fill('red',1)", (padded(RED), Flatten(RED))),
    (
        "fit-in/300x200/filters:blur(3):fill(red)",
        (FIT_IN, Blur(1.84), Extend(width_px=300, height_px=200, background=RED)),
    ),
    (
        "fit-in/-300x200/filters:fill(red)",
        (FIT_IN, Turn.HFLIP, Extend(width_px=300, height_px=200, background=RED)),
    ),
    ("fit-in/300x0/filters:fill(red)", (Resize(width=300), Extend(width_px=300, background=RED))),
    ("fit-in/filters:fill(red)", ()),
    ("300x200/filters:fill(red)", (cover(300, 200),)),
    (
        "full-fit-in/300x200/filters:fill(red)",
        (Resize(width=300, height=200, fit=Fit.OUTSIDE, enlarge=Enlarge.ALLOW),),
    ),
]


@pytest.mark.parametrize(("options", "ops"), SIZED)
def test_the_filters_that_change_the_size(options: str, ops: tuple[Operation, ...]) -> None:
    parsed = variant(options)
    assert (parsed.transform.ops, parsed.unused) == (ops, ())


@pytest.mark.parametrize(
    ("filters", "transform"),
    [
        ("quality(75)", Transform(encoder_qualities=((None, 75),))),
        ("format(webp)", Transform(format=Format.WEBP)),
        ("format(JPG)", Transform(format=Format.JPEG)),
        ("format('png')", Transform(format=Format.PNG)),
        ("format(avif):format(gif)", Transform(format=Format.GIF)),
        ("autojpg()", Transform(format=Auto.JPEG_FOR_PNG)),
        ("autojpg(True)", Transform(format=Auto.JPEG_FOR_PNG)),
        ("autojpg(false)", Transform()),
        ("autojpg():format(webp)", Transform(format=Format.WEBP)),
        ("max_bytes(40000)", Transform(max_bytes=40_000)),
        ("max_bytes(0)", Transform()),
        ("page(2):max_frames(9)", Transform(page=2, frames=9)),
        ("fill(black)", Transform(background=BLACK)),
    ],
)
def test_the_filters_of_the_output(filters: str, transform: Transform) -> None:
    assert variant(f"filters:{filters}").transform == transform


@pytest.mark.parametrize(("given", "made"), [("0", 1), ("999", 100), ("9" * 5000, 100)])
def test_a_quality_out_of_range_is_clamped(given: str, made: int) -> None:
    parsed = variant(f"filters:quality({given})")
    assert parsed.transform.encoder_qualities == ((None, made),)
    assert [name for name, _ in parsed.clamped] == ["quality"]


@pytest.mark.parametrize(
    ("filters", "until_s", "disposition", "max_age_s"),
    [
        ("expire(1700000000999)", 1_700_000_000, "", None),
        ("max_age(0)", None, "", 0),
        ("max_age(60)", None, "", 60),
        ("attachment()", None, "attachment", None),
        ("attachment(lake.jpg)", None, 'attachment; filename="lake.jpg"', None),
        ("attachment(s%C3%A9e%22.jpg)", None, "attachment; filename*=UTF-8''s%C3%A9e%22.jpg", None),
    ],
)
def test_the_filters_of_the_delivery(
    filters: str, until_s: int | None, disposition: str, max_age_s: int | None
) -> None:
    parsed = variant(f"filters:{filters}")
    assert (parsed.until_s, parsed.disposition, parsed.max_age_s) == (until_s, disposition, max_age_s)


def test_meta_describes_and_raw_is_the_original() -> None:
    assert parse("/unsafe/meta/300x200/a/b.jpg", READING) == InfoUrl("a/b.jpg")
    assert parse("/unsafe/filters:raw()/a/b.jpg", READING) == OriginalUrl("a/b.jpg")


@pytest.mark.parametrize(
    ("image", "key"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("/a.jpg", "a.jpg"),
        ("a%20b.jpg", "a b.jpg"),
        ("a+b.jpg", "a+b.jpg"),
        ("http://host/a%20b.jpg", "http://host/a b.jpg"),
        ("https:/host/a.jpg", "https://host/a.jpg"),
        ("http%3A%2F%2Fhost%2Fa.jpg%3Fx=1", "http://host/a.jpg?x=1"),
        ("b64:aHR0cDovL2hvc3QvYT94PTE", "http://host/a?x=1"),
        ("b64:YS5qcGc=", "a.jpg"),
        # What is no option in its order begins the name.
        ("fit%2Din/a.jpg", "fit-in/a.jpg"),
        ("smart/300x200/a.jpg", "300x200/a.jpg"),
        ("top/left/a.jpg", "left/a.jpg"),
        ("1.5x2/a.jpg", "1.5x2/a.jpg"),
        ("Fit-in/a.jpg", "Fit-in/a.jpg"),
        ("-100/a.jpg", "-100/a.jpg"),
        ("filters:quality(80/a.jpg", "filters:quality(80/a.jpg"),
        ("filters%3Aquality(80)/a.jpg", "filters:quality(80)/a.jpg"),
        ("filters:/a.jpg", "filters:/a.jpg"),
        ("300x200", "300x200"),
    ],
)
def test_the_image(image: str, key: str) -> None:
    assert variant("", image).key == key


@pytest.mark.parametrize(
    "filters",
    [
        *("quality()", "quality(x)", "quality(1,2)", "format(tiff)", "format()", "blur(-3x)", "blur()"),
        *("blur(1,2,3)", "sharpen()", "brightness(4.5)", "contrast()", "saturation(x)"),
        *("rotate(x)", "grayscale(1)", "proportion(0)", "proportion(101)", "fill()", "focal(1)", "focal()"),
        *("orient(45)", "orient()", "pixelate(x)", "rgb(1,2)", "colorize(1,2,3)", "equalize(1)", "noise()"),
        *("hue()", "convolution(1;2)", "convolution(1;2;3,2)", "convolution(1;2;3,0)", "convolution(a,1)"),
        *("no_upscale(1)", "crop(1,2)", "crop(1,2,0,4)", "padding(red)", "max_age(x)", "expire()"),
        *("page(0)", "page(x)", "page(1,2)", "max_frames(-1)"),
        *("made_up(1)", "autojpg(1,2)", "preview()", "cover()", "blurhash(4,3)"),
    ],
)
def test_other_arguments_and_unknown_filters_are_ignored_and_reported(filters: str) -> None:
    parsed = variant(f"300x200/filters:{filters}")
    assert parsed.transform == Transform(ops=(cover(300, 200),))
    assert [each.parameter for each in parsed.unused] == [filters.partition("(")[0]]


def test_the_query_is_ignored_and_reported() -> None:
    parsed = parse("/unsafe/300x200/a.jpg?x=/unsafe/&%3C", READING)
    assert isinstance(parsed, VariantUrl)
    assert (parsed.key, [each.parameter for each in parsed.unused]) == ("a.jpg", ["x", "2"])


def test_imagors_padding_needs_a_fill() -> None:
    assert [each.parameter for each in variant("fit-in/300x200/5x5").unused] == ["padding"]


REFUSED = (
    *("convolution(1;2,2)", "convolution(1;2,1)", "convolution(1;2;3;4;5;6;7;8;9,9)", "convolution(2000,1)"),
    *("colorize(1,2,3,nocolour)", "curve(a)", "modulate(1,2,3)", "red_eye()", "extract_focal()", "frame(a)"),
    *("image(a)", "label(a)", "text(a,1,2)", "redact()", "redact_oval(blur,20)", "draw_detections()"),
    *("rotate(45)", "round_corner(5|6)", "to_colorspace(p3)"),
    *("fill(nocolour)", "background_color(1)", "padding(x,1)", "saturation(-1)"),
    "distributed_collage()",
)


@pytest.mark.parametrize("filters", [*REFUSED, "dpi(72)", "lossless()"])
def test_what_would_be_another_picture_is_refused(filters: str) -> None:
    with pytest.raises(BadTransform, match=f"filter {filters.partition('(')[0]} "):
        variant(f"filters:{filters}")


@pytest.mark.parametrize("filters", REFUSED)
def test_it_is_refused_also_where_the_unsupported_is_ignored(filters: str) -> None:
    with pytest.raises(BadTransform):
        variant(f"filters:{filters}", reading=IGNORING)


def test_what_only_polishes_is_ignored_where_the_unsupported_is() -> None:
    for name in ("dpi", "lossless"):
        assert [each.parameter for each in variant(f"filters:{name}()", reading=IGNORING).unused] == [name]


@pytest.mark.parametrize(
    "options",
    [
        "debug/300x200",
        "fit-in/300x200/10000x0/filters:fill(red)",
        "filters:padding(red,10000)",
        "meta/filters:expire(1)",
        "filters:raw():expire(1)",
        "adaptive-fit-in/origx300",
        "adaptive-fit-in/200x300/filters:fill(red)",
        "filters:" + ":".join(["grayscale()"] * 9),
        "filters:" + ":".join(["strip_exif()"] * 33),
    ],
)
def test_options_that_are_refused(options: str) -> None:
    with pytest.raises(BadTransform):
        variant(options)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "/",
            "/unsafe",
            "/unsafe/",
            "/a.jpg",
            "/x/300x200/a.jpg",
            "//unsafe/300x200/a.jpg",
            "/params/unsafe/a.jpg",
        ),
        *("/unsafe/300x200/", "/unsafe/../a.jpg", "/unsafe/a//b.jpg", "/unsafe/.a.jpg", "/unsafe/a%zz.jpg"),
        *(
            "/unsafe/a%ff.jpg",
            "/unsafe/b64:a",
            "/unsafe/b64:_w",
            "/unsafe/b64:",
            "/unsafe/filters:blur(%zz)/a.jpg",
        ),
        *("/UNSAFE/a.jpg", "/fit-in/300x200/a.jpg", "unsafe/a.jpg", "/unsafe/a b.jpg"),
    ],
)
def test_malformed_urls(raw: str) -> None:
    with pytest.raises(BadUrl):
        parse(raw, READING)


def test_an_image_of_one_colour_is_refused() -> None:
    with pytest.raises(BadTransform, match="color:"):
        parse("/unsafe/300x200/color:red", READING)


@pytest.mark.parametrize(
    ("options", "native_tokens"),
    [
        ("300x200", "c_fill,w_300,h_200"),
        ("300x200/left/top", "c_fill,w_300,h_200,g_north_west"),
        ("300x200/smart", "c_fill,w_300,h_200,g_auto"),
        ("fit-in/300x200", "c_fit,w_300,h_200"),
        ("fit-in/300x", "w_300"),
        ("stretch/300x200", "c_scale,w_300,h_200"),
        ("full-fit-in/300x200", "c_outside,w_300,h_200"),
        ("fit-in/300x200/filters:upscale():fill(white)", "c_pad,w_300,h_200"),
        ("fit-in/300x200/filters:upscale():fill(red)", "c_pad,w_300,h_200,b_ff0000"),
        ("10x20:310x220", "c_crop,x_10,y_20,w_300,h_200"),
        ("300x200/filters:format(webp):grayscale()", "c_fill,w_300,h_200,f_webp,e_grayscale_601"),
        ("-300x-200/filters:rotate(90)", "c_fill,w_300,h_200,a_90"),
    ],
)
def test_equal_pictures_are_equal_transforms(options: str, native_tokens: str) -> None:
    assert without_no_ops(variant(options).transform) == without_no_ops(
        native.parse_transform(native_tokens, {})
    )


# Signatures.

OLD, NEW = b"an old secret", b"a new secret"
KEYS: Keys = {"old": OLD, "new": NEW}
REST = "fit-in/300x200/filters:quality(80)/a/lake.jpg"


def mac(text: str, secret: bytes = OLD, algorithm: str = "sha1") -> str:
    """As thumbor's documentation has it, written anew."""
    return base64.urlsafe_b64encode(hmac.new(secret, text.encode(), algorithm).digest()).decode()


def test_the_signature_covers_what_follows_it() -> None:
    signed = verify(f"/shop/{mac(REST, NEW)}/{REST}?v=1", "/shop/", KEYS)
    assert signed == Signed(target=f"/shop/unsafe/{REST}?v=1", key_id="new", restrictions=UNRESTRICTED)


def test_unsafe_is_unsigned() -> None:
    assert verify(f"/unsafe/{REST}", "/", KEYS) is None


@pytest.mark.parametrize("raw", ["/", "/unsafe", "/a.jpg", "/?/a"])
def test_a_url_without_the_segment_cannot_be_verified(raw: str) -> None:
    with pytest.raises(BadUrl):
        verify(raw, "/", KEYS)


def test_the_padding_may_be_percent_encoded_but_not_missing() -> None:
    given = mac(REST)
    assert verify(f"/{given.replace('=', '%3D')}/{REST}", "/", KEYS)
    with pytest.raises(BadSignature):
        verify(f"/{given.rstrip('=')}/{REST}", "/", KEYS)


@pytest.mark.parametrize(
    ("key", "algorithm", "length"),
    [
        ("SECRET", "sha1", 28),
        ("sha1:28:SECRET", "sha1", 28),
        ("sha1:10:SECRET", "sha1", 10),
        ("sha256:44:SECRET", "sha256", 44),
        ("sha256:40:SECRET", "sha256", 40),
        ("sha512:88:SECRET", "sha512", 88),
        ("sha512:8:SECRET", "sha512", 8),
    ],
)
def test_the_forms_of_a_key(key: str, algorithm: str, length: int) -> None:
    DIALECT.check_key(key)
    given = mac(REST, b"SECRET", algorithm)[:length]
    assert verify(f"/{given}/{REST}", "/", {"k": key.encode()})
    for wrong in (given[:-1], f"{given}A"):
        with pytest.raises(BadSignature):
            verify(f"/{wrong}/{REST}", "/", {"k": key.encode()})


@pytest.mark.parametrize(
    "key",
    [
        "",
        "sha1:7:XYZ",
        "sha1:29:XYZ",
        "sha256:45:XYZ",
        "sha256:20:",
        "sha512:x:XYZ",
        "sha1:XYZ",
        "sha512:999:XYZ",
    ],
)
def test_a_key_that_is_none_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(ValueError, match="must") as error:
        DIALECT.check_key(key)
    assert "XYZ" not in str(error.value)


def test_a_decoded_text_may_have_been_signed() -> None:
    given = mac("300x200/a b(é).jpg")
    assert verify(f"/{given}/300x200/a%20b(%C3%A9).jpg", "/", KEYS)
    assert verify(f"/{mac('300x200/a%20b.jpg')}/300x200/a%20b.jpg", "/", KEYS)
    assert verify(f"/{mac('filters:fill(red)/a.jpg')}/filters:fill%28red)/a.jpg", "/", KEYS)


@pytest.mark.parametrize(
    "sent", ["%3300x200/a.jpg", "300x200%2Fa.jpg", "filters%3Afill(red)/a.jpg", "filters:fill(red%29/a.jpg"]
)
def test_a_decoded_text_is_not_signed_if_its_options_became_a_name(sent: str) -> None:
    plain = {"3": "300x200/a.jpg", "f": "filters:fill(red)/a.jpg"}[sent.lstrip("%")[0]]
    with pytest.raises(BadSignature):
        verify(f"/{mac(plain)}/{sent}", "/", KEYS)


CLIENTS = [
    row
    for row in json.loads((Path(__file__).parents[4] / "rivals/client_urls.json").read_text())
    if row["dialect"] == "thumbor"
]


@pytest.mark.parametrize("url", [row["url"] for row in CLIENTS if row["signed"]])
def test_what_the_client_signs_is_valid(url: str) -> None:
    signed = verify(url, "/", {"k": THUMBOR_KEY.encode()})
    assert signed
    assert isinstance(parse(signed.target, READING), VariantUrl)
    assert parse(signed.target, READING) == parse(url, READING)


RAW = f"/{mac(REST)}/{REST}"


@given(st.integers(1, len(RAW) - 1), st.integers(0x21, 0x7E))
def test_no_changed_url_is_valid(position: int, byte: int) -> None:
    changed = f"{RAW[:position]}{chr(byte)}{RAW[position + 1 :]}"
    if changed not in (RAW, f"{RAW[:position]}%{RAW[position + 1 :]}") and "?" not in changed:
        with pytest.raises((BadSignature, BadUrl)):
            verify(changed, "/", KEYS)


@pytest.mark.parametrize(
    "raw", [RAW, f"/unsafe/{REST}", f"/{'A' * 27}%3D/{REST}?a=/b", "/x/y", "/", "/unsafe", "/params/a"]
)
def test_an_unsigned_url_parses_to_the_same(raw: str) -> None:
    def outcome(target: str) -> object:
        try:
            return parse(target, READING)
        except CalotypeError as failure:
            return type(failure), failure.detail

    assert outcome(unsigned(raw, "/")) == outcome(raw)


# The record.


def test_the_dialect_is_registered() -> None:
    assert DIALECTS["thumbor"] is DIALECT
    assert not DIALECT.negotiates("/unsafe/filters:format(auto)/a.jpg", READING)
    assert DIALECT.health == "/healthcheck"


@pytest.mark.parametrize(
    ("slug", "status"),
    [
        *(("bad-signature", 400), ("signature-required", 400), ("signature-expired", 410), ("bad-url", 400)),
        *(("bad-transform", 400), ("source-not-allowed", 400), ("original-not-found", 404)),
        *(("unsupported-format", 400), ("undecodable", 400), ("original-too-large", 400)),
        *(("method-not-allowed", 405), ("source-unavailable", 502), ("source-timeout", 504)),
    ],
)
def test_the_statuses_are_those_of_thumbor(slug: str, status: int) -> None:
    assert DIALECT.statuses.get(slug, PROBLEMS[slug].status) == status


def test_every_option_is_documented() -> None:
    names = [name for option in DIALECT.options for name in option.names]
    assert len(names) == len(set(names))
    assert {f"{name}()" for name in FILTERS} | {"smart", "fit-in", "b64:IMAGE"} <= set(names)
    for option in DIALECT.options:
        assert option.note or option.support in (Support.DONE, Support.REFUSED)


# Anything at all.

WORDS = [
    *(
        "/",
        "/",
        "unsafe",
        "x",
        "-",
        ":",
        "orig",
        "trim",
        "fit-in",
        "adaptive-",
        "full-",
        "stretch",
        "smart",
        "meta",
    ),
    *(
        "debug",
        "filters:",
        "(",
        ")",
        "):",
        ")/",
        ",",
        ".",
        "%",
        "%2",
        "%29",
        "%ff",
        "b64:",
        "color:",
        "http://",
        "?",
    ),
    *(
        "0",
        "300",
        "1e9",
        "9" * 400,
        "\u0663",
        "\udcff",
        "\x00",
        " ",
        "a.jpg",
        "..",
        "'",
        "nan",
        "inf",
        "-1",
        "0.5",
    ),
    *FILTERS,
]
texts = st.one_of(
    st.text(), st.lists(st.sampled_from(WORDS)).map("".join), st.lists(st.sampled_from(WORDS)).map("/".join)
)
filters = st.lists(
    st.tuples(
        st.sampled_from([*FILTERS]),
        st.lists(
            st.one_of(st.sampled_from(WORDS), st.decimals().map(str), st.integers().map(str)), max_size=5
        ),
    ).map(lambda each: f"{each[0]}({','.join(each[1])})")
).map(lambda each: f"300x200/filters:{':'.join(each)}/a.jpg")


@given(
    st.sampled_from(["/", "/unsafe/", "/AAAAAAAA/"]),
    st.one_of(texts, filters),
    st.sampled_from(list(Unsupported)),
)
@example("/unsafe/", "filters:blur(" + "1" * 7000 + "x)/a.jpg", Unsupported.REFUSE)
@example("/unsafe/", "filters:proportion(0." + "1" * 7000 + ")/a.jpg", Unsupported.REFUSE)
@example("/unsafe/", "9" * 7000 + "x" + "9" * 7000 + "/a.jpg", Unsupported.REFUSE)
def test_nothing_raises_but_the_errors_of_a_request(start: str, text: str, unsupported: Unsupported) -> None:
    raw = start + text
    for attempt in (
        lambda: verify(raw, "/", KEYS),
        lambda: parse(raw, Reading(presets={}, unsupported=unsupported)),
    ):
        try:
            attempt()
        except CalotypeError as failure:
            assert failure.detail
    assert isinstance(unsigned(raw, "/"), str)
