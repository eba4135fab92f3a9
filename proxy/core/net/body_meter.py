"""The size and the transfer rate of a body while it arrives. Pure: the time is an argument."""


class BodyMeter:
    """Counts the bytes of a body that began at `began_s`, a point on the Clock. Raises `too_large` for more than `max_bytes`,
    and `too_slow` if the average rate is below `min_bytes_per_s` after the first `grace_s` seconds."""

    def __init__(
        self,
        began_s: float,
        *,
        max_bytes: int,
        min_bytes_per_s: int,
        grace_s: float,
        too_large: Exception,
        too_slow: Exception,
    ) -> None:
        self._began_s = began_s
        self._max_bytes = max_bytes
        self._min_bytes_per_s = min_bytes_per_s
        self._grace_s = grace_s
        self._too_large = too_large
        self._too_slow = too_slow
        self.received_bytes = 0

    def expect(self, size_bytes: int) -> None:
        """Checks the size of the whole body, before it arrives."""
        if size_bytes > self._max_bytes:
            raise self._too_large

    def take(self, count: int, now_s: float) -> None:
        """Counts `count` more bytes, received at `now_s`."""
        self.received_bytes += count
        self.expect(self.received_bytes)
        took_s = now_s - self._began_s
        if took_s > self._grace_s and self.received_bytes < took_s * self._min_bytes_per_s:
            raise self._too_slow
