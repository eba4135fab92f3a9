"""One step of a chain of ImageKit as operations, in a fixed order: trim, size, rotation, effects, background."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from proxy.core.image.formats import Format
from proxy.core.transform.geometry import ratio as side_by_ratio
from proxy.core.transform.lengths import Length, Part, Relative, Sum
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    WHITE,
    Auto,
    Background,
    Blur,
    Colour,
    Crop,
    Effect,
    Ellipse,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Offset,
    Operation,
    Overlay,
    Pad,
    Resize,
    Rounded,
    Sharpen,
    Trim,
    Turn,
    UnsharpMask,
)
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.imagekit.parameters import MAX_DPR_SIDE_PX
from proxy.core.url.dialects.shared_values import Number, times

_TURNS = (None, Turn.R90, Turn.R180, Turn.R270)
FITS = {
    "maintain_ratio": (Fit.COVER, Enlarge.ALLOW),
    "force": (Fit.FILL, Enlarge.ALLOW),
    "at_max": (Fit.INSIDE, Enlarge.NEVER),
    "at_max_enlarge": (Fit.INSIDE, Enlarge.ALLOW),
    "at_least": (Fit.OUTSIDE, Enlarge.ALLOW),
}


# Frozen, with so many fields, it would take a tenth of the time of parsing.
@dataclass(slots=True, kw_only=True)
class Step:
    """The values of the transformations of a step; `quarters` are clockwise rotations."""

    width: Length | None = None
    height: Length | None = None
    ratio: Fraction | None = None
    crop: str = "maintain_ratio"
    mode: str = ""
    focus: Gravity = CENTER
    x_px: int | None = None
    y_px: int | None = None
    middle_x_px: int | None = None
    middle_y_px: int | None = None
    dpr: Number = 1
    default: str = ""
    trim: Trim | None = None
    quarters: int = 0
    flip: Turn | None = None
    background: Background | None = None
    contrast: Effect | None = None
    grayscale: Effect | None = None
    blur: Blur | None = None
    sharpen: Sharpen | None = None
    unsharp_mask: UnsharpMask | None = None
    shape: Rounded | Ellipse | None = None
    border: Pad | None = None
    layers: tuple[Overlay, ...] = ()
    format: tuple[Format | Auto | None] | None = None
    quality: int | None = None
    preset: str = ""
    is_original: str = "false"
    lossless: str = ""
    metadata: str = ""
    profile: str = ""

    @property
    def has_side(self) -> bool:
        return self.width is not None or self.height is not None

    @property
    def is_in_pixels(self) -> bool:
        return not (isinstance(self.width, Relative) or isinstance(self.height, Relative))

    @property
    def is_extracted(self) -> bool:
        """Whether the picture is cut and not resized."""
        return self.mode in ("extract", "pad_extract")

    @property
    def exceeds_dpr_limit(self) -> bool:
        """Whether a side times the dpr is so long that the dpr has no effect."""
        sides = (side for side in (self.width, self.height) if isinstance(side, int))
        return any(side * self.dpr > MAX_DPR_SIDE_PX for side in sides)

    def ops(self, factor: Number) -> Iterator[Operation]:
        """The operations, with sides times `factor`. Raises UnsupportedValue."""
        if self.trim is not None:
            yield self.trim
        yield from self._sized(factor)
        turn = _TURNS[self.quarters]
        if self.flip is not None:
            turn = self.flip if turn is None else turn.then(self.flip)
        if turn is not None:
            yield turn
        changes = (
            self.contrast,
            self.grayscale,
            self.blur,
            self.sharpen,
            self.unsharp_mask,
            self.border,
            self.shape,
        )
        for change in changes:
            if change is not None:
                yield change
        if isinstance(self.background, Colour) and self.background.alpha == 255:
            yield Flatten(self.background)
        yield from self.layers

    def _sized(self, factor: Number) -> Iterator[Operation]:
        if not self.has_side:
            return
        if self.is_extracted:
            yield from self._extracted()
            return
        width, height = _times(self.width, factor), _times(self.height, factor)
        ratio = self.ratio if width is None or height is None else None
        fit, enlarge = FITS[self.crop]
        is_box = ratio is not None or (width is not None and height is not None)
        if self.mode == "pad_resize":
            fit, enlarge = Fit.CONTAIN, Enlarge.ALLOW
        if not is_box:
            yield Resize(width=width, height=height, enlarge=enlarge)
            return
        is_placed = fit is Fit.COVER or (fit is Fit.CONTAIN and isinstance(self.focus, FocalPoint))
        yield Resize(
            width=width,
            height=height,
            ratio=ratio,
            fit=fit,
            enlarge=enlarge,
            gravity=self.focus if is_placed else CENTER,
            background=(self.background or BLACK) if fit is Fit.CONTAIN else WHITE,
        )

    def _extracted(self) -> Iterator[Operation]:
        width, height = self.width, self.height
        if self.ratio is not None and height is None and isinstance(width, int):
            height = side_by_ratio(width, self.ratio.denominator, self.ratio.numerator)
        elif self.ratio is not None and width is None and isinstance(height, int):
            width = side_by_ratio(height, self.ratio.numerator, self.ratio.denominator)
        x = _start(self.x_px, self.middle_x_px, width)
        y = _start(self.y_px, self.middle_y_px, height)
        has_corner = x is not None or y is not None
        yield Crop(width=width, height=height, at=Offset(x or 0, y or 0) if has_corner else self.focus)
        if self.mode == "pad_extract":
            if isinstance(width, Relative) or isinstance(height, Relative):
                raise UnsupportedValue("is not supported for a part of the side")
            yield Extend(width_px=width, height_px=height, background=self.background or BLACK)


def _times(side: Length | None, factor: Number) -> Length | None:
    match side:
        case int():
            return max(1, times(side, factor))
        case Part() | Sum():
            return side.times(Fraction(factor))
    return None


def _start(start_px: int | None, middle_px: int | None, side: Length | None) -> int | None:
    """Where a part begins that is given by its start or its middle."""
    if middle_px is None or start_px is not None:
        return start_px
    if not isinstance(side, int):
        raise UnsupportedValue("is not supported with a middle (xc, yc) and without pixels")
    return max(0, middle_px - side // 2)
