"""Originals: the spellings of a key, and how a missing original is named."""

import pytest

from proxy.core.image.original import OriginalRef, forms, missing


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("deep/groß.jpg", "'deep/groß.jpg'"),
        ("it's <b>.jpg", "'it%27s %3Cb%3E.jpg'"),
        ("100%.jpg", "'100%.jpg'"),
        ("\udcff.jpg", "'%3F.jpg'"),
        ("a\u202eb.jpg", "'a%E2%80%AEb.jpg'"),
        ("a" * 300, f"'{'a' * 200}...'"),
        ("https://x.example/a.jpg?token=secret", "'https://x.example/a.jpg?...'"),
        ("https://me:secret@x.example/a.jpg", "'https:...'"),
    ],
)
def test_a_missing_original_is_named_without_secrets(key: str, shown: str) -> None:
    failure = missing(OriginalRef("photos", key), " that the node may read")
    assert failure.detail == f"there is no original {shown} in source photos that the node may read"


def test_the_normal_forms_of_a_text() -> None:
    assert forms("plain.jpg") == ("plain.jpg",)
    assert forms("gr\u00fcn") == ("gr\u00fcn", "gru\u0308n")
    assert forms("gru\u0308n") == ("gru\u0308n", "gr\u00fcn")
    assert forms("\u00fcu\u0308") == ("\u00fcu\u0308", "\u00fc\u00fc", "u\u0308u\u0308")
    assert forms("写真") == ("写真",)
