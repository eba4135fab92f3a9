"""Colours of CSS by name and in hexadecimal digits."""

import pytest

from proxy.core.transform.operations import BLACK, TRANSPARENT, WHITE, Colour
from proxy.core.url.dialects.css_colours import NAMES, css_colour, css_rgb


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("white", WHITE),
        ("BLACK", BLACK),
        ("transparent", TRANSPARENT),
        ("rebeccapurple", Colour(0x66, 0x33, 0x99)),
        ("f80", Colour(255, 136, 0)),
        ("f808", Colour(255, 136, 0, 136)),
        ("FF8800", Colour(255, 136, 0)),
        ("ff880080", Colour(255, 136, 0, 128)),
    ],
)
def test_a_colour_is_a_name_or_hexadecimal_digits(text: str, colour: Colour) -> None:
    assert css_colour(text) == colour


@pytest.mark.parametrize("text", ["", "f", "ff", "ff880", "ff88000", "reddish", "#fff", "\u0661\u0661\u0661"])
def test_other_texts_are_no_colours(text: str) -> None:
    assert css_colour(text) is None


def test_the_names_are_those_of_css() -> None:
    assert len(NAMES) == 149


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("rgb(240,40,145)", Colour(240, 40, 145)),
        ("rgb( 240 , 40 , 145 )", Colour(240, 40, 145)),
        ("RGBA(255 255 0 / 50%)", Colour(255, 255, 0, 128)),
        ("rgb(100% 50% 0%)", Colour(255, 128, 0)),
        ("rgba(1.5,2,3,.25)", Colour(2, 2, 3, 64)),
        ("rgba(255 255 0 100)", Colour(255, 255, 0)),
        ("rgb(300,0,0)", Colour(255, 0, 0)),
        ("rgb(0,0,0,0)", TRANSPARENT),
    ],
)
def test_the_functions_of_css(text: str, colour: Colour) -> None:
    assert css_rgb(text) == colour


@pytest.mark.parametrize(
    "text",
    ["", "rgb()", "rgb(1,2)", "rgb(1,2,3,4,5)", "rgb(-1,2,3)", "rgb(1,2,x)", "hsl(1,2,3)", "rgb(1,,2)"],
)
def test_other_texts_are_no_functions(text: str) -> None:
    assert css_rgb(text) is None
