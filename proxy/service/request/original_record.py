"""What is known of an original in one generation. Pure: the time is an argument, a point on the Clock as all times here."""

from dataclasses import dataclass

from proxy.core.errors import OriginalNotFound
from proxy.core.image.original import Identity, OriginalRef
from proxy.ports.originals import Version


@dataclass(slots=True, eq=False)
class Record:
    """A purge makes the next request begin another record, and so does an upload. Work that began earlier writes into a
    record that no request reads."""

    ref: OriginalRef
    generation: str
    identity: Identity | None = None
    """None if the original is missing, or not known yet."""
    missing: str = ""
    """The detail of the negative entry, of the original or of its bytes."""
    fresh_until_s: float = 0.0
    stale_until_s: float = 0.0
    """0 before the first identification."""
    bytes_missing_until_s: float = 0.0
    """The source was asked for the bytes and has none. The identity stays, so that variants of a deleted original are
    still served."""
    exists: bool = False
    """Whether a source that has no versions was asked for the original and has it."""

    @property
    def missing_until_s(self) -> float:
        """The end of the negative entry; 0 without one."""
        return max(self.bytes_missing_until_s, self.stale_until_s if self.identity is None else 0.0)

    def identity_of(self, version: Version) -> Identity:
        ref = self.ref if version.key == self.ref.key else OriginalRef(self.ref.source, version.key)
        return Identity(ref, version.text, self.generation)

    def set(
        self, identity: Identity | None, missing: str, stale_until_s: float, ahead_s: float = 0.0
    ) -> None:
        self.identity, self.missing, self.bytes_missing_until_s = identity, missing, 0.0
        self.fresh_until_s, self.stale_until_s = stale_until_s - ahead_s, stale_until_s

    def set_bytes_missing(self, detail: str, until_s: float) -> None:
        self.missing, self.bytes_missing_until_s, self.exists = detail, until_s, False

    def check_bytes(self, now_s: float) -> None:
        """Raises OriginalNotFound while the bytes are remembered as missing."""
        if (lasts_s := self.bytes_missing_until_s - now_s) > 0:
            raise OriginalNotFound(self.missing, lasts_s=lasts_s)
