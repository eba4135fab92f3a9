"""The options of a Cloudflare URL as operations, in the vendor's order, whatever the order in the URL.

The order is: trim, flip, rotation, size, colours, blur, sharpening, background.
"""

from collections.abc import Iterator
from dataclasses import replace

from proxy.core.errors import BadTransform
from proxy.core.transform.geometry import ratio
from proxy.core.transform.operations import (
    CENTER,
    WHITE,
    CloseUp,
    Crop,
    Effect,
    Enlarge,
    Fit,
    Flatten,
    Offset,
    Operation,
    Resize,
    Smart,
    Tone,
    Transform,
    Turn,
)
from proxy.core.url.dialects.cloudflare.readers import CloudflareOptions
from proxy.core.url.dialects.component import MAX_EFFECTS
from proxy.core.url.parsed_url import Unused


def transform(of: CloudflareOptions) -> Transform:
    """The operations and the output; options without an effect are added to `unused`. Raises BadTransform."""
    turn = of.flip
    if of.rotation is not None:
        turn = of.rotation if turn is None else turn.then(of.rotation)
    has_side = of.width_px is not None or of.height_px is not None
    size = _sized(of) if has_side else None
    _check_gravity(of, size)
    effects = list(_effects(of))
    if len(effects) > MAX_EFFECTS:
        raise BadTransform(
            f"the effects must be {MAX_EFFECTS} steps at most; a factor above 2 is several, and a background is one"
        )
    ops: list[Operation] = [*_trimmed(of)]
    ops += [turn] if turn is not None else []
    ops += [size] if size is not None else []
    return Transform(
        ops=(*ops, *effects),
        format=of.format,
        quality=of.quality,
        dpr_percent=of.dpr_percent if of.dpr_percent > 100 else None,
        background=of.background,
        page=1 if of.is_still else None,
        metadata=of.metadata,
    )


def _sized(of: CloudflareOptions) -> Resize:
    """The size; a dpr below 1, which a Transform does not have, is applied here."""
    fit, enlarge = of.fit
    if of.width_px is None or of.height_px is None:
        fit, enlarge = Fit.INSIDE, Enlarge.NEVER if enlarge is Enlarge.RATIO else enlarge
    size = Resize(width=of.width_px, height=of.height_px, fit=fit, enlarge=enlarge)
    if of.dpr_percent < 100:
        size = replace(size, width=_multiplied(of.width_px, of), height=_multiplied(of.height_px, of))
    if fit is Fit.COVER:
        near = of.gravity is Smart.FACES and of.zoom
        gravity = CloseUp(Smart.FACES, max(1, round(100 * near))) if near else of.gravity
        return replace(size, gravity=gravity or CENTER)
    return replace(size, background=of.background or WHITE) if fit is Fit.CONTAIN else size


def _multiplied(side_px: int | None, of: CloudflareOptions) -> int | None:
    return None if side_px is None else ratio(side_px, of.dpr_percent, 100)


def _check_gravity(of: CloudflareOptions, size: Resize | None) -> None:
    """Lists a gravity and a zoom without an effect."""
    is_cut = size is not None and size.fit is Fit.COVER
    if of.gravity is not None and not is_cut:
        of.unused.append(Unused("gravity", "the picture is not cropped", is_option=True))
    if of.zoom and not (is_cut and of.gravity is Smart.FACES):
        of.unused.append(Unused("zoom", "it needs gravity=face and a crop", is_option=True))


def _trimmed(of: CloudflareOptions) -> Iterator[Operation]:
    """Right and bottom are cut off the picture turned upside down, because its size is not known here."""
    if not of.trim_px and not of.trim_size:
        return
    sides = (of.trim_px.get(side, 0) for side in ("top", "right", "bottom", "left"))
    top, right, bottom, left = ((2 * px * of.dpr_percent + 100) // 200 for px in sides)
    width, height = (_multiplied(of.trim_size.get(side), of) for side in ("width", "height"))
    if top or left or width or height:
        yield Crop(width=width, height=height, at=Offset(left, top))
    right, bottom = 0 if width else right, 0 if height else bottom
    if right or bottom:
        yield from (Turn.R180, Crop(at=Offset(right, bottom)), Turn.R180)


def _effects(of: CloudflareOptions) -> Iterator[Effect]:
    for tone in (Tone.BRIGHTNESS, Tone.CONTRAST, Tone.SATURATION):
        yield from of.adjustments.get(tone, ())
    for effect in (of.gamma, of.blur, of.sharpen):
        if effect is not None:
            yield effect
    if of.background is not None and of.background.alpha == 255:
        yield Flatten(of.background)
