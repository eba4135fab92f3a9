"""The options of an imgproxy URL as operations, in imgproxy's order, whatever the order in the URL.

The order is: the picture as stored, trim, turn, crop, size, effects, extension, padding, background. So the sides, the
crop and the gravity are those of the upright and turned picture. Where native operations are the same, exactly they are
made: padding has the background already, as in native URLs, although imgproxy fills it at the end.
"""

from fractions import Fraction

from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    CENTER,
    TRANSPARENT,
    WHITE,
    AsStored,
    Colour,
    Crop,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Operation,
    Pad,
    Resize,
    Transform,
    Turn,
)
from proxy.core.url.dialects.imgproxy.readers import Requested
from proxy.core.url.dialects.native.params import MAX_PADDING_PX
from proxy.core.url.dialects.shared_values import Number, split_dpr

_NO_ZOOM = 1, 1


def transform(of: Requested) -> Transform:
    """The operations and the output."""
    has_side = bool(of.width_px or of.height_px)
    dpr, dpr_percent = _dpr(of, has_side=has_side)
    ops: list[Operation] = [*of.before]
    if of.as_stored:
        ops.append(AsStored())
    if of.trim is not None:
        ops.append(of.trim)
    if (turn := _turn(of)) is not None:
        ops.append(turn)
    if of.crop != (None, None):
        width, height = of.crop
        ops.append(Crop(width=width, height=height, at=of.crop_gravity or of.gravity))
    effects = [each for each in (of.blur, of.sharpen, of.pixelate) if each is not None]
    is_contained = _is_contained(of) and not effects
    if has_side:
        ops += _boxed(of, dpr, is_contained=is_contained)
    else:
        ops += _scaled(of, dpr)
    ops += effects
    if has_side and not is_contained:
        ops += _extended(of, dpr)
    if any(of.padding):
        top, right, bottom, left = (min(MAX_PADDING_PX, round(side * dpr)) for side in of.padding)
        background = of.background or TRANSPARENT
        ops.append(Pad(top_px=top, right_px=right, bottom_px=bottom, left_px=left, background=background))
    if of.flattens and of.background is not None:
        ops.append(Flatten(of.background))
    return Transform(
        ops=tuple(ops),
        format=of.format,
        quality=of.quality,
        qualities=tuple(sorted(of.qualities.items())),
        encoder_qualities=tuple(sorted(of.encoder_qualities.items(), key=lambda item: item[0] or "")),
        max_bytes=of.max_bytes or None,
        dpr_percent=dpr_percent,
        background=of.background,
        page=of.page,
        frames=of.frames,
        metadata=of.metadata,
        version=of.version,
    )


def _turn(of: Requested) -> Turn | None:
    """The rotation, then the flips, as one turn; None if they cancel out."""
    turn = of.rotation
    for flip in of.flips:
        turn = flip if turn is None else turn.then(flip)
    return turn


def _dpr(of: Requested, *, has_side: bool) -> tuple[Number, int | None]:
    """The dpr as a factor that is applied here, and as a dpr of the Transform, which applies the rest.

    Where a side is that of the picture, the dpr zooms it, and never beyond the original without `enlarge`."""
    if not has_side and not of.before:
        zoom = max(of.zoom)
        most = of.dpr * max(zoom, 1)
        return (of.dpr if of.enlarges else min(most, Fraction(1) / min(zoom, 1))), None
    if has_side and _is_stretched(of):
        return (of.dpr if of.enlarges else min(of.dpr, 1)), None
    return split_dpr(of.dpr)


def _is_stretched(of: Requested) -> bool:
    """Whether one side is changed and the other is that of the picture."""
    return of.fit is Fit.FILL and of.ratio is None and not (of.width_px and of.height_px)


def _scaled(of: Requested, dpr: Number) -> list[Operation]:
    """The size of a picture without a box."""
    ops: list[Operation] = []
    enlarge = _enlarge(of, Fit.FILL)
    zoom_x, zoom_y = of.zoom
    if not of.enlarges and max(of.zoom) > 1:
        zoom_x, zoom_y = Fraction(zoom_x) / max(of.zoom), Fraction(zoom_y) / max(of.zoom)
    if zoom_x * dpr != 1 or zoom_y * dpr != 1:
        ops.append(
            Resize(
                width=_part(zoom_x * dpr),
                height=_part(zoom_y * dpr),
                fit=Fit.FILL,
                enlarge=enlarge,
            )
        )
    if of.min_width_px or of.min_height_px:
        ops.append(
            Resize(min_width_px=_pixels(of.min_width_px, dpr), min_height_px=_pixels(of.min_height_px, dpr))
        )
    return ops


def _boxed(of: Requested, dpr: Number, *, is_contained: bool) -> list[Operation]:
    """The size of a picture in a box."""
    is_even = of.zoom[0] == of.zoom[1] or (of.fit is Fit.FILL and of.ratio is None)
    zoom_x, zoom_y = of.zoom if is_even else _NO_ZOOM
    width: int | Part | None = _pixels(of.width_px, zoom_x * dpr)
    height: int | Part | None = _pixels(of.height_px, zoom_y * dpr)
    fit = of.fit
    if width is None or height is None:
        if _is_stretched(of):
            width, height = width or _part(zoom_x * dpr), height or _part(zoom_y * dpr)
        elif of.ratio is None:
            fit = Fit.INSIDE
    if is_contained:
        fit = Fit.CONTAIN
    is_cut = fit in (Fit.COVER, Fit.ADAPTIVE) or bool(of.min_width_px or of.min_height_px)
    gravity = of.gravity if is_cut or fit is Fit.CONTAIN else CENTER
    ops: list[Operation] = [
        Resize(
            width=width,
            height=height,
            ratio=of.ratio if width is None or height is None else None,
            fit=fit,
            enlarge=_enlarge(of, fit),
            gravity=of.extend_gravity if is_contained else gravity,
            background=_padding_colour(of, fit, is_contained=is_contained),
            min_width_px=_pixels(of.min_width_px, dpr),
            min_height_px=_pixels(of.min_height_px, dpr),
        )
    ]
    if not is_even:
        ops.append(
            Resize(
                width=_part(of.zoom[0]),
                height=_part(of.zoom[1]),
                fit=Fit.FILL,
                enlarge=_enlarge(of, Fit.FILL),
            )
        )
    return ops


def _extended(of: Requested, dpr: Number) -> list[Operation]:
    """The extension to the box, and to its ratio; neither where the picture fills the box."""
    zoom_x, zoom_y = of.zoom
    has_box = bool(of.width_px and of.height_px)
    if of.fit is Fit.CONTAIN or (has_box and of.enlarges and of.fit in (Fit.COVER, Fit.FILL)):
        return []
    background = of.background or TRANSPARENT
    ops: list[Operation] = []
    if of.extends:
        width, height = _pixels(of.width_px, zoom_x * dpr), _pixels(of.height_px, zoom_y * dpr)
        ops.append(Extend(width_px=width, height_px=height, gravity=of.extend_gravity, background=background))
    if of.extends_ratio and has_box:
        ratio = Fraction(of.width_px, of.height_px) * zoom_x / zoom_y
        ops.append(Extend(ratio=ratio, gravity=of.ratio_gravity, background=background))
    return ops


def _is_contained(of: Requested) -> bool:
    """Whether fitting and extending are one native operation."""
    is_plain = of.zoom == _NO_ZOOM and not of.min_width_px and not of.min_height_px
    is_box = bool(of.width_px and of.height_px)
    return (
        of.extends
        and of.fit is Fit.INSIDE
        and is_plain
        and is_box
        and isinstance(of.extend_gravity, FocalPoint)
    )


def _padding_colour(of: Requested, fit: Fit, *, is_contained: bool) -> Colour:
    """The colour around a contained picture: transparent for imgproxy, white for a native preset."""
    if fit is not Fit.CONTAIN:
        return WHITE
    return of.background or (TRANSPARENT if is_contained else WHITE)


def _enlarge(of: Requested, fit: Fit) -> Enlarge:
    if of.enlarges:
        return Enlarge.ALLOW
    # Without `enlarge` a dpr is reduced to what the picture has, for both sides alike.
    has_ratio = fit is Fit.FILL or (fit is Fit.COVER and (of.is_fill_down or of.dpr > 1))
    return Enlarge.RATIO if has_ratio else Enlarge.NEVER


def _pixels(side_px: int, factor: Number) -> int | None:
    """Half up, at least 1; None for a side that is not given."""
    if not side_px or factor == 1:
        return side_px or None
    return max(1, int(side_px * factor + Fraction(1, 2)))


def _part(factor: Number) -> Part:
    return Part(Fraction(factor))
