"""The parameters of an imgix URL as operations, in imgix's order, whatever the order in the URL.

The order is: the frame, the orientation, the region, a trim, the size, rotations, colours, padding, blur and squares,
the background. imgix adjusts colours before the size; per pixel that is the same, and here they follow the size, as in
native URLs.
"""

from dataclasses import replace
from fractions import Fraction

from proxy.core.errors import BadTransform
from proxy.core.image.formats import Format
from proxy.core.transform.geometry import ratio as side_by_ratio
from proxy.core.transform.lengths import Length, Part, Relative, Sum
from proxy.core.transform.operations import (
    TRANSPARENT,
    WHITE,
    AsStored,
    Auto,
    Backdrop,
    CloseUp,
    Crop,
    Effect,
    Ellipse,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Operation,
    Pad,
    Resize,
    Rounded,
    Smart,
    Transform,
    Trim,
    Turn,
    UnsharpMask,
)
from proxy.core.url.dialects.component import MAX_EFFECTS
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.imgix.layers import layers
from proxy.core.url.dialects.imgix.parameter_values import ParameterValues
from proxy.core.url.dialects.native.params import MAX_PADDING_PX
from proxy.core.url.dialects.shared_values import SHARPEN_MAX_PX, Number, sigma, split_dpr, times

COMPRESSED_QUALITY = 45
_SMART = {"faces": Smart.FACES, "entropy": Smart.ENTROPY, "edges": Smart.ATTENTION}
_TURNS = (None, Turn.R270, Turn.R180, Turn.R90)
"""Counter-clockwise, by the number of quarters."""


def transform(of: ParameterValues) -> Transform:
    """The operations and the output. Raises UnsupportedValue or BadTransform."""
    factor, dpr_percent = _dpr(of)
    padding: tuple[int, ...] = of.padding_px
    if factor != 1:
        padding = tuple(min(MAX_PADDING_PX, times(side_px, factor)) for side_px in padding)
    ops: list[Operation] = []
    if of.orientation is not None:
        ops += [AsStored(), *of.orientation]
    if of.region is not None:
        ops.append(of.region)
    if of.trim:
        ops.append(_trim(of))
    colours = [effect for effect in _colours(of) if effect is not None]
    ops += _sized(of, factor, padding, colours)
    if any(padding):
        top, right, bottom, left = padding
        background = of.background or TRANSPARENT
        ops.append(Pad(top_px=top, right_px=right, bottom_px=bottom, left_px=left, background=background))
    hiding = (of.face_blur, of.face_pixel)
    last = [effect for effect in (*hiding, of.blur, of.px, _shape(of)) if effect is not None]
    if of.background is not None and of.background.alpha == 255:
        last.append(Flatten(of.background))
    if len(colours) + len(last) > MAX_EFFECTS:
        raise BadTransform(f"the URL has more than {MAX_EFFECTS} effects and a background")
    return Transform(
        ops=(*ops, *last, *layers(of)),
        format=_format(of),
        quality=COMPRESSED_QUALITY if of.quality is None and of.is_compressed else of.quality,
        dpr_percent=dpr_percent,
        background=of.background,
        page=of.page,
        metadata=of.metadata,
    )


def _shape(of: ParameterValues) -> Rounded | Ellipse | None:
    match of.mask:
        case "ellipse":
            return Ellipse()
        case "corners":
            return of.corners
    return None


def _format(of: ParameterValues) -> Format | Auto | None:
    if of.negotiates:
        return Auto.AUTO
    return Auto.JPEG_FOR_PNG if of.format is None and of.is_compressed else of.format


def _dpr(of: ParameterValues) -> tuple[Number, int | None]:
    """The dpr as a factor that is applied here, and as a dpr of the Transform, which applies the rest."""
    sides = (of.width, of.height)
    if of.dpr == 1 or sides == (None, None):
        return 1, None
    is_plain = not any(of.padding_px) and of.max_width_px is None and of.max_height_px is None
    is_plain = is_plain and not any(isinstance(side, Relative) for side in sides)
    return split_dpr(of.dpr) if is_plain else (of.dpr, None)


def _trim(of: ParameterValues) -> Trim:
    if of.trim == "auto":
        return Trim(threshold=_level(of.trim_mean_difference))
    colour = TRANSPARENT if of.trim == "alpha" else of.trim_colour
    return Trim(threshold=_level(of.trim_tolerance), colour=colour)


def _level(value: Number) -> float:
    return float(round(value, 2))


def _gravity(of: ParameterValues) -> Gravity:
    """The point or the content that a crop preserves. Sides of an axis that are not named are its middle."""
    x = y = 0.5
    for word in of.crops:
        match word:
            case "left" | "right":
                x = 0.0 if word == "left" else 1.0
            case "top" | "bottom":
                y = 0.0 if word == "top" else 1.0
            case "focalpoint":
                return FocalPoint(_share(of.focal_x), _share(of.focal_y))
            case _:
                return _SMART[word]
    return FocalPoint(x, y)


def _share(value: Number) -> float:
    return float(round(Fraction(value), 4))


def _zoomed(of: ParameterValues, point: FocalPoint) -> tuple[Crop, FocalPoint]:
    """The part of the picture that a zoom shows, and the point in it."""
    part = 1 / Fraction(of.zoom)
    x, y = (_share(_position(Fraction(at), part)) for at in (of.focal_x, of.focal_y))
    return Crop(width=Part(part), height=Part(part), at=point), FocalPoint(x, y)


def _position(at: Fraction, part: Fraction) -> Fraction:
    """Where a point lies in a part of a side that is centred on it, and moved to lie within the side."""
    start = max(Fraction(0), min(1 - part, at - part / 2))
    return (at - start) / part


def _box(
    of: ParameterValues, factor: Number, padding: tuple[int, ...]
) -> tuple[Length | None, Length | None]:
    """The sides of the picture within its padding."""
    top, right, bottom, left = padding
    width, height = of.width, of.height
    if of.fit == "crop":
        bounds = (of.min_width_px, of.min_height_px, of.max_width_px, of.max_height_px)
        if of.ratio is not None and any((*padding, *bounds)):
            if height is None and isinstance(width, int):
                height = side_by_ratio(width, of.ratio.denominator, of.ratio.numerator)
            elif width is None and isinstance(height, int):
                width = side_by_ratio(height, of.ratio.numerator, of.ratio.denominator)
        width = _bounded(width, of.min_width_px, of.max_width_px)
        height = _bounded(height, of.min_height_px, of.max_height_px)
    return _within(width, factor, left + right), _within(height, factor, top + bottom)


def _bounded(side: Length | None, least_px: int | None, most_px: int | None) -> Length | None:
    if not isinstance(side, int):
        return side
    return max(least_px or 1, min(side, most_px or side))


def _within(side: Length | None, factor: Number, padding_px: int) -> Length | None:
    match side:
        case int():
            return max(1, times(side, factor) - padding_px)
        case Part() | Sum():
            return side.times(Fraction(factor))
    return None


def _sized(
    of: ParameterValues, factor: Number, padding: tuple[int, ...], colours: list[Effect]
) -> list[Operation]:
    """The size, the rotations, and the colours, which do not change what fills the rest of a box."""
    width, height = _box(of, factor, padding)
    turn = _TURNS[of.quarters]
    if of.flip is not None:
        turn = of.flip if turn is None else turn.then(of.flip)
    turns = [] if turn is None else [turn]
    is_box = width is not None and height is not None
    if of.quarters % 2:
        if not is_box or of.fit not in ("crop", "scale"):
            raise UnsupportedValue(
                "is not supported in steps of 90 degrees without w, h and fit=crop or fit=scale"
            )
        cover = Resize(width=width, height=height, fit=Fit.COVER, enlarge=Enlarge.ALLOW)
        return [*_fitted(of, width, height, factor), *turns, cover, *colours]
    if of.fit == "clamp" and is_box:
        if not isinstance(width, int) or not isinstance(height, int):
            raise UnsupportedValue("is not supported with parts of the original beside fit=clamp")
        inside = Resize(width=width, height=height, enlarge=Enlarge.ALLOW)
        return [inside, *turns, *colours, Extend(width_px=width, height_px=height, background=Backdrop.EDGES)]
    if not is_box or of.fit not in ("fill", "fillmax"):
        return [*_fitted(of, width, height, factor), *turns, *colours]
    background = Backdrop.BLURRED if of.fill == "blur" else of.fill_colour or of.background or WHITE
    enlarge = Enlarge.ALLOW if of.fit == "fill" else Enlarge.NEVER
    if colours and isinstance(width, int) and isinstance(height, int):
        inside = Resize(width=width, height=height, enlarge=enlarge)
        extend = Extend(width_px=width, height_px=height, background=background)
        return [inside, *turns, *colours, extend]
    contain = Resize(width=width, height=height, fit=Fit.CONTAIN, enlarge=enlarge, background=background)
    return [contain, *turns, *colours]


def _fitted(
    of: ParameterValues, width: Length | None, height: Length | None, factor: Number
) -> list[Operation]:
    """The size by a fit that does not pad."""
    is_box = width is not None and height is not None
    if width is None and height is None and of.fit not in ("crop", "min", "facearea"):
        return []
    match of.fit:
        case "crop" | "min":
            return _cropped(of, width, height, factor)
        case "facearea":
            return _around_faces(of, width, height)
        case "scale" if is_box:
            return [Resize(width=width, height=height, fit=Fit.FILL, enlarge=Enlarge.ALLOW)]
        case "max" | "fillmax":
            return [Resize(width=width, height=height, enlarge=Enlarge.NEVER)]
        case _:
            return [Resize(width=width, height=height, enlarge=Enlarge.ALLOW)]


def _around_faces(of: ParameterValues, width: Length | None, height: Length | None) -> list[Operation]:
    """The area of the faces, or of one, with its padding; for a box at least that, in the ratio of the box."""
    gravity = CloseUp(
        Smart.FACES if of.face_index is None else Smart.FACE,
        max(1, round(100 / Fraction(of.face_padding))),
        of.face_index,
    )
    size = Resize(width=width, height=height, enlarge=Enlarge.ALLOW)
    if width is None or height is None:
        return [Crop(at=gravity), *([size] if width or height else [])]
    return [replace(size, fit=Fit.COVER, gravity=gravity)]


def _cropped(
    of: ParameterValues, width: Length | None, height: Length | None, factor: Number
) -> list[Operation]:
    gravity = _gravity(of)
    ops: list[Operation] = []
    if isinstance(gravity, FocalPoint) and "focalpoint" in of.crops and of.zoom > 1:
        zoomed, gravity = _zoomed(of, gravity)
        ops.append(zoomed)
    if width is not None and height is not None:
        enlarge = Enlarge.ALLOW if of.fit == "crop" else Enlarge.RATIO
        return [*ops, Resize(width=width, height=height, fit=Fit.COVER, enlarge=enlarge, gravity=gravity)]
    has_side = width is not None or height is not None
    if of.fit == "min":
        return [*ops, Resize(width=width, height=height)] if has_side else ops
    if of.ratio is not None:
        if not has_side:
            return [*ops, Crop(ratio=of.ratio, at=gravity)]
        return [
            *ops,
            Resize(
                width=width,
                height=height,
                ratio=of.ratio,
                fit=Fit.COVER,
                enlarge=Enlarge.ALLOW,
                gravity=gravity,
            ),
        ]

    def bound(side: Length | None, bound_px: int | None) -> int | None:
        """The bound of a side that follows the picture; that of another one is in it already."""
        return None if side is not None or bound_px is None else times(bound_px, factor)

    if has_side:
        ops.append(
            Resize(
                width=width,
                height=height,
                enlarge=Enlarge.ALLOW,
                gravity=gravity,
                min_width_px=bound(width, of.min_width_px),
                min_height_px=bound(height, of.min_height_px),
            )
        )
    most = bound(width, of.max_width_px), bound(height, of.max_height_px)
    if any(most):
        ops.append(Crop(width=most[0], height=most[1], at=gravity))
    return ops


def _colours(of: ParameterValues) -> list[Effect | None]:
    """The adjustments of colours and sharpness."""
    unsharp = UnsharpMask(sigma(of.unsharp_radius, SHARPEN_MAX_PX), round(of.usm), 0) if of.usm >= 1 else None
    duotone = of.duotone if of.duotone_alpha != "0" else None
    tones = (of.bri, of.con, of.exp, of.gam, of.high, of.shad, of.sat, of.vib, of.hue, of.invert)
    return [*tones, unsharp, of.sharp, of.sepia, of.monochrome, duotone]
