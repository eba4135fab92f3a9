"""What became of a URL, in words: which of its parameters have nothing to do, and which were moved.

Compares values that other rooms made; decides nothing.
"""

from proxy.core.dialects.native import VariantAsked
from proxy.core.dialects.tokens import PATH
from proxy.core.geometry import multiplied
from proxy.core.notice import Notice
from proxy.core.plan import Crop, Pad, Plan
from proxy.core.transform import Fit, Smart, Transform


def ignored(granted: Transform, plan: Plan) -> list[str]:
    """Names of the tokens that leave no trace in the Plan, and why."""
    unused = []
    sides = [side for side in (granted.width_px, granted.height_px) if side is not None]
    steps = {type(step) for step in plan.steps}
    if granted.fit is not None and len(sides) < 2:
        unused.append("c: a fit needs both w and h")
    if granted.gravity is not None and not steps & {Crop, Pad}:
        unused.append("g: nothing is cut or padded")
    if isinstance(granted.gravity, Smart) and Pad in steps:
        unused.append("g: bars are not placed by content")
    if granted.dpr_percent is not None and not sides:
        unused.append("dpr: there is neither w nor h to multiply")
    if granted.background is not None and Pad not in steps and plan.encode.flatten is None:
        unused.append("b: there are no bars, and the format keeps alpha")
    if granted.quality is not None and plan.encode.quality is None:
        unused.append("q: the format is lossless")
    if granted.gravity is Smart.FACE and granted.fit is Fit.COVER:
        unused.append("g: faces are not looked for, auto is used")
    return unused


def clamped(asked: VariantAsked, granted: Transform, plan: Plan) -> list[str]:
    """Names of the tokens whose value was moved into bounds, with the value that is used."""
    tokens = {notice.parameter: notice.made for notice in moved(asked.own, granted)}
    tokens |= {name: ",".join(PATH[name].write(granted)) for name in asked.clamped}
    told = [f"{name}: {tokens[name]}" for name in PATH if name in tokens]
    box = plan.scale.box
    for name, side, most in (("w", granted.width_px, box.width), ("h", granted.height_px, box.height)):
        if (multiplied(side, granted.dpr_percent) or 0) > most:
            told.append(f"{name}: the box is scaled down to {box}")
    return told


def notices(asked: VariantAsked, granted: Transform) -> list[Notice]:
    """What a client is told of every answer to its URL."""
    told = moved(asked.own, granted)
    if granted.gravity is Smart.FACE:
        told.append(Notice("g", Smart.FACE, Smart.ATTENTION))
    return told


def moved(asked: Transform, granted: Transform) -> list[Notice]:
    """The tokens of a URL whose value is another in what was granted."""
    values = {name: (token.write(asked), token.write(granted)) for name, token in PATH.items()}
    return [
        Notice(name, ",".join(said), ",".join(got))
        for name, (said, got) in values.items()
        if said and said != got
    ]
