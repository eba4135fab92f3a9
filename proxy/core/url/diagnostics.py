"""Which parameters of a URL have no effect, and which values were changed.

Compares the values that other modules made; decides nothing.
"""

from collections.abc import Iterable, Iterator

from proxy.core.image.formats import TRAITS, Format
from proxy.core.transform.geometry import ratio
from proxy.core.transform.layout import boxed
from proxy.core.transform.operations import (
    Extend,
    Fit,
    Flatten,
    Metadata,
    Operation,
    Pad,
    Resize,
    Smart,
    Transform,
    face_gravity,
    simplified,
    with_branches,
)
from proxy.core.transform.plan import Encode, Plan
from proxy.core.url.dialects.component import Component, components_of
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import VariantUrl


def ignored(parsed: VariantUrl, granted: Transform, plan: Plan) -> list[str]:
    """The parameters that do not appear in the Plan, each with the reason."""
    unused = [f"{each.parameter}: {each.reason}" for each in parsed.unused]
    output = plan.output
    if not isinstance(output, Encode):
        return unused
    ops = list(with_branches(granted.ops))
    resized = [op for op in ops if isinstance(op, Resize)]
    if granted.dpr_percent is not None and not resized:
        unused.append("dpr: there is neither w nor h to multiply")
    shows = any(op.fit is Fit.CONTAIN for op in resized) or any(
        isinstance(op, Extend | Pad | Flatten) for op in ops
    )
    if granted.background is not None and not shows and output.flatten is None:
        unused.append("b: there is no padding, and the format has alpha")
    if granted.quality is not None and output.quality is None:
        unused.append("q: the format is lossless")
    if granted.frames is not None and (granted.page is not None or not TRAITS[output.format].animation):
        unused.append("frames: the variant has one frame")
    if granted.metadata is Metadata.COPYRIGHT and not output.keeps_copyright:
        unused.append("meta: the format has no metadata")
    if not plan.face_detector and without_faces(granted.ops):
        unused.append("g: face detection is not available, auto is used")
    return unused


def clamped(parsed: VariantUrl, granted: Transform, max_side_px: int) -> list[str]:
    """The parameters with a changed value, each with the value that is used."""
    found = [*parsed.reduced, *_changed(parsed, granted, max_side_px)]
    return [f"{changed.parameter}: {changed.applied}" for changed in found]


def notices(
    parsed: VariantUrl, granted: Transform, max_side_px: int, *, finds_faces: bool = False
) -> list[Notice]:
    """The items of `Calotype-Notice`: changed values, values without an effect, and ignored options of a vendor.
    `finds_faces`: there is a face detector, so that only a variant knows whether its original has a face."""
    found = [*parsed.reduced, *_changed(parsed, granted, max_side_px)]
    found += [Notice(each.parameter, each.requested, each.applied) for each in parsed.unused if each.applied]
    found += [Notice(each.parameter) for each in parsed.unused if each.is_option and not each.applied]
    return found if finds_faces else found + without_faces(granted.ops)


def without_faces(ops: Iterable[Operation]) -> list[Notice]:
    """The items for attention in the place of faces, one for each word."""
    words = filter(None, (face_gravity(simplified(op)) for op in with_branches(ops)))
    return [Notice("g", word, Smart.ATTENTION) for word in dict.fromkeys(words)]


def _changed(parsed: VariantUrl, granted: Transform, max_side_px: int) -> Iterator[Notice]:
    """The requested and the granted value where they differ. Both are in output pixels for a side that `max_side_px`
    limits."""
    most = TRAITS[granted.format].max_side_px if isinstance(granted.format, Format) else max_side_px
    if not parsed.clamped and granted == parsed.transform and not _exceeds(granted, min(max_side_px, most)):
        return
    out_of_range = dict(parsed.clamped)
    for requested, got in zip(components_of(parsed.transform), components_of(granted), strict=True):
        limited = _limited(
            requested, got, min(max_side_px, most), parsed.transform.dpr_percent, granted.dpr_percent
        )
        for name, param in parsed.params.items():
            own, made = ",".join(param.write(requested)), ",".join(param.write(got))
            if own != made or name in limited or (name in out_of_range and made):
                yield Notice(name, *limited.get(name, (out_of_range.get(name, own), made)))


def _exceeds(transform: Transform, most_px: int) -> bool:
    """Whether a side of the transform, in output pixels, exceeds `most_px`. Most do not, and their values
    need not be compared."""
    return any(
        isinstance(side, int) and ratio(side, transform.dpr_percent or 100, 100) > most_px
        for op in with_branches(transform.ops)
        if isinstance(op, Resize)
        for side in (op.width, op.height)
    )


def _limited(
    requested: Component, got: Component, most_px: int, own_dpr: int | None, got_dpr: int | None
) -> dict[str, tuple[str, str]]:
    """By name, the sides that exceed `most_px`: the requested and the applied one."""
    limited: dict[str, tuple[str, str]] = {}
    for op in got.ops():
        if isinstance(op, Resize):
            box = boxed(op, got_dpr or 100, most_px)
            for name, own_px, got_px, made_px in (
                ("w", requested.width, got.width, box.width),
                ("h", requested.height, got.height, box.height),
            ):
                if not isinstance(got_px, int) or not isinstance(made_px, int):
                    continue
                if ratio(got_px, got_dpr or 100, 100) > made_px:
                    limited[name] = (
                        str(ratio(own_px if isinstance(own_px, int) else got_px, own_dpr or 100, 100)),
                        str(made_px),
                    )
    return limited
