"""The values of the parameters of an imgix URL, by the fields of the table."""

from dataclasses import dataclass
from fractions import Fraction

from proxy.core.image.formats import Format
from proxy.core.transform.lengths import Length
from proxy.core.transform.operations import Colour, Crop, Effect, Metadata, Rounded, Turn
from proxy.core.url.dialects.shared_values import Number

_HALF = Fraction(1, 2)


# Frozen, with so many fields, it would take a third of the time of parsing.
_SQUARE = Rounded((0, 0, 0, 0))


@dataclass(slots=True, kw_only=True)
class ParameterValues:
    """The values of the parameters. Each is unset by default; `quarters` are rotations counter-clockwise."""

    width: Length | None = None
    height: Length | None = None
    fit: str = "clip"
    crops: tuple[str, ...] = ()
    ratio: Fraction | None = None
    region: Crop | None = None
    dpr: Number = 1
    min_width_px: int | None = None
    min_height_px: int | None = None
    max_width_px: int | None = None
    max_height_px: int | None = None
    focal_x: Number = _HALF
    focal_y: Number = _HALF
    zoom: Number = 1
    orientation: tuple[Turn, ...] | None = None
    quarters: int = 0
    flip: Turn | None = None
    trim: str = ""
    trim_colour: Colour | None = None
    trim_tolerance: Number = 0
    trim_mean_difference: Number = 11
    pad: int = 0
    pad_top: int | None = None
    pad_right: int | None = None
    pad_bottom: int | None = None
    pad_left: int | None = None
    background: Colour | None = None
    fill: str = "solid"
    fill_colour: Colour | None = None
    format: Format | None = None
    negotiates: bool = False
    is_compressed: bool = False
    quality: int | None = None
    disposition: str = ""
    colour_space: str = ""
    lossless: str = ""
    metadata: Metadata | None = None
    palette: str = ""
    colours: int | None = None
    prefix: str = "image"
    until_s: int | None = None
    page: int | None = None
    bri: Effect | None = None
    con: Effect | None = None
    sat: Effect | None = None
    gam: Effect | None = None
    hue: Effect | None = None
    invert: Effect | None = None
    sharp: Effect | None = None
    usm: Number = 0
    unsharp_radius: Number = Fraction("2.5")
    sepia: Effect | None = None
    monochrome: Effect | None = None
    vib: Effect | None = None
    exp: Effect | None = None
    high: Effect | None = None
    shad: Effect | None = None
    duotone: Effect | None = None
    duotone_alpha: str = ""
    mask: str = ""
    corners: Rounded = _SQUARE
    blur: Effect | None = None
    px: Effect | None = None

    @property
    def padding_px(self) -> tuple[int, int, int, int]:
        """Clockwise from the top."""
        return (
            self.pad if self.pad_top is None else self.pad_top,
            self.pad if self.pad_right is None else self.pad_right,
            self.pad if self.pad_bottom is None else self.pad_bottom,
            self.pad if self.pad_left is None else self.pad_left,
        )
