"""A variant as bytes for a tier that can corrupt data: magic, key, kind, length and digest, checked on every read.

The envelope holds its own key, so that an entry under the wrong name is detected too. A tier that must store the bare
picture stores the same digest beside it.
"""

import hashlib
from typing import NamedTuple

from proxy.core.cache.delivery import Variant
from proxy.core.image.formats import Format

_MAGIC = b"CALO1\n"
_DIGEST_BYTES = 16
_KEY_BYTES = 32
_KINDS: tuple[Format | None, ...] = (None, *Format)
OVERHEAD_BYTES = len(_MAGIC) + _KEY_BYTES + 1 + 8 + _DIGEST_BYTES


class Damaged(NamedTuple):
    """The bytes that were read are not those that were stored."""

    reason: str


def seal(key: str, variant: Variant) -> bytes:
    """The bytes to store for `variant` under the hex `key`."""
    head = _head(key, variant)
    return head + _digest(head, variant.body) + variant.body


def digest(key: str, variant: Variant) -> str:
    """The digest to store beside a bare body, in hex: of key, kind, length and bytes."""
    return _digest(_head(key, variant), variant.body).hex()


def unseal(key: str, kind: Format | None, sealed: bytes) -> Variant | Damaged:
    """The variant of `kind` that was sealed under `key`, or why these bytes are not that variant. Never raises."""
    head, rest = (
        sealed[: OVERHEAD_BYTES - _DIGEST_BYTES],
        memoryview(sealed)[OVERHEAD_BYTES - _DIGEST_BYTES :],
    )
    if len(sealed) < OVERHEAD_BYTES or not head.startswith(_MAGIC):
        return Damaged("header")
    if head[len(_MAGIC) : len(_MAGIC) + _KEY_BYTES].hex() != key:
        return Damaged("key")
    body = bytes(rest[_DIGEST_BYTES:])
    if int.from_bytes(head[-8:], "big") != len(body):
        return Damaged("length")
    if _digest(head, body) != rest[:_DIGEST_BYTES]:
        return Damaged("digest")
    if head[-9] != _KINDS.index(kind):
        return Damaged("kind")
    return Variant(kind=kind, body=body)


def _head(key: str, variant: Variant) -> bytes:
    kind = bytes([_KINDS.index(variant.kind)])
    return _MAGIC + bytes.fromhex(key) + kind + len(variant.body).to_bytes(8, "big")


def _digest(head: bytes, body: bytes) -> bytes:
    digest = hashlib.blake2b(head, digest_size=_DIGEST_BYTES)
    digest.update(body)
    return digest.digest()
