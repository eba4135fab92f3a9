"""When to leave a failing neighbour alone: a circuit breaker, and a budget for retries.

Pure: whoever asks brings the time. Nothing here waits or calls.
"""


class Breaker:
    """Opens after `failures` in a row; open, it lets one call through every `pause_s` seconds, and closes with the
    first that succeeds. Times are points on the Clock."""

    def __init__(self, *, failures: int, pause_s: float) -> None:
        self._most = failures
        self._pause_s = pause_s
        self._failures = 0
        self._probe_at_s = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= self._most

    def admits(self, now_s: float) -> bool:
        """Whether to call now; a call that was let through while open must report back, or another follows."""
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
    """Lets retries be a tenth of the calls: each call earns a tenth, a retry costs one. A few may be saved up."""

    SHARE = 0.1
    MOST = 10.0

    def __init__(self) -> None:
        self._saved = 1.0

    def earn(self) -> None:
        """One call was made."""
        self._saved = min(self.MOST, self._saved + self.SHARE)

    def spend(self) -> bool:
        """Whether one call may be made again."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
