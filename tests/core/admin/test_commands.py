"""Upload names are made safe, and get the suffix of their format."""

import pytest

from proxy.core.admin.commands import safe_name
from proxy.core.image.formats import Format


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
        ("Ünïcode fünny.jpg", "Ünïcode-fünny.jpg"),
        ("groß.jpg", "groß.jpg"),
        ("cafe\u0301.jpg", "café.jpg"),
        ("写真.jpg", "写真.jpg"),
        ("हिन्दी.jpg", "हिन्दी.jpg"),
        ("a\u202eb\u00a0c\ud800d.jpg", "a-b-c-d.jpg"),
        ("\u0301.jpg", "\u0301.jpg"),
        ("a?b#c%2f.jpg", "a-b-c-2f.jpg"),
        ("x" * 500 + ".jpg", "x" * 150 + ".jpg"),
        ("写" * 500 + ".jpg", "写" * 50 + ".jpg"),
        ("\x00\n\r.jpg", "original.jpg"),
    ],
)
def test_an_upload_name_has_only_safe_characters(name: str, safe: str) -> None:
    assert safe_name(name, Format.JPEG) == safe


def test_the_suffix_follows_the_format_of_the_content() -> None:
    assert safe_name("a.gif", Format.GIF) == "a.gif"
    assert safe_name("a.gif", Format.WEBP) == "a-gif.webp"
