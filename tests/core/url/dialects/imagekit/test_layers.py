"""The layers of ImageKit's URLs: pictures, texts and rectangles."""

from dataclasses import replace
from fractions import Fraction
from urllib.parse import quote

import pytest

from proxy.core.errors import BadTransform
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    Align,
    Colour,
    Enlarge,
    Fit,
    FocalPoint,
    Operation,
    Overlay,
    Resize,
    Shifted,
    Text,
)
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.imagekit.urls import DIALECT
from proxy.core.url.parsed_url import VariantUrl

HELLO = Text(text="Hello there", family="sans-serif", size_px=14)
RED = Colour(255, 0, 0)
NORTH_WEST, SOUTH_EAST = FocalPoint(0.0, 0.0), FocalPoint(1.0, 1.0)


def ops(steps: str) -> tuple[Operation, ...]:
    parsed = DIALECT.parse(f"/tr:{quote(steps, safe=':,-=@')}/lake.jpg", Reading(presets={}))
    assert isinstance(parsed, VariantUrl)
    return parsed.transform.ops


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("l-image,i-logo.png,l-end", Overlay(of="logo.png")),
        ("l-image,i-@@shop@@logo.png,w-90,l-end", Overlay(of="shop/logo.png", width=90)),
        ("l-image,ie-bG9nby5wbmc=,w-0.25,l-end", Overlay(of="logo.png", width=Part(Fraction(1, 4)))),
        ("l-image,i-logo.png,w-9,h-8,o-60,l-end", Overlay(of="logo.png", width=9, height=8, fit=Fit.FILL, opacity_percent=60)),
        ("l-image,i-logo.png,lx-10,ly-N20,l-end", Overlay(of="logo.png", at=Shifted(FocalPoint(0.0, 1.0), 10, -20))),
        ("l-image,i-logo.png,lx-N10,l-end", Overlay(of="logo.png", at=Shifted(FocalPoint(1.0, 0.0), -10, 0))),
        ("l-image,i-logo.png,lfo-bottom_right,l-end", Overlay(of="logo.png", at=SOUTH_EAST)),
        ("l-image,i-ik_canvas,bg-FF0000,w-90,h-0.5,l-end", Overlay(of=RED, width=90, height=Part(Fraction(1, 2)), fit=Fit.FILL)),
        ("l-text,i-Hello there,l-end", Overlay(of=HELLO)),
        ("l-text,ie-SGVsbG8gdGhlcmU=,fs-40,co-FF0000,tg-b_i,l-end", Overlay(of=replace(HELLO, size_px=40, colour=RED, weight=700, italic=True))),
        ("l-text,i-Hello there,ff-Open Sans,bg-FF0000,pa-5,ia-right,w-300,l-end", Overlay(of=replace(HELLO, family="Open Sans", background=RED, padding_px=5, align=Align.RIGHT, width_px=300))),
    ],
)  # fmt: skip
def test_a_layer_is_drawn_after_its_step(layer: str, expected: Overlay) -> None:
    assert ops(layer) == (expected,)
    resize = Resize(width=300, enlarge=Enlarge.NEVER)
    found = ops(f"{layer},w-300:{layer}")
    assert (found[1:], isinstance(found[0], Resize)) == ((expected, expected), True)
    assert found[0] == replace(resize, enlarge=found[0].enlarge)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ("l-image,i-logo.png", "with an l-end in its own step"),
        ("l-image,i-logo.png,w-9:h-9,l-end", "with an l-end in its own step"),
        ("l-image,i-a.png,l-image,i-b.png,l-end,l-end", "within another layer"),
        ("l-video,i-a.mp4,l-end", "supported as l-image and l-text"),
        ("l-image,w-9,l-end", "must have i or ie"),
        ("l-image,i-..@@secret,l-end", "parameter i must be the path"),
        ("l-image,ie-*,l-end", "parameter ie is not base64url"),
        ("l-image,i-a.png,w-0,l-end", "parameter w must be"),
        ("l-image,i-a.png,rt-45,l-end", "parameter rt is not supported in a layer"),
        ("l-image,i-a.png,bg-FF0000,l-end", "parameter bg is not supported in a layer"),
        ("l-image,i-a.png,lx-0.5,l-end", "parameter lx is not supported but with pixels"),
        ("l-image,i-a.png,lx-5,lfo-left,l-end", "parameter lfo is not supported beside"),
        ("l-image,i-a.png,lfo-face,l-end", "parameter lfo is not supported but"),
        ("l-text,i-Hi,tg-bold,l-end", "parameter tg is not supported but with b, i"),
        ("l-text,i-Hi,fs-0,l-end", "parameter fs must be"),
        ("l-text,i-,l-end", "parameter i must have a text"),
        ("l-text,i-Hi,h-9,l-end", "parameter h is not supported in a layer"),
    ],
)
def test_what_a_layer_cannot_have_is_named(steps: str, reason: str) -> None:
    with pytest.raises(BadTransform, match=reason):
        ops(steps)
