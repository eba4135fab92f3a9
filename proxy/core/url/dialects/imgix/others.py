"""The parameters of imgix that the node does not do, by their names and aliases."""

FOLLOWING_THE_RULE = (
    *("auto=enhance auto=true", "auto=redeye", "colorquant", "nr", "nrs", "upscale", "fps", "loop"),
)
"""They only polish."""

CHANGING = (
    *(
        "htn",
        "trim-pad trimpad",
        "fill-max",
        "border-radius",
        "border-stroke-size",
    ),
    *("lp-blur license-plate-blur", "bg-remove background-remove"),
    *("interval", "skip", "reverse"),
    *("mark-base markbase mb", "mark-if-min-height", "mark-if-min-width", "mark-rot"),
    *("blend-align blendalign ba", "blend-crop blendcrop bc", "blend-fit blendfit bf", "blend-h blendh bh"),
    *(
        "blend-pad blendpad bp",
        "blend-size blendsize bs",
        "blend-w blendw bw",
        "blend-x blendx bx",
        "blend-y blendy by",
    ),
    *("txt-clip txtclip tcl", "txt-fit txtfit", "txt-shad txtshad tsh"),
)
"""They change what the picture shows, unless they are 0 or false."""

SHOWING = (
    *("blend-color blendcolor blend-clr blendclr", "border"),
    *("transparency", "object-removal-rect", "bg-replace background-replace"),
)
"""They change what the picture shows with every value."""

WITHOUT_EFFECT = (
    ("Client hints have no effect, as for clients that send none.", "ch"),
    ("The node compares single pixels.", "trim-sd trimsd", "trim-alpha"),
    ("Each format has its own encoder settings.", "chromasub", "jpg-progressive jpeg-progressive", "dpi"),
    ("Upscaling follows the fit.", "upscale-fallback"),
    ("The description has no faces.", "faces"),
    (
        "The node answers pictures only.",
        "page",
        "pdf-annotation annotation",
        "svg-sanitize",
        "rasterize-bypass",
    ),
    (
        "The node answers no videos.",
        *("video-bitrate", "video-clip-duration", "video-clip-end", "video-clip-start", "video-codec"),
        *(
            "video-generate-subtitles",
            "video-renditions",
            "video-spritesheet-columns",
            "video-spritesheet-format",
        ),
        *("video-spritesheet-h", "video-spritesheet-interval", "video-spritesheet-smart-crop"),
        *("video-spritesheet-w", "video-subtitle-translations", "video-thumbnail", "video-wave"),
        *(
            "video-wave-align",
            "video-wave-amplitude",
            "video-wave-bg-color",
            "video-wave-color",
            "video-wave-h",
        ),
        *(
            "video-wave-mode",
            "video-wave-pad",
            "video-wave-scale",
            "video-wave-split",
            "video-wave-thickness",
        ),
        *("video-wave-w", "video-wave-x", "video-wave-y"),
    ),
)
"""A note, and the parameters."""

BELONGING = {
    "mask": ("mask-bg maskbg",),
    "border": ("border-top", "border-right", "border-bottom", "border-left", "border-radius-inner"),
    "border-stroke-size": ("border-stroke-color",),
    "transparency": ("grid-colors", "grid-size"),
    "object-removal-rect": (
        *("object-removal-negative-prompt", "object-removal-prompt", "object-removal-seed"),
    ),
    "bg-remove": (
        *("bg-remove-fallback", "bg-remove-fg-type", "bg-remove-transparency-threshold"),
        "bg-remove-semi-transparency background-removal-semi-transparency",
    ),
    "bg-replace": ("bg-replace-fallback", "bg-replace-neg-prompt background-replace-negative-prompt"),
    "fill=gen": (
        *(
            "fill-gen-fallback fill-generative-fallback",
            "fill-gen-neg-prompt fill-generative-negative-prompt",
        ),
        *("fill-gen-pos fill-generative-position", "fill-gen-prompt fill-generative-prompt"),
        "fill-gen-seed fill-generative-seed",
    ),
    "fill=gradient": (
        *(
            "fill-gradient-cs",
            "fill-gradient-linear",
            "fill-gradient-linear-direction",
            "fill-gradient-radial",
        ),
        *(
            "fill-gradient-radial-radius",
            "fill-gradient-radial-x",
            "fill-gradient-radial-y",
            "fill-gradient-type",
        ),
    ),
}
"""By the parameter without which they have no effect, and which is refused."""
