"""The keys that a public id may stand for."""

import pytest

from proxy.core.url.alternatives import alternatives


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", ["a.jpg", "a.png"]),
        ("b/a", ["b/a.jpg", "b/a.png"]),
        ("a.png", ["a", "a.jpg"]),
        ("a.webp", ["a", "a.jpg", "a.png"]),
        ("a.b.webp", ["a.b", "a.b.jpg", "a.b.png"]),
        ("a.TIF", ["a", "a.jpg", "a.png"]),
        ("a.v2", ["a.v2.jpg", "a.v2.png"]),
        ("b.jpg/a", ["b.jpg/a.jpg", "b.jpg/a.png"]),
        ("version 2.final cut", ["version 2.final cut.jpg", "version 2.final cut.png"]),
        ("a.", ["a..jpg", "a..png"]),
        ("b/.jpg", ["b/.jpg.jpg", "b/.jpg.png"]),
        ("https://images.example/a", []),
    ],
)
def test_alternatives(key: str, expected: list[str]) -> None:
    assert list(alternatives(key, ("jpg", "png"))) == expected
