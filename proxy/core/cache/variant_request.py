"""What a request wants once its URL is understood, and what that is called."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from proxy.core.cache.freshness import Freshness
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.negotiate import AcceptClass
from proxy.core.transform.operations import Transform


@dataclass(frozen=True, slots=True, eq=False)
class VariantRequest:
    """Compared by identity: one object per URL and Accept class is made and kept by the edge, so that resolving it
    can be remembered at the price of a dict look-up. `by_value` is equal for equal wishes."""

    ref: OriginalRef
    transform: Transform
    accepted: AcceptClass
    max_side_px: int

    @property
    def version(self) -> str | None:
        """The version that the URL names: what is wanted is the same whichever it is."""
        return self.transform.version

    @property
    def by_value(self) -> tuple[OriginalRef, Transform, AcceptClass, int]:
        transform = self.transform if self.version is None else replace(self.transform, version=None)
        return self.ref, transform, self.accepted, self.max_side_px


class ResolvedKey(NamedTuple):
    """The key and format of a Wanted, and what they rest on."""

    key: str
    format: Format
    freshness: Freshness
