"""The size and the transfer rate of a body while it arrives. Pure: the time is an argument."""

from dataclasses import KW_ONLY, dataclass


@dataclass(slots=True, eq=False)
class BodyMeter:
    """Counts the bytes of a body that began at `began_s`, a point on the Clock. Raises `too_large` for more than `max_bytes`,
    and `too_slow` if the average rate is below `min_bytes_per_s` after the first `grace_s` seconds."""

    began_s: float
    _: KW_ONLY
    max_bytes: int
    min_bytes_per_s: int
    grace_s: float
    too_large: Exception
    too_slow: Exception
    received_bytes: int = 0

    def expect(self, size_bytes: int) -> None:
        """Checks the size of the whole body, before it arrives."""
        if size_bytes > self.max_bytes:
            raise self.too_large

    def take(self, count: int, now_s: float) -> None:
        """Counts `count` more bytes, received at `now_s`."""
        self.received_bytes += count
        self.expect(self.received_bytes)
        took_s = now_s - self.began_s
        if took_s > self.grace_s and self.received_bytes < took_s * self.min_bytes_per_s:
            raise self.too_slow
