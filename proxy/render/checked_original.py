"""An original in a worker: its bytes, its header, and cached pixels for the next render; and libvips' errors as the
errors of an original. No pixel is changed here.
"""

from collections.abc import Callable
from typing import NamedTuple

import pyvips

from proxy.core.errors import CalotypeError, OriginalTooLarge, Undecodable, UnsupportedFormat
from proxy.core.image import gif, jpeg
from proxy.core.image.container import completed
from proxy.core.image.facts import Facts
from proxy.core.image.formats import NO_PICTURE, SNIFF_BYTES, Format, sniff
from proxy.core.image.limits import InputLimits, check
from proxy.core.image.size import Size
from proxy.core.transform.operations import Turn
from proxy.render.colours import Colours, colours_of

CACHED_FORMATS = (Format.JPEG, Format.PNG)
"""The formats that are decoded row by row unless their pixels are cached."""
MAX_CACHED_BYTES = 64 * 2**20
_SWAPPING_ORIENTATIONS = range(5, 9)
_STORED = {
    2: Turn.HFLIP,
    3: Turn.R180,
    4: Turn.VFLIP,
    5: Turn.TRANSPOSE,
    6: Turn.R270,
    7: Turn.TRANSVERSE,
    8: Turn.R90,
}
"""The turns that undo each EXIF orientation."""
_MAX_SCANS = 100  # Encoders make 10 or so.

_NO_DECODER = ("not been built in", "not in a known format", "unsupported codec")
_NO_MEMORY = ("out of memory", "memory allocation", "unable to allocate", "cannot allocate", "security limit")


class CheckedOriginal:
    """An original whose header is within the limits and whose data is complete. With `keep_decoded`, decoded and resized
    pixels are cached for the next render, which gives the same bytes as without the cache.

    Raises UnsupportedFormat, OriginalTooLarge or Undecodable.
    """

    def __init__(self, content: bytes, limits: InputLimits) -> None:
        self.size_bytes = len(content)
        self.content, self.facts, self.colours, self.pixel_bytes, self.canvas = _read(content, limits)
        self.keep_decoded = False
        self._cache: dict[str, tuple[object, pyvips.Image]] = {}

    @property
    def is_shared(self) -> bool:
        """Whether its pixels are, or should be, cached in memory."""
        return self.keep_decoded or bool(self._cache)

    def turn_to_stored(self) -> Turn | None:
        """The turn that undoes the EXIF orientation."""
        return _STORED.get(orientation(pyvips.Image.new_from_buffer(self.content, "")))

    def drop_cache(self) -> bool:
        """Drops the cached pixels. Returns whether a render without the cache may succeed where this one failed."""
        was_shared = bool(self._cache) or (self.keep_decoded and self.facts.format in CACHED_FORMATS)
        self.keep_decoded = False
        self._cache.clear()
        return was_shared

    def cached(self, stage: str, which: object, make: Callable[[], pyvips.Image]) -> pyvips.Image:
        """The pixels of `make` for `stage` and `which`, or cached ones. Each stage caches its latest pixels."""
        if stage in self._cache and self._cache[stage][0] == which:
            return self._cache[stage][1]
        image = make()
        if self.keep_decoded and image.width * image.height * pixel_bytes(image) <= MAX_CACHED_BYTES:
            image = image.copy_memory()
            self._cache[stage] = which, image
        return image


def fault_of_original(fault: Exception) -> CalotypeError:
    """The error of an original for an error of libvips, which gives its reason as text only."""
    if is_memory(fault):
        return OriginalTooLarge("the original needs more memory than a worker may use")
    if any(phrase in str(fault).lower() for phrase in _NO_DECODER):
        return UnsupportedFormat("the original is in a format this node does not decode")
    return Undecodable("the original is damaged and cannot be decoded")


def is_memory(fault: Exception) -> bool:
    return isinstance(fault, MemoryError) or any(phrase in str(fault).lower() for phrase in _NO_MEMORY)


class _Read(NamedTuple):
    """`content` is the input of the decoders; `pixel_bytes` is the size of a decoded pixel; `canvas` is set for a
    GIF whose frames are composed here."""

    content: bytes
    facts: Facts
    colours: Colours
    pixel_bytes: int
    canvas: gif.Stream | None


def _read(content: bytes, limits: InputLimits) -> _Read:
    """Reads the header, checks the limits, and checks that no picture data is missing."""
    kind = sniff(content[:SNIFF_BYTES])
    if kind is None:
        raise UnsupportedFormat(NO_PICTURE)
    try:
        whole = completed(kind, content)
    except MemoryError as fault:
        raise fault_of_original(fault) from None
    if whole is None:
        raise Undecodable("the original is cut short")
    if kind is Format.JPEG and jpeg.scans(whole.content, _MAX_SCANS) > _MAX_SCANS:
        raise OriginalTooLarge(f"the original has more than {_MAX_SCANS} scans")
    stream = gif.read(whole.content) if kind is Format.GIF else None
    if stream is not None and not stream.frames:
        raise Undecodable("the original has no frame")
    try:
        header = pyvips.Image.new_from_buffer(whole.content, "")
        facts = _facts(header, kind, stream)
        colours = colours_of(header, kind, whole.content)
    except (pyvips.Error, MemoryError, UnicodeDecodeError) as fault:
        raise fault_of_original(fault) from None
    check(limits, kind, Size(facts.width_px, facts.height_px), 1)
    if whole.doubts and not _are_alike(kind, whole.doubts, facts.pages):
        raise Undecodable("the original is cut short")
    canvas = stream if stream is not None and stream.needs_canvas else None
    return _Read(whole.content, facts, colours, pixel_bytes(header), canvas)


def _are_alike(kind: Format, doubts: tuple[bytes, ...], pages: int) -> bool:
    """Whether every ending in `doubts` gives the same last page. The first must also decode without a warning if it is
    a JPEG, where a warning means missing data."""
    page = f"page={pages - 1}," if kind is Format.GIF else ""
    strictly = f"[{page}fail_on={'warning' if kind is Format.JPEG else 'error'}]"
    try:
        first = pyvips.Image.new_from_buffer(doubts[0], strictly, access="sequential")
        if len(doubts) == 1:
            first.avg()
        for other in doubts[1:]:
            again = pyvips.Image.new_from_buffer(other, f"[{page}fail_on=error]", access="sequential")
            if (first != again).max() > 0:
                return False
    except pyvips.Error as fault:
        if is_memory(fault):
            raise fault_of_original(fault) from None
        return False
    return True


def pixel_bytes(image: pyvips.Image) -> int:
    """The size of a decoded pixel in bytes."""
    return int(image.bands * {"uchar": 1, "ushort": 2}.get(image.format, 4))


def _facts(header: pyvips.Image, kind: Format, stream: gif.Stream | None) -> Facts:
    """The facts of a header. Pages of a GIF are counted here, because libvips stops at ten thousand."""
    size = Size(header.width, header.height)
    if orientation(header) in _SWAPPING_ORIENTATIONS:
        size = Size(size.height, size.width)
    return Facts(
        format=kind,
        width_px=size.width,
        height_px=size.height,
        pages=len(stream.frames) if stream is not None else header.get_n_pages(),
        alpha=bool(header.hasalpha()) or (stream is not None and stream.shows_through),
    )


def orientation(header: pyvips.Image) -> int:
    """The EXIF orientation, 1 to 8."""
    return header.get("orientation") if "orientation" in header.get_fields() else 1
