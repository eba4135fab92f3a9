"""What became of a URL, in words: which of its parameters have nothing to do, and which were moved.

Compares values that other rooms made; decides nothing.
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
    """Names of the tokens that leave no trace in the Plan, and why."""
    unused: list[str] = []
    output = plan.output
    if not isinstance(output, Encode):
        return unused
    steps = {type(step) for step in plan.steps}
    if granted.fit is not None and not granted.has_box:
        unused.append("c: a fit needs both w and h")
    if granted.gravity is not None and not steps & {Crop, Pad}:
        unused.append("g: nothing is cut or padded")
    if isinstance(granted.gravity, Smart) and Pad in steps:
        unused.append("g: bars are not placed by content")
    if granted.dpr_percent is not None and granted.width_px is granted.height_px is None:
        unused.append("dpr: there is neither w nor h to multiply")
    if granted.background is not None and Pad not in steps and output.flatten is None:
        unused.append("b: there are no bars, and the format keeps alpha")
    if granted.quality is not None and output.quality is None:
        unused.append("q: the format is lossless")
    if granted.gravity is Smart.FACE and granted.fit is Fit.COVER:
        unused.append("g: faces are not looked for, auto is used")
    return unused


def clamped(parsed: VariantUrl, granted: Transform, max_side_px: int) -> list[str]:
    """Names of the parameters whose value was moved into bounds, with the value that is used."""
    return [f"{name}: {made}" for name, (_, made) in _moved(parsed, granted, max_side_px).items()]


def notices(parsed: VariantUrl, granted: Transform, max_side_px: int) -> list[Notice]:
    """What a client is told with every answer to its URL: which values were moved, and which could not be used."""
    notices_ = [Notice(name, *values) for name, values in _moved(parsed, granted, max_side_px).items()]
    return notices_ + [
        Notice(name, *(",".join(parsed.params[name].write(of)) for of in (granted, instead)))
        for name, instead in _instead(parsed, granted)
    ]


def _moved(parsed: VariantUrl, granted: Transform, max_side_px: int) -> dict[str, tuple[str, str]]:
    """By name, the values that the URL asks and that were granted, where they differ. Of a side that `max_side_px` makes
    shorter, both are in output pixels."""
    said, got = parsed.own, granted
    most = TRAITS[granted.format].max_side_px if isinstance(granted.format, Format) else max_side_px
    box = box_of(granted, min(max_side_px, most))
    moved: dict[str, tuple[str, str]] = {}
    for name, token in parsed.params.items():
        values = ",".join(token.write(said)), ",".join(token.write(got))
        if values[0] and values[0] != values[1]:
            moved[name] = values
    for name, value in parsed.clamped:
        moved[name] = value, ",".join(parsed.params[name].write(got))
    for name, of, own_px, got_px in (
        ("w", box.width, said.width_px, got.width_px),
        ("h", box.height, said.height_px, got.height_px),
    ):
        if (multiplied(got_px, got.dpr_percent) or 0) > of:
            wanted = multiplied(own_px, said.dpr_percent) or multiplied(got_px, got.dpr_percent)
            moved[name] = str(wanted), str(of)
    return {name: moved[name] for name in parsed.params if name in moved}


def _instead(parsed: VariantUrl, granted: Transform) -> Iterator[tuple[str, Transform]]:
    """Names of parameters that have nothing to do as they are, each in a Transform with what does the same."""
    fit_name = "c" if "c" in parsed.params else "fit"
    if not granted.has_box and granted.fit not in (None, Fit.INSIDE):
        yield fit_name, replace(granted, fit=Fit.INSIDE)
    if isinstance(granted.gravity, Smart) and granted.has_box and granted.fit is Fit.CONTAIN:
        yield "g", replace(granted, gravity=CENTER)
    elif granted.gravity is Smart.FACE:
        yield "g", replace(granted, gravity=Smart.ATTENTION)
