"""The values of the parameters of an imgix URL, by the fields of the table."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from proxy.core.image.formats import Format
from proxy.core.transform.lengths import Length
from proxy.core.transform.operations import (
    BLACK,
    WHITE,
    Blend,
    BlurFaces,
    Colour,
    Crop,
    Effect,
    FocalPoint,
    Metadata,
    PixelateFaces,
    Rounded,
    Turn,
)
from proxy.core.url.dialects.shared_values import Number
from proxy.core.url.dialects.texts import GENERIC_FONT

_HALF = Fraction(1, 2)
LOWER_RIGHT = FocalPoint(1.0, 1.0)


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
    face_index: int | None = None
    face_padding: Number = 1
    face_blur: BlurFaces | None = None
    face_pixel: PixelateFaces | None = None
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
    blend: Colour | None = None
    blend_mode: Blend = Blend.OVERLAY
    blend_alpha: int = 100
    mark: str = ""
    mark_width: Length | None = None
    mark_height: Length | None = None
    mark_scale: Number = 0
    mark_fit: str = "clip"
    mark_align: FocalPoint = LOWER_RIGHT
    mark_pad: int = 10
    mark_x: int | None = None
    mark_y: int | None = None
    mark_alpha: int = 100
    mark_tile: str = ""
    text: str = ""
    text_font: tuple[str, dict[str, Any]] = (GENERIC_FONT, {})
    text_size: int = 12
    text_colour: Colour = BLACK
    text_width: int | None = None
    text_align: FocalPoint = LOWER_RIGHT
    text_pad: int = 10
    text_x: int | None = None
    text_y: int | None = None
    text_line: int = 0
    text_line_colour: Colour = WHITE
    text_track: int = 0
    text_lead: int = 0

    @property
    def padding_px(self) -> tuple[int, int, int, int]:
        """Clockwise from the top."""
        return (
            self.pad if self.pad_top is None else self.pad_top,
            self.pad if self.pad_right is None else self.pad_right,
            self.pad if self.pad_bottom is None else self.pad_bottom,
            self.pad if self.pad_left is None else self.pad_left,
        )
