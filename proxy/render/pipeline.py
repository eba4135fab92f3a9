"""The render pipeline from bytes to bytes: load the pixels of an original, execute the commands of the
Plan's layout, encode.

Opens no files. `core.transform.layout` decides sizes and steps, `loading` how libvips decodes. Only `render/` imports pyvips,
and there `image` means a pyvips image.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import pyvips

from proxy.core.errors import CalotypeError, Internal, OriginalTooLarge
from proxy.core.image.copyright import ONLY_COPYRIGHT
from proxy.core.image.facts import Facts
from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.limits import InputLimits
from proxy.core.image.picture_data import picture_data
from proxy.core.image.size import Box
from proxy.core.transform.layout import Find, FindBorders, Load, commands
from proxy.core.transform.operations import AsStored, Overlay, Watermark, with_branches
from proxy.core.transform.plan import Describe, Encode, Plan
from proxy.render.checked_original import CheckedOriginal, fault_of_original, is_memory, opened_image
from proxy.render.colours import Colours
from proxy.render.encoding import encoded
from proxy.render.info import info_json
from proxy.render.layers import overlaid, watermarked
from proxy.render.loading import LoadInput, decode_all, loaded
from proxy.render.steps import apply, found

_LOADERS = ("Jpeg", "Png", "Webp", "Nsgif", "Heif")


def harden() -> None:
    """Blocks every loader that is not in `_LOADERS`, and disables libvips' operation cache. Once per process."""
    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in _LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", False)


def libvips_version() -> tuple[int, int, int]:
    return pyvips.version(0), pyvips.version(1), pyvips.version(2)


def working_formats() -> list[Format]:
    """The output formats that this libvips can encode and decode, found by trying both."""
    image = pyvips.Image.black(16, 16, bands=3).copy(interpretation="srgb")
    working = []
    for kind in Format:
        if TRAITS[kind].shown:
            try:
                encode = Encode(format=kind, quality=80, effort=1, flatten=None)
                pyvips.Image.new_from_buffer(encoded([image], encode), "").avg()
            except pyvips.Error:
                continue
            working.append(kind)
    return working


def render(
    opened: CheckedOriginal, plan: Plan, limits: InputLimits, further: Sequence[CheckedOriginal] = ()
) -> bytes:
    """The encoded variant. `further` are the originals that the plan uses beside `opened`. Raises the errors of an original,
    or Internal if the plan fails on undamaged ones."""
    original = LoadInput.checked(opened, _drawn(opened.facts, plan), limits)
    others = [_other(each, number, limits) for number, each in enumerate(further, start=1)]
    try:
        return _run(original, plan, others)
    except (pyvips.Error, MemoryError) as fault:
        out_of_memory, was_shared = is_memory(fault), opened.drop_cache()
    if was_shared:
        # Without the cache a render needs less memory, and reads no more of a damaged original than the plan needs.
        return render(opened, plan, limits, further)
    if out_of_memory:
        raise OriginalTooLarge("the picture needs more memory than a worker may use")
    # libvips reads pixels while it writes; decoding again tells whether the original is at fault.
    for number, each in enumerate((original, *others)):
        try:
            decode_all(each)
        except (pyvips.Error, MemoryError) as fault:
            raise fault_of_original(fault).at(number) from None
    try:
        # The remaining cause is an unusable ICC profile, which is treated as no profile.
        without_profiles = [_without_profile(each) for each in (original, *others)]
        return _run(without_profiles[0], plan, without_profiles[1:])
    except (pyvips.Error, MemoryError):
        raise Internal("the picture cannot be rendered with these operations") from None


def _other(opened: CheckedOriginal, number: int, limits: InputLimits) -> LoadInput:
    """The first page of the original `number` of the job. Raises OriginalTooLarge with that position."""
    try:
        return LoadInput.checked(opened, range(1), limits)
    except CalotypeError as failure:
        raise failure.at(number) from None


def _without_profile(original: LoadInput) -> LoadInput:
    return original._replace(colours=original.colours._replace(profile=b"", is_plain=False))


def _drawn(facts: Facts, plan: Plan) -> range:
    """The pages of an original that `plan` draws, from 0."""
    if not facts.animated:
        return range(1)
    if plan.page is not None:
        last = min(plan.page, facts.pages)
        return range(last - 1, last)
    if not TRAITS[plan.output.format].animation:
        return range(1)
    return range(min(plan.frames or facts.pages, facts.pages))


def _run(original: LoadInput, plan: Plan, further: Sequence[LoadInput]) -> bytes:
    pages: list[pyvips.Image] = []
    stored = original.opened.turn_to_stored() if AsStored() in with_branches(plan.ops) else None
    layout = commands(plan.ops, plan.limit_px, original.size, plan.faces, stored)
    command = next(layout, None)
    is_unchanged = command == Load(Box(0, 0, *original.size), original.size)
    while command is not None:
        answer: Box | None = None
        match command:
            case Load(region, size):
                pages = loaded(original, region, size)
            case Find() | FindBorders():
                answer = found(command, pages)
            case Overlay(number=number):
                pages = overlaid(command, pages, further[number - 1] if number else None)
            case Watermark():
                pages = watermarked(command, pages, further[-1])
            case _:
                pages = apply(command, pages)
        try:
            command, is_unchanged = layout.send(answer), False
        except StopIteration:
            break
    match plan.output:
        case Describe(gps=gps):
            opened, header = original.opened, opened_image(original.content)
            return info_json(header, opened.facts, opened.size_bytes, pages[0], gps=gps)
        case Encode() as encode:
            if original.opened.facts.drawing and encode.drawing_effort is not None:
                encode = replace(encode, effort=encode.drawing_effort)
            content = encoded(
                pages,
                encode,
                _copyright(original) if encode.keeps_copyright else {},
                had_palette=original.opened.header.has_palette,
            )
            if is_unchanged and encode.may_be_original and (own := _own_picture_data(original, encode)):
                return min(content, own, key=len)
            return content
    assert_never(plan.output)


def _own_picture_data(original: LoadInput, encode: Encode) -> bytes | None:
    """The picture data of the original, if they are what is shown: upright, in sRGB, in this format and with all pages."""
    header = original.opened.header
    is_shown = header.orientation == 1 and header.colours == Colours(is_plain=True)
    # A GIF with a canvas is drawn here as browsers draw it, which other decoders do not do.
    has_all_pages = original.pages == range(header.facts.pages) and original.opened.canvas is None
    if original.kind is not encode.format or not is_shown or not has_all_pages:
        return None
    return picture_data(original.kind, original.content)


def _copyright(original: LoadInput) -> dict[str, bytes]:
    """Blocks with the copyright fields of an original, by libvips' name."""
    header = opened_image(original.content)
    found = header.get_fields()
    blocks = {name: only(bytes(header.get(name))) for name, only in ONLY_COPYRIGHT.items() if name in found}
    return {name: block for name, block in blocks.items() if block}
