"""Example values of path parameters, for pages that show what URLs can do. Parameters without one take numbers, or texts of
their own."""

from collections.abc import Mapping

from proxy.core.transform.quality_level import QualityLevel
from proxy.core.url.dialects.native.filters import FILTER_WORDS
from proxy.core.url.dialects.native.params import (
    EFFECT_WORDS,
    ENLARGE_WORDS,
    FITS,
    FORMATS,
    GRAVITIES,
    METADATA_WORDS,
    PATH,
    ROUNDING_WORDS,
    TURN_WORDS,
)

_WITH_ARGUMENT: Mapping[str, str] = {
    "blur": "blur:4",
    "sharpen": "sharpen:2",
    "pixelate": "pixelate:9",
    "flatten": "flatten:f4e8cc",
    "brightness": "brightness:30",
    "contrast": "contrast:40",
    "saturation": "saturation:60",
    "saturation_hsp": "saturation_hsp:60",
    "rgb": "rgb:20:0:-20",
    "colorize": "colorize:40:40:40:8a5a2b",
    "tint": "tint:3b6ea5",
    "hue": "hue:120",
    "gamma": "gamma:1.8",
    "threshold": "threshold:128",
    "noise": "noise:40",
    "median": "median:5",
    "vibrance": "vibrance:70",
    "shadows": "shadows:60",
    "highlights": "highlights:-60",
    "exposure": "exposure:0.7",
    "duotone": "duotone:1b1464:f7e9c8",
    "unsharp": "unsharp:2:120:3",
    "vignette": "vignette:60",
    "opacity": "opacity:50",
    "corners": "corners:20",
    "rotate": "rotate:12",
    "blurfaces": "blurfaces:8",
    "pixelatefaces": "pixelatefaces:12",
    "outline": "outline:6:c0392b",
    "shadow": "shadow:6:8:6:00000080",
    "convolve": "convolve:3:1:-1:-1:-1:-1:9:-1:-1:-1:-1",
}
EFFECTS = tuple(_WITH_ARGUMENT.get(word, word) for word in (*EFFECT_WORDS, *FILTER_WORDS))
"""One example of each effect."""
EFFECTS_OF_ANY_PICTURE = tuple(effect for effect in EFFECTS if "faces" not in effect)
"""Those that need no face, and no detector."""

_VALUES: Mapping[str, tuple[str, ...]] = {
    "orient": ("stored",),
    "c": tuple(FITS),
    "ar": ("1", "16:9", "4:3", "0.8"),
    "el": tuple(ENLARGE_WORDS),
    "round": tuple(ROUNDING_WORDS),
    "g": (*GRAVITIES, "0.3:0.7", "face:60"),
    "f": tuple(word for word in FORMATS if word != "jpeg"),
    "q": ("auto", *(f"auto:{level}" for level in QualityLevel), "40", "80"),
    "a": tuple(TURN_WORDS),
    "e": EFFECTS,
    "meta": tuple(METADATA_WORDS),
    "b": ("fff", "000", "f4e8cc", "transparent"),
    "trim": ("10", "10:fff"),
    "ext": ("400x300", "16:9"),
    "pad": ("20", "10:20:10:20"),
    "dpr": ("1.5", "2", "3"),
}


def path_parameters() -> list[tuple[str, str, tuple[str, ...]]]:
    """Each parameter of a path URL but for conditions: its name in URLs, what it sets, and example values."""
    return [
        (name, param.field.replace("_", " "), _VALUES.get(name, ()))
        for name, param in PATH.items()
        if param.field != "branch"
    ]
