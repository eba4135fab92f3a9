"""Sizes and boxes in whole pixels."""

from typing import NamedTuple


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class Box(NamedTuple):
    """A rectangle in pixels; `left` and `top` are its upper left corner."""

    left: int
    top: int
    width: int
    height: int


def pixels(size: Size) -> int:
    """The area in pixels."""
    return size.width * size.height
