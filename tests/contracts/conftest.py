"""Timeouts of real tiers are long, so that a busy machine is not a hanging disk. A test of a hanging disk sets a short one."""

import pytest

from tests.support.waiting import LONGEST_S


@pytest.fixture(autouse=True)
def _long_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("disk", "object_stores"):
        monkeypatch.setattr(f"proxy.tiers.{module}.LOOKUP_TIMEOUT_S", LONGEST_S)
    monkeypatch.setattr("proxy.tiers.hardened_diskcache.LOCK_TIMEOUT_S", LONGEST_S)
