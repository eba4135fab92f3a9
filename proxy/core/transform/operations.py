"""The language of operations: what a URL requests, in physical units, before anything about the original is known.

Every dialect translates its URLs into a Transform. Operations are applied from left to right, each to the result of the one
before it; the picture between two operations is called the canvas. URL syntax and vendors' words are not known here.
Longer than other files because it holds every operation.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import ceil

from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.conditions import Condition
from proxy.core.transform.lengths import WHOLE, Length, Part, Relative
from proxy.core.transform.quality_level import QualityLevel


class Fit(StrEnum):
    """How a picture is fitted to its box; the words are those of CSS object-fit where CSS has one. ADAPTIVE is COVER if
    picture and box are both at least as wide as high, or both higher than wide; else INSIDE."""

    COVER = "cover"
    CONTAIN = "contain"
    INSIDE = "inside"
    OUTSIDE = "outside"
    FILL = "fill"
    ADAPTIVE = "adaptive"


class Enlarge(StrEnum):
    """Whether a picture smaller than its box is enlarged. With ONLY a larger one is not reduced. With RATIO a cover or
    a fill is not enlarged, and its box is reduced to what the picture has of its ratio. With ORIGINAL the box is reduced to
    what the upright original has of its ratio, with CAPPED each of its sides in pixels to that of the upright original; the
    canvas is then enlarged to it."""

    ALLOW = "allow"
    NEVER = "never"
    ONLY = "only"
    RATIO = "ratio"
    ORIGINAL = "original"
    CAPPED = "capped"

    @property
    def by_original(self) -> bool:
        """Whether the box is compared with the original."""
        return self in (Enlarge.ORIGINAL, Enlarge.CAPPED)


class Rounding(StrEnum):
    """What becomes of a side that is no whole number of pixels; a side is at least 1."""

    HALF_UP = "up"
    HALF_EVEN = "even"
    DOWN = "down"


class Smart(StrEnum):
    """Gravity that depends on the pixels."""

    ATTENTION = "auto"
    ENTROPY = "entropy"
    FACE = "face"
    FACES = "faces"


FACE_GRAVITIES = (Smart.FACE, Smart.FACES)


@dataclass(frozen=True, slots=True)
class FocalPoint:
    """A point in fractions of the canvas, 0 to 1 from the left and the top."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Shifted:
    """A focal point, and lengths by which the box then moves to the right and down, within the canvas. Negative lengths
    move it to the left and up. In a Resize they are of its box's pixels, which a dpr multiplies."""

    point: FocalPoint
    x: Length
    y: Length


@dataclass(frozen=True, slots=True)
class OriginalPoint:
    """A point of the upright original in pixels, wherever it lies on the canvas."""

    x_px: int
    y_px: int


@dataclass(frozen=True, slots=True)
class CloseUp:
    """The largest face, or all of them (FACE or FACES), so near that the heads take `percent` of a side, 1 to 100, of what is cut
    out, as far as the picture reaches around them. `number` is one face in reading order, from 1, and the last one beyond the
    end. A crop with a side of its own has that, and is centred on them."""

    of: Smart
    percent: int
    number: int | None = None


Gravity = FocalPoint | Smart | CloseUp | Shifted | OriginalPoint

CENTER = FocalPoint(0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Offset:
    """The upper left corner of a crop, from that of the canvas; the box is cut back to the canvas."""

    x: Length
    y: Length


@dataclass(frozen=True, slots=True)
class Colour:
    """sRGB, 0 to 255 a channel; alpha 255 is opaque."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @classmethod
    def of_hex(cls, digits: str) -> "Colour":
        """The colour of rgb, rgba, rrggbb or rrggbbaa in hexadecimal, as in CSS."""
        return cls(*bytes.fromhex("".join(digit * 2 for digit in digits) if len(digits) < 6 else digits))

    @property
    def hex(self) -> str:
        opaque = f"{self.red:02x}{self.green:02x}{self.blue:02x}"
        return opaque if self.alpha == 255 else f"{opaque}{self.alpha:02x}"

    @property
    def on_white(self) -> "Colour":
        """This colour composited on white."""
        red, green, blue = (
            (channel * self.alpha + 255 * (255 - self.alpha) + 127) // 255
            for channel in (self.red, self.green, self.blue)
        )
        return Colour(red, green, blue)


OPAQUE = 255
"""The alpha of what covers all below it."""
WHITE = Colour(255, 255, 255)
BLACK = Colour(0, 0, 0)
TRANSPARENT = Colour(0, 0, 0, 0)


class Backdrop(StrEnum):
    """What fills the space around a picture, made of the picture itself: the pixels of its nearest edge; the picture blurred and
    as large as the space; or its most common colour, which an animation has of its first page."""

    EDGES = "edges"
    BLURRED = "blurred"
    DOMINANT = "dominant"


Background = Colour | Backdrop


def background_text(background: Background) -> str:
    """Its digits in hexadecimal, or its word."""
    return background.hex if isinstance(background, Colour) else background.value


def is_translucent(background: Background) -> bool:
    return isinstance(background, Colour) and background.alpha < OPAQUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Fits the canvas to a box. A side that is None follows the aspect of the canvas, or `ratio`, width to height, if given.

    COVER cuts the excess at `gravity`; CONTAIN pads to the box with `background`, and `gravity` divides the free space.
    A picture that came out smaller than `min_width_px` or `min_height_px` is enlarged to it, also against `enlarge`, and
    cut to the box at `gravity`. No side of the result exceeds `max_width_px` or `max_height_px`: the box, or what follows
    the canvas, is reduced to them in its aspect. Without width and height they are the box. `rounding` is that of sides which
    are parts of the canvas, or follow its aspect.
    """

    width: Length | None = None
    height: Length | None = None
    ratio: Fraction | None = None
    fit: Fit = Fit.INSIDE
    enlarge: Enlarge = Enlarge.NEVER
    gravity: Gravity = CENTER
    background: Background = WHITE
    min_width_px: int | None = None
    min_height_px: int | None = None
    max_width_px: int | None = None
    max_height_px: int | None = None
    rounding: Rounding = Rounding.HALF_UP

    @property
    def is_box(self) -> bool:
        """Whether both sides of the box are given, so that `fit` has an effect."""
        return self.ratio is not None or (self.width is not None and self.height is not None)

    @property
    def is_bounded(self) -> bool:
        """Whether the result has a least or a greatest side."""
        sides = (self.min_width_px, self.min_height_px, self.max_width_px, self.max_height_px)
        return any(side is not None for side in sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """Cuts a box out of the canvas. A side that is None reaches to the edge; `ratio`, width to height, then reduces the
    box. The box never exceeds the canvas; an empty one leaves the canvas as it is."""

    width: Length | None = None
    height: Length | None = None
    ratio: Fraction | None = None
    at: Gravity | Offset = CENTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """Embeds the canvas in a larger one of at least this size, or of this `ratio`, width to height; `gravity` divides
    the free space."""

    width_px: int | None = None
    height_px: int | None = None
    ratio: Fraction | None = None
    gravity: Gravity = CENTER
    background: Background = TRANSPARENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """Adds pixels around the canvas."""

    top_px: int = 0
    right_px: int = 0
    bottom_px: int = 0
    left_px: int = 0
    background: Background = TRANSPARENT

    @classmethod
    def around(cls, width_px: int, background: Background) -> "Pad":
        """The same on all sides."""
        return cls(
            top_px=width_px, right_px=width_px, bottom_px=width_px, left_px=width_px, background=background
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """Cuts off borders of one colour: of `colour`, or of the upper left pixel, or with `from_lower_right` of the lower right
    one; with a `colour` of alpha 0 transparent borders. `threshold`, 0 to 255, is how far a pixel may differ. With
    `equal_x` and `equal_y` opposite borders are cut alike."""

    threshold: float = 10
    colour: Colour | None = None
    from_lower_right: bool = False
    equal_x: bool = False
    equal_y: bool = False


class Turn(StrEnum):
    """A rotation clockwise in degrees, or a mirroring. TRANSPOSE and TRANSVERSE mirror horizontally, then rotate by 270
    and by 90 degrees."""

    R90 = "90"
    R180 = "180"
    R270 = "270"
    HFLIP = "hflip"
    VFLIP = "vflip"
    TRANSPOSE = "hflip.270"
    TRANSVERSE = "hflip.90"

    @property
    def swaps_sides(self) -> bool:
        """Whether width and height are exchanged."""
        return self in (Turn.R90, Turn.R270, Turn.TRANSPOSE, Turn.TRANSVERSE)

    @property
    def parts(self) -> tuple[bool, int]:
        """The turn as a horizontal mirroring, or none, before clockwise quarter rotations."""
        return _MIRRORED_AND_QUARTERS[self]

    def then(self, other: "Turn") -> "Turn | None":
        """The turn with the effect of both; None if they cancel out."""
        (mirrored, quarters), (mirrors, more) = self.parts, other.parts
        # A rotation before a mirroring is the opposite rotation after it.
        both = mirrored != mirrors, (more - quarters if mirrors else more + quarters) % 4
        return next((turn for turn, parts in _MIRRORED_AND_QUARTERS.items() if parts == both), None)


_MIRRORED_AND_QUARTERS = {
    Turn.R90: (False, 1),
    Turn.R180: (False, 2),
    Turn.R270: (False, 3),
    Turn.HFLIP: (True, 0),
    Turn.TRANSVERSE: (True, 1),
    Turn.VFLIP: (True, 2),
    Turn.TRANSPOSE: (True, 3),
}


@dataclass(frozen=True, slots=True)
class TurnToShape:
    """A quarter turn if the canvas has another shape: if it is higher than wide for `is_wide`, else if it is not."""

    turn: Turn
    is_wide: bool


@dataclass(frozen=True, slots=True)
class AsStored:
    """The turn that undoes the orientation which EXIF gives an original; nothing without one. Other operations see the
    original upright."""


@dataclass(frozen=True, slots=True)
class Blur:
    """Gaussian blur; sigma in output pixels, 0.3 to 100."""

    sigma_px: float


@dataclass(frozen=True, slots=True)
class Sharpen:
    """Unsharp mask on lightness; sigma in output pixels, 0.3 to 10."""

    sigma_px: float


@dataclass(frozen=True, slots=True)
class Pixelate:
    """Squares of the mean colour; `side_px` is in output pixels, 2 or more."""

    side_px: int


@dataclass(frozen=True, slots=True)
class Flatten:
    """Composites transparency on a colour."""

    colour: Colour


class Tone(StrEnum):
    """Colour adjustments; each takes a strength in per cent. GRAYSCALE_601 has the luma of ITU-R BT.601, as JPEG has it;
    SATURATION_HSP moves colours from and to the perceived brightness of the HSP model. VIBRANCE saturates colours the more, the
    less saturated they are. SHADOWS and HIGHLIGHTS lighten dark or light parts; black and white stay."""

    GRAYSCALE = "grayscale"
    GRAYSCALE_601 = "grayscale_601"
    SEPIA = "sepia"
    BRIGHTNESS = "brightness"
    CONTRAST = "contrast"
    SATURATION = "saturation"
    SATURATION_HSP = "saturation_hsp"
    VIBRANCE = "vibrance"
    SHADOWS = "shadows"
    HIGHLIGHTS = "highlights"


@dataclass(frozen=True, slots=True)
class Adjust:
    """`percent` is -100 to 100, for sepia and each grayscale 0 to 100; 0 changes nothing."""

    tone: Tone
    percent: int


class Remap(StrEnum):
    """Colour changes without a strength. NEGATE inverts colours, NEGATE_ALPHA also alpha. EQUALIZE spreads the values of
    each channel evenly. NORMALIZE stretches the lightness, from its lowest to its highest hundredth, to the whole range.
    EQUALIZE and NORMALIZE measure the first page."""

    NEGATE = "negate"
    NEGATE_ALPHA = "negate_alpha"
    EQUALIZE = "equalize"
    NORMALIZE = "normalize"


@dataclass(frozen=True, slots=True)
class Rgb:
    """Moves each channel by a per cent of 255, -100 to 100."""

    red: int
    green: int
    blue: int


@dataclass(frozen=True, slots=True)
class Colorize:
    """Mixes per cents, 0 to 100, of `colour` into each channel."""

    red: int
    green: int
    blue: int
    colour: Colour


@dataclass(frozen=True, slots=True)
class Tint:
    """The lightness of the picture, with the chroma of a colour in the middle tones."""

    colour: Colour


@dataclass(frozen=True, slots=True)
class Hue:
    """Rotates the hue; 1 to 359."""

    degrees: int


@dataclass(frozen=True, slots=True)
class Gamma:
    """Raises values, as parts of 255, to 1 / `gamma`, which is 0.1 to 10: above 1 brightens."""

    gamma: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """White from this luminance, 1 to 255, black below it; alpha likewise, opaque or transparent."""

    level: int


@dataclass(frozen=True, slots=True)
class Noise:
    """Moves all channels of each pixel by a random number of levels, between minus and plus a half of `levels`, 2 to 255.
    The numbers are the same for every picture."""

    levels: int


@dataclass(frozen=True, slots=True)
class Median:
    """The median of the square around each pixel; `side_px` is 2 to 15."""

    side_px: int


@dataclass(frozen=True, slots=True)
class Convolve:
    """The sum of the pixels around each pixel, times `weights` row by row, over `divisor`. `columns` and the number of
    rows are odd."""

    columns: int
    divisor: float
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Multiplies linear light by 2 to the power of `stops`, which are -5 to 5."""

    stops: float


@dataclass(frozen=True, slots=True)
class Duotone:
    """The luminance of the picture as colours between `dark` and `light`."""

    dark: Colour
    light: Colour


@dataclass(frozen=True, slots=True)
class UnsharpMask:
    """Adds `percent`, 1 to 500, of the difference to a Gaussian blur, where that exceeds `threshold`, 0 to 255 levels;
    sigma in output pixels, 0.3 to 10."""

    sigma_px: float
    percent: int
    threshold: int


@dataclass(frozen=True, slots=True)
class Vignette:
    """Darkens towards the corners, by `percent`, 1 to 100, in the corners themselves."""

    percent: int


@dataclass(frozen=True, slots=True)
class Opacity:
    """Multiplies alpha; `percent` is 0 to 99."""

    percent: int


@dataclass(frozen=True, slots=True)
class Rounded:
    """Makes transparent what is outside of rounded corners, with radii in output pixels, 0 to 9999, clockwise from the upper
    left. Radii that do not fit are reduced together, as CSS does with those of borders."""

    radii_px: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Makes transparent what is outside of the largest ellipse; of a square it is the circle."""


@dataclass(frozen=True, slots=True)
class BlurFaces:
    """Blurs every face with its head; sigma in output pixels, 0.3 to 100."""

    sigma_px: float


@dataclass(frozen=True, slots=True)
class PixelateFaces:
    """Pixelates every face with its head, in squares of `side_px` output pixels, 2 to 1000."""

    side_px: int


@dataclass(frozen=True, slots=True)
class Rotate:
    """Rotates clockwise by `degrees`, above 0 and below 360. The canvas becomes the box around the rotated one; `background`
    fills it."""

    degrees: float
    background: Colour = TRANSPARENT


@dataclass(frozen=True, slots=True)
class Outline:
    """Draws a line of `width_px`, 1 to 50, around the opaque parts; the canvas grows by it on all sides."""

    width_px: int
    colour: Colour

    @property
    def room(self) -> Pad:
        """What the canvas grows by."""
        return Pad.around(self.width_px, TRANSPARENT)


@dataclass(frozen=True, slots=True)
class Shadow:
    """Draws the shape of the opaque parts in a colour below them, moved to the right and down by `x_px` and `y_px`, -999 to 999,
    and blurred; sigma in output pixels, 0.3 to 100. The canvas grows by what it needs."""

    x_px: int
    y_px: int
    sigma_px: float
    colour: Colour

    @property
    def room(self) -> Pad:
        """What the canvas grows by."""
        reach = ceil(_BLUR_REACH * self.sigma_px)
        return Pad(
            top_px=max(0, reach - self.y_px),
            right_px=max(0, reach + self.x_px),
            bottom_px=max(0, reach + self.y_px),
            left_px=max(0, reach - self.x_px),
        )


_BLUR_REACH = 3
"""How many sigmas a blur reaches visibly."""

Filter = (
    Remap
    | Rgb
    | Colorize
    | Tint
    | Hue
    | Gamma
    | Threshold
    | Noise
    | Median
    | Convolve
    | Exposure
    | Duotone
    | UnsharpMask
    | Vignette
    | Opacity
    | Rounded
    | Ellipse
    | BlurFaces
    | PixelateFaces
    | Rotate
    | Outline
    | Shadow
)
"""Effects that an unsigned URL may have in presets only."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """Draws the last of the further originals over the picture. `share`, above 0 and at most 1, is its width, and `margin`
    its least distance from the edges, both of the picture's width; it is never higher than the picture. Pictures narrower than
    `least_width_px` have none."""

    share: float
    at: FocalPoint
    margin: float
    opacity_percent: int
    least_width_px: int


class Blend(StrEnum):
    """How the colours of a layer mix with those below it (W3C Compositing and Blending 1); the words are those of CSS."""

    NORMAL = "normal"
    MULTIPLY = "multiply"
    SCREEN = "screen"
    OVERLAY = "overlay"
    DARKEN = "darken"
    LIGHTEN = "lighten"
    COLOR_DODGE = "color-dodge"
    COLOR_BURN = "color-burn"
    HARD_LIGHT = "hard-light"
    SOFT_LIGHT = "soft-light"
    DIFFERENCE = "difference"
    EXCLUSION = "exclusion"


class Placing(StrEnum):
    """Where a layer is drawn: once over the picture, once under its transparent parts, or again and again over all of it."""

    OVER = "over"
    UNDER = "under"
    TILE = "tile"


class Align(StrEnum):
    """How the lines of a text are aligned to each other."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text, drawn in a font of the node. Lengths are in output pixels: `size_px`, 1 to 1000, is that of the em, `width_px`
    where lines wrap, `letter_px` and `line_px` what is added between letters and lines, `stroke_px` the width of an outline,
    and `padding_px` the width of the background around the lines. `weight` is 100 to 1000, as in CSS."""

    text: str
    family: str
    size_px: int
    weight: int = 400
    italic: bool = False
    underlined: bool = False
    struck: bool = False
    colour: Colour = BLACK
    width_px: int | None = None
    align: Align = Align.LEFT
    letter_px: int = 0
    line_px: int = 0
    stroke_px: int = 0
    stroke: Colour = BLACK
    background: Colour = TRANSPARENT
    padding_px: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Draws a layer: the first page of another original, which is named by a key as in a URL, or a text, or a rectangle of
    one colour. `number` is its place among the further originals, from 1, which the mount gives it; a colour is none. INSIDE
    fits it into the box, FILL stretches it; without sides it has its own size, and a colour that of the canvas. `at` divides
    the space around it. What lies outside of the canvas is not drawn."""

    of: str | Text | Colour
    number: int = 0
    width: Length | None = None
    height: Length | None = None
    fit: Fit = Fit.INSIDE
    at: FocalPoint | Shifted = CENTER
    opacity_percent: int = 100
    blend: Blend = Blend.NORMAL
    placing: Placing = Placing.OVER


Effect = Blur | Sharpen | Pixelate | Flatten | Adjust | Filter
"""Operations that URLs write among effects; Rotate, Outline and Shadow alone change the size."""

SingleOperation = (
    Resize | Crop | Extend | Pad | Trim | Turn | TurnToShape | AsStored | Effect | Overlay | Watermark
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The operations `then` if the condition holds for the canvas, `otherwise` if not."""

    condition: Condition
    then: tuple["Operation", ...]
    otherwise: tuple["Operation", ...] = ()


Operation = SingleOperation | Choice


def with_branches(ops: Iterable[Operation]) -> Iterator[Operation]:
    """`ops`, with the operations that a Choice may select behind it."""
    for op in ops:
        yield op
        if isinstance(op, Choice):
            yield from with_branches(op.then)
            yield from with_branches(op.otherwise)


class Metadata(StrEnum):
    """What of an original's metadata the variant has."""

    NONE = "none"
    COPYRIGHT = "copyright"


class Auto(StrEnum):
    """A format by rule. AUTO is negotiated with the client; JPEG_FOR_PNG is JPEG for a PNG if the variant has no
    transparency, else the format of the original."""

    AUTO = "auto"
    JPEG_FOR_PNG = "autojpg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """Operations in order, and the output; an output field is None if the URL does not set it.

    `quality` is on the scale of JPEG, 1 to 100, or a level; `qualities` has those for one format, and `encoder_qualities` those on the
    encoder's own scale, where None is every format without an own one. The most specific one applies. `max_bytes` reduces
    the quality until the variant is not larger, as far as that is possible. Transparency is flattened on `background` in
    formats without alpha. `dpr_percent`, 100 to 400, multiplies the pixels of Resize and not those of Crop. `page` is the
    one page or frame to draw, from 1, and the last one beyond the end; `frames` is how many frames of an animation to
    draw. `version` makes URLs differ, but not cache entries.
    `further` are the originals that operations use beside that of the URL, in order.
    """

    ops: tuple[Operation, ...] = ()
    format: Format | Auto | None = None
    quality: int | QualityLevel | None = None
    qualities: tuple[tuple[Format, int], ...] = ()
    encoder_qualities: tuple[tuple[Format | None, int], ...] = ()
    max_bytes: int | None = None
    dpr_percent: int | None = None
    background: Colour | None = None
    page: int | None = None
    frames: int | None = None
    metadata: Metadata | None = None
    version: str | None = None
    further: tuple[OriginalRef, ...] = ()

    @property
    def is_still(self) -> bool:
        """Whether the result has one frame, whatever the original is."""
        return self.page is not None or self.frames == 1

    @property
    def still_page(self) -> int | None:
        """The page of a still, from 1; None if the result may have several frames."""
        return self.page or 1 if self.is_still else None

    @property
    def needs_facts(self) -> bool:
        """Whether the output format depends on the original."""
        return not isinstance(self.format, Format)


NOTHING = Transform()


def changes_nothing(op: Operation) -> bool:
    """Whether the operation leaves every picture as it is."""
    match op:
        case Resize(width=None, height=None, max_width_px=None, max_height_px=None):
            return True
        case Resize(ratio=None, enlarge=enlarge) if enlarge is not Enlarge.ORIGINAL:
            return op.width in (None, WHOLE) and op.height in (None, WHOLE) and not op.is_bounded
        case Crop(width=None | Part() as width, height=None | Part() as height, ratio=None, at=at):
            is_whole = width in (None, WHOLE) and height in (None, WHOLE) and not isinstance(at, CloseUp)
            return is_whole and (not isinstance(at, Offset) or at == Offset(0, 0))
        case (
            Extend(width_px=None, height_px=None, ratio=None)
            | Pad(top_px=0, right_px=0, bottom_px=0, left_px=0)
        ):
            return True
        case Adjust(percent=0) | Pixelate(side_px=0 | 1) | Rgb(0, 0, 0) | Colorize(0, 0, 0) | Gamma(1):
            return True
        case Exposure(0) | Rounded((0, 0, 0, 0)):
            return True
        case Choice(_, then, otherwise):
            return not effective(then) and not effective(otherwise)
    return False


def simplified(op: Operation) -> Operation:
    """`op` without what has no effect, so that operations of equal pictures are equal."""
    match op:
        case Resize():
            op = with_most_as_box(op)
            fit = op.fit if op.is_box else Fit.INSIDE
            cuts = fit in (Fit.COVER, Fit.CONTAIN, Fit.ADAPTIVE) or op.min_width_px or op.min_height_px
            gravity = op.gravity if cuts else CENTER
            if fit is Fit.CONTAIN and isinstance(gravity, Smart | CloseUp):
                gravity = CENTER
            background = op.background if fit is Fit.CONTAIN else WHITE
            if (fit, gravity, background) == (op.fit, op.gravity, op.background):
                return op
            return replace(op, fit=fit, gravity=gravity, background=background)
        case Crop(width=width, height=height):
            if WHOLE in (width, height):
                op = replace(
                    op, width=None if width == WHOLE else width, height=None if height == WHOLE else height
                )
            is_whole = op.width is None and op.height is None and op.ratio is None
            return Crop() if is_whole and not isinstance(op.at, Offset | CloseUp) else op
        case _:
            return op


def with_most_as_box(op: Resize) -> Resize:
    """`op` with its greatest sides in its box, if that is the same."""
    if op.max_width_px is None and op.max_height_px is None:
        return op
    has_side = op.width is not None or op.height is not None
    if (op.is_box and op.fit is not Fit.INSIDE) or op.enlarge is Enlarge.ONLY:
        return op
    if op.enlarge.by_original or op.ratio is not None:
        return op
    if isinstance(op.width, Relative) or isinstance(op.height, Relative):
        return op
    return replace(
        op,
        width=_least(op.width, op.max_width_px),
        height=_least(op.height, op.max_height_px),
        enlarge=op.enlarge if has_side else Enlarge.NEVER,
        max_width_px=None,
        max_height_px=None,
        fit=Fit.INSIDE,
    )


def _least(*sides_px: int | None) -> int | None:
    return min((side_px for side_px in sides_px if side_px is not None), default=None)


def face_gravity(op: Operation) -> Smart | None:
    """FACE or FACES if the size or position of the result depends on where faces are."""
    match op:
        case (
            Resize(gravity=(Smart.FACE | Smart.FACES) as gravity)
            | Crop(at=(Smart.FACE | Smart.FACES) as gravity)
        ):
            return gravity
        case Resize(gravity=CloseUp(of=gravity)) | Crop(at=CloseUp(of=gravity)):
            return gravity
    return None


def hides_faces(ops: Iterable[Operation]) -> bool:
    """Whether `ops` make faces unrecognizable, so that no picture may be sent while it is unknown where they are."""
    return any(isinstance(op, BlurFaces | PixelateFaces) for op in with_branches(ops))


def flattening(background: Colour | None) -> Colour | None:
    """The colour that transparency is flattened on; None for white."""
    on_white = WHITE if background is None else background.on_white
    return None if on_white == WHITE else on_white


def effective(ops: Iterable[Operation]) -> tuple[Operation, ...]:
    """`ops` without everything that changes no picture: those of equal pictures become equal."""
    found: list[Operation] = []
    for op in ops:
        _add_effective(found, op)
    return tuple(found)


def _add_effective(found: list[Operation], op: Operation) -> None:
    last = found[-1] if found else None
    if isinstance(op, Choice):
        then, otherwise = effective(op.then), effective(op.otherwise)
        if then != otherwise:
            found.append(Choice(op.condition, then, otherwise))
            return
        for each in then:
            if isinstance(each, Choice):
                found.append(each)
            else:
                _add_effective(found, each)
    elif isinstance(op, Rotate) and op.degrees % 90 == 0:
        _add_effective(found, Turn(f"{op.degrees:g}"))
    elif isinstance(op, Turn) and isinstance(last, Turn):
        both = last.then(op)
        found[-1:] = [both] if both else []
    elif not changes_nothing(op):
        found.append(simplified(op))


def without_no_ops(transform: Transform) -> Transform:
    """`transform` without its version and everything that changes no picture: equivalent transforms become equal."""
    ops = effective(transform.ops)
    has_sides = any(isinstance(op, Resize | Extend | Pad) for op in with_branches(ops))
    return replace(
        transform,
        ops=ops,
        page=transform.still_page,
        frames=None if transform.is_still else transform.frames,
        metadata=None if transform.metadata is Metadata.NONE else transform.metadata,
        dpr_percent=transform.dpr_percent if has_sides and transform.dpr_percent != 100 else None,
        background=flattening(transform.background),
        version=None,
    )
