"""The operations that options of imgproxy become."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.image.formats import Format
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    CENTER,
    TRANSPARENT,
    AsStored,
    Blur,
    Colour,
    Crop,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Operation,
    Pad,
    Pixelate,
    Resize,
    Sharpen,
    Shifted,
    Smart,
    Transform,
    Trim,
    Turn,
    without_no_ops,
)
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.core.url.dialects.component import components_of, transform_of
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.imgproxy.urls import parse
from proxy.core.url.dialects.native.urls import native_url, parse_tokens, parse_transform, spell
from proxy.core.url.parsed_url import VariantUrl

SOUTH = FocalPoint(0.5, 1.0)
RED = Colour(255, 0, 0)
READING = Reading(
    presets={
        name: parse_tokens(tokens, {}).components
        for name, tokens in {
            "padded": "w_300,h_200,c_pad",
            "ratio": "w_300,ar_3:2,c_fill,g_north",
            "twice": "w_300~e_sepia,dpr_2",
            "only": "w_300,h_200,el_only",
        }.items()
    }
)


def part(text: str) -> Part:
    return Part(Fraction(text))


def drawn(options: str) -> Transform:
    parsed = parse(f"/_/{options}/plain/a.png", READING)
    assert isinstance(parsed, VariantUrl)
    return parsed.transform


def cover(width: int, height: int, enlarge: Enlarge = Enlarge.NEVER) -> Resize:
    return Resize(width=width, height=height, fit=Fit.COVER, enlarge=enlarge)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("rs:fit:300:200", Resize(width=300, height=200)),
        ("rs:fit:300:200:1", Resize(width=300, height=200, enlarge=Enlarge.ALLOW)),
        ("rs:fill:300:200", cover(300, 200)),
        ("rs:fill-down:300:200", cover(300, 200, Enlarge.RATIO)),
        ("rs:fill-down:300:200:1", cover(300, 200, Enlarge.ALLOW)),
        ("rs:fill-down:300:200/rt:fill", cover(300, 200)),
        ("rs:force:300:200", Resize(width=300, height=200, fit=Fit.FILL, enlarge=Enlarge.RATIO)),
        ("rs:force:300", Resize(width=300, height=part("1"), fit=Fit.FILL, enlarge=Enlarge.RATIO)),
        ("rs:auto:300:200", Resize(width=300, height=200, fit=Fit.ADAPTIVE)),
        ("rs:auto::200", Resize(height=200)),
        ("rs:fill::200", Resize(height=200)),
        ("rs:fill-down:300", Resize(width=300)),
        ("w:300/h:0", Resize(width=300)),
        ("s:300:200/rs::400", Resize(width=400, height=200)),
        ("w:300/mw:400/mh:50/g:no", Resize(width=300, min_width_px=400, min_height_px=50, gravity=FocalPoint(0.5, 0.0))),
        ("mw:400", Resize(min_width_px=400)),
        ("w:300/z:1.5", Resize(width=450)),
        ("rs:force:300:200:1/z:2:.5", Resize(width=600, height=100, fit=Fit.FILL, enlarge=Enlarge.ALLOW)),
        ("w:301/dpr:0.5", Resize(width=151)),
        ("w:300/h:200/g:no", Resize(width=300, height=200)),
        ("rs:fill:300:200/g:soea:5:.1", Resize(
            width=300, height=200, fit=Fit.COVER, gravity=Shifted(FocalPoint(1.0, 1.0), -5, part("-1/10"))
        )),
        ("w:300/h:200/ex:1", Resize(width=300, height=200, fit=Fit.CONTAIN, background=TRANSPARENT)),
        ("w:300/h:200/ex:1:so/g:no", Resize(
            width=300, height=200, fit=Fit.CONTAIN, gravity=SOUTH, background=TRANSPARENT
        )),
        ("pr:padded", Resize(width=300, height=200, fit=Fit.CONTAIN, enlarge=Enlarge.ALLOW)),
        ("pr:padded/w:9/ex:1", Resize(width=9, height=200, fit=Fit.CONTAIN, enlarge=Enlarge.ALLOW)),
        ("pr:ratio", Resize(
            width=300, ratio=Fraction(3, 2), fit=Fit.COVER, enlarge=Enlarge.ALLOW, gravity=FocalPoint(0.5, 0.0)
        )),
        ("pr:ratio/h:9/g:ce", cover(300, 9, Enlarge.ALLOW)),
        ("pr:only", Resize(width=300, height=200, enlarge=Enlarge.ONLY)),
    ],
)  # fmt: skip
def test_sizes(options: str, expected: Resize) -> None:
    assert drawn(options).ops == (expected,)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("z:0.5", ("1/2", "1/2", Enlarge.RATIO)),
        ("z:2:0.5/el:1", ("2", "1/2", Enlarge.ALLOW)),
        ("z:2:1", ("1", "1/2", Enlarge.RATIO)),
        ("dpr:0.5", ("1/2", "1/2", Enlarge.RATIO)),
        ("dpr:2/el:1", ("2", "2", Enlarge.ALLOW)),
        ("dpr:2/z:0.25", ("1/2", "1/2", Enlarge.RATIO)),
    ],
)
def test_factors_without_a_box(options: str, expected: tuple[str, str, Enlarge]) -> None:
    width, height, enlarge = expected
    made = drawn(options)
    assert made.ops == (Resize(width=part(width), height=part(height), fit=Fit.FILL, enlarge=enlarge),)
    assert made.dpr_percent is None


@pytest.mark.parametrize(
    "options", ["z:1", "dpr:2", "z:2", "dpr:9/z:.5:.5/dpr:2", "w:0/h:0/el:1", "g:no", "ex:1", "exar:1"]
)
def test_factors_never_enlarge_by_themselves(options: str) -> None:
    assert drawn(options).ops == ()


def test_a_factor_for_each_axis_is_a_second_size() -> None:
    stretched = Resize(width=part("2"), height=part("1"), fit=Fit.FILL, enlarge=Enlarge.ALLOW)
    assert drawn("rs:fill:300:200:1/z:2:1").ops == (cover(300, 200, Enlarge.ALLOW), stretched)


@pytest.mark.parametrize(
    ("options", "percent", "width_px"),
    [
        ("w:100/dpr:1", None, 100),
        ("w:100/dpr:2", 200, 100),
        ("w:100/dpr:1.25", 125, 100),
        ("w:100/dpr:4", 400, 100),
        ("w:100/dpr:1.255", None, 126),
        ("w:100/dpr:5", None, 500),
        ("w:100/dpr:0.333", None, 33),
    ],
)
def test_dpr(options: str, percent: int | None, width_px: int) -> None:
    made = drawn(f"{options}/pd:10")
    assert made.dpr_percent == percent
    resize, pad = made.ops
    assert isinstance(resize, Resize)
    assert isinstance(pad, Pad)
    assert resize.width == width_px
    assert pad.top_px == (10 if percent else round(width_px / 10))


def test_dpr_reduces_a_box_that_the_picture_does_not_fill() -> None:
    assert drawn("rs:fill:300:200/dpr:2").ops == (cover(300, 200, Enlarge.RATIO),)
    assert drawn("rs:force:300/dpr:2").ops == drawn("rs:force:300").ops
    [resize] = drawn("rs:force:300:0:1/dpr:2").ops
    assert resize == Resize(width=600, height=part("2"), fit=Fit.FILL, enlarge=Enlarge.ALLOW)


@pytest.mark.parametrize(
    ("options", "native"),
    [
        ("w:100/dpr:0.5", "/w_50/a.png"),
        ("w:100/h:60/dpr:0.3333/pd:9", "/w_33,h_20,pad_3:3:3:3,b_00000000/a.png"),
        ("fn:b/kcr:1", "/meta_copyright,fn_b.png/a.png"),
        ("w:9/att:1", "/w_9,dl_a.png/a.png"),
    ],
)
def test_the_native_spelling_has_everything(options: str, native: str) -> None:
    parsed = parse(f"/_/{options}/plain/a.png", READING)
    assert isinstance(parsed, VariantUrl)
    assert native_url(parsed, parsed.key, parsed.transform) == native


def test_everything_of_a_preset_is_drawn() -> None:
    presets = {"film": parse_tokens("pg_2,frames_3,maxw_9,meta_copyright", {}).components}
    parsed = parse("/_/pr:film/plain/a.gif", Reading(presets=presets))
    assert isinstance(parsed, VariantUrl)
    assert parsed.transform == transform_of(presets["film"])


def test_the_dpr_of_a_preset_that_is_a_chain() -> None:
    assert drawn("pr:twice").dpr_percent == 200


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("c:100:50", [Crop(width=100, height=50)]),
        ("c:100", [Crop(width=100)]),
        ("c:0:0.5:so", [Crop(height=part("1/2"), at=SOUTH)]),
        ("c:100:50/g:no:1:2", [Crop(width=100, height=50, at=Shifted(FocalPoint(0.5, 0.0), 1, 2))]),
        ("c:100:50:sm/g:no", [Crop(width=100, height=50, at=Smart.ATTENTION)]),
        ("c:0:0:so", []),
        ("t:10", [Trim(threshold=10)]),
        ("t:300:fff:1:1", [Trim(threshold=255, colour=Colour(255, 255, 255), equal_x=True, equal_y=True)]),
        ("t:12.346::0:t", [Trim(threshold=12.35, equal_y=True)]),
        ("t:", []),
        ("t:10/t::fff", []),
        ("rot:90", [Turn.R90]),
        ("rot:-90", [Turn.R270]),
        ("rot:360", []),
        ("rot:450/fl:1:1", [Turn.R270]),
        ("fl:1:1", [Turn.R180]),
        ("fl:1:1/rot:180", []),
        ("rot:90/fl:1", [Turn.R90.then(Turn.HFLIP)]),
        ("fl:0:1", [Turn.VFLIP]),
        ("fl:1/fl:0", []),
        ("bl:0", []),
        ("bl:0.2", []),
        ("bl:2.346", [Blur(2.35)]),
        ("bl:1e9", [Blur(100.0)]),
        ("sh:0.5", [Sharpen(0.5)]),
        ("sh:11", [Sharpen(10.0)]),
        ("pix:1", []),
        ("pix:8", [Pixelate(8)]),
        ("pd:10", [Pad(top_px=10, right_px=10, bottom_px=10, left_px=10)]),
        ("pd:1:2", [Pad(top_px=1, right_px=2, bottom_px=1, left_px=2)]),
        ("pd::5", [Pad(right_px=5, left_px=5)]),
        ("pd:1:2:3:4", [Pad(top_px=1, right_px=2, bottom_px=3, left_px=4)]),
        ("pd:0", []),
        ("bg:f00", [Flatten(RED)]),
        ("bg:255:0:0", [Flatten(RED)]),
        ("bg:f00/bg:", []),
        (
            "pd:10/bg:f00",
            [Pad(top_px=10, right_px=10, bottom_px=10, left_px=10, background=RED), Flatten(RED)],
        ),
        ("wm:0", []),
    ],
)
def test_other_operations(options: str, expected: list[Operation]) -> None:
    assert list(drawn(options).ops) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("w:300/ex:1", [Resize(width=300), Extend(width_px=300)]),
        ("rs:fill:300:200:0:1", [cover(300, 200), Extend(width_px=300, height_px=200)]),
        ("rs:fill:300:200:1:1", [cover(300, 200, Enlarge.ALLOW)]),
        ("s:300:200/exar:1:so", [Resize(width=300, height=200), Extend(ratio=Fraction(3, 2), gravity=SOUTH)]),
        ("s:300:200/ex:1:so:0:10", [
            Resize(width=300, height=200),
            Extend(width_px=300, height_px=200, gravity=Shifted(SOUTH, 0, -10)),
        ]),
        ("s:300:200/ex:1/bl:1", [
            Resize(width=300, height=200), Blur(1.0), Extend(width_px=300, height_px=200)
        ]),
        ("w:300/exar:1", [Resize(width=300)]),
        ("rs:fill:300:200:0:1/bg:f00", [
            cover(300, 200), Extend(width_px=300, height_px=200, background=RED), Flatten(RED)
        ]),
        ("s:300:200/exar:1/bg:f00", [
            Resize(width=300, height=200), Extend(ratio=Fraction(3, 2), background=RED), Flatten(RED)
        ]),
        ("s:300:200/ex:1/bl:1/bg:f00", [
            Resize(width=300, height=200),
            Blur(1.0),
            Extend(width_px=300, height_px=200, background=RED),
            Flatten(RED),
        ]),
        ("s:300:200/ex:0", [Resize(width=300, height=200)]),
    ],
)  # fmt: skip
def test_extensions(options: str, expected: list[Operation]) -> None:
    assert list(drawn(options).ops) == expected


def test_the_order_is_that_of_the_pipeline() -> None:
    options = [
        "bg:f00",
        "pd:5",
        "exar:1",
        "ex:1",
        "pix:4",
        "sh:1",
        "bl:1",
        "rs:fill:300:200",
        "c:50:50",
        "fl:1",
        "rot:90",
        "t:10",
    ]
    made = drawn("/".join(options))
    assert [type(op) for op in made.ops] == [
        *(Trim, Turn, Crop, Resize, Blur, Sharpen, Pixelate, Extend, Extend, Pad, Flatten),
    ]
    assert made == drawn("/".join(reversed(options)))
    assert made.background == RED


def test_the_output() -> None:
    made = drawn("q:70/fq:webp:60:jpg:0:png:50:heic:1/mb:9000/f:avif/cb:7")
    assert made == Transform(
        format=Format.AVIF,
        encoder_qualities=((None, 70), (Format.PNG, 50), (Format.WEBP, 60)),
        max_bytes=9000,
        version="7",
    )
    assert drawn("q:70/q:0/mb:0/cb:") == Transform()
    assert drawn("g:ce").ops == ()
    assert FocalPoint(0.5, 0.5) == CENTER


@pytest.mark.parametrize(("zoom", "side"), [("0.001", 1), ("1000", 10**21)])
def test_sides_stay_in_range(zoom: str, side: int) -> None:
    [resize] = drawn(f"z:{zoom}/w:{'1' if side == 1 else '9' * 99}").ops
    assert isinstance(resize, Resize)
    assert resize.width == side


DEFAULTS = RenderDefaults(quality=80, effort={}, max_side_px=4000)
_SIDES = ("0", "1", "7", "300", "640", "5000")
_POINTS = ("ce", "no", "soea", "fp:0.3:0.7", "no:0:20", "soea:0.1:-.25", "ce:-5:7")
_FACTORS = ("0.5", "1.5", "2", "0.333", "5", "1.255")


def _option(*parts: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.tuples(*map(st.sampled_from, parts)).map(":".join)


_OPTIONS = st.one_of(
    _option(
        ("rs",),
        ("fit", "fill", "fill-down", "force", "auto"),
        _SIDES,
        _SIDES,
        ("0", "1"),
        ("0", "1"),
        _POINTS,
    ),
    _option(("w", "h", "mw", "mh"), _SIDES),
    _option(("z", "dpr"), _FACTORS),
    _option(("z",), _FACTORS, ("1", "3")),
    _option(("el",), ("1",)),
    _option(("ex", "exar"), ("1",), _POINTS),
    _option(("g",), (*_POINTS, "sm", "obj:face")),
    _option(("c",), ("0", "100", "0.5", "0.12345678"), ("0", "30", "0.25"), (*_POINTS, "sm")),
    _option(("t",), ("10", "20.5:ff0000", "10::1:0", "0:000:1:1", "300")),
    _option(("pd",), ("10", "1:2", "1:2:3:4", "9999")),
    _option(("rot",), ("90", "180", "270")),
    _option(("fl",), ("1", "0:1", "1:1")),
    _option(("bg",), ("f00", "fff", "255:0:10")),
    _option(("bl", "sh"), ("1", "2.345", "500", "0.3")),
    _option(("pix",), ("2", "1000")),
    _option(("q",), ("1", "70")),
    _option(("fq",), ("webp:60:jpg:70", "png:30", "gif:50:avif:40")),
    _option(("mb", "cb"), ("9000",)),
    _option(("f",), ("png", "jpg", "webp")),
)


@example(["pd:9999", "dpr:1.5"])
@example(["pd:99999"])
@example(["pix:1001"])
@given(st.lists(_OPTIONS, min_size=1, max_size=6))
def test_the_native_spelling_is_the_same_variant(options: list[str]) -> None:
    made = drawn("/".join(options))
    spelled = spell(components_of(made))
    again = parse_transform(spelled, {}) if spelled else Transform()
    assert without_no_ops(again) == without_no_ops(made), spelled
    for kind in (Format.JPEG, Format.PNG):
        assert resolve(again, kind, DEFAULTS) == resolve(made, kind, DEFAULTS)


def test_the_picture_as_stored_comes_first() -> None:
    ops = drawn("trim:10/rot:90/w:50/ar:0").ops
    assert [type(op) for op in ops] == [AsStored, Trim, Turn, Resize]
    assert AsStored() not in drawn("ar:1/w:50").ops
