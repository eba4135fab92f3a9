"""The value of `l_`, read and written."""

from fractions import Fraction
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadTransform
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import Blend, Fit, FocalPoint, Overlay, Placing, Shifted, Transform
from proxy.core.url.dialects.component import components_of
from proxy.core.url.dialects.native.layers import MAX_LAYERS
from proxy.core.url.dialects.native.urls import parse, parse_transform, path_url
from proxy.core.url.parsed_url import VariantUrl
from tests.support import strategies

SOUTH_EAST = FocalPoint(1.0, 1.0)
LOGO = Overlay(key="logo.png")


@pytest.mark.parametrize(
    ("value", "layer"),
    [
        ("logo.png", LOGO),
        ("shop:red:logo.png", Overlay(key="shop/red/logo.png")),
        ("logo.png;w:80", Overlay(key="logo.png", width=80)),
        ("logo.png;w:0.25;h:1.0", Overlay(key="logo.png", width=Part(Fraction(1, 4)), height=Part(Fraction(1)))),
        ("logo.png;w:8;h:9;c:scale", Overlay(key="logo.png", width=8, height=9, fit=Fit.FILL)),
        ("logo.png;g:south_east:-10:-20", Overlay(key="logo.png", at=Shifted(SOUTH_EAST, -10, -20))),
        ("logo.png;g:0.3:0.7", Overlay(key="logo.png", at=FocalPoint(0.3, 0.7))),
        ("logo.png;o:60;b:color-burn;p:tile", Overlay(key="logo.png", opacity_percent=60, blend=Blend.COLOR_BURN, placing=Placing.TILE)),
        ("a%253Bb%253A%2525.png", Overlay(key="a;b:%.png")),
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


layers = st.builds(
    Overlay,
    key=strategies.keys,
    width=st.none()
    | st.integers(1, 99_999)
    | st.integers(1, 99_999).map(lambda parts: Part(Fraction(parts, 10_000))),
    height=st.none() | st.integers(1, 99_999),
    at=strategies.points | strategies.shifts,
    opacity_percent=strategies.percents,
    blend=st.sampled_from(Blend),
    placing=st.sampled_from(Placing),
)


@given(st.lists(layers, min_size=1, max_size=3))
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
        ("logo.png;z:3", "options of w, h, c, g, o, b and p"),
        ("logo.png;w", "options of w, h, c, g, o, b and p"),
        ("logo.png;w:3;w:3", "option w twice"),
        ("logo.png;w:0", "pixels up to 99999"),
        ("logo.png;w:0.0", "pixels up to 99999"),
        ("logo.png;w:3;c:scale", "w and h with c:scale"),
        ("logo.png;g:face", "a direction or a focal point"),
        ("logo.png;o:101", "opacity from 0 to 100"),
        ("logo.png;b:hue", "one of normal, multiply"),
        ("logo.png;p:below", "one of over, under, tile"),
    ],
)
def test_errors_say_what_a_layer_takes(value: str, reason: str) -> None:
    with pytest.raises(BadTransform, match=f"^parameter l must .*{reason}|^parameter l has .*{reason}"):
        parse_transform(f"l_{value}", {})


def test_there_are_not_too_many_layers() -> None:
    with pytest.raises(BadTransform, match=f"parameter l may be given {MAX_LAYERS} times"):
        parse_transform(",".join(["l_logo.png"] * (MAX_LAYERS + 1)), {})
