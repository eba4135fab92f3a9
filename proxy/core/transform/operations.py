"""Transform: the operations that a URL requests, in physical units, before anything about the original is known.

A field is None if the URL does not set it; `plan` has the defaults. URL syntax is not known here.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from proxy.core.image.formats import Format

_T = TypeVar("_T")


class Fit(StrEnum):
    """How a picture is fitted to its box; the words are those of CSS object-fit where CSS has one."""

    COVER = "cover"
    CONTAIN = "contain"
    INSIDE = "inside"
    OUTSIDE = "outside"
    FILL = "fill"


class Smart(StrEnum):
    """Gravity that depends on the pixels."""

    ATTENTION = "auto"
    ENTROPY = "entropy"
    FACE = "face"


@dataclass(frozen=True, slots=True)
class FocalPoint:
    """A point in fractions of the upright picture, 0 to 1 from the left and the top."""

    x: float
    y: float


Gravity = FocalPoint | Smart

CENTER = FocalPoint(0.5, 0.5)


class Turn(StrEnum):
    """A rotation clockwise in degrees, or a mirroring, after EXIF orientation and sizing."""

    R90 = "90"
    R180 = "180"
    R270 = "270"
    HFLIP = "hflip"
    VFLIP = "vflip"


@dataclass(frozen=True, slots=True)
class Colour:
    """sRGB, 0 to 255 a channel; alpha 255 is opaque."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @property
    def hex(self) -> str:
        opaque = f"{self.red:02x}{self.green:02x}{self.blue:02x}"
        return opaque if self.alpha == 255 else f"{opaque}{self.alpha:02x}"


WHITE = Colour(255, 255, 255)
BLACK = Colour(0, 0, 0)
TRANSPARENT = Colour(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Blur:
    """Gaussian blur; sigma in output pixels, 0.3 to 100."""

    sigma_px: float


@dataclass(frozen=True, slots=True)
class Sharpen:
    """Unsharp mask on lightness; sigma in output pixels, 0.3 to 10."""

    sigma_px: float


class Tone(StrEnum):
    """Colour adjustments; each takes a strength in per cent."""

    GRAYSCALE = "grayscale"
    SEPIA = "sepia"
    BRIGHTNESS = "brightness"
    CONTRAST = "contrast"
    SATURATION = "saturation"


@dataclass(frozen=True, slots=True)
class Adjust:
    """`percent` is -100 to 100, for grayscale and sepia 0 to 100; 0 changes nothing."""

    tone: Tone
    percent: int


Effect = Blur | Sharpen | Adjust


def changes_nothing(effect: Effect) -> bool:
    """Whether the effect leaves every picture as it is."""
    return isinstance(effect, Adjust) and effect.percent == 0


class Auto(StrEnum):
    """The format is negotiated with the client."""

    AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """`dpr_percent` is 100 to 400 and multiplies both sides; `version` makes URLs differ, but not cache entries."""

    width_px: int | None = None
    height_px: int | None = None
    fit: Fit | None = None
    gravity: Gravity | None = None
    format: Format | Auto | None = None
    quality: int | None = None
    dpr_percent: int | None = None
    background: Colour | None = None
    turn: Turn | None = None
    effects: tuple[Effect, ...] | None = None
    version: str | None = None

    @property
    def has_box(self) -> bool:
        """Whether both sides are set; without both a fit has no effect."""
        return self.width_px is not None and self.height_px is not None

    @property
    def needs_facts(self) -> bool:
        """Whether the output format depends on the original."""
        return self.format is None or self.format is Auto.AUTO


def overlay(below: Transform, above: Transform) -> Transform:
    """`above`, with the unset fields taken from `below`: the parameters of a URL override its preset."""
    return Transform(
        width_px=_first(above.width_px, below.width_px),
        height_px=_first(above.height_px, below.height_px),
        fit=_first(above.fit, below.fit),
        gravity=below.gravity if above.gravity is None else above.gravity,
        format=below.format if above.format is None else above.format,
        quality=_first(above.quality, below.quality),
        dpr_percent=_first(above.dpr_percent, below.dpr_percent),
        background=_first(above.background, below.background),
        turn=_first(above.turn, below.turn),
        effects=_first(above.effects, below.effects),
        version=_first(above.version, below.version),
    )


def _first(above: _T | None, below: _T | None) -> _T | None:
    return below if above is None else above
