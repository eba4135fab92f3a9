"""For the real tiers: none takes a machine that is busy for a disk that hangs; a test of one that hangs says so itself."""

import pytest

from tests.waiting import LONGEST_S


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("disk", "objects"):
        monkeypatch.setattr(f"proxy.tiers.{room}.LOOKUP_S", LONGEST_S)
    monkeypatch.setattr("proxy.tiers.hardened.LOCK_S", LONGEST_S)
