"""The scale of `q`, that of JPEG, on the scales of the other encoders, and the effort of encoding.

The tables are made by benchmarks/quality.py: at one q, photographs have the same mean SSIMULACRA2 score in every format. They
depend on the size that is requested, because JPEG loses more of small pictures than other formats do.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from proxy.core.image.formats import Format

SIDES_PX = (320, 640, 1280)
ANCHORS_Q = (1, 30, 40, 50, 60, 70, 80, 85, 90, 100)
_ANCHORS: Mapping[Format, Mapping[int, Sequence[int]]] = {
    Format.WEBP: {
        320: (1, 28, 37, 46, 53, 62, 72, 77, 97, 100),
        640: (1, 32, 46, 59, 69, 76, 83, 86, 94, 100),
        1280: (1, 32, 46, 59, 69, 77, 84, 87, 97, 100),
    },
    Format.AVIF: {
        320: (1, 34, 38, 41, 43, 47, 52, 57, 82, 100),
        640: (1, 38, 43, 48, 51, 57, 63, 68, 82, 100),
        1280: (1, 37, 43, 48, 52, 57, 65, 70, 84, 100),
    },
}
LOSSY = frozenset({Format.JPEG, *_ANCHORS})
_SMALL_PX, _MIDDLE_PX, _LARGE_PX = 450, 900, 1280


def encoder_quality(kind: Format, quality: int, side_px: int) -> int | None:
    """`quality`, 1 to 100 on the scale of JPEG, on the scale of the encoder of `kind` for a picture of about `side_px`; None
    if that is lossless."""
    if kind is Format.JPEG:
        return quality
    anchors = _ANCHORS.get(kind)
    if anchors is None:
        return None
    side_px = min(max(side_px, SIDES_PX[0]), SIDES_PX[-1])
    above = max(1, bisect_left(SIDES_PX, side_px))
    small_px, large_px = SIDES_PX[above - 1], SIDES_PX[above]
    small, large = (on_line(quality, ANCHORS_Q, anchors[each]) for each in (small_px, large_px))
    share = (small * (large_px - side_px) + large * (side_px - small_px)) / (large_px - small_px)
    return int(share + 0.5)


def on_line(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Linear between the points, and beyond them. `xs` rise."""
    above = min(max(1, bisect_left(xs, x)), len(xs) - 1)
    (x0, x1), (y0, y1) = xs[above - 1 : above + 1], ys[above - 1 : above + 1]
    return y0 + (x - x0) * (y1 - y0) / (x1 - x0)


def avif_effort(side_px: int) -> int:
    """The effort for an AVIF of about `side_px`. More pays for small pictures: at 320 px it saves a fifth of the bytes for
    60 ms, at 640 px a tenth for 100 ms."""
    return 2 if side_px <= _SMALL_PX else 1 if side_px <= _MIDDLE_PX else 0


def drawing_effort(side_px: int) -> int:
    """The effort for the AVIF of a drawing. At 1280 px one more saves a third to a half of the bytes for 50 to 600 ms, and of a
    photograph a fiftieth for 500 ms; beyond, a render would take seconds."""
    return max(avif_effort(side_px), 1 if side_px <= _LARGE_PX else 0)
