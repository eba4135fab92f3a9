"""For the real tiers: none takes a machine that is busy for a disk that hangs; a test of one that hangs says so itself."""

import pytest

from tests.support.waiting import LONGEST_S


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("disk", "object_stores"):
        monkeypatch.setattr(f"proxy.tiers.{room}.LOOKUP_TIMEOUT_S", LONGEST_S)
    monkeypatch.setattr("proxy.tiers.hardened_diskcache.LOCK_TIMEOUT_S", LONGEST_S)
