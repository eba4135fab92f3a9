"""The slowest originals of the last hour."""

import pytest

from proxy.core.cache.delivery import Timings
from proxy.core.image.original import OriginalRef
from proxy.telemetry import slowest
from proxy.telemetry.slowest import MAX_ENTRIES, Slowest


def test_the_slowest_first_each_once() -> None:
    kept = Slowest()
    for number in range(100):
        ref = OriginalRef("photos", f"{number % 50}.jpg")
        kept.add(ref, "webp", Timings(fetch_s=number / 100, render_s=1.0))
    told = kept.top()
    assert [slow.original for slow in told] == [f"{number}.jpg" for number in range(49, 49 - MAX_ENTRIES, -1)]
    assert told[0].seconds == pytest.approx(1.99)
    assert len({(slow.source, slow.original) for slow in told}) == MAX_ENTRIES


def test_an_hour_later_another_is_the_slowest(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr(slowest.time, "time", lambda: now_s)
    kept = Slowest()
    kept.add(OriginalRef("photos", "old.jpg"), "webp", Timings(render_s=9.0))
    now_s += slowest.WINDOW_S / 2
    kept.add(OriginalRef("photos", "new.jpg"), "webp", Timings(render_s=1.0))
    assert [slow.original for slow in kept.top()] == ["old.jpg", "new.jpg"]
    now_s += slowest.WINDOW_S / 2 + 1
    assert [slow.original for slow in kept.top()] == ["new.jpg"]
    kept.add(OriginalRef("photos", "old.jpg"), "webp", Timings(render_s=0.5))
    assert [slow.seconds for slow in kept.top()] == [1.0, 0.5]


def test_no_secret_of_a_url_is_told() -> None:
    kept = Slowest()
    kept.add(OriginalRef("web", "https://x.example/a.jpg?token=s3cret"), "webp", Timings(render_s=1))
    assert "s3cret" not in kept.top()[0].original
