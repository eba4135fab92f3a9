"""Layers of Cloudinary's URLs, in one component and in several."""

from dataclasses import replace
from fractions import Fraction

import pytest

from proxy.core.errors import BadTransform
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    Align,
    Blend,
    Choice,
    Colour,
    Enlarge,
    Fit,
    FocalPoint,
    Operation,
    Overlay,
    Placing,
    Resize,
    Shifted,
    Text,
)
from proxy.core.url.dialects.cloudinary.urls import DIALECT
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.parsed_url import VariantUrl


def ops(transformation: str) -> tuple[Operation, ...]:
    parsed = DIALECT.parse(f"/image/upload/{transformation}/lake.jpg", Reading(presets={}))
    assert isinstance(parsed, VariantUrl)
    assert parsed.key == "lake.jpg"
    return parsed.transform.ops


SOUTH_EAST = FocalPoint(1.0, 1.0)
HELLO = Text(text="Hello there", family="Arial", size_px=20)
RED, BLUE = Colour(255, 0, 0), Colour(0, 0, 255)
W300 = Resize(width=300, enlarge=Enlarge.ALLOW)


@pytest.mark.parametrize(
    ("transformation", "expected"),
    [
        ("l_logo", (Overlay(of="logo.png"),)),
        ("l_shop:logo.webp,o_50", (Overlay(of="shop/logo.webp", opacity_percent=50),)),
        ("l_logo,w_30,h_20", (Overlay(of="logo.png", width=30, height=20, fit=Fit.FILL),)),
        ("l_logo,w_30,h_20,c_fit", (Overlay(of="logo.png", width=30, height=20),)),
        ("l_logo,w_30,g_south_east,x_10,y_5", (Overlay(of="logo.png", width=30, at=Shifted(SOUTH_EAST, -10, -5)),)),
        ("l_logo,x_10", (Overlay(of="logo.png", at=Shifted(FocalPoint(0.5, 0.5), 10, 0)),)),
        ("l_logo,w_0.2,fl_relative", (Overlay(of="logo.png", width=Part(Fraction(1, 5))),)),
        ("l_logo,e_multiply,fl_tiled", (Overlay(of="logo.png", blend=Blend.MULTIPLY, placing=Placing.TILE),)),
        ("l_text:Arial_20:Hello%20there", (Overlay(of=HELLO),)),
        ("l_text:Arial_20:Hello%20there,co_red,b_blue", (Overlay(of=replace(HELLO, colour=RED, background=BLUE)),)),
        ("l_text:Arial_20_bold_italic_underline_right:Hello%20there", (Overlay(of=replace(HELLO, weight=700, italic=True, underlined=True, align=Align.RIGHT)),)),
        ("l_text:Arial_20_letter_spacing_4_line_spacing_-3:Hello%20there", (Overlay(of=replace(HELLO, letter_px=4, line_px=-3)),)),
        ("l_text:Arial_20_stroke:Hello%20there,bo_4px_solid_red", (Overlay(of=replace(HELLO, stroke_px=4, stroke=RED)),)),
        ("l_text:Arial_20:Hello%20there,w_300,c_fit,g_south_east,x_10", (Overlay(of=replace(HELLO, width_px=300), at=Shifted(SOUTH_EAST, -10, 0)),)),
        ("l_text:Open%20Sans_20:50%2525%252C%20a%252Fb", (Overlay(of=replace(HELLO, family="Open Sans", text="50%, a/b")),)),
        ("$name_!there!/l_text:Arial_20:Hello%20$(name)", (Overlay(of=HELLO),)),
        ("$count_3/l_text:Arial_20:$(count)", (Overlay(of=replace(HELLO, text="3")),)),
        ("u_sky", (Overlay(of="sky.png", placing=Placing.UNDER),)),
        ("w_300/l_logo,w_30/o_50/fl_layer_apply,g_south_east", (W300, Overlay(of="logo.png", width=30, opacity_percent=50, at=SOUTH_EAST))),
        ("l_a/fl_layer_apply/l_b/e_screen,fl_layer_apply.no_overflow/w_300", (Overlay(of="a.png"), Overlay(of="b.png", blend=Blend.SCREEN), W300)),
        ("l_a,w_9/w_300", (Overlay(of="a.png", width=9), W300)),
        ("if_w_gt_300,l_logo/if_end", None),
    ],
)  # fmt: skip
def test_a_layer_is_one_operation(transformation: str, expected: tuple[Operation, ...] | None) -> None:
    found = ops(transformation)
    if expected is None:
        [choice] = found
        assert isinstance(choice, Choice)
        assert choice.then == (Overlay(of="logo.png"),)
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("transformation", "reason"),
    [
        ("l_text:style:Hello", "parameter l is supported for a text as"),
        ("l_text:Arial_20", "parameter l is supported for a text as"),
        ("l_text:Arial_20_shiny:Hello", "parameter l is supported for a text with thin"),
        ("l_text:Arial_1001:Hello", "parameter l must have a font size"),
        ("l_text:Arial_20_letter_spacing_1000:Hello", "parameter l must have spacings"),
        ("l_text:Arial_20_stroke:Hello,bo_60px_solid_red", "parameter l must have an outline"),
        ("l_text:Arial_20:100%25", "parameter l must have a text in UTF-8"),
        ("l_text:Arial_20:$(gone)", "parameter l has a variable that is not set"),
        ("l_text:Arial_20:Hello,w_300", "parameter l is supported for a text with w and c_fit"),
        ("l_text:Arial_20:" + "a" * 1001, "parameter l must have a text of at most 1000"),
        ("l_logo,co_red", "parameter co is not supported in a layer, but for a text"),
        ("l_fetch:aHR0cHM6Ly9h", "parameter l is not supported as"),
        ("l_..:secret", "parameter l must be a public id"),
        ("l_logo,w_0.5", "parameter w is supported as a fraction"),
        ("l_logo,w_0", "parameter w must be"),
        ("l_logo,h_10000", "parameter h must be"),
        ("l_logo,c_fill,w_3", "parameter c is supported as scale"),
        ("l_logo,g_face", "parameter g is supported as a direction"),
        ("l_logo,o_101", "parameter o must be"),
        ("l_logo,e_sepia", "parameter e is supported as multiply"),
        ("l_logo,fl_cutter", "parameter fl cutter is not supported"),
        ("l_logo,a_10", "parameter a is not supported in a layer"),
        ("l_logo,w_3/w_4/fl_layer_apply", "parameter w is not supported twice"),
        ("/".join(["l_logo"] * 16), "operations"),
    ],
)
def test_what_a_layer_cannot_have_is_named(transformation: str, reason: str) -> None:
    with pytest.raises(BadTransform, match=reason):
        ops(transformation)
