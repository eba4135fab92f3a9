"""A complete picture, in the bytes that a decoder takes."""

from typing import NamedTuple

FILLING = bytes(4)
"""Zeros that pad a truncated file. They decode to arbitrary pixels; no complete file ends with as many."""


class Completed(NamedTuple):
    """A picture whose pixel data are complete. `content` is what a decoder takes: the file, with an end marker added
    if it is missing, and without truncated metadata.

    If the structure does not show whether the data are complete, `doubts` has the file with several endings,
    `content` first. The picture is complete if all of them decode to the same pixels.
    """

    content: bytes
    doubts: tuple[bytes, ...] = ()
