"""Content negotiation: reduces Accept to a class, and chooses the output format from the class (RFC 9110 12.5.1).

The class is the set of modern formats that the header accepts, so that a URL has at most three cache entries for all
values of Accept. The node never answers 406.
"""

import re
from collections.abc import Iterable

from proxy.core.image.facts import Facts
from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.size import Size
from proxy.core.transform.layout import Embed, Rotation, boxed, outline, size_after
from proxy.core.transform.operations import (
    Auto,
    Choice,
    Ellipse,
    Extend,
    Fit,
    Flatten,
    Opacity,
    Operation,
    Outline,
    Pad,
    Resize,
    Rotate,
    Rounded,
    Shadow,
    Transform,
    effective,
    is_translucent,
)

AcceptClass = frozenset[Format]

_MODERN = {TRAITS[kind].mime: kind for kind in (Format.AVIF, Format.WEBP)}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_OWS = " \t"
"""Optional white space (RFC 9110 5.6.3); other Unicode white space is part of a name."""
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def accept_class(accept: str) -> AcceptClass:
    """The modern formats that `accept` names and does not refuse.

    `*/*` and `image/*` accept no modern format, because every client sends them. A weight of 0, or one that is not a
    qvalue (RFC 9110 12.4.2), refuses the type even if the header names it again.
    """
    accepted: set[Format] = set()
    refused: set[Format] = set()
    for element in _QUOTED.sub("", accept).lower().split(","):
        media_type, *parameters = element.split(";")
        kind = _MODERN.get(media_type.strip(_OWS))
        if kind is not None:
            (accepted if _weighs(parameters) else refused).add(kind)
    return frozenset(accepted - refused)


def _weighs(parameters: list[str]) -> bool:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip(_OWS) == "q":
            weight = value.strip(_OWS)
            return _QVALUE.fullmatch(weight) is not None and float(weight) > 0
    return True


def choose(
    transform: Transform, accepted: AcceptClass, auto: tuple[Format, ...], facts: Facts | None
) -> Format:
    """The output format. `facts` may be None only if `transform.needs_facts` is False."""
    if isinstance(transform.format, Format):
        return transform.format
    assert facts is not None
    if transform.format is Auto.AUTO:
        return _choose_auto(transform, accepted, auto, facts)
    is_reduced = transform.format is Auto.JPEG_FOR_PNG and facts.format is Format.PNG
    if TRAITS[facts.format].shown and not is_reduced:
        return facts.format
    return _universal(transform, facts)


def _choose_auto(
    transform: Transform, accepted: AcceptClass, auto: tuple[Format, ...], facts: Facts
) -> Format:
    usable = [kind for kind in auto if kind in accepted]
    if _is_small_drawing(transform, facts) and Format.WEBP in usable:
        usable = [kind for kind in usable if kind is not Format.AVIF]
    if facts.animated and not transform.is_still:
        return Format.WEBP if Format.WEBP in usable else Format.GIF
    return usable[0] if usable else _universal(transform, facts)


def _is_small_drawing(transform: Transform, facts: Facts) -> bool:
    """Whether a WebP has fewer bytes than an AVIF: of a small opaque drawing, as benchmarks/formats.py measures."""
    if not facts.drawing or facts.alpha:
        return False
    dpr_percent = transform.dpr_percent or 100
    ops = tuple(
        boxed(op, dpr_percent, _NO_LIMIT_PX) if isinstance(op, Resize) else op
        for op in effective(transform.ops)
    )
    return max(size_after(ops, _NO_LIMIT_PX, Size(facts.width_px, facts.height_px))) <= _SMALL_DRAWING_PX


def _universal(transform: Transform, facts: Facts) -> Format:
    """A format that every browser shows: PNG if the result may have transparency, of the original or of what is added
    around it, else JPEG."""
    ops, has_alpha = effective(transform.ops), facts.alpha
    if any(isinstance(op, Choice) for op in ops):
        return Format.PNG if _may_have_alpha(ops, has_alpha=has_alpha) else Format.JPEG
    size = Size(facts.width_px, facts.height_px)
    for command in outline(ops, _NO_LIMIT_PX, size):
        match command:
            case Embed(background=background):
                has_alpha = has_alpha or is_translucent(background)
            case Rotation(background=background):
                has_alpha = has_alpha or is_translucent(background)
            case Opacity() | Rounded() | Ellipse():
                has_alpha = True
            case Flatten():
                has_alpha = False
    return Format.PNG if has_alpha else Format.JPEG


def _may_have_alpha(ops: Iterable[Operation], *, has_alpha: bool) -> bool:
    """Whether a condition may select operations after which there is transparency. The sizes that decide it depend on the
    output too."""
    for op in ops:
        match op:
            case Choice(_, then, otherwise):
                branches = (then, otherwise)
                has_alpha = any(_may_have_alpha(branch, has_alpha=has_alpha) for branch in branches)
            case Flatten():
                has_alpha = False
            case Opacity() | Rounded() | Ellipse() | Outline() | Shadow():
                has_alpha = True
            case Extend() | Pad() | Rotate() | Resize(fit=Fit.CONTAIN):
                has_alpha = has_alpha or is_translucent(op.background)
    return has_alpha


_SMALL_DRAWING_PX = 100
_NO_LIMIT_PX = 1_000_000
