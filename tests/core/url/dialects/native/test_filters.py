"""The filters of the native dialect: what each word reads and writes."""

import pytest
from hypothesis import given

from proxy.core.transform.operations import (
    WHITE,
    BlurFaces,
    Colorize,
    Colour,
    Convolve,
    Duotone,
    Ellipse,
    Exposure,
    Filter,
    Gamma,
    Hue,
    Median,
    Noise,
    Opacity,
    Outline,
    PixelateFaces,
    Remap,
    Rgb,
    Rotate,
    Rounded,
    Shadow,
    Threshold,
    Tint,
    UnsharpMask,
    Vignette,
)
from proxy.core.url.dialects.native.filters import FILTER_WORDS, filter_text, is_matrix
from proxy.core.url.dialects.native.urls import parse_transform
from tests.support import strategies

FILTERS: list[tuple[str, Filter]] = [
    ("negate", Remap.NEGATE),
    ("negate_alpha", Remap.NEGATE_ALPHA),
    ("equalize", Remap.EQUALIZE),
    ("normalize", Remap.NORMALIZE),
    ("rgb:10:-100:0", Rgb(10, -100, 0)),
    ("colorize:0:50:100:ff8800", Colorize(0, 50, 100, Colour(255, 136, 0))),
    ("tint:ff8800", Tint(Colour(255, 136, 0))),
    ("hue:359", Hue(359)),
    ("gamma:0.3333", Gamma(0.3333)),
    ("threshold:1", Threshold(1)),
    ("noise:255", Noise(255)),
    ("median:15", Median(15)),
    ("convolve:3:1.5:-1:0:2.25", Convolve(3, 1.5, (-1, 0, 2.25))),
    ("exposure:-1.25", Exposure(-1.25)),
    ("duotone:000080:ffffff", Duotone(Colour(0, 0, 128), WHITE)),
    ("unsharp:1.5:80:3", UnsharpMask(1.5, 80, 3)),
    ("vignette:100", Vignette(100)),
    ("opacity:0", Opacity(0)),
    ("corners:20", Rounded((20, 20, 20, 20))),
    ("corners:0:1:2:9999", Rounded((0, 1, 2, 9999))),
    ("ellipse", Ellipse()),
    ("blurfaces:8.5", BlurFaces(8.5)),
    ("pixelatefaces:12", PixelateFaces(12)),
    ("rotate:352.5", Rotate(352.5)),
    ("outline:4:ff0000", Outline(4, Colour(255, 0, 0))),
    ("shadow:-4:8:2.5:00000080", Shadow(-4, 8, 2.5, Colour(0, 0, 0, 128))),
    ("rotate:12:ff000080", Rotate(12, Colour(255, 0, 0, 128))),
    ("convolve:1:48999.75:-1000:0:1000", Convolve(1, 48_999.75, (-1000, 0, 1000))),
]


@pytest.mark.parametrize(("text", "effect"), FILTERS)
def test_a_filter_is_read_and_written(text: str, effect: Filter) -> None:
    assert parse_transform(f"e_{text}", {}).ops == (effect,)
    assert filter_text(effect) == text


def test_every_filter_is_in_the_list() -> None:
    assert {text.partition(":")[0] for text, _ in FILTERS} == set(FILTER_WORDS)


@given(strategies.filters)
def test_what_is_written_is_read_again(effect: Filter) -> None:
    assert parse_transform(f"e_{filter_text(effect)}", {}).ops == (effect,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "without an argument") for text in ("negate:1", "equalize:a")),
        *((text, "three per cents") for text in ("rgb", "rgb:1:2", "rgb:1:2:3:4", "colorize:1:2:3")),
        *(
            (text, "per cents from -100")
            for text in ("rgb:101:0:0", "rgb:1.5:0:0", "rgb:01:0:0", "rgb:-0:0:0")
        ),
        ("colorize:-1:0:0:fff", "per cents from 0"),
        *((text, "colour of rgb") for text in ("colorize:1:2:3:red", "tint", "tint:ff", "tint:ff000080")),
        *((text, "degrees from 1") for text in ("hue", "hue:0", "hue:360")),
        *(
            (text, "number from 0.1")
            for text in ("gamma", "gamma:0", "gamma:10.5", "gamma:1.00001", "gamma:-1")
        ),
        *((text, "stops from -5") for text in ("exposure", "exposure:5.1", "exposure:x")),
        *((text, "dark and a light colour") for text in ("duotone", "duotone:fff")),
        ("duotone:fff:12", "a colour of rgb"),
        *((text, "SIGMA:PERCENT:THRESHOLD") for text in ("unsharp", "unsharp:0.2:1:1", "unsharp:2:80")),
        *((text, "per cents from 1 to 500") for text in ("unsharp:2:0:1", "unsharp:2:501:1")),
        ("unsharp:2:80:256", "levels from 0"),
        *((text, "per cents from 1") for text in ("vignette", "vignette:0", "vignette:101")),
        *((text, "per cents from 0") for text in ("opacity", "opacity:100", "opacity:-1")),
        *((text, "one radius in pixels") for text in ("corners:1:2", "corners:1:2:3:4:5")),
        *((text, "radii from 0") for text in ("corners", "corners:-1", "corners:10000")),
        ("ellipse:1", "ellipse without an argument"),
        *(
            (f"blurfaces{text}", "a sigma from 0.3 to 100")
            for text in ("", ":", ":0.2", ":101", ":1:2", ":x", ":-1")
        ),
        *(
            (f"pixelatefaces{text}", "a square from 2 to 1000")
            for text in ("", ":1", ":1001", ":2.5", ":2:2")
        ),
        *((text, "degrees between") for text in ("rotate", "rotate:0", "rotate:360", "rotate:-400")),
        ("rotate:5:red", "a colour of rgb"),
        *(
            (text, "a width in pixels from 1 to 50")
            for text in ("outline", "outline:0:fff", "outline:51:fff")
        ),
        ("outline:4", "a colour of rgb"),
        *((text, "X:Y:SIGMA:COLOUR") for text in ("shadow", "shadow:1:2:3")),
        *((f"shadow:1:2:{sigma}:000", "a sigma from 0.3 to 100") for sigma in ("0.2", "101")),
        ("shadow:1:1000:3:000", "offsets in pixels from -999 to 999"),
        ("shadow:1:2:3:black", "a colour of rgb"),
        *((text, "a level from 1") for text in ("threshold", "threshold:0", "threshold:256")),
        *((text, "levels from 2") for text in ("noise", "noise:1", "noise:256")),
        *((text, "a side from 2") for text in ("median", "median:1", "median:16")),
        *((text, "columns from 1") for text in ("convolve", "convolve:0:1:1", "convolve:9:1:1")),
        *(
            (text, "odd number")
            for text in ("convolve:1", "convolve:2:1:1:1", "convolve:1:1:1:1", "convolve:3:1:1:1")
        ),
        *((text, "numbers from -") for text in ("convolve:1:1:1001", "convolve:1:1:0.001", "convolve:1:1:x")),
        ("convolve:1:0:1", "divisor that is not 0"),
    ],
)
def test_errors_say_what_a_filter_takes(text: str, reason: str) -> None:
    with pytest.raises(Exception, match=f"^parameter e must .*{reason}"):
        parse_transform(f"e_{text}", {})


def test_a_matrix_has_odd_sides() -> None:
    sides = [
        (columns, weights) for columns in range(1, 10) for weights in range(82) if is_matrix(columns, weights)
    ]
    assert sides == [(columns, columns * rows) for columns in (1, 3, 5, 7) for rows in (1, 3, 5, 7)]
