"""Texts and fonts, as several vendors write them."""

import re

GENERIC_FONT = "sans-serif"
"""The node draws the generic families of CSS in a font that it has."""
MAX_CHARACTERS = 1000
MAX_FONT_PX, MAX_WIDTH_PX, MAX_PADDING_PX, MAX_SPACING_PX = 1000, 9999, 999, 999
WEIGHTS = {
    "thin": 100,
    "light": 300,
    "normal": 400,
    "medium": 500,
    "semibold": 600,
    "bold": 700,
    "black": 900,
}
"""The common words for weights of CSS."""
STYLES: dict[str, tuple[str, object]] = {
    **{word: ("weight", weight) for word, weight in WEIGHTS.items()},
    "italic": ("italic", True),
}
"""The field of a Text that each word sets, and its value."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def checked_text(text: str) -> str:
    """`text`, unless it is empty, too long, or holds a control character other than a line feed. Raises ValueError."""
    if not text.strip():
        raise ValueError("must have a text")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"must have a text of at most {MAX_CHARACTERS} characters")
    if _CONTROL.search(text):
        raise ValueError("must have a text without control characters; a line feed begins a new line")
    return text
