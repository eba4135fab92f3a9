"""Cache keys: the hash of identity, Plan and epoch, and the keys of facts and identities.

Keys do not depend on requests: equal Plans of the same original have equal keys.
"""

import hashlib
import json
from typing import NamedTuple

from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.transform.plan import Plan, canonical

EPOCH = "2"
"""Increased when the renderer draws the same Plan differently; older entries are then not used."""


class Entry(NamedTuple):
    """An entry of the tiers, or with `is_original` of the original store. `kind` is None if it is no variant, `generation`
    the purge after which it was made, `original` the digest of its original in the index."""

    key: str
    kind: Format | None
    is_original: bool = False
    generation: str = ""
    original: bytes = b""


class LastEvent(NamedTuple):
    """The last S3 event of an original."""

    etag: str
    sequencer: str


def variant_key(identity: Identity, plan: Plan, generation: str = "") -> str:
    """Hex SHA-256, the name of a variant in every tier; `generation` is that of the plan."""
    purged = (f"plan {generation}",) if generation else ()
    # The empty text was the version in the URL; without it all keys would change.
    return _digest("variant", identity, canonical(plan), "", *purged)


def facts_key(identity: Identity) -> str:
    """Hex SHA-256, the name of an original's facts in every tier."""
    return _digest("facts", identity)


def original_key(identity: Identity) -> str:
    """Hex SHA-256, the name of the original's own bytes in an entity tag."""
    return _digest("original", identity)


def identity_key(ref: OriginalRef, generation: str) -> str:
    """Hex SHA-256, the name of the last version of an original, or of the entity tag of its first fetch if its source has
    no versions."""
    return _digest("identity", Identity(ref, "", generation))


def _digest(purpose: str, identity: Identity, *rest: str) -> str:
    parts = [EPOCH, purpose, identity.ref.source, identity.ref.key, identity.version, *rest]
    if identity.generation:
        parts.append(identity.generation)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
