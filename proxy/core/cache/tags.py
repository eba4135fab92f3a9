"""Cache tags: the names under which a CDN stores answers, so that one call purges all answers of an original or a mount.

A tag is a digest, because tags are sent to clients and keys may be private.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from unicodedata import normalize

from proxy.core.cache.generations import PurgeScope, ScopeKind
from proxy.core.image.original import OriginalRef

_DIGITS = 16


class TaggedMount(NamedTuple):
    """A mount whose answers have tags, and its sources."""

    name: str
    sources: frozenset[str]


def answer_tags(mount: str, refs: Sequence[OriginalRef]) -> tuple[str, ...]:
    """The tags of an answer that depends on the originals `refs`."""
    return _of_mount(mount), *dict.fromkeys(_of_original(mount, ref) for ref in refs)


def purge_tags(scope: PurgeScope, mounts: Iterable[TaggedMount]) -> list[str]:
    """The tags of all answers that a purge covers: of the original, or of the whole mount where the scope is of many
    originals."""
    tags = []
    for mount in mounts:
        if scope.source in mount.sources:
            is_of_one = scope.kind in (ScopeKind.ORIGINAL, ScopeKind.VARIANT)
            ref = OriginalRef(scope.source, scope.key)
            tags.append(_of_original(mount.name, ref) if is_of_one else _of_mount(mount.name))
    return list(dict.fromkeys(tags))


def _of_mount(mount: str) -> str:
    return _digest(mount)


def _of_original(mount: str, ref: OriginalRef) -> str:
    """Equal for all Unicode normal forms of a key."""
    return _digest(mount, ref.source, normalize("NFC", ref.key))


def _digest(*parts: str) -> str:
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:_DIGITS]
