"""The value of `l_`, read and written."""

from dataclasses import replace
from fractions import Fraction
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadTransform
from proxy.core.transform.layers import MAX_LAYERS
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    Align,
    Blend,
    Colour,
    Fit,
    FocalPoint,
    Overlay,
    Placing,
    Shifted,
    Text,
    Transform,
)
from proxy.core.url.dialects.component import components_of
from proxy.core.url.dialects.native.urls import parse, parse_transform, path_url
from proxy.core.url.parsed_url import VariantUrl
from tests.support import strategies

SOUTH_EAST = FocalPoint(1.0, 1.0)
LOGO = Overlay(of="logo.png")
RED = Colour(255, 0, 0)
SALE = Text(text="Sale", family="sans-serif", size_px=16)


@pytest.mark.parametrize(
    ("value", "layer"),
    [
        ("logo.png", LOGO),
        ("shop:red:logo.png", Overlay(of="shop/red/logo.png")),
        ("logo.png;w:80", Overlay(of="logo.png", width=80)),
        ("logo.png;w:0.25;h:1.0", Overlay(of="logo.png", width=Part(Fraction(1, 4)), height=Part(Fraction(1)))),
        ("logo.png;w:8;h:9;c:scale", Overlay(of="logo.png", width=8, height=9, fit=Fit.FILL)),
        ("logo.png;g:south_east:-10:-20", Overlay(of="logo.png", at=Shifted(SOUTH_EAST, -10, -20))),
        ("logo.png;g:0.3:0.7", Overlay(of="logo.png", at=FocalPoint(0.3, 0.7))),
        ("logo.png;o:60;b:color-burn;p:tile", Overlay(of="logo.png", opacity_percent=60, blend=Blend.COLOR_BURN, placing=Placing.TILE)),
        ("a%253Bb%253A%2525.png", Overlay(of="a;b:%.png")),
        (";co:ff0000", Overlay(of=RED, fit=Fit.FILL)),
        (";co:ff000080;w:0.5;h:9;o:60", Overlay(of=replace(RED, alpha=128), width=Part(Fraction(1, 2)), height=9, fit=Fit.FILL, opacity_percent=60)),
        (";t:Sale;s:16", Overlay(of=SALE)),
        (";t:Sale;s:40;co:ff0000;w:300;a:center;ls:4;lh:-5", Overlay(of=replace(SALE, size_px=40, colour=RED, width_px=300, align=Align.CENTER, letter_px=4, line_px=-5))),
        (";t:Sale;f:Open%20Sans:700:italic:underline:strike;s:16", Overlay(of=replace(SALE, family="Open Sans", weight=700, italic=True, underlined=True, struck=True))),
        (";t:Sale;s:16;st:ff0000:2;bg:ff0000:0;g:0.3:0.7;b:multiply", Overlay(of=replace(SALE, stroke=RED, stroke_px=2, background=RED), at=FocalPoint(0.3, 0.7), blend=Blend.MULTIPLY)),
        (";t:50%2525%252C%20a%253Bb%253A%252F%250Ac;s:16", Overlay(of=replace(SALE, text="50%, a;b:/\nc"))),
    ],
)  # fmt: skip
def test_a_layer_is_read_and_written(value: str, layer: Overlay) -> None:
    parsed = parse(f"/w_9,l_{value}/photo.jpg", {})
    assert isinstance(parsed, VariantUrl)
    assert parsed.transform.ops[1:] == (layer,)
    assert (
        unquote(path_url("photo.jpg", *components_of(parsed.transform)))
        == f"/w_9,l_{unquote(value)}/photo.jpg"
    )


@given(st.lists(strategies.layers, min_size=1, max_size=3))
def test_what_is_written_is_read_again(found: list[Overlay]) -> None:
    """Also with an effect after the layers, which is in a component of its own."""
    tail = parse_transform("e_sepia", {}).ops
    transform = Transform(ops=(*found, *tail))
    parsed = parse(path_url("photo.jpg", *components_of(transform)), {})
    assert isinstance(parsed, VariantUrl)
    assert parsed.transform.ops == transform.ops


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("..:secret", "begin with the key"),
        ("logo.png;z:3", "options of w, h, c, o, b, p and g"),
        ("logo.png;w", "options of w, h, c, o, b, p and g"),
        ("logo.png;w:3;w:3", "option w twice"),
        ("logo.png;w:0", "pixels up to 99999"),
        ("logo.png;w:0.0", "pixels up to 99999"),
        ("logo.png;w:3;c:scale", "w and h with c:scale"),
        ("logo.png;g:face", "a direction or a focal point"),
        ("logo.png;o:101", "opacity from 0 to 100"),
        ("logo.png;b:hue", "one of normal, multiply"),
        ("logo.png;p:below", "one of over, under, tile"),
        (";w:3", "a key, or t for a text, or co for a colour"),
        (";co:red", "be rgb"),
        (";t:", "have a text"),
        (";t:a%2500b", "without control characters"),
        (";t:" + "a" * 1001, "at most 1000 characters"),
        (";t:100%25", "in UTF-8"),
        (";t:a;s:0", "pixels from 1 to 1000 for s"),
        (";t:a;w:10000", "pixels from 1 to 9999 for w"),
        (";t:a;ls:1000", "pixels from -999 to 999 for ls"),
        (";t:a;f:Serif:heavy", "a font as in"),
        (";t:a;st:f00:51", "pixels up to 50 for st"),
        (";t:a;st:f00", "pixels up to 50 for st"),
        (";t:a;bg:f00:-1", "pixels up to 999 for bg"),
        (";t:a;a:justify", "one of left, center, right"),
        (";t:a;h:3", "options of t, f, s, co, w, a, ls, lh, st, bg, o, b, p and g"),
    ],
)
def test_errors_say_what_a_layer_takes(value: str, reason: str) -> None:
    with pytest.raises(BadTransform, match=f"^parameter l must .*{reason}|^parameter l has .*{reason}"):
        parse_transform(f"l_{value}", {})


def test_there_are_not_too_many_layers() -> None:
    with pytest.raises(BadTransform, match=f"parameter l may be given {MAX_LAYERS} times"):
        parse_transform(",".join(["l_logo.png"] * (MAX_LAYERS + 1)), {})
