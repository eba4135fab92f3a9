"""Original identity + Plan + epoch -> cache key, and the key under which an original's facts are kept.

No request comes here: equal Plans of the same original have equal keys, whoever asked and however.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import quote

from proxy.core.errors import OriginalNotFound
from proxy.core.formats import Format
from proxy.core.masking import without_secrets
from proxy.core.plan import Plan, canonical

_LONGEST_SHOWN = 200
_NO_LETTER = re.compile(r"[^\w/.~:?=,;@+% -]")

EPOCH = "2"
"""Raised when the renderer draws the same Plan otherwise; every older entry then falls out of use."""


@dataclass(frozen=True, slots=True)
class OriginalRef:
    """Where an original is: the name of its source and its key there, decoded."""

    source: str
    key: str

    def __str__(self) -> str:
        return f"{self.source}:{self.key}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which original, exactly: `version` changes with its bytes wherever the source can tell, `generation` with every
    purge that covers it."""

    ref: OriginalRef
    version: str
    generation: str = ""


def forms(text: str) -> tuple[str, ...]:
    """`text`, then its Unicode normal forms NFC and NFD as far as they differ: file systems and keyboards spell one name in
    either."""
    if text.isascii():
        return (text,)
    return tuple(dict.fromkeys((text, normalize("NFC", text), normalize("NFD", text))))


def missing(ref: OriginalRef, why: str = "") -> OriginalNotFound:
    """That there is no such original: the key that was looked for, without what would let its bearer in and with what is no
    letter of any script percent-encoded, and the source."""
    shown = without_secrets(ref.key)
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
    spelled = _NO_LETTER.sub(lambda match: quote(match[0], errors="replace"), shown)
    return OriginalNotFound(f"there is no original '{spelled}' in source {ref.source}{why}")


class Entry(NamedTuple):
    """One entry of the tiers; `kind` is None for facts. `is_original` says that it is the original itself, kept near at
    hand, `generation` since which purge it is; `original` is its digest on the index."""

    key: str
    kind: Format | None
    is_original: bool = False
    generation: str = ""
    original: bytes = b""


class Seen(NamedTuple):
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
