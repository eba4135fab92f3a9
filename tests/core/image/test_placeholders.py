"""Placeholder hashes equal those of the reference implementations (thumbhash 0.1.1, blurhash 2.0.5).

The largest factor of blurhash is taken as in the C reference.
"""

import pytest

from proxy.core.image.placeholders import Pixels, blurhash, palette, thumbhash


def drawn(width: int, height: int, *, alpha: bool = False) -> Pixels:
    rgba = bytearray()
    for y in range(height):
        for x in range(width):
            rgba += bytes(
                [
                    (x * x * 7 + y * 13) % 251,
                    (y * y * 5 + x * 31) % 241,
                    (x * 37 + y * 91) % 97 + (x * y) % 150,
                    (x * x * 3 + y * y * 7) % 256 if alpha else 255,
                ]
            )
    return Pixels(width, height, bytes(rgba))


@pytest.mark.parametrize(
    ("width", "height", "alpha", "thumb", "blur"),
    [
        (48, 32, False, "XQgCDYBTRVRTd3dkhwaGlf+/fwoD", "L4G[yOs{j9-3y0NprqSuA~EdNbnT"),
        (32, 48, False, "XQgCDQIyMlNmF3ZHhlAYl/6/vIgJ", "T4G+Hw-Ks2%9i[W95yNYaL%VV@WY"),
        (40, 40, False, "HQgGDwBUVWVUd3Z0h0eFB3iH9u3KujUA", "L3H2J@=+rl=.X?IlemNrA6oYRjbb"),
        (48, 27, True, "XQiCC4IIc2VjmEDuv1mKCJKDeXVWl1A=", "L6M@cY~nw;~o~ls~xttOBxS}xbxw"),
        (1, 48, False, "F/otiQQIh3iIh4aICIaG+ig=", "T~F?Kb~l~lVxVxVxN0N0N0R-R-R-"),
        (17, 16, True, "3AiCFYIHM5JwXNKIeK9tmQc0Q5ZCgjBRNg==", "LJNK6N_0tM?I?@o}tna%yU%4%g$k"),
        (5, 3, False, "jugJRISQplh1d4d3d3iAl6hvaA==", "LC8Eny4hVN?X%eM*i{tLM|s%k6W9"),
    ],
)
def test_hashes_equal_those_of_the_reference_implementations(
    width: int, height: int, alpha: bool, thumb: str, blur: str
) -> None:
    pixels = drawn(width, height, alpha=alpha)
    assert thumbhash(pixels) == thumb
    assert blurhash(pixels) == blur


def test_a_picture_of_one_colour_has_a_palette_of_one() -> None:
    pixels = Pixels(8, 8, bytes([10, 200, 30, 255]) * 64)
    assert palette(pixels) == ["#0ac81e"]
    assert len(thumbhash(pixels)) == 32
    assert len(blurhash(pixels)) == 6 + 2 * 11


def test_transparent_pixels_have_no_colour() -> None:
    clear = Pixels(4, 4, bytes(64))
    assert palette(clear) == []
    assert thumbhash(clear)
    assert blurhash(clear)


def test_a_palette_is_sorted_by_frequency_without_duplicates() -> None:
    red, reddish, blue, green = (250, 0, 0, 255), (240, 10, 10, 255), (0, 0, 250, 255), (0, 250, 0, 9)
    pixels = Pixels(10, 10, bytes(red) * 40 + bytes(reddish) * 20 + bytes(blue) * 30 + bytes(green) * 10)
    assert palette(pixels) == ["#f70303", "#0000fa"]


def test_a_palette_has_five_colours_at_most() -> None:
    colours = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255)]
    rgba = b"".join(bytes((*colour, 255)) * (20 - index) for index, colour in enumerate(colours))
    pixels = Pixels(len(rgba) // 4, 1, rgba)
    assert palette(pixels) == ["#" + bytes(colour).hex() for colour in colours[:5]]


def test_similar_colours_are_one_palette_entry() -> None:
    """However the space of colours is divided: these two lie side by side at every place where it may be."""
    for value in range(1, 255):
        rgba = bytes((value, 0, 0, 255)) * 2 + bytes((value + 1, 0, 0, 255))
        assert len(palette(Pixels(3, 1, rgba))) == 1
