"""What a rotten tier gives back is never taken for a variant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache.delivery import Variant
from proxy.core.cache.envelope import OVERHEAD_BYTES, Damaged, digest, seal, unseal
from proxy.core.image.formats import Format

KEY, OTHER = "ab" * 32, "cd" * 32
kinds = st.none() | st.sampled_from(Format)


@given(kinds, st.binary(max_size=500))
def test_a_sealed_variant_opens_as_it_was(kind: Format | None, body: bytes) -> None:
    sealed = seal(KEY, Variant(kind=kind, body=body))
    assert len(sealed) == len(body) + OVERHEAD_BYTES
    assert unseal(KEY, kind, sealed) == Variant(kind=kind, body=body)


@given(kinds, st.binary(max_size=100), st.data())
def test_one_flipped_bit_is_damage(kind: Format | None, body: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, Variant(kind=kind, body=body)))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    assert isinstance(unseal(KEY, kind, bytes(sealed)), Damaged)


@given(st.binary(max_size=100), st.data())
def test_a_cut_or_a_tail_is_damage(body: bytes, data: st.DataObject) -> None:
    sealed = seal(KEY, Variant(kind=Format.PNG, body=body))
    cut = data.draw(st.integers(0, len(sealed) - 1))
    assert isinstance(unseal(KEY, Format.PNG, sealed[:cut]), Damaged)
    assert isinstance(unseal(KEY, Format.PNG, sealed + b"x"), Damaged)


@pytest.mark.parametrize("stored", [b"", b"CALO1\n", b"<html>", b"\0" * 200])
def test_other_things_are_damage(stored: bytes) -> None:
    assert isinstance(unseal(KEY, None, stored), Damaged)


def test_an_entry_under_another_name_is_damage() -> None:
    assert unseal(OTHER, None, seal(KEY, Variant(kind=None, body=b"x"))) == Damaged("key")


def test_a_digest_beside_the_body_tells_the_same() -> None:
    picture = Variant(kind=Format.WEBP, body=b"picture")
    others = [
        digest(OTHER, picture),
        digest(KEY, Variant(kind=Format.PNG, body=b"picture")),
        digest(KEY, Variant(kind=Format.WEBP, body=b"pictures")),
    ]
    assert digest(KEY, picture) == digest(KEY, picture)
    assert digest(KEY, picture) not in others


def test_another_kind_is_damage() -> None:
    sealed = seal(KEY, Variant(kind=Format.WEBP, body=b"picture"))
    assert unseal(KEY, Format.PNG, sealed) == Damaged("kind")
