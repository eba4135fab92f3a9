"""An error names an unknown word and suggests the most similar known one."""

import pytest

from proxy.core.nearest import meant, named, nearest

WORDS = ("width", "height", "format")


@pytest.mark.parametrize(
    ("word", "suggested"),
    [
        ("widht", "width"),
        ("WIDTH", "width"),
        ("breadth", "width"),
        ("hight", "height"),
        ("quality", None),
        ("", None),
        ("width" * 7, None),
    ],
)
def test_the_most_similar_word_is_suggested(word: str, suggested: str | None) -> None:
    assert nearest(word, WORDS, {"breadth": "width"}) == suggested


def test_words_of_one_letter_are_never_similar() -> None:
    assert nearest("w", ("q", "h")) is None


@pytest.mark.parametrize(
    ("suggested", "question"),
    [
        ((), ""),
        ((None,), ""),
        (("width",), "; is width meant?"),
        (("width", None, "height"), "; is width or height meant?"),
        (("a", "b", "c", "d"), "; is a or b or c meant?"),
    ],
)
def test_the_suggestion_names_at_most_three_words(suggested: tuple[str | None, ...], question: str) -> None:
    assert meant(*suggested) == question


@pytest.mark.parametrize("written", ["w_9", "a.b-c", "x" * 32])
def test_plain_text_is_quoted(written: str) -> None:
    assert named(written, 3) == written


@pytest.mark.parametrize("written", ["", "a b", "ü", "<b>", "x" * 33])
def test_text_with_other_characters_is_named_by_its_position(written: str) -> None:
    assert named(written, 3) == "3"
