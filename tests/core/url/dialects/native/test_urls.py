"""The native dialect: every parameter, alias and error, in path and query URLs."""

import itertools
import re
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadTransform, BadUrl, CalotypeError, UnknownRoute
from proxy.core.image.formats import Format
from proxy.core.image.metadata import FIELDS
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    TRANSPARENT,
    WHITE,
    Adjust,
    Auto,
    Blur,
    CloseUp,
    Colour,
    Enlarge,
    Extend,
    Fit,
    FocalPoint,
    Sharpen,
    Smart,
    Tone,
    Transform,
    Turn,
)
from proxy.core.transform.quality_level import QualityLevel
from proxy.core.url.dialects.component import Component, CropFit
from proxy.core.url.dialects.dialect import QueryRule
from proxy.core.url.dialects.native.params import GRAVITIES
from proxy.core.url.dialects.native.urls import (
    Written,
    native_url,
    negotiates,
    parse,
    parse_query,
    parse_tokens,
    parse_transform,
    path_url,
    query_url,
    spell,
)
from proxy.core.url.parsed_url import InfoUrl, OriginalUrl, VariantUrl
from tests.support.strategies import chains, components, flat, keys

PRESETS = {
    "card": (Component(width=300, height=200, fit=Fit.COVER, format=Auto.AUTO),),
    "my_sq": (Component(width=9),),
    "chain": (Component(width=9), Component(effects=(Blur(2),))),
}


def own(tokens: str) -> Component:
    [component] = parse_tokens(tokens, PRESETS).components
    return component


def own_query(query: str) -> Component:
    [component] = parse_query(f"url=k&{query}", PRESETS).written.components
    return component


BOTH = [
    ("w_400", "w=400", Component(width=400)),
    ("h_1", "h=1", Component(height=1)),
    ("c_fill", "fit=cover", Component(fit=Fit.COVER)),
    ("c_pad", "fit=contain", Component(fit=Fit.CONTAIN)),
    ("c_fit", "fit=inside", Component(fit=Fit.INSIDE)),
    ("c_outside", "fit=outside", Component(fit=Fit.OUTSIDE)),
    ("c_scale", "fit=fill", Component(fit=Fit.FILL)),
    ("g_center", "g=center", Component(gravity=CENTER)),
    ("g_north", "g=north", Component(gravity=FocalPoint(0.5, 0))),
    ("g_south", "g=south", Component(gravity=FocalPoint(0.5, 1))),
    ("g_east", "g=east", Component(gravity=FocalPoint(1, 0.5))),
    ("g_west", "g=west", Component(gravity=FocalPoint(0, 0.5))),
    ("g_north_east", "g=north_east", Component(gravity=FocalPoint(1, 0))),
    ("g_north_west", "g=north_west", Component(gravity=FocalPoint(0, 0))),
    ("g_south_east", "g=south_east", Component(gravity=FocalPoint(1, 1))),
    ("g_south_west", "g=south_west", Component(gravity=FocalPoint(0, 1))),
    ("g_auto", "g=auto", Component(gravity=Smart.ATTENTION)),
    ("g_entropy", "g=entropy", Component(gravity=Smart.ENTROPY)),
    ("g_face", "g=face", Component(gravity=Smart.FACE)),
    ("g_faces", "g=faces", Component(gravity=Smart.FACES)),
    ("g_face:60", "g=face:60", Component(gravity=CloseUp(Smart.FACE, 60))),
    ("g_face:60:2", "g=face:60:2", Component(gravity=CloseUp(Smart.FACE, 60, 2))),
    ("g_faces:100", "g=faces:100", Component(gravity=CloseUp(Smart.FACES, 100))),
    ("g_0.3:0.70", "g=0.3%3A0.7", Component(gravity=FocalPoint(0.3, 0.7))),
    ("g_0:1.0", "g=0:1", Component(gravity=FocalPoint(0, 1))),
    ("f_auto", "format=auto", Component(format=Auto.AUTO)),
    ("f_jpg", "format=jpeg", Component(format=Format.JPEG)),
    ("f_png", "format=png", Component(format=Format.PNG)),
    ("f_webp", "format=webp", Component(format=Format.WEBP)),
    ("f_avif", "format=avif", Component(format=Format.AVIF)),
    ("f_gif", "format=gif", Component(format=Format.GIF)),
    ("q_1", "q=1", Component(quality=1)),
    ("q_100", "q=100", Component(quality=100)),
    ("q_0", "q=0", Component(quality=1)),
    ("q_999", "q=101", Component(quality=100)),
    ("q_auto", "q=auto", Component(quality=QualityLevel.GOOD)),
    ("q_auto:best", "q=auto:best", Component(quality=QualityLevel.BEST)),
    ("q_auto:good", "q=auto%3Agood", Component(quality=QualityLevel.GOOD)),
    ("q_auto:eco", "q=auto:eco", Component(quality=QualityLevel.ECO)),
    ("q_auto:low", "q=auto:low", Component(quality=QualityLevel.LOW)),
    ("dpr_1", "dpr=1.0", Component(dpr_percent=100)),
    ("dpr_1.5", "dpr=1.50", Component(dpr_percent=150)),
    ("dpr_4", "dpr=4.00", Component(dpr_percent=400)),
    ("b_white", "bg=fff", Component(background=WHITE)),
    ("b_000000", "bg=black", Component(background=BLACK)),
    ("b_transparent", "bg=00000000", Component(background=TRANSPARENT)),
    ("b_FA8", "bg=ffaa88", Component(background=Colour(255, 170, 136))),
    ("b_11223344", "bg=11223344", Component(background=Colour(17, 34, 51, 68))),
    ("a_90", "rot=90", Component(turn=Turn.R90)),
    ("a_180", "rot=180", Component(turn=Turn.R180)),
    ("a_270", "rot=270", Component(turn=Turn.R270)),
    ("a_hflip", "rot=hflip", Component(turn=Turn.HFLIP)),
    ("a_vflip", "rot=vflip", Component(turn=Turn.VFLIP)),
    ("a_hflip.90", "rot=hflip.90", Component(turn=Turn.TRANSVERSE)),
    ("a_hflip.270", "rot=hflip.270", Component(turn=Turn.TRANSPOSE)),
    ("c_crop", "fit=crop", Component(fit=CropFit.CROP)),
    ("ar_16:9", "ar=16%3A9", Component(ratio=Fraction(16, 9))),
    ("ar_32:18", "ar=16:9", Component(ratio=Fraction(16, 9))),
    ("ar_1.78", "ar=178:100", Component(ratio=Fraction(89, 50))),
    ("ar_1.5:1", "ar=1.50", Component(ratio=Fraction(3, 2))),
    ("ar_12345678:1", "ar=12345678", Component(ratio=Fraction(12_345_678))),
    ("c_crop,x_0,y_12", "fit=crop&x=0&y=12", Component(fit=CropFit.CROP, left=0, top=12)),
    ("el_allow", "enlarge=allow", Component(enlarge=Enlarge.ALLOW)),
    ("el_never", "enlarge=never", Component(enlarge=Enlarge.NEVER)),
    ("el_only", "enlarge=only", Component(enlarge=Enlarge.ONLY)),
    ("e_blur:2.5", "e=blur:2.50", Component(effects=(Blur(2.5),))),
    ("e_blur:0.3", "e=blur:0.30", Component(effects=(Blur(0.3),))),
    ("e_blur:100", "e=blur:100.0", Component(effects=(Blur(100.0),))),
    ("e_sharpen", "e=sharpen:1", Component(effects=(Sharpen(1.0),))),
    ("e_sharpen:10", "e=sharpen:10.00", Component(effects=(Sharpen(10.0),))),
    ("e_grayscale", "e=grayscale", Component(effects=(Adjust(Tone.GRAYSCALE, 100),))),
    ("e_sepia", "e=sepia:80", Component(effects=(Adjust(Tone.SEPIA, 80),))),
    ("e_sepia:1", "e=sepia:1", Component(effects=(Adjust(Tone.SEPIA, 1),))),
    ("e_brightness:-100", "e=brightness:-100", Component(effects=(Adjust(Tone.BRIGHTNESS, -100),))),
    ("e_contrast:0", "e=contrast:0", Component(effects=(Adjust(Tone.CONTRAST, 0),))),
    ("e_saturation:100", "e=saturation:100", Component(effects=(Adjust(Tone.SATURATION, 100),))),
    (
        "e_blur:3,e_grayscale",
        "e=blur:3&e=grayscale",
        Component(effects=(Blur(3), Adjust(Tone.GRAYSCALE, 100))),
    ),
    ("ext_300x", "ext=300x", Component(extend=Extend(width_px=300))),
    ("ext_x200:north", "ext=x200:north", Component(extend=Extend(height_px=200, gravity=FocalPoint(0.5, 0)))),
    ("v_2024-01.b_c", "v=2024-01.b_c", Component(version="2024-01.b_c")),
]


@pytest.mark.parametrize(("tokens", "query", "transform"), BOTH)
def test_each_parameter_parses_equally_in_path_and_query(
    tokens: str, query: str, transform: Component
) -> None:
    assert own(tokens) == transform
    assert own_query(query) == transform


FOCAL = "must be a focal point of two fractions from 0 to 1"
NAMED = "must be a focal point such as 0.3:0.7, or one of center, north, south,"
EFFECTS = "must be blur:SIGMA, sharpen[:SIGMA], grayscale, sepia[:PERCENT],"
MISTAKES: list[tuple[str, str, tuple[str, ...]]] = [
    (
        "w",
        "must be a whole number of pixels from 1",
        ("0", "-1", "+1", "01", "1.0", "1e3", "1_0", "٣", "４", "abc", " 1", "1 ", "0x10", "NaN"),
    ),
    ("h", "must be a whole number of pixels from 1", ("0", "1.5")),
    ("q", "must be a whole number from 1 to 100", ("-1", "+5", "080", "8_0", "eighty", "1.5", "Auto")),
    ("q", "must be one of best, good, eco, low", ("auto:", "auto:high", "auto:80", "auto:Best")),
    (
        "dpr",
        "must be a number from 1 to 4 with",
        ("0", "0.5", "0.99", "5", "4.01", "1.234", "1.", ".5", "01", "2x"),
    ),
    ("g", FOCAL, ("0.5:", ":0.5", "1.1:0", "0.5:0.5:0.5", "-0.1:0", "0.12345:0", "5e-1:0")),
    ("g", NAMED, ("centre", "NORTH", "0.5")),
    ("b", "must be rgb, rrggbb or rrggbbaa in", ("red", "ffff", "#fff", "fffff", "gggggg", "ffffffff0")),
    ("a", "must be one of 90, 180, 270, hflip, vflip", ("45", "0", "360", "flip")),
    ("f", "must be one of auto, jpg, jpeg, png,", ("JPG", "heic", "svg", "tiff", "bmp")),
    ("c", "must be one of fill, pad, fit, outside, scale, limit, crop, adaptive", ("cover", "FILL")),
    (
        "e",
        "must have a sigma from 0.3 to 100 with",
        ("blur:", "blur:0", "blur:0.2", "blur:0.29", "blur:100.01", "blur:101", "blur:1.234", "blur:-1"),
    ),
    (
        "e",
        "must have a sigma from 0.3 to 10 with",
        ("sharpen:", "sharpen:0.2", "sharpen:10.01", "sharpen:11"),
    ),
    ("e", "must have a strength from 1 to 100 in", ("sepia:", "sepia:0", "sepia:101", "sepia:-1")),
    (
        "e",
        "must have a strength from -100 to 100 in",
        ("brightness:101", "brightness:-101", "brightness:-0", "brightness:+5", "contrast:05", "saturation:"),
    ),
    (
        "e",
        EFFECTS,
        ("blur", "grayscale:50", "grayscale:", "brightness", "contrast", "saturation", "solarize"),
    ),
    (
        "ar",
        "must be width to height as in",
        (
            "0",
            "16:0",
            "0:9",
            "1:2:3",
            "-1",
            "+1",
            "01:2",
            "1.",
            ".5",
            "1.23456",
            "a:b",
            "123456789",
            "1e3",
            "16x9",
            "1:",
        ),
    ),
    ("x", "must be a whole number of pixels from 0", ("-1", "01", "1.5", "a")),
    ("y", "must be a whole number of pixels from 0", ("-1", "01", "1.5", "a")),
    ("el", "must be one of allow, never, only, ratio, original", ("1", "true", "Allow")),
    ("v", "must be 1 to 64 letters, digits,", ("a b", "é", "a" * 65, "a/b")),
    ("t", "names no preset of this node: nosuch", ("nosuch",)),
]


@pytest.mark.parametrize(
    ("name", "reason", "value"),
    [(name, reason, value) for name, reason, values in MISTAKES for value in values],
)
def test_an_error_names_its_parameter(name: str, reason: str, value: str) -> None:
    with pytest.raises(BadTransform, match=f"^parameter {name} {re.escape(reason)}"):
        parse_tokens(f"{name}_{value}", PRESETS)


@pytest.mark.parametrize("name", ["w", "h", "c", "g", "f", "q", "dpr", "b", "a", "e", "t", "v", "canary"])
def test_an_error_repeats_no_byte_of_the_client(name: str) -> None:
    with pytest.raises(BadTransform) as caught:
        parse_tokens(f"w_1,{name}_cAnAry<{{}}>", PRESETS)
    assert "canary" not in caught.value.detail.lower()


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        ("w_400,w_400", "parameter w is given twice"),
        ("t_card,t_card", "parameter t is given twice"),
        ("w_", "parameter w is empty"),
        (
            "w_400,zz_3",
            "parameter zz_3 is unknown; known are orient, trim, w, h, rw, rh, minw, minh, maxw, maxh, c, ar, el, round, g, x, y, rx, ry, ext, pad, f, q, fq, eq, mb, dpr, b, a, e, l, pg, frames, meta, v, dl, fn, if, t$",
        ),
        ("w_400,k_20", "parameter k_20 is unknown; known are orient, trim, w, h,"),
        ("w_400,z<_3", "parameter 2 is unknown; known are orient, trim, w, h,"),
        (f"w_400,zz_{'3' * 30}", "parameter 2 is unknown; known are orient, trim, w, h,"),
        ("w_400,", "parameter 2 is unknown"),
        (",w_400", "parameter 1 is unknown"),
        ("w_400,,h_3", "parameter 2 is unknown"),
        (
            "",
            "parameter 1 is unknown; known are orient, trim, w, h, rw, rh, minw, minh, maxw, maxh, c, ar, el, round, g, x, y, rx, ry, ext, pad, f, q, fq, eq, mb, dpr, b, a, e, l, pg, frames, meta, v, dl, fn, if, t$",
        ),
        (",".join(["e_grayscale"] * 9), "parameter e may be given 8 times"),
        ("~".join(["e_grayscale"] * 9), "parameter e may be given 8 times"),
        ("~".join(["w_9"] * 17), "a chain may have 16 components"),
        ("w_9~", "parameter 2 is unknown"),
        ("~w_9", "parameter 1 is unknown"),
        ("w_9~zz_3", "parameter zz_3 is unknown"),
        ("w_9~h_9,z<_3", "parameter 3 is unknown"),
        ("f_png~w_9,f_png", "parameter f is given twice"),
        ("q_9~q_9", "parameter q is given twice"),
        ("dpr_2~w_9~dpr_2", "parameter dpr is given twice"),
        ("v_1~v_2", "parameter v is given twice"),
        ("w_9,h_9,ar_1", "parameter ar gives the side that is not named: leave out w or h"),
        ("t_card,ar_1", "parameter ar gives the side that is not named"),
        ("x_1", "parameter x is the corner of a crop: it needs c_crop"),
        ("w_9,c_fill,y_1", "parameter y is the corner of a crop"),
        ("w_9,c_crop~x_1", "parameter x is the corner of a crop"),
        ("t_chain,w_9", "parameter t names a preset that is a chain: it must stand alone"),
        ("w_9~t_chain,f_png", "parameter t names a preset that is a chain"),
    ],
)
def test_malformed_token_lists_are_refused(tokens: str, says: str) -> None:
    with pytest.raises(BadTransform, match=says):
        parse_tokens(tokens, PRESETS)


@pytest.mark.parametrize(
    ("token", "meant"),
    [
        ("W_400", "w_400"),
        ("w400", "w_400"),
        ("width_400", "w_400"),
        ("heigth_400", "h_400"),
        ("quality_80", "q_80"),
        ("drp_1.5", "dpr_1.5"),
        ("crop_fill", "c_fill"),
        ("G_north_east", "g_north_east"),
        ("preset_card", "t_card"),
    ],
)
def test_the_nearest_token_is_suggested(token: str, meant: str) -> None:
    with pytest.raises(BadTransform, match=f"^parameter {token} is unknown; is {meant} meant\\?$"):
        parse_tokens(f"v_1,{token}", PRESETS)
    with pytest.raises(UnknownRoute, match=f"; parameter {token} is unknown; is {meant} meant\\?$"):
        parse(f"/{token}/photo.jpg", PRESETS)


@pytest.mark.parametrize("token", ["w=400", "w:400"])
def test_a_token_that_is_not_quoted_has_a_suggestion_too(token: str) -> None:
    with pytest.raises(BadTransform, match="^parameter 2 is unknown; is w_400 meant\\?$"):
        parse_tokens(f"v_1,{token}", PRESETS)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("W", "w"), ("width", "w"), ("widht", "w"), ("c", "fit"), ("crop", "fit"), ("fm", "format"), ("formt", "format"),
     ("t", "preset"), ("b", "bg"), ("rotate", "rot"), ("version", "v")],
)  # fmt: skip
def test_the_nearest_name_is_suggested(name: str, meant: str) -> None:
    with pytest.raises(BadTransform, match=f"^parameter {name} is unknown; is {meant} meant\\?$"):
        own_query(f"{name}=1")


@pytest.mark.parametrize(
    ("tokens", "meant"),
    [("c_cover", "fill"), ("c_limt", "limit"), ("c_FILL", "fill"), ("c_scale-down", "fit"), ("f_JPG", "jpg"), ("f_wepb", "webp"),
     ("g_NORTH", "north"), ("g_top", "north"), ("g_centre", "center"), ("a_flip", "vflip"), ("e_greyscale", "grayscale")],
)  # fmt: skip
def test_the_nearest_value_is_suggested(tokens: str, meant: str) -> None:
    with pytest.raises(BadTransform, match=f"; is {meant} meant\\?$"):
        parse_tokens(tokens, PRESETS)


@pytest.mark.parametrize(
    ("query", "meant"),
    [("fit=limit", "inside"), ("fit=scale", "fill"), ("fit=pad", "contain"), ("fit=thumb", "cover")],
)
def test_the_nearest_value_of_a_query_is_suggested(query: str, meant: str) -> None:
    with pytest.raises(BadTransform, match=f"; is {meant} meant\\?$"):
        own_query(query)


@pytest.mark.parametrize("tokens", ["f_heic", "c_xyz", "g_0,5", "e_blur", "a_45", "zz_1", "foo"])
def test_dissimilar_words_are_not_suggested(tokens: str) -> None:
    with pytest.raises(BadTransform) as caught:
        parse_tokens(tokens, PRESETS)
    assert "meant" not in caught.value.detail


def test_limit_is_an_alias_of_fit() -> None:
    assert own("c_limit") == own("c_fit")
    assert spell([own("c_limit")]) == "c_fit"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("w=1&w=1", "w is given twice"),
        ("w=1;h=5", "parameter w must"),
        ("w=", "w is empty"),
        ("w=1&foo=2", "parameter foo is unknown"),
        ("w=1&f<o=%zz", "parameter 3 is unknown"),
        ("foo=%ff&w=1", "parameter foo is unknown"),
        ("w", "w is empty"),
        ("z=1", "parameter z is unknown"),
        ("w=1~h=2", "parameter w must"),
        ("x=1", "parameter x is the corner of a crop"),
        ("%77=1", "parameter 2 is unknown"),
        ("w=1&", "parameter 3 is unknown"),
        ("w=+1", "parameter w must"),
        (
            "z=fill",
            "z is unknown; known are orient, trim, w, h, rw, rh, minw, minh, maxw, maxh, fit, ar, enlarge, round, g, x, y, rx, ry, ext, pad, format, q, fq, eq, mb, dpr, bg, rot, e, l, page, frames, meta, v, dl, fn, preset$",
        ),
        ("fit=scale", "parameter fit must be one of cover"),
        ("preset=nosuch", "preset names no preset of this node: nosuch"),
        ("preset=card&preset=card", "preset is given twice"),
    ],
)
def test_malformed_queries_are_refused(query: str, says: str) -> None:
    with pytest.raises(BadTransform, match=says):
        own_query(query)


@pytest.mark.parametrize(
    "raw", ["/thumbnail", "/thumbnail?", "/thumbnail?w=1", "/thumbnail?url=a&url=a", "/thumbnail?url=&url="]
)
def test_a_query_names_its_original_exactly_once(raw: str) -> None:
    with pytest.raises(BadUrl, match="^parameter url must be given once"):
        parse(raw, PRESETS)


@pytest.mark.parametrize(
    "raw",
    [
        "/nothing/here.jpg",
        "/x",
        "/thumbnail/photo.jpg",
        "/zz_3/photo.jpg",
        "/foo_bar,baz/a.jpg",
        "/original",
        "/%zz/a",
        "/%ff/a",
        "/w400/a.jpg",
    ],
)
def test_a_segment_without_a_known_token_is_an_unknown_route(raw: str) -> None:
    with pytest.raises(UnknownRoute, match="^no such route: the URL of a variant is "):
        parse(raw, PRESETS)


TAKES = "the query of this URL may have"
NO_QUERY = f"parameter x is not supported: {TAKES} none; "
NO_KEY = "the key of the original is missing"
NO_SLASH = "the key is missing: the URL of a variant is "
DOTS = "the key has a segment that is empty or begins with a dot"
CONTROL = "the key holds a control character"


@pytest.mark.parametrize(
    ("raw", "error", "says"),
    [
        ("/w_abc/photo.jpg", BadTransform, "parameter w must"),
        ("/w_400,zz_3/photo.jpg", BadTransform, "parameter zz_3 is unknown"),
        ("/zz_3,w_400/photo.jpg", BadTransform, "parameter zz_3 is unknown"),
        ("/w_400", BadUrl, NO_SLASH),
        ("/w_400/", BadUrl, NO_KEY),
        ("/w_400/a?x=1", BadUrl, f"parameter x is not supported: {TAKES} v; "),
        ("/w_400/a?w=1", BadUrl, f"parameter w is not supported: {TAKES} v; "),
        ("/w_400/a?utm_source=a&x", BadUrl, f"parameter x is not supported: {TAKES} v; "),
        ("/w_400/a?", BadUrl, f"parameter 1 is not supported: {TAKES} v; "),
        ("/w_400/a?utm_source=a&", BadUrl, f"parameter 2 is not supported: {TAKES} v; "),
        ("/w_400?", BadUrl, f"parameter 1 is not supported: {TAKES} v; "),
        ("/w_400/a?UTM_source=a", BadUrl, "parameter UTM_source is not supported: "),
        ("/w_400/a?utm%5Fsource=a", BadUrl, "parameter 1 is not supported: "),
        ("/w_400/a?v=1&v=1", BadUrl, "parameter v is given twice"),
        ("/w_400,v_1/a?v=1", BadTransform, "parameter v is given twice: in the path and in the query"),
        ("/w_400/a?v=", BadTransform, "parameter v must be 1 to 64 letters"),
        ("/w_400/a?v", BadTransform, "parameter v must be 1 to 64 letters"),
        ("/w_400/a?v=%zz", BadUrl, "parameter v holds a % that"),
        ("/original/a?v=1", BadUrl, f"parameter v is not supported: {TAKES} none; "),
        ("/info/a?v=1", BadUrl, f"parameter v is not supported: {TAKES} fields; "),
        ("/info/a?fields=width&fields=width", BadUrl, "parameter fields is given twice"),
        ("/w_400/..%2fsecret", BadUrl, DOTS),
        ("/w_400/%2e%2e/secret", BadUrl, DOTS),
        ("/w_400/a%00.jpg", BadUrl, CONTROL),
        ("/w_400/a%5Cb", BadUrl, CONTROL),
        ("/w_400/%c0%ae%c0%ae/x", BadUrl, "the key is not UTF-8"),
        ("/w_400/a%zz", BadUrl, "the key holds a % that"),
        ("/w_400//etc/passwd", BadUrl, DOTS),
        ("/w_%zz/a.jpg", BadUrl, "the transform holds a % that"),
        ("/w_%ff/a.jpg", BadUrl, "the transform is not UTF-8"),
        ("/original/../x", BadUrl, DOTS),
        ("/original/a%zz", BadUrl, "the key holds a % that"),
        ("/original/", BadUrl, NO_KEY),
        ("/original/a?x=1", BadUrl, NO_QUERY),
        ("/thumbnail?url=%ff", BadUrl, "url is not UTF-8"),
        ("/thumbnail?url=", BadUrl, NO_KEY),
        ("/thumbnail?url=a&w=%zz", BadUrl, "w holds a % that"),
    ],
)
def test_errors_name_the_wrong_part_of_the_url(raw: str, error: type[CalotypeError], says: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(says)}"):
        parse(raw, PRESETS)


TRACKERS = "utm_source=a&utm_=&utm_x&fbclid=b&gclid=%zz&msclkid=d&_ga=e&mc_cid=f&mc_eid=g&ver=6.4"


@pytest.mark.parametrize(
    "raw", ["/w_1/a", "/original/a", "/info/a", "/info/a?fields=width", "/thumbnail?url=a&w=1"]
)
def test_tracking_parameters_are_ignored(raw: str) -> None:
    joint = "&" if "?" in raw else "?"
    tracked = parse(f"{raw}{joint}{TRACKERS}", PRESETS)
    assert tracked == parse(raw, PRESETS)
    if isinstance(tracked, VariantUrl):
        names = (
            "utm_source",
            "utm_",
            "utm_x",
            "fbclid",
            "gclid",
            "msclkid",
            "_ga",
            "mc_cid",
            "mc_eid",
            "ver",
        )
        assert tuple(unused.parameter for unused in tracked.unused) == names


def test_a_version_may_stand_in_the_query_of_a_path() -> None:
    for raw in ("/w_1/a?v=7", "/w_1/a?utm_source=b&v=%37&fbclid=c", "/w_1,v_7/a?ver=3"):
        assert parse(raw, PRESETS) == parse("/w_1,v_7/a", PRESETS)
    versioned = {"p": [Component(width=9, version="1")]}
    parsed = parse("/t_p/a?v=2", versioned)
    assert isinstance(parsed, VariantUrl)
    assert parsed.transform == flat(width=9, version="2")
    for raw in ("/t_chain/a?v=2", "/t_chain,v_2/a", "/w_9~e_blur:2,v_2/a"):
        parsed = parse(raw, PRESETS)
        assert isinstance(parsed, VariantUrl)
        assert parsed.transform == replace(parse_transform("w_9~e_blur:2", {}), version="2")


def test_a_mount_may_ignore_unknown_query_parameters_of_path_urls() -> None:
    ignore = QueryRule.IGNORE
    for raw in ("/w_1/a", "/original/a", "/info/a"):
        for query in ("x=1", "", "w=5", "x&x&<y>=%zz", "sig=1"):
            parsed = parse(f"{raw}?{query}", PRESETS, query=ignore)
            assert parsed == parse(raw, PRESETS)
    parsed = parse("/w_1/a?x=1&<y>&v=3&fbclid=1", PRESETS, query=ignore)
    assert parsed == parse("/w_1,v_3/a", PRESETS)
    assert isinstance(parsed, VariantUrl)
    assert [unused.parameter for unused in parsed.unused] == ["x", "2", "fbclid"]
    for mistake in ("/w_1/a?v=1&v=2", "/w_1/a?v=", "/info/a?fields=nosuch", "/thumbnail?url=a&x=1"):
        with pytest.raises((BadUrl, BadTransform)):
            parse(mistake, PRESETS, query=ignore)


def test_keys_are_decoded_once_in_path_and_query_urls() -> None:
    for raw in (
        "/w_1/a/b%20c%25.jpg",
        "/thumbnail?url=a/b%20c%25.jpg&w=1",
        "/thumbnail?w=1&url=a%2Fb+c%25.jpg",
    ):
        parsed = parse(raw, PRESETS)
        assert isinstance(parsed, VariantUrl)
        assert parsed.key == "a/b c%.jpg"
    assert parse("/original/a%20b", PRESETS) == OriginalUrl("a b")
    assert parse("/w_%34,h_5/k", PRESETS) == parse("/w_4%2Ch_5/k", PRESETS)


@pytest.mark.parametrize("character", '|{}^`"<>')
def test_characters_that_browsers_send_raw_equal_their_percent_encoding(character: str) -> None:
    escape = f"%{ord(character):02X}"
    for form in ("/w_1/a{}b.jpg", "/thumbnail?url=a{}b.jpg&w=1", "/original/a{}b.jpg", "/info/a{}b.jpg"):
        assert parse(form.format(character), PRESETS) == parse(form.format(escape), PRESETS)


def test_tokens_override_their_preset_in_either_order() -> None:
    for tokens in ("t_card,w_640", "w_640,t_card"):
        assert own(tokens) == Component(width=640, preset="card")
        assert parse_transform(tokens, PRESETS) == flat(
            width=640, height=200, fit=Fit.COVER, format=Auto.AUTO
        )
    assert parse_transform("t_my_sq", PRESETS) == flat(width=9)
    assert parse_transform("w_8", {}) == flat(width=8)
    assert parse_tokens("q_999", PRESETS).clamped == (("q", "999"),)
    assert parse_tokens("q_99", PRESETS) == Written((Component(quality=99),))


def test_numbers_of_thousands_of_digits_are_capped() -> None:
    assert own(f"w_{'9' * 18}").width == 10**18 - 1
    for digits in (19, 20, 4000):
        assert own(f"w_{'9' * digits}").width == 10**18


def written(url: str) -> tuple[str, tuple[Component, ...]]:
    """The key and the components of a URL."""
    if url.startswith("/thumbnail?"):
        key, of_query, _ = parse_query(url.partition("?")[2], PRESETS)
        return key, of_query.components
    parsed = parse(url, PRESETS)
    assert isinstance(parsed, VariantUrl)
    return parsed.key, parse_tokens(url.split("/")[1], PRESETS).components


@given(keys, components)
def test_parse_is_the_inverse_of_path_url_and_query_url(key: str, component: Component) -> None:
    assert written(query_url(key, component)) == (key, (component,))
    if component != Component():
        assert written(path_url(key, component)) == (key, (component,))
        assert parse(path_url(key, component), PRESETS) == parse(query_url(key, component), PRESETS)


@given(keys, chains)
def test_parse_is_the_inverse_of_path_url_for_chains(key: str, chain: tuple[Component, ...]) -> None:
    chain = tuple(component for component in chain if component != Component())
    if chain:
        url = path_url(key, *chain)
        assert written(url) == (key, chain)
        assert parse(url.replace("~", "%7E"), PRESETS) == parse(url, PRESETS)


@given(keys, components)
def test_a_preset_and_tokens_are_written_together(key: str, component: Component) -> None:
    component = component._replace(preset="card")
    assert written(path_url(key, component)) == (key, (component,))
    assert written(query_url(key, component)) == (key, (component,))


@given(components.filter(lambda component: component != Component()), st.randoms())
def test_only_the_order_of_effects_matters(transform: Component, order: object) -> None:
    tokens = spell([transform]).split(",")
    effects = [token for token in tokens if token.startswith("e_")]
    others = [token for token in tokens if not token.startswith("e_")]
    order.shuffle(others)  # type: ignore[attr-defined]
    assert own(",".join([*effects, *others])) == transform


def test_a_transform_has_one_canonical_url() -> None:
    transform = Component(
        width=400,
        height=300,
        fit=Fit.COVER,
        gravity=CENTER,
        format=Format.JPEG,
        quality=80,
        dpr_percent=150,
        background=WHITE,
        turn=Turn.HFLIP,
        effects=(Blur(2.5), Sharpen(1.0), Adjust(Tone.GRAYSCALE, 100), Adjust(Tone.SEPIA, 80)),
        version="7",
        preset="card",
    )
    assert path_url("a/b c.jpg", transform) == (
        "/t_card,w_400,h_300,c_fill,g_center,f_jpeg,q_80,dpr_1.5,b_ffffff,a_hflip,"
        "e_blur:2.5,e_sharpen:1,e_grayscale,e_sepia:80,v_7/a/b%20c.jpg"
    )
    assert query_url("a/b c.jpg", transform) == (
        "/thumbnail?url=a/b%20c.jpg&preset=card&w=400&h=300&fit=cover&g=center&format=jpeg&q=80&dpr=1.5&bg=ffffff"
        "&rot=hflip&e=blur:2.5&e=sharpen:1&e=grayscale&e=sepia:80&v=7"
    )


@pytest.mark.parametrize("name", GRAVITIES)
def test_a_named_gravity_is_written_by_its_name(name: str) -> None:
    assert spell([own(f"g_{name}")]) == f"g_{name}"


@pytest.mark.parametrize(
    ("raw", "native"),
    [
        ("/original/a%20b", "/original/a%20b"),
        ("/info/a?utm_source=x", "/info/a"),
        ("/info/a?fields=height,width", "/info/a?fields=width,height"),
        ("/thumbnail?w=5&fit=contain&url=a", "/w_5/a"),
        ("/t_my_sq,h_3,q_0/a?v=1", "/w_9,h_3,q_1,v_1/a"),
        ("/thumbnail?url=a", "/thumbnail?url=a"),
        (
            "/a_90~w_5,ar_1,c_pad,b_f00~c_crop,w_2~t_chain/a",
            "/a_90~w_5,c_pad,ar_1:1,b_ff0000~w_2,c_crop~w_9,e_blur:2/a",
        ),
        ("/ar_1.5/a", "/c_crop,ar_3:2/a"),
        ("/thumbnail?url=a&page=3&frames=2", "/pg_3,frames_2/a"),
        ("/dl_red%20shoe.jpg/a", "/dl_red%20shoe.jpg/a"),
        ("/thumbnail?url=a&dl=50%25,%7E.jpg", "/dl_50%2525%252C%257E.jpg/a"),
        ("/t_chain,fn_%C3%A9.jpg~a_90/a", "/w_9,e_blur:2~a_90,fn_%C3%A9.jpg/a"),
        ("/w_9,dl_*/a", "/w_9,dl_*/a"),
    ],
)
def test_every_transform_has_a_native_url(raw: str, native: str) -> None:
    parsed = parse(raw, PRESETS)
    transform = None if isinstance(parsed, OriginalUrl) else parsed.transform
    assert native_url(parsed, parsed.key, transform) == native


def test_a_file_name_is_sent_and_no_part_of_the_transform() -> None:
    for raw, value in (
        ("/t_card,dl_r%C3%A9d.jpg/a", "attachment; filename*=UTF-8''r%C3%A9d.jpg"),
        ("/t_card,dl_a%252Cb.jpg/a", "attachment; filename*=UTF-8''a%2Cb.jpg"),
        ("/t_card,fn_red.jpg/a", 'inline; filename="red.jpg"'),
        ("/t_card~dl_*/a", "attachment"),
        ("/thumbnail?url=a&preset=card&dl=a,b%25.jpg", "attachment; filename*=UTF-8''a%2Cb%25.jpg"),
    ):
        named, plain = parse(raw, PRESETS), parse("/t_card/a", PRESETS)
        assert isinstance(named, VariantUrl)
        assert isinstance(plain, VariantUrl)
        assert (named.disposition, plain.disposition) == (value, "")
        assert named.transform == plain.transform
        assert named.is_preset


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        ("dl_", "parameter dl is empty"),
        ("dl_a%2Fb", "parameter dl must be a file name without slashes"),
        ("dl_a%5Cb", "parameter dl must be a file name without slashes"),
        ("fn_a%0Ab", "parameter fn must be a file name without slashes"),
        ("dl_a%250Ab", "parameter dl must be a file name without slashes"),
        ("dl_50%25.jpg", "parameter dl must have a %, a comma or a ~ .*encoded twice"),
        ("dl_%25ff", "parameter dl must have a %, a comma or a ~ .*encoded twice"),
        ("dl_a,fn_b", "parameter fn is given twice"),
        ("dl_a~dl_b", "parameter dl is given twice"),
    ],
)
def test_a_file_name_that_cannot_be_sent_is_refused(tokens: str, says: str) -> None:
    with pytest.raises(BadTransform, match=says):
        parse(f"/w_9~{tokens}/a", PRESETS)


def test_a_file_name_of_another_dialect_has_a_native_url() -> None:
    for value, native in (
        ('attachment; filename="red shoe.jpg"', "/w_9,dl_red%20shoe.jpg/a"),
        ("inline; filename*=UTF-8''%22%0D%0Aa%2Fb", "/w_9,fn_%22__a_b/a"),
        ("attachment", "/w_9,dl_*/a"),
    ):
        parsed = VariantUrl(key="a", transform=flat(width=9), disposition=value)
        assert native_url(parsed, "a", parsed.transform) == native
        assert isinstance(parse(native, PRESETS), VariantUrl)


def test_an_empty_transform_has_no_path_url() -> None:
    with pytest.raises(BadTransform, match="^the transform is empty"):
        path_url("a", Component())
    with pytest.raises(BadTransform, match="^the transform is empty"):
        path_url("a")
    assert query_url("a", Component()) == "/thumbnail?url=a"


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        ("/f_auto/a", True),
        ("/w_abc,f_auto/a", True),
        ("/f%5Fauto/a", True),
        ("/t_card/a", True),
        ("/t_card,f_png/a", False),
        ("/t_my_sq/a", False),
        ("/w_400/f_auto", False),
        ("/thumbnail?format=auto", True),
        ("/w_9~f_auto/a", True),
        ("/w_9%7Ef_auto/a", True),
        ("/w_9~t_card/a", True),
        ("/t_card~f_png/a", False),
        ("/thumbnail?format=%61uto", True),
        ("/thumbnail?preset=c%61rd", True),
        ("/thumbnail?url=x&w=0&preset=card", True),
        ("/thumbnail?url=x&preset=card&format=png", False),
        ("/thumbnail", False),
        ("/original/a", False),
        ("nonsense", False),
        ("/%ff", False),
        ("/f_auto/\udcff", True),
        ("/f_auto,w_\udcff/a", True),
        ("/f_auto,w_%zz/a", True),
        ("/f_auto,w_%ff/a", True),
        ("/f_auto/<a>", True),
        ("/thumbnail?url=%ff&format=auto", True),
        ("/thumbnail?url=\udce9&format=auto", True),
        ("/thumbnail?format=auto&x=" + "a" * 9000, True),
        ("/f_jpg/\udcff?format=auto", False),
    ],
)
def test_negotiates_tells_whether_the_accept_header_matters(raw: str, answer: bool) -> None:
    assert negotiates(raw, PRESETS) is answer


@pytest.mark.parametrize("start", ["/thumbnail?url=a&", "/w_9/a?", "/info/a?"])
def test_a_query_has_a_limited_number_of_parameters(start: str) -> None:
    parse(start + "&".join(["utm_a=1"] * 2), {}, query=QueryRule.IGNORE)
    with pytest.raises(BadUrl, match="64 parameters at most"):
        parse(start + "&".join([*(f"utm_{n}=1" for n in range(64)), "w=9"]), {}, query=QueryRule.IGNORE)


@given(st.text(max_size=80), st.sampled_from(["/", "/w_1/", "/thumbnail?url=a&", "/original/", "/w_1,"]))
def test_parsing_raises_only_calotype_errors(text: str, start: str) -> None:
    raw = start + text
    negotiates(raw, PRESETS)
    try:
        parsed = parse(raw, PRESETS)
    except CalotypeError as failure:
        assert failure.detail.isascii()
        return
    # Parsed once, the same again: nothing has two readings.
    if isinstance(parsed, VariantUrl):
        again = parse(native_url(parsed, parsed.key, parsed.transform), PRESETS)
        assert isinstance(again, VariantUrl)
        assert (again.key, again.transform) == (parsed.key, parsed.transform)


def test_aliases_parse_to_equal_transforms() -> None:
    groups = [
        ("f_jpg", "f_jpeg"),
        ("b_fff", "b_white"),
        ("dpr_2", "dpr_2.0"),
        ("g_0.5:0.5", "g_center"),
    ]
    for one, other in itertools.chain(groups):
        assert own(one) == own(other)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ("/info/a", ()),
        ("/info/a?fields=width", ("width",)),
        ("/info/a?fields=height,width", ("width", "height")),
        ("/info/a?fields=%77idth%2Cheight", ("width", "height")),
        (f"/info/a?fields={','.join(FIELDS)}", FIELDS),
    ],
)
def test_info_fields_have_one_order(raw: str, fields: tuple[str, ...]) -> None:
    assert parse(raw, {}) == InfoUrl("a", fields)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "parameter 1 is not supported: the query of this URL may have fields"),
        ("w=1", "parameter w is not supported"),
        ("fields=width&fields=height", "fields is given twice"),
        ("fields=width&w=1", "parameter w is not supported"),
        ("fields", "fields is invalid at position 1"),
        ("fields=", "fields is invalid at position 1"),
        ("fields=width,", "fields is invalid at position 2"),
        ("fields=width,nope", "fields is invalid at position 2"),
        ("fields=width,height,width", "fields is invalid at position 3"),
        ("fields=Width", "fields is invalid at position 1"),
        ("fields=%zz", "hexadecimal"),
        ("fields=%ff", "UTF-8"),
    ],
)
def test_an_unknown_field_is_refused(query: str, says: str) -> None:
    with pytest.raises(BadUrl, match=says):
        parse(f"/info/a?{query}", {})


def test_an_info_url_parses_like_a_variant() -> None:
    assert InfoUrl("a", ("width",)).transform == Transform(format=Format.INFO)
