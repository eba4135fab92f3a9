"""A damaged entry of a tier is never served as a variant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache.delivery import Variant
from proxy.core.cache.envelope import OVERHEAD_BYTES, Damaged, digest, seal, unseal
from proxy.core.cache.keys import CacheKey
from proxy.core.image.formats import Format

KEY, OTHER = (CacheKey(digest * 32, Format.WEBP) for digest in ("ab", "cd"))
keys = (st.none() | st.sampled_from(Format)).map(lambda each: CacheKey("ab" * 32, each))


@given(keys, st.binary(max_size=500))
def test_unsealing_returns_the_sealed_variant(key: CacheKey, body: bytes) -> None:
    sealed = seal(key, Variant(body=body))
    assert len(sealed) == len(body) + OVERHEAD_BYTES
    assert unseal(key, sealed) == Variant(body=body)


@given(
    keys, st.binary(max_size=500), st.text(st.characters(codec="ascii"), max_size=255), st.integers(0, 2**40)
)
def test_unsealing_returns_the_details(key: CacheKey, body: bytes, notice: str, original_bytes: int) -> None:
    variant = Variant(body=body, notice=notice, original_bytes=original_bytes)
    assert unseal(key, seal(key, variant)) == variant


def test_a_variant_without_details_has_the_bytes_it_always_had() -> None:
    assert seal(KEY, Variant(body=b"x")).startswith(b"CALO1\n")
    assert seal(KEY, Variant(body=b"x", notice="n")).startswith(b"CALO3\n")
    assert seal(KEY, Variant(body=b"x", original_bytes=1)).startswith(b"CALO3\n")


@given(keys, st.binary(max_size=100), st.sampled_from(["", "gravity;asked=face;made=auto"]), st.data())
def test_one_flipped_bit_is_damage(key: CacheKey, body: bytes, notice: str, data: st.DataObject) -> None:
    sealed = bytearray(seal(key, Variant(body=body, notice=notice)))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    assert isinstance(unseal(key, bytes(sealed)), Damaged)


@given(st.binary(max_size=100), st.data())
def test_truncation_or_extra_bytes_are_damage(body: bytes, data: st.DataObject) -> None:
    sealed = seal(KEY, Variant(body=body))
    cut = data.draw(st.integers(0, len(sealed) - 1))
    assert isinstance(unseal(KEY, sealed[:cut]), Damaged)
    assert isinstance(unseal(KEY, sealed + b"x"), Damaged)


@pytest.mark.parametrize("stored", [b"", b"CALO1\n", b"<html>", b"\0" * 200])
def test_bytes_without_an_envelope_are_damage(stored: bytes) -> None:
    assert isinstance(unseal(KEY, stored), Damaged)


def test_an_entry_under_another_key_is_damage() -> None:
    assert unseal(OTHER, seal(KEY, Variant(body=b"x"))) == Damaged("key")


def test_a_separate_digest_depends_on_key_format_and_body() -> None:
    picture = Variant(body=b"picture")
    others = [
        digest(OTHER, picture),
        digest(KEY._replace(format=Format.PNG), picture),
        digest(KEY, Variant(body=b"pictures")),
        digest(KEY, Variant(body=b"picture", notice="n")),
        digest(KEY, Variant(body=b"picture", notice="é" * 300)),
    ]
    assert digest(KEY, picture) == digest(KEY, picture)
    assert digest(KEY, picture) not in others


def test_another_format_is_damage() -> None:
    sealed = seal(KEY, Variant(body=b"picture"))
    assert unseal(KEY._replace(format=Format.PNG), sealed) == Damaged("format")
