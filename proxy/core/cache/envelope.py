"""A variant as bytes for a tier that can corrupt data: magic, key, format, length and digest, checked on every read.

The envelope holds its own key, so that an entry under the wrong name is detected too. A tier that must store the bare
picture stores the same digest beside it, and the details: the size of the original and the notice. A variant with details
has another magic: the size, the length of the notice and the notice precede the body.
"""

import hashlib
from typing import NamedTuple

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey
from proxy.core.image.formats import Format

_MAGIC, _MAGIC_OF_DETAILS = b"CALO1\n", b"CALO3\n"
_DIGEST_BYTES = 16
_KEY_BYTES = 32
_SIZE_BYTES = 8
_FORMATS: tuple[Format | None, ...] = (None, *Format)
OVERHEAD_BYTES = len(_MAGIC) + _KEY_BYTES + 1 + 8 + _DIGEST_BYTES


class Damaged(NamedTuple):
    """The bytes that were read are not those that were stored."""

    reason: str


def seal(key: CacheKey, variant: Variant) -> bytes:
    """The bytes to store for `variant` under `key`."""
    payload = _payload(variant)
    head = _head(key, variant, payload)
    return head + _digest(head, payload) + payload


def digest(key: CacheKey, variant: Variant) -> str:
    """The digest to store beside a bare body, in hex: of key, format, length, details and bytes."""
    payload = _payload(variant)
    return _digest(_head(key, variant, payload), payload).hex()


def unseal(key: CacheKey, sealed: bytes) -> Variant | Damaged:
    """The variant that was sealed under `key`, or why these bytes are not that variant. Never raises."""
    head, rest = (
        sealed[: OVERHEAD_BYTES - _DIGEST_BYTES],
        memoryview(sealed)[OVERHEAD_BYTES - _DIGEST_BYTES :],
    )
    if len(sealed) < OVERHEAD_BYTES or not head.startswith((_MAGIC, _MAGIC_OF_DETAILS)):
        return Damaged("header")
    if head[len(_MAGIC) : len(_MAGIC) + _KEY_BYTES].hex() != key.digest:
        return Damaged("key")
    body = bytes(rest[_DIGEST_BYTES:])
    if int.from_bytes(head[-8:], "big") != len(body):
        return Damaged("length")
    if _digest(head, body) != rest[:_DIGEST_BYTES]:
        return Damaged("digest")
    if head[-9] != _FORMATS.index(key.format):
        return Damaged("format")
    if head.startswith(_MAGIC):
        return Variant(body=body)
    begin = _SIZE_BYTES + 1
    end = begin + body[_SIZE_BYTES]
    return Variant(
        body=body[end:],
        notice=body[begin:end].decode("ascii", "replace"),
        original_bytes=int.from_bytes(body[:_SIZE_BYTES], "big"),
    )


def _payload(variant: Variant) -> bytes:
    if not _has_details(variant):
        return variant.body
    notice = variant.notice.encode("ascii", "replace")[:255]
    size = variant.original_bytes.to_bytes(_SIZE_BYTES, "big")
    return b"".join((size, bytes([len(notice)]), notice, variant.body))


def _has_details(variant: Variant) -> bool:
    return bool(variant.notice or variant.original_bytes)


def _head(key: CacheKey, variant: Variant, payload: bytes) -> bytes:
    magic = _MAGIC_OF_DETAILS if _has_details(variant) else _MAGIC
    format_code = bytes([_FORMATS.index(key.format)])
    return magic + bytes.fromhex(key.digest) + format_code + len(payload).to_bytes(8, "big")


def _digest(head: bytes, body: bytes) -> bytes:
    digest = hashlib.blake2b(head, digest_size=_DIGEST_BYTES)
    digest.update(body)
    return digest.digest()
