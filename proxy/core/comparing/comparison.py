"""In what the responses of two servers to one URL differ, which differences count, and the sum over many URLs.

"Ours" is the node, "theirs" the server that it is compared with.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec


class Kind(StrEnum):
    """A respect in which two responses differ."""

    UNANSWERED = "unanswered"
    STATUS = "status"
    SIZE = "size"
    FORMAT = "format"
    PICTURE = "picture"
    BYTES = "bytes"


LEAST_GROWTH_BYTES = 1024
"""A smaller growth does not count, whatever part of the response it is."""


class Side(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One of the two responses. `format` is that of its bytes, or the media type if they are no picture. A picture has
    sides and frames above 0. `message` is the reason that an error response gives. Without a response `fault` is the
    reason."""

    status: int = 0
    format: str = ""
    size_bytes: int = 0
    width_px: int = 0
    height_px: int = 0
    frames: int = 0
    message: str = ""
    fault: str = ""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_picture(self) -> bool:
        return self.is_success and self.width_px > 0

    @property
    def sides(self) -> str:
        """Width and height, and the frames of an animation."""
        frames = f", {self.frames} frames" if self.frames > 1 else ""
        return f"{self.width_px}x{self.height_px}{frames}" if self.is_picture else ""


class Compared(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The responses to one request target. `difference` is the visual one in percent; None, with a `reason`, if it could
    not be measured."""

    target: str
    ours: Side
    theirs: Side
    difference: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Differences up to these do not count: visual ones, and the growth of the bytes, both in percent; and the kinds in
    `ignored`."""

    difference: float = 5.0
    growth: float = 50.0
    ignored: frozenset[Kind] = frozenset()


class Differing(NamedTuple):
    """A difference that counts, as a phrase."""

    kind: Kind
    text: str


def differences(compared: Compared, tolerance: Tolerance) -> tuple[Differing, ...]:
    """The differences that count. Of responses with different statuses only the statuses are compared, of those that both
    failed nothing else."""
    ours, theirs = compared.ours, compared.theirs
    found: list[Differing] = []
    if ours.fault or theirs.fault:
        named = (("node", ours.fault), ("vendor", theirs.fault))
        found.append(Differing(Kind.UNANSWERED, "; ".join(f"{name}: {text}" for name, text in named if text)))
    elif ours.status != theirs.status:
        message = f": {ours.message}" if ours.message else ""
        text = f"status {ours.status} instead of {theirs.status}{message}"
        found.append(Differing(Kind.STATUS, text))
    elif ours.is_success:
        found += _of_content(compared, tolerance)
    return tuple(each for each in found if each.kind not in tolerance.ignored)


def _of_content(compared: Compared, tolerance: Tolerance) -> list[Differing]:
    ours, theirs = compared.ours, compared.theirs
    found: list[Differing] = []
    if ours.is_picture and theirs.is_picture and ours.sides != theirs.sides:
        found.append(Differing(Kind.SIZE, f"size {ours.sides} instead of {theirs.sides}"))
    if ours.format != theirs.format:
        text = f"format {ours.format or 'unknown'} instead of {theirs.format or 'unknown'}"
        found.append(Differing(Kind.FORMAT, text))
    if compared.difference is None:
        found.append(Differing(Kind.PICTURE, f"pictures not compared: {compared.reason}"))
    elif compared.difference > tolerance.difference:
        found.append(Differing(Kind.PICTURE, f"pictures differ by {compared.difference:.1f} %"))
    more = ours.size_bytes - theirs.size_bytes
    if more > max(LEAST_GROWTH_BYTES, theirs.size_bytes * tolerance.growth / 100):
        text = f"{ours.size_bytes:,} bytes instead of {theirs.size_bytes:,}"
        found.append(Differing(Kind.BYTES, text))
    return found


def severity(compared: Compared, found: Collection[Differing]) -> tuple[int, float]:
    """A key that sorts the worst first: URLs without a comparison, then those that differ, then the others, each by visual
    difference."""
    group = 0 if any(each.kind in (Kind.UNANSWERED, Kind.STATUS) for each in found) else 1 if found else 2
    # What could not be compared is as bad as can be, unless nothing was to be compared.
    unknown = 100.0 if found else 0.0
    return group, -(unknown if compared.difference is None else compared.difference)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`differ` counts URLs, `kinds` their differences. The bytes are those of pairs of pictures. The visual differences are
    in percent: the median, the 95th percentile and the largest, None without any pair."""

    urls: int
    differ: int
    kinds: dict[str, int]
    pictures: int
    our_bytes: int
    their_bytes: int
    median: float | None
    percentile_95: float | None
    largest: float | None


def summary(pairs: Sequence[Compared], tolerance: Tolerance) -> Summary:
    """The sum of all pairs."""
    found = [differences(pair, tolerance) for pair in pairs]
    both = [pair for pair in pairs if pair.ours.is_picture and pair.theirs.is_picture]
    measured = sorted(pair.difference for pair in both if pair.difference is not None)

    def percentile(percent: float) -> float | None:
        """By nearest rank."""
        return measured[max(0, math.ceil(len(measured) * percent / 100) - 1)] if measured else None

    kinds = {
        kind.value: sum(any(each.kind is kind for each in of_pair) for of_pair in found) for kind in Kind
    }
    return Summary(
        urls=len(pairs),
        differ=sum(map(bool, found)),
        kinds=kinds,
        pictures=len(both),
        our_bytes=sum(pair.ours.size_bytes for pair in both),
        their_bytes=sum(pair.theirs.size_bytes for pair in both),
        median=percentile(50),
        percentile_95=percentile(95),
        largest=percentile(100),
    )
