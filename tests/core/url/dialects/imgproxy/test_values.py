"""The arguments of imgproxy's options as values."""

from fractions import Fraction

import pytest

from proxy.core.image.formats import Format
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import (
    CENTER,
    Colour,
    FocalPoint,
    Shifted,
    Smart,
)
from proxy.core.url.dialects.imgproxy.values import (
    crop_side,
    extend_gravity,
    factor,
    file_name,
    gravity,
    hex_colour,
    is_true,
    picture_format,
)
from proxy.core.url.dialects.shared_values import number, version, whole


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("+5", 5), ("007", 7), ("9" * 5000, 10**18)])
def test_whole_numbers(text: str, expected: int) -> None:
    assert whole(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "5.0", " 5", "1e3", "1_0", "٣", "-" + "9" * 5000, "x"])
def test_invalid_whole_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 0"):
        whole(text)


def test_the_range_of_whole_numbers() -> None:
    assert whole("100", 0, 100) == 100
    with pytest.raises(ValueError, match="from 0 to 100"):
        whole("101", 0, 100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("-0.25", Fraction(-1, 4)),
        ("1e3", 1000),
        ("+2E-1", Fraction(1, 5)),
    ],
)
def test_numbers(text: str, expected: Fraction) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    "text", ["", ".", "nan", "inf", "1e999", "1_0", " 1", "0x1p-2", "1" * 33, "٣", "1/2"]
)
def test_invalid_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="must be a decimal number"):
        number(text)


@pytest.mark.parametrize("text", ["0", "-1", "1001", "1e-0x"])
def test_factors_are_bounded(text: str) -> None:
    assert factor("1000") == 1000
    with pytest.raises(ValueError, match="must be a"):
        factor(text)


def test_any_other_word_is_false() -> None:
    assert all(map(is_true, ["1", "t", "T", "TRUE", "true", "True"]))
    assert not any(map(is_true, ["0", "f", "false", "", "yes", "tRUE", "2"]))


def test_colours() -> None:
    assert hex_colour("f80") == hex_colour("FF8800") == Colour(255, 136, 0)
    for text in ("", "#fff", "ffff", "ff880", "gggggg", "ff8800ff"):
        with pytest.raises(ValueError, match="3 or 6 hexadecimal digits"):
            hex_colour(text)


def test_formats() -> None:
    assert picture_format("jpg") is picture_format("jpeg") is Format.JPEG
    assert picture_format("heic") is None
    with pytest.raises(ValueError, match="must be one of .*; is webp meant"):
        picture_format("wepb")


SOUTH_EAST = FocalPoint(1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ce", CENTER),
        ("no", FocalPoint(0.5, 0.0)),
        ("so", FocalPoint(0.5, 1.0)),
        ("ea", FocalPoint(1.0, 0.5)),
        ("we", FocalPoint(0.0, 0.5)),
        ("noea", FocalPoint(1.0, 0.0)),
        ("nowe", FocalPoint(0.0, 0.0)),
        ("soea", SOUTH_EAST),
        ("sowe", FocalPoint(0.0, 1.0)),
        ("sm", Smart.ATTENTION),
        ("obj:face", Smart.FACES),
        ("objw:face:2.5", Smart.FACES),
        ("fp:0:1", FocalPoint(0.0, 1.0)),
        ("fp:.123456:1.0", FocalPoint(0.1235, 1.0)),
        ("ce:0:0", CENTER),
        ("ce:5:-7", Shifted(CENTER, 5, -7)),
        ("soea:5:-7", Shifted(SOUTH_EAST, -5, 7)),
        ("soea:0.25:-.5", Shifted(SOUTH_EAST, Part(Fraction(-1, 4)), Part(Fraction(1, 2)))),
        ("no:2.5:3.5", Shifted(FocalPoint(0.5, 0.0), 2, 4)),
        ("we:9", Shifted(FocalPoint(0.0, 0.5), 9, 0)),
    ],
)
def test_gravities(text: str, expected: object) -> None:
    assert gravity(text.split(":")) == expected


@pytest.mark.parametrize(
    "text",
    ["", "up", "sm:1", "fp", "fp:1", "fp:0:1.1", "fp:0:1:1", "ce:1:2:3", "ce:x", "re", "no::"]
    + [
        "obj",
        "objw",
        "obj:cat",
        "obj:face:cat",
        "objw:face",
        "objw:face:0",
        "objw:face:x",
        "objw:face:1:all:2",
    ],
)
def test_invalid_gravities(text: str) -> None:
    with pytest.raises(ValueError, match="takes|must"):
        gravity(text.split(":"))


def test_gravities_of_an_extension() -> None:
    assert extend_gravity([]) == CENTER
    assert extend_gravity(["so"]) == FocalPoint(0.5, 1.0)
    for kind in ("sm", "obj", "objw"):
        with pytest.raises(ValueError, match="does not take the gravity sm"):
            extend_gravity([kind, "face"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", None),
        ("0.0", None),
        ("300", 300),
        ("300.9", 300),
        ("1", 1),
        ("1.0", 1),
        (".5", Part(Fraction(1, 2))),
    ],
)
def test_sides_of_a_crop(text: str, expected: Length | None) -> None:
    assert crop_side(text) == expected


def test_a_side_of_a_crop_is_not_negative() -> None:
    with pytest.raises(ValueError, match="takes pixels"):
        crop_side("-1")


def test_versions() -> None:
    assert version("") is None
    assert version("v1.2_3-x") == "v1.2_3-x"
    digests = {version("a b"), version("a c"), version("x" * 65)}
    assert len(digests) == 3
    assert all(digest is not None and len(digest) == 16 for digest in digests)


def test_file_names() -> None:
    assert file_name("YSBi", is_base64=True) == file_name("a%20b", is_base64=False) == "a b"
