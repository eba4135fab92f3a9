"""An original in a worker: its bytes, its header, and cached pixels for the next render; and libvips' errors as the
errors of an original. No pixel is changed here.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import pyvips

from proxy.core.errors import CalotypeError, OriginalTooLarge, Undecodable, UnsupportedFormat
from proxy.core.image import gif, jpeg
from proxy.core.image.container import completed
from proxy.core.image.facts import Facts
from proxy.core.image.formats import NO_PICTURE, SNIFF_BYTES, Format, sniff
from proxy.core.image.limits import InputLimits, check
from proxy.core.image.size import Size, pixels
from proxy.core.transform.operations import Turn
from proxy.render.colours import PROFILE, Colours, colours_of

CACHED_FORMATS = (Format.JPEG, Format.PNG)
"""The formats that are decoded row by row unless their pixels are cached."""
MAX_CACHED_BYTES = 64 * 2**20
SEQUENTIAL = "vips-sequential"
_ORIENTATION = "orientation"
_RESOLUTION_UNIT = "resolution-unit"
SWAPPING_ORIENTATIONS = range(5, 9)
"""The EXIF orientations whose turn swaps the sides."""
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
_BITS = "bits-per-sample"
_MAX_SCANS = 100  # Encoders make 10 or so.
_LOSSLESS = frozenset({Format.PNG, Format.GIF})
_DRAWING_BITS = 3
"""The most bits a pixel of a drawing in a lossless file. Photographs take four and more, as benchmarks/formats.py shows."""

_NO_DECODER = ("not been built in", "not in a known format", "unsupported codec")
_NO_MEMORY = ("out of memory", "memory allocation", "unable to allocate", "cannot allocate", "security limit")


Buffer = bytes | memoryview


class Header(NamedTuple):
    """What a job needs to know of an original beside its pixels. `pixel_bytes` is the size of a decoded pixel, `orientation`
    that of EXIF; `profile` is the ICC profile of the file, empty where it has no effect. `resolution` is in pixels a millimetre,
    across and down, and `resolution_unit` how encoders write it, empty if unknown."""

    facts: Facts
    colours: Colours
    pixel_bytes: int
    interpretation: str
    orientation: int
    profile: bytes
    resolution: tuple[float, float]
    resolution_unit: str
    is_deep: bool
    """Whether a band has more than 8 bits."""
    has_palette: bool
    """Whether the file has a palette, or grey values of fewer than 8 bits."""


class Reduction(NamedTuple):
    """An original that was decoded at a fraction of its size, as pixels of 8 bits a band."""

    header: Header
    factor: int
    width: int
    height: int
    bands: int

    @property
    def size_bytes(self) -> int:
        return self.width * self.height * self.bands

    def is_plausible(self, size_bytes: int) -> bool:
        """Whether a file of `size_bytes` can be this reduction: a worker that was taken over may have described it."""
        facts = self.header.facts
        sides = facts.width_px, facts.height_px, self.width, self.height, self.factor
        return (
            size_bytes == self.size_bytes
            and min(sides) > 0
            and self.bands in range(1, 5)
            and self.header.orientation in range(1, 9)
        )

    def image(self, content: Buffer) -> pyvips.Image:
        """The image of these pixels, with the metadata that loading needs. Raises pyvips.Error if some are missing."""
        image = pyvips.Image.new_from_memory(content, self.width, self.height, self.bands, "uchar")
        header = self.header
        across, down = header.resolution
        image = image.copy(interpretation=header.interpretation, xres=across, yres=down)
        image.set_type(pyvips.GValue.gint_type, SEQUENTIAL, 1)
        image.set_type(pyvips.GValue.gint_type, _ORIENTATION, header.orientation)
        if header.profile:
            image.set_type(pyvips.GValue.blob_type, PROFILE, header.profile)
        if header.resolution_unit:
            image.set_type(pyvips.GValue.gstr_type, _RESOLUTION_UNIT, header.resolution_unit)
        return image


class StaleReduction(Exception):
    """The file has another header than the reductions: it was replaced under the same name."""


class CheckedOriginal:
    """An original whose header is within the limits and whose data is complete. With `keep_decoded`, decoded and resized
    pixels are cached for the next render, which gives the same bytes as without the cache.

    `read` returns the bytes of the file. Where earlier jobs left `reductions`, each with a function that reads its pixels, it
    is called only for a render that needs more. Then, or else at once, raises UnsupportedFormat, OriginalTooLarge or
    Undecodable, or StaleReduction.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        size_bytes: int,
        limits: InputLimits,
        reductions: Sequence[tuple[Reduction, Callable[[], Buffer]]] = (),
    ) -> None:
        self.size_bytes = size_bytes
        self._limits = limits
        self.reopen(read, reductions)
        self._expected = reductions[0][0].header if reductions else None
        self.header = self._expected or self._checked.header
        self.keep_decoded = False
        self.reduces = True
        self._images: dict[int, pyvips.Image | None] = {}
        self._unsent: tuple[Reduction, Buffer] | None = None
        self._cache: dict[str, tuple[object, pyvips.Image]] = {}

    @classmethod
    def of(cls, content: bytes, limits: InputLimits) -> "CheckedOriginal":
        return cls(lambda: content, len(content), limits)

    def reopen(
        self, read: Callable[[], bytes], reductions: Sequence[tuple[Reduction, Callable[[], Buffer]]]
    ) -> None:
        """Replaces the functions, for a job with other descriptors of the same files."""
        self._read = read
        self._stored = {reduction.factor: (reduction, pixels) for reduction, pixels in reductions}

    @cached_property
    def _checked(self) -> "_Checked":
        checked = _check(self._read(), self._limits)
        if self._expected is not None and checked.header != self._expected:
            raise StaleReduction
        return checked

    @property
    def content(self) -> bytes:
        """The input of the decoders."""
        return self._checked.content

    @property
    def canvas(self) -> gif.Stream | None:
        """Set for a GIF whose frames are composed here."""
        return self._checked.canvas if self.facts.format is Format.GIF else None

    @property
    def facts(self) -> Facts:
        return self.header.facts

    @property
    def colours(self) -> Colours:
        return self.header.colours

    @property
    def is_shared(self) -> bool:
        """Whether its pixels are, or should be, cached in memory."""
        return self.keep_decoded or bool(self._cache)

    def turn_to_stored(self) -> Turn | None:
        """The turn that undoes the EXIF orientation."""
        return _STORED.get(self.header.orientation)

    def drop_cache(self) -> bool:
        """Drops the cached pixels. Returns whether a render without the cache may succeed where this one failed."""
        was_shared = bool(self._cache) or (self.keep_decoded and self.facts.format in CACHED_FORMATS)
        was_reduced = bool(self._images)
        self.keep_decoded = self.reduces = False
        self._unsent = None
        self._cache.clear()
        self._images.clear()
        return was_shared or was_reduced

    def cached(self, stage: str, which: object, make: Callable[[], pyvips.Image]) -> pyvips.Image:
        """The pixels of `make` for `stage` and `which`, or cached ones. Each stage caches its latest pixels."""
        if stage in self._cache and self._cache[stage][0] == which:
            return self._cache[stage][1]
        image = make()
        if self.keep_decoded and image.width * image.height * pixel_bytes(image) <= MAX_CACHED_BYTES:
            image = image.copy_memory()
            self._cache[stage] = which, image
        return image

    def reduction(self, factor: int, make: Callable[[], pyvips.Image]) -> pyvips.Image:
        """The original with 8 bits a band reduced by `factor`: by an earlier job, or now by `make`."""
        image = self._images.setdefault(factor, None)
        if image is None:
            if factor in self._stored:
                reduction, read = self._stored[factor]
                pixels = read()
            else:
                made = make()
                reduction = Reduction(self.header, factor, made.width, made.height, made.bands)
                pixels = made.write_to_memory()
                self._unsent = reduction, pixels
            image = self._images[factor] = reduction.image(pixels)
        return image

    def new_reduction(self) -> tuple[Reduction, Buffer] | None:
        """The reduction that was made since the last call, with its pixels."""
        made, self._unsent = self._unsent, None
        return made


def opened_image(content: bytes, options: str = "", **more: str) -> pyvips.Image:
    """The image in `content`, which libvips reads in place; not decoded yet."""
    return pyvips.Image.new_from_source(pyvips.Source.new_from_memory(content), options, **more)


def fault_of_original(fault: Exception) -> CalotypeError:
    """The error of an original for an error of libvips, which gives its reason as text only."""
    if is_memory(fault):
        return OriginalTooLarge("the original needs more memory than a worker may use")
    if any(phrase in str(fault).lower() for phrase in _NO_DECODER):
        return UnsupportedFormat("the original is in a format this node does not decode")
    return Undecodable("the original is damaged and cannot be decoded")


def is_memory(fault: Exception) -> bool:
    return isinstance(fault, MemoryError) or any(phrase in str(fault).lower() for phrase in _NO_MEMORY)


class _Checked(NamedTuple):
    """`content` is the input of the decoders; `canvas` is set for a GIF whose frames are composed here."""

    content: bytes
    header: Header
    canvas: gif.Stream | None


def _check(content: bytes, limits: InputLimits) -> _Checked:
    """Reads the header, checks the limits, and checks that no picture data is missing."""
    kind = sniff(content[:SNIFF_BYTES])
    if kind is None:
        raise UnsupportedFormat(NO_PICTURE)
    try:
        whole, scans = jpeg.read(content) if kind is Format.JPEG else (completed(kind, content), 1)
    except MemoryError as fault:
        raise fault_of_original(fault) from None
    if whole is None:
        raise Undecodable("the original is cut short")
    if scans > _MAX_SCANS:
        raise OriginalTooLarge(f"the original has more than {_MAX_SCANS} scans")
    stream = gif.read(whole.content) if kind is Format.GIF else None
    if stream is not None and not stream.frames:
        raise Undecodable("the original has no frame")
    try:
        header = _header(opened_image(whole.content), kind, stream, whole.content)
    except (pyvips.Error, MemoryError, UnicodeDecodeError) as fault:
        raise fault_of_original(fault) from None
    facts = header.facts
    check(limits, kind, Size(facts.width_px, facts.height_px), 1)
    if whole.doubts and not _are_alike(kind, whole.doubts, facts.pages):
        raise Undecodable("the original is cut short")
    return _Checked(whole.content, header, stream if stream is not None and stream.needs_canvas else None)


def _header(image: pyvips.Image, kind: Format, stream: gif.Stream | None, content: bytes) -> Header:
    colours = colours_of(image, kind, content)
    fields = image.get_fields()
    is_used = not colours.is_plain and colours.profile is None and PROFILE in fields
    return Header(
        _facts(image, kind, stream, len(content)),
        colours,
        pixel_bytes(image),
        image.interpretation,
        orientation(image),
        bytes(image.get(PROFILE)) if is_used else b"",
        (image.xres, image.yres),
        image.get(_RESOLUTION_UNIT) if _RESOLUTION_UNIT in fields else "",
        image.format != "uchar",
        "palette" in fields or (_BITS in fields and image.get(_BITS) < 8),
    )


def _are_alike(kind: Format, doubts: tuple[bytes, ...], pages: int) -> bool:
    """Whether every ending in `doubts` gives the same last page. The first must also decode without a warning if it is
    a JPEG, where a warning means missing data."""
    page = f"page={pages - 1}," if kind is Format.GIF else ""
    strictly = f"[{page}fail_on={'warning' if kind is Format.JPEG else 'error'}]"
    try:
        first = opened_image(doubts[0], strictly, access="sequential")
        if len(doubts) == 1:
            first.avg()
        for other in doubts[1:]:
            again = opened_image(other, f"[{page}fail_on=error]", access="sequential")
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


def _facts(header: pyvips.Image, kind: Format, stream: gif.Stream | None, size_bytes: int) -> Facts:
    """The facts of a header. Pages of a GIF are counted here, because libvips stops at ten thousand."""
    size = Size(header.width, header.height)
    if orientation(header) in SWAPPING_ORIENTATIONS:
        size = Size(size.height, size.width)
    pages = len(stream.frames) if stream is not None else header.get_n_pages()
    return Facts(
        format=kind,
        width_px=size.width,
        height_px=size.height,
        pages=pages,
        alpha=bool(header.hasalpha()) or (stream is not None and stream.shows_through),
        drawing=kind in _LOSSLESS and 8 * size_bytes <= _DRAWING_BITS * pixels(size) * pages,
    )


def orientation(header: pyvips.Image) -> int:
    """The EXIF orientation, 1 to 8."""
    return header.get(_ORIENTATION) if _ORIENTATION in header.get_fields() else 1
