"""The dialect of thumbor 7, `/SIGNATURE/OPTIONS/IMAGE`, with what imagor adds to it.

Where both differ, thumbor decides; imagor is followed where only imagor knows the spelling. As in thumbor, what is no
option in its order begins the name of the image; options are not percent-decoded, arguments of filters are; the query
is ignored, and so are filters that do not exist or have other arguments: the answer lists them. The picture is upright,
which thumbor does only with RESPECT_ORIENTATION.

A key in `[signing.keys]` is thumbor's SECURITY_KEY, or for imagor `sha1:LENGTH:SECRET`, `sha256:LENGTH:SECRET` or
`sha512:LENGTH:SECRET`. Unsigned URLs have `unsafe` in the place of the signature.
"""

import re
from dataclasses import replace

from proxy.core.errors import BadTransform, BadUrl, NotSupported
from proxy.core.nearest import named
from proxy.core.transform.lengths import Relative
from proxy.core.transform.operations import (
    Auto,
    Colour,
    Crop,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Offset,
    Operation,
    OriginalPoint,
    Pad,
    Resize,
    Rounding,
    Smart,
    Transform,
    Turn,
)
from proxy.core.url.dialects.component import MAX_EFFECTS
from proxy.core.url.dialects.dialect import Dialect, DocumentedOption, Reading, Support, Unsupported
from proxy.core.url.dialects.thumbor.filters import FILTERS
from proxy.core.url.dialects.thumbor.options import PARTS, Fill, ThumborOptions, written
from proxy.core.url.dialects.thumbor.signatures import (
    NO_SIGNATURE,
    SIGNATURE,
    UNSAFE,
    check_key,
    sign,
    unsigned,
    verify,
)
from proxy.core.url.parsed_url import InfoUrl, OriginalUrl, ParsedUrl, Unused, VariantUrl
from proxy.core.url.target import checked_locator, cut, decoded, of_base64

_MAX_FILTERS = 32
_RECOGNISED_LENGTH = 16
_MERGED = re.compile(r"(https?):/+", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)


def parse(raw: str, reading: Reading) -> ParsedUrl:
    """Parses the raw target below a mount; its first segment is a signature, which is not verified, or `unsafe`.

    Raises BadUrl, BadTransform or SourceNotAllowed.
    """
    target = cut(raw)
    first, slash, rest = target.path[1:].partition("/")
    if not slash or not (first == UNSAFE or SIGNATURE.fullmatch(first)):
        raise BadUrl(NO_SIGNATURE)
    options, filters, image = written(rest)
    if options.debug:
        raise NotSupported("option debug is not supported")
    unused = [] if target.query is None else _unused_query(target.query)
    if filters:
        unused += _read_filters(options, filters, reading.unsupported)
    key = _locator(image)
    if options.raw or options.meta:
        if options.until_s is not None:
            raise NotSupported("filter expire is not supported with raw or meta")
        return OriginalUrl(key) if options.raw else InfoUrl(key)
    return VariantUrl(
        key=key,
        transform=_transform(options, unused),
        clamped=tuple(options.clamped),
        unused=tuple(unused),
        until_s=options.until_s,
        disposition=options.disposition,
        max_age_s=options.max_age_s,
    )


def recognises(target: str) -> bool:
    """Whether the first segment is `unsafe`, or a signature too long to be a name, and another one follows."""
    first, slash, _ = target.partition("?")[0][1:].partition("/")
    is_long = len(first) >= _RECOGNISED_LENGTH and SIGNATURE.fullmatch(first) is not None
    return bool(slash) and (first == UNSAFE or is_long)


def _unused_query(query: str) -> list[Unused]:
    names = (part.partition("=")[0] for part in query.split("&"))
    return [Unused(named(name, at), "the query is ignored") for at, name in enumerate(names, start=1)]


def _read_filters(options: ThumborOptions, text: str, unsupported: Unsupported) -> list[Unused]:
    """Reads the filters onto `options`; returns those without an effect. Raises BadTransform."""
    unused: list[Unused] = []
    filters = decoded(text, "the filters").split("):")
    if len(filters) > _MAX_FILTERS:
        raise BadTransform(f"a URL may have {_MAX_FILTERS} filters at most")
    for position, each in enumerate(filters, start=1):
        name, _, rest = each.partition("(")
        name, rest = name.strip(), rest.partition(")")[0].strip()
        arguments = [one.strip().strip("'") for one in rest.split(",")] if rest else []
        row = FILTERS.get(name)
        if row is None:
            unused.append(Unused(named(name, position), "there is no such filter", is_option=True))
        elif row.read is not None:
            try:
                row.read(options, arguments)
            except ValueError as reason:
                unused.append(Unused(name, f"the filter is ignored: {reason}", is_option=True))
        elif row.support is Support.IGNORED:
            unused.append(Unused(name, row.note, is_option=True))
        elif row.polishes and unsupported is Unsupported.IGNORE:
            unused.append(Unused(name, "the filter is not supported", is_option=True))
        else:
            raise NotSupported(f"filter {name} is not supported")
        if len(options.steps) > MAX_EFFECTS:
            raise BadTransform(f"the filters must be {MAX_EFFECTS} steps at most")
    return unused


def _locator(image: str) -> str:
    """The key or absolute URL of an image as it is written. Raises BadUrl or SourceNotAllowed."""
    if image.startswith("color:"):
        raise NotSupported("an image of one colour (color:) is not supported")
    is_base64 = image.startswith("b64:")
    text = (_of_base64(image.removeprefix("b64:")) if is_base64 else decoded(image, "the image")).lstrip("/")
    if match := _MERGED.match(text):
        # Proxies merge slashes.
        text = f"{match[1]}://{text[match.end() :]}"
    return checked_locator(text)


def _of_base64(text: str) -> str:
    try:
        if _BASE64.fullmatch(text):
            return of_base64(text)
    except ValueError:
        pass
    raise BadUrl("the image after b64: must be UTF-8 in base64url")


def _transform(options: ThumborOptions, unused: list[Unused]) -> Transform:
    """The operations in thumbor's order; `unused` gets what has no effect. Raises BadTransform."""
    ops: list[Operation] = [op for op in (options.orient, options.crop, options.trim) if op is not None]
    ops += _sizing(options)
    ops += [turn for turn, is_set in ((Turn.HFLIP, options.hflip), (Turn.VFLIP, options.vflip)) if is_set]
    for step in options.steps:
        if isinstance(step, Fill):
            _fill(ops, options, step)
        else:
            ops.append(step)
    if options.padding_px is not None:
        unused.append(Unused("padding", "it needs the filter fill", is_option=True))
    return Transform(
        ops=tuple(ops),
        format=options.format or (Auto.JPEG_FOR_PNG if options.auto_jpg else None),
        encoder_qualities=() if options.quality is None else ((None, options.quality),),
        max_bytes=options.max_bytes,
        page=options.page,
        frames=options.frames,
        background=options.background,
    )


def _sizing(options: ThumborOptions) -> tuple[Resize, ...]:
    width, height = options.width, options.height
    if not isinstance(width, int) and not isinstance(height, int):
        return ()
    enlarge = _enlarge(options)
    if width is None or height is None:
        rounding = Rounding.HALF_UP if options.fit_in or enlarge is Enlarge.NEVER else Rounding.HALF_EVEN
        return (Resize(width=width, height=height, enlarge=enlarge, rounding=rounding),)
    is_adaptive = options.adaptive and not (options.full and options.no_upscale)
    if options.fit_in and is_adaptive and width != height:
        if isinstance(width, Relative) or isinstance(height, Relative):
            raise BadTransform("option adaptive-fit-in takes two numbers of pixels")
        return _adaptive(max(width, height), min(width, height), enlarge, full=options.full)
    if options.fit_in:
        fit = Fit.OUTSIDE if options.full else Fit.INSIDE
        is_exact = options.full or enlarge is Enlarge.NEVER or _is_filled(options)
        rounding = Rounding.HALF_UP if is_exact else Rounding.DOWN
        return (Resize(width=width, height=height, fit=fit, enlarge=enlarge, rounding=rounding),)
    if options.stretch:
        return (Resize(width=width, height=height, fit=Fit.FILL, enlarge=enlarge),)
    gravity = _gravity(options)
    return (Resize(width=width, height=height, fit=Fit.COVER, enlarge=enlarge, gravity=gravity),)


def _enlarge(options: ThumborOptions) -> Enlarge:
    """`no_upscale` caps the box, which differs from not enlarging if the picture is cut before, or the box is filled or
    stretched."""
    is_inside = options.fit_in and not options.full
    is_box = options.width is not None and options.height is not None
    enlarges = not is_inside or (options.upscale and is_box)
    if options.no_upscale:
        is_cut = enlarges and (options.crop is not None or options.trim is not None)
        is_capped = is_cut or (_is_filled(options) if is_inside else options.stretch)
        return Enlarge.CAPPED if is_capped else Enlarge.NEVER
    return Enlarge.ALLOW if enlarges else Enlarge.NEVER


def _is_filled(options: ThumborOptions) -> bool:
    return any(isinstance(step, Fill) for step in options.steps)


def _adaptive(long_px: int, short_px: int, enlarge: Enlarge, *, full: bool) -> tuple[Resize, ...]:
    """A box that is turned as the picture is: its long side bounds the long side of the picture, and its short side the
    short one. Full, each side is reached."""
    short = Resize(width=short_px, height=short_px, fit=Fit.OUTSIDE, enlarge=enlarge)
    if not full:
        return (replace(short, max_width_px=long_px, max_height_px=long_px),)
    return Resize(width=long_px, height=long_px, enlarge=enlarge), replace(short, enlarge=Enlarge.ONLY)


def _gravity(options: ThumborOptions) -> Gravity:
    """Focal regions, then smart, then the alignment."""
    regions = [region for region in options.focal if _is_inside(options.crop, *region[:2])]
    if regions:
        whole = sum(weight for _, _, weight in regions)
        return OriginalPoint(
            sum(x * weight for x, _, weight in regions) // whole,
            sum(y * weight for _, y, weight in regions) // whole,
        )
    if options.focal_point is not None:
        return options.focal_point
    return Smart.ATTENTION if options.smart else FocalPoint(options.align_x, options.align_y)


def _is_inside(crop: Crop | None, x: int, y: int) -> bool:
    match crop:
        case Crop(width=int(width), height=int(height), at=Offset(int(left), int(top))):
            return left <= x <= left + width and top <= y <= top + height
    return True


def _fill(ops: list[Operation], options: ThumborOptions, fill: Fill) -> None:
    """Appends the operations of a fill. Only after fit-in the picture is smaller than the requested size."""
    width, height = (side if isinstance(side, int) else None for side in (options.width, options.height))
    if options.fit_in and not options.full:
        if options.adaptive and None not in (width, height) and width != height:
            raise NotSupported("filter fill is not supported with adaptive-fit-in")
        match ops:
            case [*_, Resize(width=int(), height=int(), fit=Fit.INSIDE, enlarge=enlarge)]:
                ops[-1] = Resize(
                    width=width, height=height, fit=Fit.CONTAIN, enlarge=enlarge, background=fill.colour
                )
            case _ if (width or height) and not options.no_upscale:
                ops.append(Extend(width_px=width, height_px=height, background=fill.colour))
    if fill.flattens and isinstance(fill.colour, Colour):
        ops.append(Flatten(fill.colour))
    if options.padding_px is not None:
        left, top, right, bottom = options.padding_px
        ops.append(Pad(top_px=top, right_px=right, bottom_px=bottom, left_px=left, background=fill.colour))
        options.padding_px = None


_OF_IMAGE = (
    DocumentedOption(names=("b64:IMAGE",), support=Support.DONE, note="of imagor; the image in base64url"),
    DocumentedOption(names=("color:COLOUR", "params"), support=Support.REFUSED, note="of imagor"),
)

DIALECT = Dialect(
    name="thumbor",
    recognises=recognises,
    parse=parse,
    verify=verify,
    sign=sign,
    unsigned=unsigned,
    # A format is named in the URL, or is that of the original.
    negotiates=lambda _, __: False,
    check_key=check_key,
    statuses={
        **dict.fromkeys(("bad-signature", "signature-required", "source-not-allowed"), 400),
        **dict.fromkeys(("unsupported-format", "undecodable", "original-too-large"), 400),
        "signature-expired": 410,
    },
    health="/healthcheck",
    omits_scheme=True,
    options=(
        *(DocumentedOption(names=part.names, support=part.support, note=part.note) for part in PARTS),
        *(
            DocumentedOption(
                names=tuple(f"{name}()" for name in row.names), support=row.support, note=row.note
            )
            for row in dict.fromkeys(FILTERS.values())
        ),
        *_OF_IMAGE,
    ),
)
