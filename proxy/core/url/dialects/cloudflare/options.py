"""The options of Cloudflare Images: one row an option, with its aliases, its reader, and how far the node does it.

docs/dialects/cloudflare.md is made from this table.
"""

from dataclasses import dataclass

from proxy.core.errors import BadTransform, NotSupported
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.operations import Tone
from proxy.core.url.dialects.adjustments import MAX_FACTOR
from proxy.core.url.dialects.cloudflare.readers import (
    AUTO_WIDTH_PX,
    FITS,
    FLIPS,
    FORMATS,
    MAX_DPR,
    MAX_GAMMA,
    MAX_RADIUS,
    MIN_GAMMA,
    QUALITIES,
    ROTATIONS,
    CloudflareOptions,
    Reader,
    adjusts,
    background,
    checks,
    choice,
    dpr_percent,
    gamma,
    gravity,
    number,
    quality,
    read_blur,
    read_metadata,
    read_trim,
    read_width,
    sets,
    sharpen,
    side,
    trims_side,
    trims_to,
)
from proxy.core.url.dialects.dialect import DocumentedOption, Support, Unsupported, UnsupportedValue, refusal
from proxy.core.url.dialects.native.params import BLUR_MAX_PX, SHARPEN_MAX_PX
from proxy.core.url.parsed_url import Unused
from proxy.core.url.target import decoded

_MOST_OPTIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudflareOption:
    """`read` takes the decoded value; None if the option is refused. `reason` says why a value that was read has no effect.
    The values in `polishing` are not supported, and change nothing that the picture shows."""

    names: tuple[str, ...]
    read: Reader | None
    support: Support = Support.DONE
    note: str = ""
    reason: str = ""
    polishing: tuple[str, ...] = ()


def read_options(segment: str, unsupported: Unsupported) -> CloudflareOptions:
    """The options of a path segment. Of equal ones the last one applies. Raises BadTransform or BadUrl."""
    options = CloudflareOptions()
    parts = segment.split(",", _MOST_OPTIONS)
    if len(parts) > _MOST_OPTIONS:
        raise BadTransform(f"a URL may have {_MOST_OPTIONS} options at most")
    for position, part in enumerate(parts, start=1):
        plain = decoded(part, "the options") if "%" in part else part
        name, equals, value = plain.partition("=")
        option = BY_NAME.get(name)
        if option is None:
            raise NotSupported(f"option {named(name, position)} is unknown{meant(nearest(name, BY_NAME))}")
        if not equals or not value:
            raise BadTransform(f"option {name} has no value: options are written {name}=VALUE")
        try:
            if option.read is None:
                raise UnsupportedValue("is not supported")
            option.read(options, value)
        except ValueError as reason:
            raise refusal(reason, f"option {name} {reason}") from None
        if value in option.polishing:
            if unsupported is not Unsupported.IGNORE:
                raise NotSupported(f"option {name} does not support {value}")
            options.unused.append(Unused(name, f"{value} is not supported", is_option=True))
        elif option.reason:
            options.unused.append(Unused(name, option.reason, is_option=True))
    return options


def format_name(segment: str) -> str:
    """The output format as it is written; empty without one."""
    values = (part.partition("=") for part in segment.split(","))
    return next((value for name, _, value in reversed(list(values)) if name in ("f", "format")), "")


_CLIENT_HINTS = "client hints change no answer"
_IN_PX = "in pixels of the original times `dpr`"

OPTIONS = (
    CloudflareOption(
        names=("width", "w"),
        read=read_width,
        support=Support.APPROXIMATED,
        note=f"In pixels. `auto` is {AUTO_WIDTH_PX} for every client, and `Calotype-Notice` says so: neither client hints nor "
        "the User-Agent change an answer.",
    ),
    CloudflareOption(names=("height", "h"), read=sets("height_px", side), note="In pixels."),
    CloudflareOption(
        names=("fit",),
        read=sets("fit", choice(FITS)),
        note=f"{', '.join(FITS)}. With one side only, the other one follows the picture; contain, cover, pad and squeeze "
        "then enlarge.",
    ),
    CloudflareOption(
        names=("gravity", "g"),
        read=sets("gravity", gravity),
        support=Support.APPROXIMATED,
        note="For cover, crop and aspect-crop. auto is attention. face centres on all faces; without a face, attention "
        "takes their place. `XxY` is rounded to four decimals.",
    ),
    CloudflareOption(
        names=("zoom", "face-zoom"),
        read=sets("zoom", lambda text: number(text, 0, 1)),
        support=Support.APPROXIMATED,
        note="How much of a side the heads take with `gravity=face`; 0 is the largest crop.",
    ),
    CloudflareOption(
        names=("format", "f"),
        read=sets("format", choice(FORMATS)),
        support=Support.APPROXIMATED,
        note="Without it, that of the original if browsers show it; in a hosted URL with options, auto. avif is AVIF for "
        "every client. jpeg and baseline-jpeg are one format. json has the sizes of "
        "the picture, which the limits of the node do not bound, and of the original.",
    ),
    CloudflareOption(
        names=("quality", "q"),
        read=sets("quality", quality),
        support=Support.APPROXIMATED,
        note="On the scale of JPEG in every format; "
        + ", ".join(f"{word} is {number}" for word, number in QUALITIES.items())
        + ". A WebP of 100 is not lossless, and a PNG is not reduced to a palette. Without it the node has a default of "
        "its own, so that equal pictures are one cache entry.",
    ),
    CloudflareOption(
        names=("slow-connection-quality", "scq"),
        read=checks(quality),
        support=Support.IGNORED,
        note="Client hints change no answer.",
        reason=_CLIENT_HINTS,
    ),
    CloudflareOption(
        names=("dpr",),
        read=sets("dpr_percent", dpr_percent),
        support=Support.APPROXIMATED,
        note=f"0.01 to {MAX_DPR}, rounded to two decimals. Multiplies sides and `trim`.",
    ),
    CloudflareOption(
        names=("trim",),
        read=read_trim,
        support=Support.APPROXIMATED,
        note=f"`TOP;RIGHT;BOTTOM;LEFT` {_IN_PX}, before any turn and size. A trim of the whole picture has no effect.",
    ),
    *(
        CloudflareOption(
            names=(f"trim.{name}",), read=trims_side(name), note=f"{_IN_PX[0].upper()}{_IN_PX[1:]}."
        )
        for name in ("top", "right", "bottom", "left")
    ),
    *(
        CloudflareOption(
            names=(f"trim.{name}",),
            read=trims_to(name),
            note=f"What remains from the {start} on, {_IN_PX}; `trim.{end}` then has no effect.",
        )
        for name, start, end in (("width", "left", "right"), ("height", "top", "bottom"))
    ),
    CloudflareOption(
        names=("flip",),
        read=sets("flip", choice(FLIPS)),
        note="h, v or hv, before a rotation and the size.",
    ),
    CloudflareOption(
        names=("rotate",),
        read=sets("rotation", choice(ROTATIONS)),
        note="90, 180 or 270, before the size.",
    ),
    CloudflareOption(
        names=("background",),
        read=sets("background", background),
        support=Support.APPROXIMATED,
        note="A name of CSS, `%23` and 3, 4, 6 or 8 hexadecimal digits, rgb() or rgba(). The colour of pad, and beneath "
        "transparency if it is opaque; one that is not is beneath transparency only in formats without alpha.",
    ),
    *(
        CloudflareOption(
            names=(tone.value,),
            read=adjusts(tone, ignores_0=tone is not Tone.SATURATION),
            support=Support.APPROXIMATED,
            note=f"A factor up to {MAX_FACTOR}, by CSS Filter Effects. {zero}",
        )
        for tone, zero in (
            (Tone.BRIGHTNESS, "0 is ignored."),
            (Tone.CONTRAST, "0 is ignored."),
            (Tone.SATURATION, "0 is grey."),
        )
    ),
    CloudflareOption(
        names=("gamma",),
        read=sets("gamma", gamma),
        support=Support.APPROXIMATED,
        note=f"Up to {MAX_GAMMA}; 0 is ignored, and lower ones are {MIN_GAMMA} at least.",
    ),
    CloudflareOption(
        names=("blur",),
        read=read_blur,
        support=Support.APPROXIMATED,
        note=f"A radius up to {MAX_RADIUS}: twice the sigma in output pixels, which is {BLUR_MAX_PX:g} at most.",
    ),
    CloudflareOption(
        names=("sharpen",),
        read=sets("sharpen", sharpen),
        support=Support.APPROXIMATED,
        note=f"0 to {SHARPEN_MAX_PX:g}, taken as the sigma of an unsharp mask in output pixels.",
    ),
    CloudflareOption(
        names=("anim",),
        read=sets("is_still", choice({"true": False, "false": True})),
        note='false draws the first frame. An unsigned URL needs `dimensions = "any"` or its place among `transforms` for '
        "it.",
    ),
    CloudflareOption(
        names=("metadata",),
        read=read_metadata,
        support=Support.APPROXIMATED,
        note="copyright keeps the author and the rights, in WebP and PNG too; keep is the same, and `Calotype-Notice` says "
        "so. Without it all metadata is removed, where the vendor keeps the copyright in JPEG.",
    ),
    CloudflareOption(
        names=("compression",),
        read=checks(choice({"fast": None})),
        support=Support.IGNORED,
        note="The effort of encoders is that of `[formats]`.",
        reason="encoders have the effort of the configuration",
    ),
    CloudflareOption(
        names=("onerror",),
        read=sets("redirects_errors", choice({"redirect": True})),
        note="redirect: if the original cannot be fetched or transformed, 302 to its path on the host of the request. "
        "Without effect for originals of other hosts and ports, for hosted images, and for URLs that the node refuses.",
    ),
    CloudflareOption(
        names=("upscale",),
        read=checks(choice(dict.fromkeys(("interpolate", "generate")))),
        support=Support.APPROXIMATED,
        note="interpolate is what the node does; generate follows the rule `unsupported`.",
        polishing=("generate",),
    ),
    CloudflareOption(names=("segment",), read=None, support=Support.REFUSED, note="Cuts the subject out."),
    CloudflareOption(
        names=("border", "draw"),
        read=None,
        support=Support.REFUSED,
        note="Of Workers; they have no form in URLs.",
    ),
)
"""Every option of the URL interface."""

BY_NAME = {name: option for option in OPTIONS for name in option.names}

DOCUMENTED = tuple(
    DocumentedOption(names=option.names, support=option.support, note=option.note) for option in OPTIONS
)
