"""An access record takes its fields from the delivery."""

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import Delivery, Outcome, Timings
from proxy.core.cache.freshness import Freshness
from proxy.core.cache.keys import CacheKey
from proxy.core.image.formats import Format

TIMINGS = Timings(fetch_s=0.25, queue_s=0.5, render_s=1.0)


def test_a_record_takes_its_fields_from_the_delivery() -> None:
    record = AccessRecord("GET", "/w_1/a")
    record.set_delivery(
        Delivery(
            key=CacheKey("k", Format.WEBP),
            outcome=Outcome.MISS,
            tier="disk",
            timings=TIMINGS,
            freshness=(Freshness("1", 2.0),),
        )
    )
    assert (record.outcome, record.tier, record.key, record.format, record.timings) == (
        Outcome.MISS, "disk", "k", "webp", TIMINGS,
    )  # fmt: skip
    assert (record.error, record.detail, record.settings, record.status) == ("", "", (), 0)
