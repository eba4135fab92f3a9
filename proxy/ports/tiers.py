"""Tiers of variants, leases between nodes, and presence flags."""

from enum import StrEnum
from typing import Protocol

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey


class InstantTier(Protocol):
    """A tier in the memory of this process: never blocks and never fails. Event loop only."""

    name: str

    def lookup(self, key: CacheKey) -> Variant | None:
        """The variant, or None on a miss."""
        ...

    def store(self, key: CacheKey, variant: Variant) -> bool:
        """Stores the variant; False if it is too large for this tier."""
        ...

    def remove(self, key: CacheKey) -> bool:
        """Removes the variant; returns whether the tier had it."""
        ...

    def usage(self) -> tuple[int, int]:
        """Bytes and entries in the tier."""
        ...


class Tier(Protocol):
    """A tier on disk or in a bucket. It raises nothing: it counts its errors and treats them as a miss or a variant that
    is not stored. The result of `lookup` was verified against its stored digest."""

    name: str
    writers: int
    """The number of concurrent `store` calls."""

    async def lookup(self, key: CacheKey) -> Variant | None:
        """The variant; None if it is missing or damaged, or if the tier fails."""
        ...

    async def contains(self, key: CacheKey) -> bool:
        """Whether `lookup` most likely succeeds; does not read the variant."""
        ...

    async def store(self, key: CacheKey, variant: Variant) -> bool:
        """Stores the variant; returns whether that succeeded."""
        ...

    async def remove(self, key: CacheKey) -> bool | None:
        """Removes the variant; returns whether the tier had it, as far as is known. None if it could not be removed."""
        ...

    def usage(self) -> tuple[int, int] | None:
        """Bytes and entries, as last known; None if unknown. Thread-safe; never blocks."""
        ...

    async def close(self) -> None:
        """Ends the tier; called once, after the last `store`."""
        ...


class Redirects(Protocol):
    """A tier from which clients can fetch variants themselves."""

    async def location(self, key: CacheKey, *, until_s: float) -> str:
        """A URL of the variant; a signed URL expires at `until_s`, a point on the Clock, at the latest. Empty unless the
        variant is known to be in the tier."""
        ...


class Leases(Protocol):
    """Leases on the entries that the last tier lacks, so that one of the nodes that share the tier makes each. If the
    leases are unavailable, every node acquires them. Raises nothing."""

    async def acquire(self, key: str, *, deadline: float) -> bool:
        """Waits for the lease. True: make the entry. This node has the lease until `complete` or `release`, or a longer wait
        would miss `deadline`, and the entry is made without a lease. False: another node has stored `key` meanwhile."""
        ...

    def complete(self, key: str) -> None:
        """The entry is made; the lease expires after a moment, in which the last tier stores the entry."""
        ...

    async def release(self, key: str) -> None:
        """Ends the lease; the last tier stores nothing under it."""
        ...


class Presence(StrEnum):
    """The presence flag of an object in the bucket."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class PresenceFlags(Protocol):
    """Presence flags and leases: hints, which may be wrong or lost. Raises nothing."""

    async def presence(self, key: str) -> Presence: ...

    async def mark_absent(self, key: str) -> None:
        """Sets the flag to absent for a minute, unless there is a flag."""
        ...

    async def mark_present(self, key: str) -> None:
        """Sets the flag to present."""
        ...

    async def unmark(self, key: str) -> None:
        """Removes a wrong flag."""
        ...

    async def release(self, key: str) -> None:
        """Ends this node's lease on `key`, if it has one."""
        ...
