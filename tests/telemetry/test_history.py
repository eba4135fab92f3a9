"""The history of an hour, which the status page draws."""

import asyncio

from prometheus_client import CollectorRegistry, Counter

from proxy.telemetry.history import STEP_S, STEPS, History, Totals


async def test_totals_are_added_up_by_outcome_and_status() -> None:
    registry = CollectorRegistry()
    requests = Counter("calotype_requests", "", ["mount", "outcome", "tier", "status"], registry=registry)
    sent = Counter("calotype_sent_bytes", "", ["mount", "format"], registry=registry)
    saved = Counter("calotype_saved_bytes", "", ["mount"], registry=registry)
    for mount in ("shop", "news"):
        for outcome, status, count in (
            ("hit", 200, 5), ("hit", 304, 2), ("miss", 200, 3), ("collapsed", 200, 1), ("bypass", 200, 8), ("failed", 404, 4),
            ("failed", 502, 2), ("shed", 503, 1),
        ):  # fmt: skip
            requests.labels(mount, outcome, "none", status).inc(count)
        sent.labels(mount, "webp").inc(100)
        saved.labels(mount).inc(900)
    gathered = 0

    async def gather() -> None:
        nonlocal gathered
        gathered += 1

    recorded = History(registry, lambda: 7.0)
    watching = asyncio.create_task(recorded.watch(gather))
    await asyncio.sleep(STEP_S * (STEPS + 9.5))
    watching.cancel()
    assert gathered == STEPS + 10
    assert len(recorded.totals) == STEPS + 1
    assert set(recorded.totals) == {
        Totals(7.0, requests=52, hits=14, cacheable=22, failed=6, sent_bytes=200, saved_bytes=1800)
    }
