"""Each limit accepts its own value and refuses one more."""

import pytest

from proxy.core.errors import OriginalTooLarge
from proxy.core.image.formats import Format
from proxy.core.image.limits import InputLimits, check
from proxy.core.image.size import Size

LIMITS = InputLimits(max_bytes=1, max_side_px=1000, max_pixels=10_000, max_pixels_heif=2500, max_frames=8)


@pytest.mark.parametrize(
    ("kind", "size", "frames"),
    [
        (Format.JPEG, (1000, 10), 1),
        (Format.JPEG, (100, 100), 1),
        (Format.AVIF, (50, 50), 1),
        (Format.HEIC, (50, 50), 1),
        (Format.GIF, (50, 25), 8),
    ],
)
def test_values_at_the_limit_are_accepted(kind: Format, size: tuple[int, int], frames: int) -> None:
    check(LIMITS, kind, Size(*size), frames)


@pytest.mark.parametrize(
    ("kind", "size", "frames", "says"),
    [
        (Format.JPEG, (1001, 1), 1, "longer than 1000 pixels"),
        (Format.JPEG, (1, 1001), 1, "longer than 1000 pixels"),
        (Format.JPEG, (101, 100), 1, "more than 10000 pixels"),
        (Format.AVIF, (51, 50), 1, "more than 2500 pixels"),
        (Format.HEIC, (51, 50), 1, "more than 2500 pixels"),
        (Format.GIF, (1, 1), 9, "more than 8 frames"),
        (Format.GIF, (51, 25), 8, "more than 10000 pixels"),
    ],
)
def test_values_above_the_limit_are_refused(
    kind: Format, size: tuple[int, int], frames: int, says: str
) -> None:
    with pytest.raises(OriginalTooLarge, match=says):
        check(LIMITS, kind, Size(*size), frames)
