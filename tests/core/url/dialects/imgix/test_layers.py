"""The layers of imgix's URLs: marks, texts and blended colours."""

from dataclasses import replace
from fractions import Fraction

import pytest

from proxy.core.errors import BadTransform
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    Blend,
    Colour,
    Fit,
    FocalPoint,
    Operation,
    Overlay,
    Placing,
    Shifted,
    Text,
)
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.imgix.urls import DIALECT
from proxy.core.url.parsed_url import VariantUrl

RED, WHITE = Colour(255, 0, 0), Colour(255, 255, 255)
AT = Shifted(FocalPoint(1.0, 1.0), -10, -10)
MARK = Overlay(of="logo.png", at=AT)
TEXT = Text(text="Hi there", family="sans-serif", size_px=12, stroke=WHITE)


def ops(query: str) -> tuple[Operation, ...]:
    parsed = DIALECT.parse(f"/lake.jpg?{query}", Reading(presets={}))
    assert isinstance(parsed, VariantUrl)
    return parsed.transform.ops


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("mark=/logo.png", MARK),
        ("mark64=L2xvZ28ucG5n", MARK),
        ("m=https%3A%2F%2Fa.example%2Flogo.png", replace(MARK, of="https://a.example/logo.png")),
        ("mark=logo.png&mark-w=80", replace(MARK, width=80)),
        ("mark=logo.png&mark-w=0.25&mark-h=30", replace(MARK, width=Part(Fraction(1, 4)), height=30)),
        ("mark=logo.png&mark-w=9&mark-h=8&mark-fit=scale", replace(MARK, width=9, height=8, fit=Fit.FILL)),
        ("mark=logo.png&mark-scale=30", replace(MARK, width=Part(Fraction(3, 10)))),
        ("mark=logo.png&mark-align=top,left&mark-pad=5", replace(MARK, at=Shifted(FocalPoint(0.0, 0.0), 5, 5))),
        ("mark=logo.png&mark-align=center,middle", replace(MARK, at=FocalPoint(0.5, 0.5))),
        ("mark=logo.png&mark-align=bottom", replace(MARK, at=Shifted(FocalPoint(0.5, 1.0), 0, -10))),
        ("mark=logo.png&mark-x=7", replace(MARK, at=Shifted(FocalPoint(0.0, 0.0), 7, 0))),
        ("mark=logo.png&mark-alpha=40&mark-tile=grid", Overlay(of="logo.png", at=FocalPoint(0.0, 0.0), opacity_percent=40, placing=Placing.TILE)),
        ("txt=Hi%20there", Overlay(of=TEXT, at=AT)),
        ("txt64=SGkgdGhlcmU&txt-size=40&txt-color=f00", Overlay(of=replace(TEXT, size_px=40, colour=RED), at=AT)),
        ("txt=Hi%20there&txt-font=Open%20Sans,Bold,Italic&txt-width=300", Overlay(of=replace(TEXT, family="Open Sans", weight=700, italic=True, width_px=300), at=AT)),
        ("txt=Hi%20there&txt-font=bold", Overlay(of=replace(TEXT, weight=700), at=AT)),
        ("txt=Hi%20there&txt-line=3&txt-line-color=f00&txt-track=5&txt-lead=9", Overlay(of=replace(TEXT, stroke_px=3, stroke=RED, letter_px=5, line_px=9), at=AT)),
        ("txt=Hi%20there&txt-x=4&txt-y=5", Overlay(of=TEXT, at=Shifted(FocalPoint(0.0, 0.0), 4, 5))),
        ("blend=80ff0000", Overlay(of=replace(RED, alpha=128), fit=Fit.FILL, blend=Blend.OVERLAY)),
        ("blend=red&blend-mode=softlight&blend-alpha=30", Overlay(of=RED, fit=Fit.FILL, blend=Blend.SOFT_LIGHT, opacity_percent=30)),
    ],
)  # fmt: skip
def test_a_layer_is_one_operation(query: str, expected: Overlay) -> None:
    assert ops(query) == (expected,)


def test_layers_are_drawn_last_in_a_fixed_order() -> None:
    found = ops("txt=Hi%20there&mark=logo.png&blend=red&w=300&blur=40")
    assert [op.of for op in found if isinstance(op, Overlay)] == [RED, "logo.png", TEXT]
    assert [isinstance(op, Overlay) for op in found] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("mark=..%2Fsecret", "parameter mark must be the path"),
        ("mark=logo.png&mark-fit=crop", "parameter mark-fit must be one of clip"),
        ("mark=logo.png&mark-align=face", "parameter mark-align must be one or two of"),
        ("mark=logo.png&mark-rot=45", "parameter mark-rot"),
        ("txt=%00", "parameter txt must have a text"),
        ("txt=Hi&txt-font=Arial,wide", "parameter txt-font is supported with"),
        ("txt=Hi&txt-size=big", "parameter txt-size must be"),
        ("txt=Hi&txt-shad=5", "parameter txt-shad"),
        ("blend=/sky.jpg", "parameter blend is supported with a colour only"),
        ("blend=red&blend-mode=hue", "parameter blend-mode is supported as"),
    ],
)
def test_what_a_layer_cannot_have_is_named(query: str, reason: str) -> None:
    with pytest.raises(BadTransform, match=reason):
        ops(query)
