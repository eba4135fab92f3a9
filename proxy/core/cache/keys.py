"""Original identity + Plan + epoch -> cache key, and the key under which an original's facts are kept.

No request comes here: equal Plans of the same original have equal keys, whoever asked and however.
"""

import hashlib
import json
from typing import NamedTuple

from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.transform.plan import Plan, canonical

EPOCH = "2"
"""Raised when the renderer draws the same Plan otherwise; every older entry then falls out of use."""


class Entry(NamedTuple):
    """One entry of the tiers; `kind` is None for facts. `is_original` says that it is the original itself, kept near at
    hand, `generation` since which purge it is; `original` is its digest on the index."""

    key: str
    kind: Format | None
    is_original: bool = False
    generation: str = ""
    original: bytes = b""


class LastEvent(NamedTuple):
    """What the last event told of an original."""

    etag: str
    sequencer: str


def variant_key(identity: Identity, plan: Plan, generation: str = "") -> str:
    """Hex SHA-256, the name of a variant in every tier; `generation` is that of the plan."""
    purged = (f"plan {generation}",) if generation else ()
    # Nothing stands where the version of a URL once stood: older keys stay what they are.
    return _digest("variant", identity, canonical(plan), "", *purged)


def facts_key(identity: Identity) -> str:
    """Hex SHA-256, the name of an original's facts in every tier."""
    return _digest("facts", identity)


def original_key(identity: Identity) -> str:
    """Hex SHA-256, the name of the original's own bytes in an entity tag."""
    return _digest("original", identity)


def identity_key(ref: OriginalRef, generation: str) -> str:
    """Hex SHA-256, the name of the version an original had when it was last looked at, or of the entity tag that it had
    when it was first fetched, where its source names no versions."""
    return _digest("identity", Identity(ref, "", generation))


def _digest(purpose: str, identity: Identity, *rest: str) -> str:
    parts = [EPOCH, purpose, identity.ref.source, identity.ref.key, identity.version, *rest]
    if identity.generation:
        parts.append(identity.generation)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
