"""Colours of CSS by name and in hexadecimal digits."""

import pytest

from proxy.core.transform.operations import BLACK, TRANSPARENT, WHITE, Colour
from proxy.core.url.dialects.css_colours import NAMES, css_colour


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
