"""An original as a worker has it before it: its bytes, what their header told, and pixels of it for the next render; and what
libvips raises, as one of the errors of an original.

No pixel is changed here.
"""

from collections.abc import Callable

import pyvips

from proxy.core.container import gif_frames, is_whole, jpeg_scans
from proxy.core.errors import CalotypeError, OriginalTooLarge, Undecodable, UnsupportedFormat
from proxy.core.facts import Facts
from proxy.core.formats import SNIFF_BYTES, Format, sniff
from proxy.core.geometry import Size
from proxy.core.limits import Limits, check

KEPT_KINDS = (Format.JPEG, Format.PNG)
"""Those that come row by row where they are not kept."""
MOST_KEPT_BYTES = 64 * 2**20
_SWAPPING_ORIENTATIONS = range(5, 9)
_MOST_SCANS = 100  # Encoders make 10 or so.
_SRGB_PROFILE = b"sRGB IEC61966-2.1"
_PROFILE_HEAD_BYTES = 512

_NO_DECODER = ("not been built in", "not in a known format", "unsupported codec")
_NO_MEMORY = ("out of memory", "memory allocation", "unable to allocate", "cannot allocate", "security limit")


class Opened:
    """An original whose header was read within the limits, with the `facts` it told. While it `keeps`, pixels that were
    decoded or resized are there for the next render of it: all of them come to the same bytes as alone.

    Raises UnsupportedFormat, OriginalTooLarge or Undecodable.
    """

    def __init__(self, content: bytes, limits: Limits) -> None:
        self.content = content
        self.facts, self.is_plain, self.pixel_bytes = _read(content, limits)
        self.keeps = False
        self._kept: dict[str, tuple[object, pyvips.Image]] = {}

    @property
    def is_shared(self) -> bool:
        """Whether it is worth while to have its pixels in memory."""
        return self.keeps or bool(self._kept)

    def let_go(self) -> bool:
        """Keeps nothing any more; whether a render alone may come to something else."""
        was_shared = bool(self._kept) or (self.keeps and self.facts.format in KEPT_KINDS)
        self.keeps = False
        self._kept.clear()
        return was_shared

    def kept(self, stage: str, which: object, make: Callable[[], pyvips.Image]) -> pyvips.Image:
        """Pixels in memory, which may be those of the render before; of each stage the last are kept."""
        if stage in self._kept and self._kept[stage][0] == which:
            return self._kept[stage][1]
        image = make()
        if self.keeps and image.width * image.height * _pixel_bytes(image) <= MOST_KEPT_BYTES:
            image = image.copy_memory()
            self._kept[stage] = which, image
        return image


def fault_of_original(fault: Exception) -> CalotypeError:
    """What libvips raised, as one of the errors of an original. libvips tells its reasons by text only."""
    if is_memory(fault):
        return OriginalTooLarge("the original needs more memory than a worker may use")
    if any(phrase in str(fault).lower() for phrase in _NO_DECODER):
        return UnsupportedFormat("the original is in a format this node does not decode")
    return Undecodable("the original is damaged and cannot be decoded")


def is_memory(fault: Exception) -> bool:
    return isinstance(fault, MemoryError) or any(phrase in str(fault).lower() for phrase in _NO_MEMORY)


def _read(content: bytes, limits: Limits) -> tuple[Facts, bool, int]:
    """Facts within the limits, whether the colours are plain sRGB in 8 bits as they are, and the bytes of a pixel."""
    try:
        header, frames, kind = _header(content)
        facts, is_plain = _facts(header, kind, frames), _is_plain(header)
    except (pyvips.Error, MemoryError, UnicodeDecodeError) as fault:
        raise fault_of_original(fault) from None
    check(limits, kind, Size(facts.width_px, facts.height_px), 1)
    return facts, is_plain, _pixel_bytes(header)


def _pixel_bytes(image: pyvips.Image) -> int:
    return int(image.bands * {"uchar": 1, "ushort": 2}.get(image.format, 4))


def _header(content: bytes) -> tuple[pyvips.Image, int | None, Format]:
    """The picture with nothing but its header read; the frames of a GIF, which libvips stops counting at ten
    thousand; and the format."""
    kind = sniff(content[:SNIFF_BYTES])
    if kind is None:
        raise UnsupportedFormat("the original is not a JPEG, PNG, WebP, GIF, AVIF or HEIC picture")
    if not is_whole(kind, content):
        raise Undecodable("the original is cut short")
    if kind is Format.JPEG and jpeg_scans(content, _MOST_SCANS) > _MOST_SCANS:
        raise OriginalTooLarge(f"the original has more than {_MOST_SCANS} scans")
    frames = gif_frames(content) if kind is Format.GIF else None
    if frames == 0:
        raise Undecodable("the original has no frame")
    return pyvips.Image.new_from_buffer(content, ""), frames, kind


def _facts(header: pyvips.Image, kind: Format, frames: int | None) -> Facts:
    size = Size(header.width, header.height)
    if _orientation(header) in _SWAPPING_ORIENTATIONS:
        size = Size(size.height, size.width)
    return Facts(
        format=kind,
        width_px=size.width,
        height_px=size.height,
        pages=frames or header.get_n_pages(),
        alpha=bool(header.hasalpha()),
    )


def _is_plain(header: pyvips.Image) -> bool:
    """Converting costs as much as all the rest: not done where the numbers are sRGB already, by their profile or
    by having none (CSS Color 4, 10.2)."""
    if header.format != "uchar" or header.interpretation not in ("srgb", "b-w"):
        return False
    if "icc-profile-data" not in header.get_fields():
        return True
    return _SRGB_PROFILE in header.get("icc-profile-data")[:_PROFILE_HEAD_BYTES]


def _orientation(header: pyvips.Image) -> int:
    return header.get("orientation") if "orientation" in header.get_fields() else 1
