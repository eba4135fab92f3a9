"""Which parameters of a URL have no effect, and which values were changed.

Compares the values that other modules made; decides nothing.
"""

from collections.abc import Iterator
from dataclasses import replace

from proxy.core.image.formats import TRAITS, Format
from proxy.core.transform.geometry import multiplied
from proxy.core.transform.operations import CENTER, Fit, Smart, Transform
from proxy.core.transform.plan import Crop, Encode, Pad, Plan, box_of
from proxy.core.url.dialects.native import VariantUrl
from proxy.core.url.notice import Notice


def ignored(granted: Transform, plan: Plan) -> list[str]:
    """The parameters that do not appear in the Plan, each with the reason."""
    unused: list[str] = []
    output = plan.output
    if not isinstance(output, Encode):
        return unused
    steps = {type(step) for step in plan.steps}
    if granted.fit is not None and not granted.has_box:
        unused.append("c: a fit needs both w and h")
    if granted.gravity is not None and not steps & {Crop, Pad}:
        unused.append("g: the picture is neither cropped nor padded")
    if isinstance(granted.gravity, Smart) and Pad in steps:
        unused.append("g: padding does not depend on the content")
    if granted.dpr_percent is not None and granted.width_px is granted.height_px is None:
        unused.append("dpr: there is neither w nor h to multiply")
    if granted.background is not None and Pad not in steps and output.flatten is None:
        unused.append("b: there is no padding, and the format has alpha")
    if granted.quality is not None and output.quality is None:
        unused.append("q: the format is lossless")
    if granted.gravity is Smart.FACE and granted.fit is Fit.COVER:
        unused.append("g: face detection is not available, auto is used")
    return unused


def clamped(parsed: VariantUrl, granted: Transform, max_side_px: int) -> list[str]:
    """The parameters with a changed value, each with the value that is used."""
    return [f"{name}: {made}" for name, (_, made) in _changed(parsed, granted, max_side_px).items()]


def notices(parsed: VariantUrl, granted: Transform, max_side_px: int) -> list[Notice]:
    """The items of `Calotype-Notice`: changed values, and values without an effect."""
    notices_ = [Notice(name, *values) for name, values in _changed(parsed, granted, max_side_px).items()]
    return notices_ + [
        Notice(name, *(",".join(parsed.params[name].write(of)) for of in (granted, instead)))
        for name, instead in _equivalents(parsed, granted)
    ]


def _changed(parsed: VariantUrl, granted: Transform, max_side_px: int) -> dict[str, tuple[str, str]]:
    """By name, the requested and the granted value where they differ. Both are in output pixels for a side that
    `max_side_px` limits."""
    own, got = parsed.own, granted
    most = TRAITS[granted.format].max_side_px if isinstance(granted.format, Format) else max_side_px
    box = box_of(granted, min(max_side_px, most))
    changed: dict[str, tuple[str, str]] = {}
    for name, token in parsed.params.items():
        values = ",".join(token.write(own)), ",".join(token.write(got))
        if values[0] and values[0] != values[1]:
            changed[name] = values
    for name, value in parsed.clamped:
        changed[name] = value, ",".join(parsed.params[name].write(got))
    for name, of, own_px, got_px in (
        ("w", box.width, own.width_px, got.width_px),
        ("h", box.height, own.height_px, got.height_px),
    ):
        if (multiplied(got_px, got.dpr_percent) or 0) > of:
            requested = multiplied(own_px, own.dpr_percent) or multiplied(got_px, got.dpr_percent)
            changed[name] = str(requested), str(of)
    return {name: changed[name] for name in parsed.params if name in changed}


def _equivalents(parsed: VariantUrl, granted: Transform) -> Iterator[tuple[str, Transform]]:
    """Parameters without an effect, each in a Transform that has an equivalent value."""
    fit_name = "c" if "c" in parsed.params else "fit"
    if not granted.has_box and granted.fit not in (None, Fit.INSIDE):
        yield fit_name, replace(granted, fit=Fit.INSIDE)
    if isinstance(granted.gravity, Smart) and granted.has_box and granted.fit is Fit.CONTAIN:
        yield "g", replace(granted, gravity=CENTER)
    elif granted.gravity is Smart.FACE:
        yield "g", replace(granted, gravity=Smart.ATTENTION)
