"""The slowest originals of the last hour."""

import pytest

from proxy.core.cache.delivery import Timings
from proxy.core.image.original import OriginalRef
from proxy.telemetry import slowest
from proxy.telemetry.slowest import MAX_ENTRIES, Slowest


def test_originals_are_sorted_by_time_without_duplicates() -> None:
    slowest_originals = Slowest()
    for number in range(100):
        ref = OriginalRef("photos", f"{number % 50}.jpg")
        slowest_originals.add(ref, "webp", Timings(fetch_s=number / 100, render_s=1.0))
    entries = slowest_originals.top()
    assert [slow.original for slow in entries] == [
        f"{number}.jpg" for number in range(49, 49 - MAX_ENTRIES, -1)
    ]
    assert entries[0].seconds == pytest.approx(1.99)
    assert len({(slow.source, slow.original) for slow in entries}) == MAX_ENTRIES


def test_entries_expire_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr(slowest.time, "time", lambda: now_s)
    slowest_originals = Slowest()
    slowest_originals.add(OriginalRef("photos", "old.jpg"), "webp", Timings(render_s=9.0))
    now_s += slowest.WINDOW_S / 2
    slowest_originals.add(OriginalRef("photos", "new.jpg"), "webp", Timings(render_s=1.0))
    assert [slow.original for slow in slowest_originals.top()] == ["old.jpg", "new.jpg"]
    now_s += slowest.WINDOW_S / 2 + 1
    assert [slow.original for slow in slowest_originals.top()] == ["new.jpg"]
    slowest_originals.add(OriginalRef("photos", "old.jpg"), "webp", Timings(render_s=0.5))
    assert [slow.seconds for slow in slowest_originals.top()] == [1.0, 0.5]


def test_secrets_in_urls_are_masked() -> None:
    slowest_originals = Slowest()
    slowest_originals.add(
        OriginalRef("web", "https://x.example/a.jpg?token=s3cret"), "webp", Timings(render_s=1)
    )
    assert "s3cret" not in slowest_originals.top()[0].original
