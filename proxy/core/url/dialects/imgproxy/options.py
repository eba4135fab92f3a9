"""The options of imgproxy: one row an option, with its aliases, its reader, and how far the node does it.

docs/dialects/imgproxy.md is made from this table.
"""

from dataclasses import dataclass

from proxy.core.transform.operations import Metadata
from proxy.core.url.dialects.dialect import DocumentedOption, Support
from proxy.core.url.dialects.imgproxy.readers import (
    Reader,
    only,
    read_auto_rotate,
    read_background,
    read_blur,
    read_crop,
    read_extend,
    read_extend_ratio,
    read_file_name,
    read_flip,
    read_format,
    read_format_quality,
    read_gravity,
    read_padding,
    read_pixelate,
    read_preset,
    read_quality,
    read_resize,
    read_rotate,
    read_sharpen,
    read_size,
    read_skip_processing,
    read_trim,
    read_type,
    read_watermark,
    read_zoom,
    sets,
)
from proxy.core.url.dialects.imgproxy.values import MAX_ZOOM, factor, is_true
from proxy.core.url.dialects.shared_values import BLUR_MAX_PX, SHARPEN_MAX_PX, version, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """`read` takes the arguments, `at_most` of them; None if the option is refused, or ignored where the mount ignores
    options that only polish and it `polishes`. `is_delivery` means that a URL of presets may have it too; `is_security`
    that imgproxy refuses it unless its operator allows security options."""

    names: tuple[str, ...]
    read: Reader | None
    at_most: int = 1
    support: Support = Support.DONE
    note: str = ""
    polishes: bool = False
    is_delivery: bool = False
    is_security: bool = False


_MOST_OBJECTS = 64
_PRO = "an option of imgproxy Pro"
_LIMIT = (
    "A security option: always 403, as of an imgproxy without `IMGPROXY_ALLOW_SECURITY_OPTIONS`. The limits are those of"
    " `[limits]`."
)

OPTIONS = (
    Option(
        names=("resize", "rs"),
        read=read_resize,
        at_most=8,
        support=Support.APPROXIMATED,
        note="A focal point of `extend` divides the free space.",
    ),
    Option(names=("size", "s"), read=read_size, at_most=7),
    Option(names=("resizing_type", "rt"), read=lambda to, args: read_type(to, args[0])),
    Option(names=("width", "w"), read=sets("width_px", whole)),
    Option(names=("height", "h"), read=sets("height_px", whole)),
    Option(names=("min-width", "mw"), read=sets("min_width_px", whole)),
    Option(names=("min-height", "mh"), read=sets("min_height_px", whole)),
    Option(names=("zoom", "z"), read=read_zoom, at_most=2, note=f"Above 0, up to {MAX_ZOOM}."),
    Option(
        names=("dpr",),
        read=sets("dpr", factor),
        support=Support.APPROXIMATED,
        note="Without `enlarge`, padding and the extended area are multiplied also where the picture is too small for it, and "
        "`fill` with a dpr above 1 has the ratio of the box also where the picture is smaller than the box.",
    ),
    Option(names=("enlarge", "el"), read=sets("enlarges", is_true)),
    Option(names=("extend", "ex"), read=read_extend, at_most=4),
    Option(names=("extend_aspect_ratio", "extend_ar", "exar"), read=read_extend_ratio, at_most=4),
    Option(
        names=("gravity", "g"),
        read=read_gravity,
        at_most=_MOST_OBJECTS,
        note="`sm` is attention. Of the Pro types, `obj:face` and `objw:face:<weight>` are all faces, as `g_faces`; other"
        " objects are refused.",
    ),
    Option(names=("crop", "c"), read=read_crop, at_most=_MOST_OBJECTS + 2),
    Option(names=("trim", "t"), read=read_trim, at_most=4),
    Option(
        names=("padding", "pd"),
        read=read_padding,
        at_most=4,
        note="9999 pixels a side at most, with the dpr.",
    ),
    Option(
        names=("auto_rotate", "ar"),
        read=read_auto_rotate,
        note="With `ar:0` sizes, crops and gravities are those of the picture as it is stored.",
    ),
    Option(names=("rotate", "rot"), read=read_rotate),
    Option(names=("flip", "fl"), read=read_flip, at_most=2),
    Option(names=("background", "bg"), read=read_background, at_most=3),
    Option(names=("blur", "bl"), read=read_blur, note=f"Sigma up to {BLUR_MAX_PX}; a larger one is reduced."),
    Option(
        names=("sharpen", "sh"),
        read=read_sharpen,
        note=f"Sigma up to {SHARPEN_MAX_PX}; a larger one is reduced.",
    ),
    Option(names=("pixelate", "pix"), read=read_pixelate, note="Squares of 1000 pixels at most."),
    Option(
        names=("watermark", "wm"),
        read=read_watermark,
        at_most=7,
        support=Support.REFUSED,
        note="An opacity of 0 is taken. Any other changes what the picture shows, and is always refused.",
    ),
    Option(
        names=("strip_metadata", "sm"),
        read=only(True, "metadata is always removed"),
        note="`sm:0` follows the rule `unsupported`: metadata is always removed.",
    ),
    Option(
        names=("keep_copyright", "kcr"),
        read=sets("metadata", lambda text: Metadata.COPYRIGHT if is_true(text) else None),
        note="Without it they are removed, where imgproxy keeps them. GIF has none.",
    ),
    Option(
        names=("strip_color_profile", "scp"),
        read=only(True, "colours are always converted to sRGB"),
        note="`scp:0` follows the rule `unsupported`: colours are always converted to sRGB.",
    ),
    Option(
        names=("preserve_hdr", "ph"),
        read=only(False, "variants have 8 bits a channel"),
        note="`ph:1` follows the rule `unsupported`: variants have 8 bits a channel.",
    ),
    Option(
        names=("enforce_thumbnail", "eth"),
        read=only(False, "embedded thumbnails are not used"),
        note="`eth:1` follows the rule `unsupported`: embedded thumbnails are not used.",
    ),
    Option(
        names=("quality", "q"),
        read=read_quality,
        note="On the scale of the encoder. Without it, or with 0, the node has a default of its own, so that equal "
        "pictures are one cache entry.",
    ),
    Option(names=("format_quality", "fq"), read=read_format_quality, at_most=64),
    Option(names=("max_bytes", "mb"), read=sets("max_bytes", whole)),
    Option(
        names=("format", "f", "ext"),
        read=read_format,
        note="JPEG, PNG, WebP, AVIF and GIF; other formats are 422. `best` is refused. Without a format the original's "
        "own is used if browsers show it.",
    ),
    Option(
        names=("skip_processing", "skp"),
        read=read_skip_processing,
        at_most=64,
        support=Support.APPROXIMATED,
        note="The format of the original is taken from the end of its name.",
    ),
    Option(
        names=("raw",),
        read=sets("is_raw", is_true),
        note="The original is served as by `/original/`, with the file name and the expiry of the URL.",
    ),
    Option(names=("cachebuster", "cb"), read=sets("version", version), is_delivery=True),
    Option(names=("expires", "exp"), read=sets("until_s", whole), is_delivery=True),
    Option(
        names=("filename", "fn"),
        read=read_file_name,
        at_most=2,
        support=Support.APPROXIMATED,
        note="The suffix is that of the requested format, or of the original's name. Without `filename` and "
        "`return_attachment` there is no Content-Disposition; imgproxy sends `inline` with the name of the original.",
        is_delivery=True,
    ),
    Option(names=("return_attachment", "att"), read=sets("is_attachment", is_true), is_delivery=True),
    Option(
        names=("preset", "pr"),
        read=read_preset,
        at_most=64,
        is_delivery=True,
        note="Presets are those of `[presets]`. Options override a preset that only resizes, and follow any other. The "
        "preset `default`, if there is one, applies to every URL.",
    ),
    *(
        Option(names=tuple(names.split()), read=None, is_security=True, support=Support.REFUSED, note=_LIMIT)
        for names in (
            "max_src_resolution msr",
            "max_src_file_size msfs",
            "max_animation_frames maf",
            "max_animation_frame_resolution mafr",
            "max_result_dimension mrd",
        )
    ),
    *(
        Option(names=tuple(names.split()), read=None, polishes=True, support=Support.REFUSED, note=_PRO)
        for names in (
            "resizing_algorithm ra",
            "dpi",
            "autoquality aq",
            "jpeg_options jpgo",
            "png_options pngo",
            "webp_options webpo",
            "avif_options avifo",
        )
    ),
    *(
        Option(names=tuple(names.split()), read=None, support=Support.REFUSED, note=_PRO)
        for names in (
            "crop_aspect_ratio crop_ar car",
            "objects_position obj_pos op",
            "background_alpha bga",
            "adjust a",
            "brightness br",
            "contrast co",
            "saturation sa",
            "monochrome mc",
            "duotone dt",
            "unsharp_masking ush",
            "blur_detections bd",
            "draw_detections dd",
            "colorize col",
            "gradient gr",
            "watermark_url wmu",
            "watermark_text wmt",
            "watermark_size wms",
            "watermark_rotate wm_rot wmr",
            "watermark_shadow wmsh",
            "style st",
            "page pg",
            "pages pgs",
            "disable_animation da",
            "video_thumbnail_second vts",
            "video_thumbnail_keyframes vtk",
            "video_thumbnail_tile vtt",
            "video_thumbnail_animation vta",
            "fallback_image_url fiu",
            "hashsum hs",
        )
    ),
)
"""Every option of the open-source imgproxy, and those of imgproxy Pro."""

BY_NAME = {name: option for option in OPTIONS for name in option.names}

DOCUMENTED = tuple(
    DocumentedOption(names=option.names, support=option.support, note=option.note) for option in OPTIONS
)
