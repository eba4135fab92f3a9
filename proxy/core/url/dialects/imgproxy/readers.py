"""The readers of imgproxy's options: each takes the arguments of one option and sets what they request.

A reader raises ValueError with a reason that repeats no byte of the request, and UnsupportedFormat. An option that is read
later overrides an earlier one. Longer than other files because it has a reader for each row of the table of options.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from proxy.core.errors import UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.lengths import Length
from proxy.core.transform.operations import (
    CENTER,
    Auto,
    Blur,
    Colour,
    Enlarge,
    Fit,
    Gravity,
    Metadata,
    Operation,
    Pixelate,
    Resize,
    Sharpen,
    Trim,
    Turn,
)
from proxy.core.transform.quality_level import QualityLevel
from proxy.core.url.dialects.component import Component, Presets, transform_of
from proxy.core.url.dialects.dialect import OnlyPolishes, UnsupportedValue
from proxy.core.url.dialects.imgproxy.values import (
    TYPES,
    WATERMARK_POSITIONS,
    crop_side,
    extend_gravity,
    factor,
    file_name,
    gravity,
    hex_colour,
    is_true,
    picture_format,
)
from proxy.core.url.dialects.native.filters import MAX_SQUARE_PX
from proxy.core.url.dialects.shared_values import (
    BLUR_MAX_PX,
    SHARPEN_MAX_PX,
    SIGMA_MIN_PX,
    Number,
    number,
    whole,
)
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import Unused


@dataclass(slots=True, kw_only=True)
class Requested:
    """The options of one URL while they are read; no other value of the dialect changes. A side of 0 is not given.

    `before` has the operations of presets that are more than one Resize: they precede everything else.
    """

    presets: Presets
    named: list[str] = field(default_factory=list)
    """The presets of the URL, each once."""
    is_preset: bool = True
    before: list[Operation] = field(default_factory=list)
    width_px: int = 0
    height_px: int = 0
    ratio: Fraction | None = None
    fit: Fit = Fit.INSIDE
    is_fill_down: bool = False
    enlarges: bool = False
    min_width_px: int = 0
    min_height_px: int = 0
    zoom: tuple[Number, Number] = (1, 1)
    dpr: Number = 1
    gravity: Gravity = CENTER
    crop: tuple[Length | None, Length | None] = (None, None)
    crop_gravity: Gravity | None = None
    trim: Trim | None = None
    rotation: Turn | None = None
    flips: tuple[Turn, ...] = ()
    blur: Blur | None = None
    sharpen: Sharpen | None = None
    pixelate: Pixelate | None = None
    extends: bool = False
    extend_gravity: Gravity = CENTER
    extends_ratio: bool = False
    ratio_gravity: Gravity = CENTER
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    background: Colour | None = None
    flattens: bool = False
    format: Format | Auto | None = None
    quality: int | QualityLevel | None = None
    qualities: dict[Format, int] = field(default_factory=dict)
    encoder_qualities: dict[Format | None, int] = field(default_factory=dict)
    max_bytes: int = 0
    page: int | None = None
    frames: int | None = None
    metadata: Metadata | None = None
    version: str | None = None
    until_s: int = 0
    file_name: str = ""
    is_attachment: bool = False
    skipped: frozenset[str] = frozenset()
    is_raw: bool = False
    as_stored: bool = False
    unused: list[Unused] = field(default_factory=list)
    reduced: list[Notice] = field(default_factory=list)


Reader = Callable[[Requested, Sequence[str]], None]


def sets(name: str, read: Callable[[str], object]) -> Reader:
    """The reader of an option with one argument."""

    def reader(to: Requested, args: Sequence[str]) -> None:
        setattr(to, name, read(args[0]))

    return reader


def read_type(to: Requested, text: str) -> None:
    if text not in TYPES:
        raise ValueError(f"takes one of {', '.join(TYPES)}{meant(nearest(text, TYPES))}")
    to.fit, to.is_fill_down, to.ratio = TYPES[text], text == "fill-down", None


def read_size(to: Requested, args: Sequence[str]) -> None:
    """`width:height:enlarge:extend:gravity:x:y`; an empty argument changes nothing."""
    for argument, name in zip(args, ("width_px", "height_px"), strict=False):
        if argument:
            setattr(to, name, whole(argument))
    if len(args) > 2 and args[2]:
        to.enlarges = is_true(args[2])
    if len(args) > 3 and args[3]:
        read_extend(to, args[3:])


def read_resize(to: Requested, args: Sequence[str]) -> None:
    if args[0]:
        read_type(to, args[0])
    read_size(to, args[1:])


def read_zoom(to: Requested, args: Sequence[str]) -> None:
    factors = [factor(each) for each in args]
    to.zoom = factors[0], factors[-1]


def read_extend(to: Requested, args: Sequence[str]) -> None:
    to.extends, to.extend_gravity = is_true(args[0]), extend_gravity(args[1:])


def read_extend_ratio(to: Requested, args: Sequence[str]) -> None:
    to.extends_ratio, to.ratio_gravity = is_true(args[0]), extend_gravity(args[1:])


def read_gravity(to: Requested, args: Sequence[str]) -> None:
    to.gravity = gravity(args)


def read_crop(to: Requested, args: Sequence[str]) -> None:
    to.crop = crop_side(args[0]), crop_side(args[1]) if len(args) > 1 else None
    to.crop_gravity = gravity(args[2:]) if len(args) > 2 else None


def read_trim(to: Requested, args: Sequence[str]) -> None:
    """`threshold:colour:equal_x:equal_y`."""
    threshold, colour, equal_x, equal_y = (*args, *("",) * (4 - len(args)))
    to.trim = None
    if threshold:
        of_levels = number(threshold)
        if of_levels < 0:
            raise ValueError("takes a threshold from 0")
        to.trim = Trim(
            threshold=float(round(min(of_levels, Fraction(255)), 2)),
            colour=hex_colour(colour) if colour else None,
            equal_x=is_true(equal_x),
            equal_y=is_true(equal_y),
        )


def read_padding(to: Requested, args: Sequence[str]) -> None:
    """`top:right:bottom:left`; a missing side is that of the opposite edge, and right that of the top."""
    top, right, bottom, left = (whole(text) if text else None for text in (*args, *("",) * (4 - len(args))))
    top = top or 0
    right = top if right is None else right
    to.padding = top, right, top if bottom is None else bottom, right if left is None else left


def read_auto_rotate(to: Requested, args: Sequence[str]) -> None:
    to.as_stored = not is_true(args[0])


def read_rotate(to: Requested, args: Sequence[str]) -> None:
    degrees = number(args[0])
    if degrees % 90:
        raise ValueError("must be a multiple of 90")
    to.rotation = Turn(str(degrees % 360)) if degrees % 360 else None


def read_flip(to: Requested, args: Sequence[str]) -> None:
    turns = zip(args, (Turn.HFLIP, Turn.VFLIP), strict=False)
    to.flips = tuple(turn for text, turn in turns if is_true(text))


def read_background(to: Requested, args: Sequence[str]) -> None:
    if len(args) == 3:
        to.background = Colour(*(whole(each, 0, 255) for each in args))
    elif len(args) == 1:
        to.background = hex_colour(args[0]) if args[0] else None
    else:
        raise ValueError("must be 3 or 6 hexadecimal digits, or three numbers from 0 to 255")
    to.flattens = to.background is not None


def _sigma(to: Requested, name: str, text: str, most_px: Fraction) -> float | None:
    """None for a sigma without an effect."""
    sigma = number(text)
    if sigma < 0:
        raise ValueError("must be a number from 0")
    if sigma > most_px:
        to.reduced.append(Notice(name, text, str(most_px)))
    return None if sigma < SIGMA_MIN_PX else float(round(min(sigma, most_px), 2))


def read_blur(to: Requested, args: Sequence[str]) -> None:
    sigma_px = _sigma(to, "blur", args[0], BLUR_MAX_PX)
    to.blur = None if sigma_px is None else Blur(sigma_px)


def read_sharpen(to: Requested, args: Sequence[str]) -> None:
    sigma_px = _sigma(to, "sharpen", args[0], SHARPEN_MAX_PX)
    to.sharpen = None if sigma_px is None else Sharpen(sigma_px)


def read_pixelate(to: Requested, args: Sequence[str]) -> None:
    side_px = min(whole(args[0]), MAX_SQUARE_PX)
    to.pixelate = Pixelate(side_px) if side_px > 1 else None


def read_watermark(to: Requested, args: Sequence[str]) -> None:
    """`opacity:position:x:y:scale`."""
    opacity = number(args[0])
    if not 0 <= opacity <= 1:
        raise ValueError("takes an opacity from 0 to 1")
    for text in filter(None, args[2:]):
        number(text)
    if len(args) > 1 and args[1] not in ("", *WATERMARK_POSITIONS):
        raise ValueError(f"takes one of {', '.join(WATERMARK_POSITIONS)} after the opacity")
    if opacity:
        raise UnsupportedValue("is not supported: the node has no watermark")


def read_format(to: Requested, args: Sequence[str]) -> None:
    kind = picture_format(args[0])
    if kind is None:
        raise UnsupportedFormat("option format names a format that the node does not write")
    to.format = kind


def _set_quality(to: Requested, kind: Format | None, quality: int) -> None:
    """0 is the default."""
    if quality:
        to.encoder_qualities[kind] = quality
    else:
        to.encoder_qualities.pop(kind, None)


def read_quality(to: Requested, args: Sequence[str]) -> None:
    _set_quality(to, None, whole(args[0], 0, 100))


def read_format_quality(to: Requested, args: Sequence[str]) -> None:
    if len(args) % 2:
        raise ValueError("takes pairs of a format and a quality")
    for name, quality in zip(args[::2], args[1::2], strict=True):
        kind, value = picture_format(name), whole(quality, 0, 100)
        if kind is not None:
            _set_quality(to, kind, value)


def read_file_name(to: Requested, args: Sequence[str]) -> None:
    to.file_name = file_name(args[0], is_base64=len(args) > 1 and is_true(args[1]))


def read_skip_processing(to: Requested, args: Sequence[str]) -> None:
    for name in args:
        picture_format(name)
    to.skipped = frozenset(args)


def read_preset(to: Requested, args: Sequence[str]) -> None:
    for position, name in enumerate(args, start=1):
        apply_preset(to, name, position)


def only(is_on: bool, reason: str) -> Reader:
    """The reader of a switch of which the node has one position."""

    def reader(_: Requested, args: Sequence[str]) -> None:
        if is_true(args[0]) is not is_on:
            raise OnlyPolishes(reason)

    return reader


def apply_preset(to: Requested, name: str, position: int) -> None:
    """Applies a preset of the node. One that is a single Resize, or none, gives values that options override; any
    other precedes the options. A preset that is named again changes nothing."""
    if name not in to.presets:
        near = meant(nearest(name, to.presets))
        raise UnsupportedValue(f"names no preset of this node: {named(name, position)}{near}")
    if name in to.named:
        return
    to.named.append(name)
    components = to.presets[name]
    output = transform_of(components)
    if len(components) > 1 or not _merged(to, components[0]):
        to.before += output.ops
    to.background = output.background or to.background
    to.format = output.format or to.format
    to.quality = output.quality or to.quality
    to.qualities |= dict(output.qualities)
    to.encoder_qualities |= dict(output.encoder_qualities)
    to.max_bytes = output.max_bytes or to.max_bytes
    to.page, to.frames = output.page or to.page, output.frames or to.frames
    to.metadata = output.metadata or to.metadata
    to.version = output.version or to.version
    if output.dpr_percent is not None:
        to.dpr = Fraction(output.dpr_percent, 100)


def _merged(to: Requested, component: Component) -> bool:
    """Takes over the size of `component` if it is nothing else, and returns whether it is."""
    match component.ops():
        case ():
            pass
        case (
            Resize(
                width=int() | None as width_px,
                height=int() | None as height_px,
                enlarge=Enlarge.ALLOW | Enlarge.NEVER,
                min_width_px=None,
                min_height_px=None,
                max_width_px=None,
                max_height_px=None,
            ) as op,
        ) if op.fit is not Fit.FILL or op.enlarge is Enlarge.ALLOW:
            to.width_px = width_px or to.width_px
            to.height_px = height_px or to.height_px
            to.ratio = component.ratio
            if component.fit is not None or component.enlarge is not None:
                to.fit, to.is_fill_down, to.enlarges = op.fit, False, op.enlarge is Enlarge.ALLOW
        case _:
            return False
    to.gravity = component.gravity or to.gravity
    return True
