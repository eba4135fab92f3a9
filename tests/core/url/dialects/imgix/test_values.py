"""The values of imgix's parameters."""

import pytest

from proxy.core.transform.operations import WHITE, Colour
from proxy.core.url.dialects.imgix.values import colour, quarters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fff", WHITE),
        ("FF0000", Colour(255, 0, 0)),
        ("8f00", Colour(255, 0, 0, 136)),
        ("80FF0000", Colour(255, 0, 0, 128)),
        ("red", Colour(255, 0, 0)),
        ("transparent", Colour(0, 0, 0, 0)),
    ],
)
def test_colours_have_their_alpha_first(text: str, expected: Colour) -> None:
    assert colour(text) == expected


@pytest.mark.parametrize("text", ["#fff", "ff", "fffff", "redd", "", "rgb(1,2,3)"])
def test_other_colours(text: str) -> None:
    with pytest.raises(ValueError, match="must be a colour"):
        colour(text)


def test_quarters() -> None:
    assert [quarters(text) for text in ("0", "90", "180", "270", "360", "450", "-90")] == [
        0,
        1,
        2,
        3,
        0,
        1,
        3,
    ]
