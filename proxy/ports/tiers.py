"""What keeps variants, and what is known of them without asking."""

from enum import Enum
from typing import Protocol

from proxy.core.cache.delivery import Variant
from proxy.core.image.formats import Format


class InstantTier(Protocol):
    """A tier in this process's memory: answers at once and never fails. Event loop only."""

    name: str

    def lookup(self, key: str) -> Variant | None:
        """The variant, or None if it is not here."""
        ...

    def store(self, key: str, variant: Variant) -> bool:
        """False where the variant is too large for this tier."""
        ...

    def remove(self, key: str) -> bool:
        """Whether it was here; it is not any more."""
        ...

    def usage(self) -> tuple[int, int]:
        """Bytes and entries held."""
        ...


class Tier(Protocol):
    """A tier that takes its time. Every fault of its own is a miss or a variant not kept, counted by the tier
    itself: it raises nothing. What `lookup` returns was checked against the digest stored with it."""

    name: str
    writers: int
    """How many `store`s it takes at once."""

    async def lookup(self, key: str, kind: Format | None) -> Variant | None:
        """The variant of that kind, or None: not here, damaged, or the tier is out of order."""
        ...

    async def contains(self, key: str, kind: Format | None) -> bool:
        """Whether `lookup` would most likely find it; reads no more than it takes to tell."""
        ...

    async def store(self, key: str, variant: Variant) -> bool:
        """Keeps the variant if it can; returns whether it did."""
        ...

    async def remove(self, key: str, kind: Format | None) -> bool | None:
        """Whether it was there, as far as that can be told; it is not any more. None where it could not be removed."""
        ...

    def usage(self) -> tuple[int, int] | None:
        """Bytes and entries held, as last known, None where nobody can know; called from any thread, never blocks."""
        ...

    async def close(self) -> None:
        """Ends the tier; called once, after the last `store`."""
        ...


class Redirects(Protocol):
    """A tier whose variants clients can fetch by themselves."""

    async def location(self, key: str, kind: Format, *, until_s: float) -> str:
        """A URL of the variant, which if it is signed is good until `until_s`, a point on the Clock, at most; empty unless the variant is known
        to be there."""
        ...


class Leases(Protocol):
    """Whose turn it is, among the nodes that share the last tier, to make what is missing there. A meeting point
    that may be gone at any time: then it is everybody's turn. Raises nothing."""

    async def acquire(self, key: str, *, deadline: float) -> bool:
        """True once it is this node's turn, or waiting longer would leave too little time to make it; it keeps the
        turn until `made` or `leave`. False where another node has put `key` there meanwhile."""
        ...

    def complete(self, key: str) -> None:
        """What the turn was for is there; the last tier has a moment to store it before others may take a turn."""
        ...

    async def release(self, key: str) -> None:
        """Gives the turn back: nothing will be stored."""
        ...


class Presence(Enum):
    """What is known of an object without asking its bucket."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class PresenceFlags(Protocol):
    """Presence flags and turns; a hint that may lie or be gone. Raises nothing."""

    async def presence(self, key: str) -> Presence: ...

    async def mark_absent(self, key: str) -> None:
        """Sets the flag for a minute, where there is none."""
        ...

    async def mark_present(self, key: str) -> None:
        """Sets the flag, whatever it was."""
        ...

    async def unmark(self, key: str) -> None:
        """Removes the flag, which lies."""
        ...

    async def release(self, key: str) -> None:
        """Ends this node's turn at `key`, if it has it."""
        ...
