"""A request for a variant after its URL is parsed, and its resolved cache key."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from proxy.core.cache.freshness import Freshness
from proxy.core.cache.keys import CacheKey
from proxy.core.image.original import OriginalRef
from proxy.core.transform.negotiate import AcceptClass
from proxy.core.transform.operations import Transform


@dataclass(frozen=True, eq=False)
class VariantRequest:
    """Compared by identity: the edge caches one object per URL and Accept class, so that a lookup of its answer needs no
    comparison of values. `by_value` is equal for equal requests. If `ref` does not exist, the first of `alternatives`
    that exists takes its place; without any of them, the first of `defaults`."""

    ref: OriginalRef
    transform: Transform
    accepted: AcceptClass
    max_side_px: int
    alternatives: tuple[OriginalRef, ...] = ()
    defaults: tuple[OriginalRef, ...] = ()

    @cached_property
    def candidates(self) -> tuple[OriginalRef, ...]:
        """The names of the URL's original, in the order of the lookups."""
        return tuple(dict.fromkeys((self.ref, *self.alternatives, *self.defaults)))

    @cached_property
    def lookups(self) -> tuple[tuple[OriginalRef, ...], ...]:
        """The names of each original of the variant: the first that exists is used."""
        return self.candidates, *((ref,) for ref in self.transform.further)

    @cached_property
    def refs(self) -> tuple[OriginalRef, ...]:
        """All originals of the variant: the candidates for that of the URL first."""
        return *self.candidates, *self.transform.further

    def is_default(self, freshness: Sequence[Freshness]) -> bool:
        """Whether a picture whose originals, those not found included, have these freshnesses is one of `defaults`."""
        of_others = 1 + len(self.alternatives) + len(self.transform.further)
        return bool(self.defaults) and len(freshness) > of_others

    def is_last_default(self, freshness: Sequence[Freshness]) -> bool:
        """Whether such a picture is the last of `defaults`."""
        return self.is_default(freshness) and len(freshness) == len(self.refs)

    @property
    def version(self) -> str | None:
        """The version in the URL; it does not change the variant."""
        return self.transform.version

    @cached_property
    def by_value(self) -> tuple[tuple[OriginalRef, ...], Transform, AcceptClass, int]:
        transform = self.transform if self.version is None else replace(self.transform, version=None)
        return self.candidates, transform, self.accepted, self.max_side_px


class ResolvedKey(NamedTuple):
    """The cache key of a VariantRequest, and the freshness of each of its originals. The candidates that were not found
    precede the one that was; later ones are left out."""

    key: CacheKey
    freshness: tuple[Freshness, ...]
