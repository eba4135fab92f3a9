"""The record of one request, from which the access log and the metrics are made."""

from dataclasses import dataclass

from proxy.core.cache.delivery import NO_TIMINGS, Delivery, Outcome, Timings


@dataclass(slots=True, eq=False)
class AccessRecord:
    """One request for log and metrics; a record without an outcome is neither logged nor counted.

    Mutable: it belongs to a single request. `settings` are the keys of the configuration that would allow a refused
    request. `target`, `client` and `request_id` are as received; the log masks them. `unsigned_target` takes the place of
    `target` there once the dialect is known.
    """

    method: str
    target: str
    outcome: Outcome | None = None
    mount: str = ""
    tier: str = ""
    key: str = ""
    format: str = ""
    error: str = ""
    detail: str = ""
    settings: tuple[str, ...] = ()
    status: int = 0
    bytes: int = 0
    original_bytes: int = 0
    seconds: float = 0.0
    timings: Timings = NO_TIMINGS
    client: str = ""
    request_id: str = ""
    unsigned_target: str = ""

    def set_delivery(self, delivery: Delivery) -> None:
        self.outcome, self.tier = delivery.outcome, delivery.tier
        self.key, self.format = delivery.key.digest, delivery.key.format or ""
        self.timings = delivery.timings
        self.original_bytes = delivery.original_bytes
