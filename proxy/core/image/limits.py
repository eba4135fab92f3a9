"""Limits on the cost of decoding an original, checked on its header before a pixel is decoded."""

from dataclasses import dataclass

from proxy.core.errors import OriginalTooLarge
from proxy.core.image.formats import Format
from proxy.core.image.size import Size, pixels

_HEIF = frozenset({Format.AVIF, Format.HEIC})


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLimits:
    """Limits of one original. HEIF has its own pixel limit: its decoders hold the whole picture several times."""

    max_bytes: int
    max_side_px: int
    max_pixels: int
    max_pixels_heif: int
    max_frames: int


def check(limits: InputLimits, kind: Format, size: Size, frames: int) -> None:
    """Raises OriginalTooLarge. `frames` is the number of frames to decode; the pixels of all of them count."""
    if max(size) > limits.max_side_px:
        raise OriginalTooLarge(f"a side of the original is longer than {limits.max_side_px} pixels")
    if frames > limits.max_frames:
        raise OriginalTooLarge(f"the original has more than {limits.max_frames} frames")
    most = limits.max_pixels_heif if kind in _HEIF else limits.max_pixels
    if pixels(size) * frames > most:
        raise OriginalTooLarge(f"the original has more than {most} pixels in the frames to decode")
