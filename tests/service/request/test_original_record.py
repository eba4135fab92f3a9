"""How long an original is missing, by what is known of it."""

import pytest

from proxy.core.errors import OriginalNotFound
from proxy.core.image.original import Identity, OriginalRef
from proxy.ports.originals import Version
from proxy.service.request.original_record import Record

REF = OriginalRef("photos", "a")


def test_a_record_that_is_not_known_yet_is_not_missing() -> None:
    assert Record(REF, "").missing_until_s == 0.0


def test_missing_bytes_leave_the_identity() -> None:
    record = Record(REF, "7", exists=True)
    record.set(record.identity_of(Version("a", "1")), "", 9.0)
    assert record.missing_until_s == 0.0
    record.set_bytes_missing("gone", 5.0)
    assert (record.identity, record.exists) == (Identity(REF, "1", "7"), False)
    assert record.missing_until_s == 5.0
    with pytest.raises(OriginalNotFound, match="gone") as caught:
        record.check_bytes(3.0)
    assert caught.value.lasts_s == 2.0
    record.check_bytes(5.0)


def test_an_original_without_an_identity_is_missing() -> None:
    record = Record(REF, "")
    record.set(None, "gone", 60.0)
    assert record.missing_until_s == 60.0
    record.check_bytes(1.0)


def test_the_identity_has_the_key_of_the_version() -> None:
    assert Record(REF, "").identity_of(Version("b", "1")).ref == OriginalRef("photos", "b")
