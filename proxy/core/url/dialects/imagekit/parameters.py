"""The transformations of ImageKit: one row each, with its reader, and how far the node does it.

docs/dialects/imagekit.md is made from this table.
"""

from proxy.core.transform.operations import Adjust, Remap, Tone
from proxy.core.url.dialects.dialect import DocumentedOption, Support
from proxy.core.url.dialects.imagekit import values
from proxy.core.url.dialects.parameter import (
    Parameter,
    documented,
    ignored,
    polishing,
    row,
    showing,
)
from proxy.core.url.dialects.shared_values import choice, number, only, whole

MAX_DPR_SIDE_PX = 5000
_APPROXIMATED = Support.APPROXIMATED
_EXTRACTED = ("cm=extract", "cm=pad_extract")
_SIDE = (
    "Pixels, a part of the side from 0 to 1, or an expression of iw, cw, ih, ch and numbers with `_add_`, `_sub_`, "
    "`_mul_` and `_div_`. auto has no effect, as for clients without hints. Other expressions are always refused."
)

PARAMETERS: tuple[Parameter, ...] = (
    row("w", "width", values.width, _SIDE, support=_APPROXIMATED),
    row("h", "height", values.height, _SIDE, support=_APPROXIMATED),
    row("ar", "ratio", values.ratio, "`4-3`. Without effect beside both sides.", "w", "h"),
    row("c", "crop", choice(*values.CROPS), "maintain_ratio without it."),
    row(
        "cm", "mode", choice(*values.MODES),
        "A part that reaches out of the picture is cut off. A dpr does not multiply what is extracted.",
        support=_APPROXIMATED,
    ),
    row(
        "fo", "focus", values.focus,
        "A side, a corner, center, auto or face, for all faces. custom and objects are always refused.",
        support=_APPROXIMATED,
    ),
    row("x", "x_px", whole, "", *_EXTRACTED),
    row("y", "y_px", whole, "", *_EXTRACTED),
    row("xc", "middle_x_px", whole, "", *_EXTRACTED),
    row("yc", "middle_y_px", whole, "", *_EXTRACTED),
    row("z", "zoom", values.zoom, "Only 1; other factors are always refused.", support=_APPROXIMATED),
    row(
        "dpr", "dpr", number,
        "0.1 to 5, with a side. Without effect if a side then exceeds 5000 pixels, and with auto.",
        "w", "h", least=values.LEAST_DPR, most=5,
    ),
    row("t", "trim", values.trim, "The threshold is 0 to 255, from the colour of the upper left pixel.",
        support=_APPROXIMATED),
    row("rt", "quarters", values.quarters,
        "auto and steps of 90 degrees, counter-clockwise after N. Others are always refused.",
        support=_APPROXIMATED),
    row("r", "shape", values.shape, "Pixels of all corners, or of four; max is the largest ellipse. After the effects.",
        support=_APPROXIMATED),
    row("b", "border", values.border, "WIDTH_RRGGBB, around the picture, which it enlarges. Before the corners of `r`.",
        support=_APPROXIMATED),
    row("fl", "flip", values.flip),
    row(
        "bg", "background", values.background,
        "The colour of padding, black without it, and behind transparency. A translucent one colours padding only. "
        "blurred is the picture itself; strengths, gradient and genfill are always refused.",
        support=_APPROXIMATED,
    ),
    row("bl", "blur", values.blur, "A radius is two sigmas. After the size.", support=_APPROXIMATED),
    row("e-sharpen", "sharpen", values.sharpen, "The number is the sigma in pixels, 1 without it.",
        support=_APPROXIMATED),
    row("e-usm", "unsharp_mask", values.unsharp_mask, "`radius-sigma-amount-threshold`, without the radius; the threshold is a part of the range.",
        support=_APPROXIMATED),
    row("e-contrast", "contrast", values.switched_on, "Stretches the lightness.", support=_APPROXIMATED,
        make=lambda value: Remap.NORMALIZE if value else None),
    row("e-grayscale", "grayscale", values.switched_on,
        make=lambda value: Adjust(Tone.GRAYSCALE, 100) if value else None),
    row("f", "format", values.picture_format,
        "auto, orig, jpg, jpeg, png, webp, avif and gif. auto without it, as by default in ImageKit."),
    row("q", "quality", whole, "1 to 100, on the scale of JPEG in every format; the node's own default without it.",
        least=1, most=100, support=_APPROXIMATED),
    row("n", "preset", str, "A preset of `[presets]`, whose operations precede those of its step."),
    row("orig", "is_original", choice("true", "false"), "true serves the original as it is; all else is then ignored."),
    row("di", "default", values.key,
        "The key of the picture that is shown, with status 200, where there is no original; `@@` stands for a slash."),
    row("lo", "lossless", only("false", reason="WebP is always lossy"), "true follows the rule `unsupported`."),
    row("md", "metadata", only("false", reason="metadata is always removed"), "true follows the rule `unsupported`."),
    row("cp", "profile", only("false", reason="colours are always converted to sRGB"),
        "true follows the rule `unsupported`."),
    *ignored("Each format has its own encoder settings.", "pr"),
    *ignored("The node answers pictures only.", "pg", "dn", "so", "eo", "du", "sr", "vc", "ac"),
    *polishing("e-upscale", "e-retouch"),
    *showing(
        *("o", "al", "cr", "if", "e-shadow", "e-gradient", "e-distort", "e-colorize", "e-bgremove"),
        *("e-removedotbg", "e-changebg", "e-edit", "e-genvar", "e-dropshadow"),
        *("oi", "ot", "ote", "ofo", "oh", "ow", "ox", "oy", "oit", "oiar", "oibg", "oib", "oic", "oidpr", "oiq", "oicm"),
        *("otbg", "otc", "otf", "oti", "otp", "ots", "ott", "otw", "otia", "oa", "or", "obg", "ob", "lm", "raw"),
    ),
)  # fmt: skip
"""Old and new overlays are refused by their first parameter."""

BY_NAME = {name: parameter for parameter in PARAMETERS for name in parameter.names}

DOCUMENTED = (
    *documented(PARAMETERS),
    DocumentedOption(
        names=("l-image", "l-text"),
        support=_APPROXIMATED,
        note="Up to l-end, after the rest of its step. A picture has i or ie, w and h, which stretch it if both are given, lx and ly,"
        " lfo and o; `i-ik_canvas` is a rectangle in the colour of bg. A text has i or ie, ff, fs, co, bg, pa, ia, w, where it wraps, and"
        " tg with b, i and strikethrough; its font must be one of the node's. Nested layers and effects of a layer are refused.",
    ),
)
