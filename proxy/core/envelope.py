"""A variant as bytes for a tier that can rot: magic, key, length and digest in front, checked on every read.

The envelope names its own key, so an entry that was moved or copied under another name is damage too.
"""

import hashlib
from typing import NamedTuple

from proxy.core.delivery import Variant
from proxy.core.formats import Format

_MAGIC = b"CALO1\n"
_DIGEST_BYTES = 16
_KEY_BYTES = 32
_KINDS: tuple[Format | None, ...] = (None, *Format)
OVERHEAD_BYTES = len(_MAGIC) + _KEY_BYTES + 1 + 8 + _DIGEST_BYTES


class Damaged(NamedTuple):
    """What was read is not what was stored."""

    reason: str


def seal(key: str, variant: Variant) -> bytes:
    """The bytes to store for `variant` under the hex `key`."""
    head = (
        _MAGIC
        + bytes.fromhex(key)
        + bytes([_KINDS.index(variant.kind)])
        + len(variant.body).to_bytes(8, "big")
    )
    return head + _digest(head, variant.body) + variant.body


def unseal(key: str, sealed: bytes) -> Variant | Damaged:
    """The variant that was sealed under `key`, or why these bytes are not it. Never raises."""
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
    return Variant(kind=_KINDS[head[-9]], body=body)


def _digest(head: bytes, body: bytes) -> bytes:
    digest = hashlib.blake2b(head, digest_size=_DIGEST_BYTES)
    digest.update(body)
    return digest.digest()
