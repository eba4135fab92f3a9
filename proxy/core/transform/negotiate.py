"""Accept to class to format: the only place where a request header chooses what a picture is encoded as.

A header is reduced to the set of modern formats it accepts before any key is made, so that a URL has at most
three entries whatever browsers send (RFC 9110 12.5.1; never 406).
"""

import re

from proxy.core.image.facts import Facts
from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.size import Size
from proxy.core.transform.geometry import inside
from proxy.core.transform.operations import Auto, Fit, Transform

AcceptClass = frozenset[Format]

_MODERN = {TRAITS[kind].mime: kind for kind in (Format.AVIF, Format.WEBP)}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_OWS = " \t"
"""Optional white space (RFC 9110 5.6.3); what else Unicode calls white is part of a name."""
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def accept_class(accept: str) -> AcceptClass:
    """The modern formats that `accept` names and does not refuse.

    `*/*` and `image/*` promise nothing modern: every client sends them. A weight of 0, or one that is not a
    qvalue (RFC 9110 12.4.2), refuses, wherever else the type is named.
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
    """The output format. `facts` may be None only where `asked.needs_facts` is False."""
    if isinstance(transform.format, Format):
        return transform.format
    assert facts is not None
    if transform.format is Auto.AUTO:
        return _choose_auto(transform, accepted, auto, facts)
    if TRAITS[facts.format].shown:
        return facts.format
    return _promised(transform, facts)


def _choose_auto(
    transform: Transform, accepted: AcceptClass, auto: tuple[Format, ...], facts: Facts
) -> Format:
    usable = [kind for kind in auto if kind in accepted]
    if facts.animated:
        return Format.WEBP if Format.WEBP in usable else Format.GIF
    return usable[0] if usable else _promised(transform, facts)


def _promised(transform: Transform, facts: Facts) -> Format:
    """What every client shows, by whether anything is seen through the answer: the original, or bars around it."""
    return Format.PNG if facts.alpha or _has_bars_to_see_through(transform, facts) else Format.JPEG


def _has_bars_to_see_through(transform: Transform, facts: Facts) -> bool:
    if transform.fit is not Fit.CONTAIN or transform.width_px is None or transform.height_px is None:
        return False
    box, original = Size(transform.width_px, transform.height_px), Size(facts.width_px, facts.height_px)
    return (
        transform.background is not None
        and transform.background.alpha < _OPAQUE
        and inside(original, box, enlarge=True) != box
    )


_OPAQUE = 255
