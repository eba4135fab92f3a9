"""Cache keys: the hash of identities, Plan, generations and epoch, and the keys of facts and identities.

Keys do not depend on requests: equal Plans of the same originals have equal keys.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.transform.plan import Plan
from proxy.core.transform.plan_text import canonical

EPOCH = "5"
"""Increased when the renderer draws the same Plan differently; older entries are then not used."""


class CacheKey(NamedTuple):
    """The name of an entry in every tier: a hex SHA-256, and the format of the variant; None for facts and identities."""

    digest: str
    format: Format | None = None

    @property
    def mime(self) -> str:
        """The media type of the entry."""
        return TRAITS[self.format or Format.INFO].mime

    @property
    def suffix(self) -> str:
        """The suffix of file names, without a dot."""
        return TRAITS[self.format or Format.INFO].suffix


class Entry(NamedTuple):
    """An entry of the tiers, or with `is_original` of the original store. `generation` is the purge after which it was
    made, `original` the digest of its original in the index."""

    key: CacheKey
    is_original: bool = False
    generation: str = ""
    original: bytes = b""


class LastEvent(NamedTuple):
    """The last S3 event of an original."""

    etag: str
    sequencer: str


def variant_key(identities: Sequence[Identity], plan: Plan, generation: str = "") -> CacheKey:
    """The key of a variant of one original or several in order; `generation` is that of the plan."""
    first, *further = identities
    purged = (f"plan {generation}",) if generation else ()
    others = [[each.ref.source, each.ref.key, each.version, each.generation] for each in further]
    # The empty text was the version in the URL; without it all keys would change.
    return CacheKey(_digest("variant", first, canonical(plan), "", *purged, *others), plan.output.format)


def facts_key(identity: Identity) -> CacheKey:
    """The key of an original's facts."""
    return CacheKey(_digest("facts", identity))


def faces_key(identity: Identity, detector_version: str) -> CacheKey:
    """The key of where the faces of an original are, as one version of the detector finds them."""
    return CacheKey(_digest("faces", identity, detector_version))


@lru_cache(4096)
def original_key(identity: Identity) -> str:
    """Hex SHA-256, the name of the original's own bytes in an entity tag. Every hit of the disk tier asks for it."""
    return _digest("original", identity)


def identity_key(ref: OriginalRef, generation: str) -> CacheKey:
    """The key of the entry with the last known version of an original. Originals in S3 have no version: their entry holds
    the entity tag of the first fetch since the last purge."""
    return CacheKey(_digest("identity", Identity(ref, "", generation)))


def _digest(purpose: str, identity: Identity, *rest: str | list[str]) -> str:
    parts = [EPOCH, purpose, identity.ref.source, identity.ref.key, identity.version, *rest]
    if identity.generation:
        parts.append(identity.generation)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
