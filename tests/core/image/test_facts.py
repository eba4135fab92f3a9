"""Originals with several pages are animations in animated formats."""

import pytest

from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format


@pytest.mark.parametrize(
    ("kind", "pages", "animated"),
    [
        (Format.GIF, 1, False),
        (Format.GIF, 2, True),
        (Format.WEBP, 2, True),
        (Format.HEIC, 2, False),
        (Format.JPEG, 1, False),
    ],
)
def test_several_pages_are_an_animation_in_animated_formats(kind: Format, pages: int, animated: bool) -> None:
    assert Facts(format=kind, width_px=1, height_px=1, pages=pages, alpha=False).animated is animated
