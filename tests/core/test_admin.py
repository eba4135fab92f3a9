"""Names of uploads."""

import pytest

from proxy.core.admin import safe_name
from proxy.core.formats import Format


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Photo.JPEG", "Photo.JPEG"),
        ("", "original.jpg"),
        ("photo", "photo.jpg"),
        ("photo.png", "photo-png.jpg"),
        ("../../etc/passwd", "passwd.jpg"),
        ("a\\b\\c.jpg", "c.jpg"),
        ("..", "original.jpg"),
        (".jpg", "original.jpg"),
        ("Ünïcode fünny.jpg", "Unicode-funny.jpg"),
        ("写真.jpg", "original.jpg"),
        ("a?b#c%2f.jpg", "a-b-c-2f.jpg"),
        ("x" * 500 + ".jpg", "x" * 100 + ".jpg"),
        ("\x00\n\r.jpg", "original.jpg"),
    ],
)
def test_names_mean_the_same_everywhere(name: str, safe: str) -> None:
    assert safe_name(name, Format.JPEG) == safe


def test_the_suffix_is_that_of_the_bytes() -> None:
    assert safe_name("a.gif", Format.GIF) == "a.gif"
    assert safe_name("a.gif", Format.WEBP) == "a-gif.webp"
