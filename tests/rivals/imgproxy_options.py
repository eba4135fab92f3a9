"""The options of the open-source imgproxy as its documentation has them, for the stand-in of imgproxy_rules.py."""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass, field

TYPES = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "avif": "avif"}
KINDS = ("fit", "fill", "fill-down", "force", "auto")
SIDES = ("ce", "no", "so", "ea", "we", "noea", "nowe", "soea", "sowe")


class Refused(Exception):
    """An option that imgproxy does not take."""


@dataclass(slots=True)
class Gravity:
    kind: str = "ce"
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class Options:
    kind: str = "fit"
    width: int = 0
    height: int = 0
    enlarge: bool = False
    extend: bool = False
    extend_gravity: Gravity = field(default_factory=Gravity)
    extend_ratio: bool = False
    gravity: Gravity = field(default_factory=Gravity)
    crop: tuple[float, float] = (0, 0)
    crop_gravity: Gravity | None = None
    trim: tuple[float, str, bool, bool] | None = None
    dpr: float = 1.0
    zoom: tuple[float, float] = (1.0, 1.0)
    min_width: int = 0
    min_height: int = 0
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    background: list[int] | None = None
    blur: float = 0.0
    sharpen: float = 0.0
    pixelate: int = 1
    rotate: int = 0
    is_oriented: bool = True
    quality: int = 0
    format: str = ""


def half_up(number: float) -> int:
    return math.floor(number + 0.5)


def smaller(side: int, other: int) -> int:
    """The smaller of the two that is given; 0 is not given."""
    return min(side, other) if side and other else side or other


def whole(text: str, least: int = 0, most: int | None = None) -> int:
    if not text.lstrip("+-").isdecimal() or int(text) < least or (most is not None and int(text) > most):
        raise Refused(text)
    return int(text)


def positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise Refused(text)
    return number


def truth(text: str) -> bool:
    return text in ("1", "t", "T", "true", "True", "TRUE")


def gravity_of(values: list[str]) -> Gravity:
    kind, *offsets = values
    if kind not in (*SIDES, "fp", "sm"):
        raise Refused(kind)
    x, y = [*(float(offset) for offset in offsets), 0.0, 0.0][:2]
    return Gravity(kind, x, y)


def colour_of(values: list[str]) -> list[int]:
    if len(values) == 3:
        return [whole(value, 0, 255) for value in values]
    if len(values) != 1 or len(values[0]) not in (3, 6):
        raise Refused(":".join(values))
    text = values[0] if len(values[0]) == 6 else "".join(2 * digit for digit in values[0])
    return [int(text[start : start + 2], 16) for start in (0, 2, 4)]


def set_kind(options: Options, values: list[str]) -> None:
    if values[0] not in KINDS:
        raise Refused(values[0])
    options.kind = values[0]


def set_size(options: Options, values: list[str]) -> None:
    for value, name in zip(values, ("width", "height"), strict=False):
        if value:
            setattr(options, name, whole(value))
    if len(values) > 2 and values[2]:
        options.enlarge = truth(values[2])
    if len(values) > 3 and values[3]:
        set_extend(options, values[3:])


def set_resize(options: Options, values: list[str]) -> None:
    set_kind(options, values[:1])
    set_size(options, values[1:])


def set_extend(options: Options, values: list[str]) -> None:
    options.extend = truth(values[0])
    options.extend_gravity = gravity_of(values[1:]) if len(values) > 1 else Gravity()


def set_crop(options: Options, values: list[str]) -> None:
    sides = [float(value) for value in values[:2]]
    if min(sides) < 0:
        raise Refused(":".join(values))
    options.crop = (sides[0], sides[1] if len(sides) > 1 else 0.0)
    options.crop_gravity = gravity_of(values[2:]) if len(values) > 2 else None


def set_trim(options: Options, values: list[str]) -> None:
    threshold, colour, horizontal, vertical = [*values, "", "", ""][:4]
    options.trim = (float(threshold), colour, truth(horizontal), truth(vertical))


def set_padding(options: Options, values: list[str]) -> None:
    top = whole(values[0] or "0")
    right = whole(values[1]) if len(values) > 1 and values[1] else top
    bottom = whole(values[2]) if len(values) > 2 and values[2] else top
    left = whole(values[3]) if len(values) > 3 and values[3] else right
    options.padding = (top, right, bottom, left)


def set_rotate(options: Options, values: list[str]) -> None:
    options.rotate = whole(values[0], -(10**6))
    if options.rotate % 90:
        raise Refused(values[0])


def set_zoom(options: Options, values: list[str]) -> None:
    options.zoom = (positive(values[0]), positive(values[-1]))


def set_format(options: Options, values: list[str]) -> None:
    if values[0] not in TYPES:
        raise Refused(values[0])
    options.format = TYPES[values[0]]


def setter(name: str, parse: Callable[[str], object]) -> Callable[[Options, list[str]], None]:
    return lambda options, values: setattr(options, name, parse(values[0]))


def ignored(options: Options, values: list[str]) -> None:
    """An option that changes no pixel."""


NAMES: dict[str, Callable[[Options, list[str]], None]] = {
    "rs resize": set_resize,
    "s size": set_size,
    "rt resizing_type": set_kind,
    "w width": setter("width", whole),
    "h height": setter("height", whole),
    "mw min-width": setter("min_width", whole),
    "mh min-height": setter("min_height", whole),
    "z zoom": set_zoom,
    "dpr": setter("dpr", positive),
    "el enlarge": setter("enlarge", truth),
    "ex extend": set_extend,
    "exar extend_ar extend_aspect_ratio": setter("extend_ratio", truth),
    "g gravity": lambda options, values: setattr(options, "gravity", gravity_of(values)),
    "c crop": set_crop,
    "t trim": set_trim,
    "pd padding": set_padding,
    "ar auto_rotate": setter("is_oriented", truth),
    "rot rotate": set_rotate,
    "bg background": lambda options, values: setattr(options, "background", colour_of(values)),
    "bl blur": setter("blur", positive),
    "sh sharpen": setter("sharpen", positive),
    "pix pixelate": setter("pixelate", whole),
    "q quality": setter("quality", lambda text: whole(text, 0, 100)),
    "f format ext": set_format,
    "cb fn sm": ignored,
}
SETTERS = {name: setting for names, setting in NAMES.items() for name in names.split()}


def parsed(target: str) -> tuple[Options, str]:
    """The options, and the name of the original."""
    options = Options()
    segments = target.split("/")[2:]
    while ":" in segments[0]:
        name, *values = segments.pop(0).split(":")
        if name not in SETTERS:
            raise Refused(name)
        try:
            SETTERS[name](options, values)
        except ValueError as error:
            raise Refused(name) from error
    if segments[0] == "plain":
        url, _, extension = "/".join(segments[1:]).partition("@")
    else:
        text, _, extension = "".join(segments).partition(".")
        url = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    if extension:
        set_format(options, [extension])
    return options, url.removeprefix("local:///")
