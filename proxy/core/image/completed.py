"""A picture that is all there, in the bytes that a decoder takes."""

from typing import NamedTuple

FILLING = bytes(4)
"""A file that was to be longer is filled up with zeros, which decode to some picture or other: none ends with so many."""


class Completed(NamedTuple):
    """A picture that lacks nothing that is drawn. `content` is what a decoder takes: the file itself, with an end mark
    where that was lost, without a part of its notes that is cut.

    Where the structure cannot tell whether all of the picture is there, `doubts` has it with several ends, `content`
    first: it is, if all of them decode, and to the same pixels.
    """

    content: bytes
    doubts: tuple[bytes, ...] = ()
