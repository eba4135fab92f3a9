"""A circuit breaker and a retry budget for a remote host. Pure: the time is an argument."""


class Breaker:
    """Opens after `failures` consecutive failures. While open it is half-open once every `pause_s` seconds: it lets
    one call through, and closes if that call succeeds. Times are points on the Clock."""

    def __init__(self, *, failures: int, pause_s: float) -> None:
        self._max_failures = failures
        self._pause_s = pause_s
        self._failures = 0
        self._probe_at_s = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= self._max_failures

    def admits(self, now_s: float) -> bool:
        """Whether a call may be made now. A call that an open breaker lets through must report its result; without a
        result the next one follows after `pause_s`."""
        if not self.open:
            return True
        if now_s < self._probe_at_s:
            return False
        self._probe_at_s = now_s + self._pause_s
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, now_s: float) -> None:
        self._failures += 1
        self._probe_at_s = now_s + self._pause_s


class RetryBudget:
    """Limits retries to a tenth of the calls: each call earns a tenth, a retry costs one. At most `MOST` are saved."""

    SHARE = 0.1
    MOST = 10.0

    def __init__(self) -> None:
        self._saved = 1.0

    def earn(self) -> None:
        """Records one call."""
        self._saved = min(self.MOST, self._saved + self.SHARE)

    def spend(self) -> bool:
        """Whether one call may be retried."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
