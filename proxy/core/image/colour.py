"""ICC profiles for pictures that signal their colour by numbers: CICP code points (ITU-T H.273) in AVIF, HEIC and
PNG, and the gAMA and cHRM chunks of PNG (3rd edition, 11.3.2).

HDR is tone-mapped to the range of sRGB: see `_tone_mapped`.
"""

import functools
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from proxy.core.image import av1, heif, png, srgb
from proxy.core.image.formats import Format

Matrix = tuple[tuple[float, float, float], ...]

_D65, _C, _E = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3)
_SRGB = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
_PRIMARIES: dict[int, tuple[float, ...]] = {
    1: _SRGB,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *_D65),
    10: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, *_E),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *_D65),
    22: (0.63, 0.34, 0.295, 0.605, 0.155, 0.077, *_D65),
}
"""x and y of red, green, blue and white (H.273 table 2)."""

_REFERENCE_WHITE_NITS = 203.0
_PEAK_NITS = 1000.0
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_LENGTHS = {b"cICP": 4, b"iCCP": None, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
"""The chunks of a PNG that signal colours, and the length each must have in bytes."""
_INTENTS = range(4)
_MOST_CHUNKS = 1_000
_PLAIN_GAMMA = 45_455
_GAMMA_TOLERANCE = 0.05
"""The tolerance of libpng."""
_CURVE_POINTS = 4096
_SEQUENCE_HEADER_BYTES = 256


@dataclass(frozen=True, slots=True)
class Signal:
    """The colour space of a picture. `primaries` are x and y of red, green, blue and white; `light` maps a value, 0
    to 1, to linear light, 0 to 1; without `full_range` black is 16 and white 235 of 255."""

    primaries: tuple[float, ...]
    light: Callable[[float], float]
    full_range: bool = True


def signalled(kind: Format, content: bytes) -> Signal | None:
    """The colour space that a file signals by numbers; None if it signals none, signals sRGB, or has an ICC profile
    that takes precedence."""
    match kind:
        case Format.PNG:
            return _png_signal(content)
        case Format.AVIF | Format.HEIC:
            return _heif_signal(content)
    return None


@functools.lru_cache(maxsize=16)
def profile(signal: Signal, depth: int) -> bytes | None:
    """An ICC profile (ICC.1:2001-04, 6.3.1.1) of `signal` for values of `depth` bits, or None if its primaries are
    invalid."""
    colorants = _colorants(signal.primaries)
    if colorants is None:
        return None
    most = 2**depth - 1
    black, white = (0.0, 1.0) if signal.full_range else ((16 << depth - 8) / most, (235 << depth - 8) / most)
    curve = struct.pack(">4sII", b"curv", 0, _CURVE_POINTS)
    for point in range(_CURVE_POINTS):
        value = (point / (_CURVE_POINTS - 1) - black) / (white - black)
        curve += struct.pack(">H", round(65535 * _unit(signal.light(_unit(value)))))
    parts = {
        b"desc": b"desc" + struct.pack(">II", 0, 8) + b"Signals\0" + bytes(79),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(_D50),
        **{name + b"XYZ": _xyz(column) for name, column in zip((b"r", b"g", b"b"), colorants, strict=True)},
        b"TRC": curve,
    }
    return _packed(parts)


def _packed(parts: dict[bytes, bytes]) -> bytes:
    names = [name for name in parts if name != b"TRC"] + [b"rTRC", b"gTRC", b"bTRC"]
    at, extents, body = 128 + 4 + 12 * len(names), {}, b""
    for name, part in parts.items():
        extents[name] = at + len(body), len(part)
        body += part + bytes(-len(part) % 4)
    table = b"".join(name + struct.pack(">II", *extents.get(name, extents[b"TRC"])) for name in names)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(names)) + table + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(65536 * value) for value in values))


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def _colorants(primaries: tuple[float, ...]) -> Matrix | None:
    """XYZ of red, green and blue, adapted from their white to D50 (ICC.1 annex E); None if the primaries are invalid."""
    points = [(primaries[at], primaries[at + 1]) for at in range(0, 8, 2)]
    red, green, blue, white = ((x, y, 1 - x - y) for x, y in points)
    columns = tuple(zip(red, green, blue, strict=True))
    inverse = _inverse(columns)
    if inverse is None or white[1] <= 0:
        return None
    light = tuple(part / white[1] for part in white)
    strengths = _times(inverse, light)
    to_cone, from_cone = _BRADFORD, _inverse(_BRADFORD)
    cones = _times(to_cone, light)
    if from_cone is None or min(cones) <= 0:
        return None
    scales = [target / cone for target, cone in zip(_times(to_cone, _D50), cones, strict=True)]
    adapted = []
    for column, strength in zip((red, green, blue), strengths, strict=True):
        seen = _times(to_cone, tuple(part * strength for part in column))
        adapted.append(
            _times(from_cone, tuple(part * scale for part, scale in zip(seen, scales, strict=True)))
        )
    if max(abs(part) for column in adapted for part in column) > 8:
        return None
    return tuple(adapted)


def _times(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, float, float]:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def _inverse(matrix: Matrix) -> Matrix | None:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(determinant) < 1e-9:
        return None
    rows = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return tuple((x / determinant, y / determinant, z / determinant) for x, y, z in rows)


# Transfer functions: from a value, 0 to 1, to linear light (H.273 table 3).


def _smpte_240(value: float) -> float:
    return value / 4 if value < 0.0913 else ((value + 0.1115) / 1.1115) ** (1 / 0.45)


@functools.lru_cache(maxsize=16)
def _power(exponent: float) -> Callable[[float], float]:
    return lambda value: value**exponent


def _cinema(value: float) -> float:
    return 52.37 / 48 * math.pow(value, 2.6)


def _pq(value: float) -> float:
    """SMPTE ST 2084."""
    root = value ** (1 / 78.84375)
    return _tone_mapped(
        10_000 * (max(0.0, root - 0.8359375) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    )


def _hlg(value: float) -> float:
    """ARIB STD-B67 on a display of 1000 cd/m2, with its system gamma (ITU-R BT.2100 table 5) on each channel."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = value * value / 3 if value <= 0.5 else (math.exp((value - c) / a) + b) / 12
    return _tone_mapped(_PEAK_NITS * scene**1.2)


def _tone_mapped(nits: float) -> float:
    """HDR light in the range of sRGB: Reinhard's extended curve, which maps the reference white of ITU-R BT.2408 (203
    cd/m2) to 191 of 255, and 1000 cd/m2 and more to white."""
    light, peak = nits / _REFERENCE_WHITE_NITS, _PEAK_NITS / _REFERENCE_WHITE_NITS
    return min(1.0, light * (1 + light / peak**2) / (1 + light))


_SRGB_TRANSFER, _OF_VIDEO = 13, frozenset({1, 6, 14, 15})
_TRANSFERS: dict[int, Callable[[float], float]] = {
    # The display of ITU-R BT.1886, as in browsers.
    **dict.fromkeys((1, 6, 11, 14, 15), _power(2.4)),
    4: _power(2.2),
    5: _power(2.8),
    7: _smpte_240,
    8: _power(1.0),
    13: srgb.light,
    16: _pq,
    17: _cinema,
    18: _hlg,
}


def _from_cicp(primaries: int, transfer: int, *, full_range: bool) -> Signal | None:
    """None for sRGB, which also replaces unspecified and reserved code points."""
    points, light = _PRIMARIES.get(primaries, _SRGB), _TRANSFERS.get(transfer, srgb.light)
    if points == _SRGB and light is srgb.light and full_range:
        return None
    return Signal(points, light, full_range)


def _png_signal(content: bytes) -> Signal | None:
    """The chunks in their order of precedence: cICP, iCCP, sRGB, then gAMA and cHRM (PNG 3rd edition, 4.3). Like
    browsers, ignores a cHRM without a gAMA."""
    found: dict[bytes, bytes] = {}
    for chunk in islice(png.chunks(content), _MOST_CHUNKS):
        if chunk.name in (b"PLTE", b"IDAT"):
            break
        if chunk.name in _LENGTHS and chunk.is_sound(content):
            data = chunk.data(content)
            if _LENGTHS[chunk.name] in (None, len(data)):
                found.setdefault(chunk.name, data)
    cicp = found.get(b"cICP", bytes(4))
    if cicp[2] == 0 and cicp[0] in _PRIMARIES and cicp[1] in _TRANSFERS:
        return _from_cicp(cicp[0], cicp[1], full_range=cicp[3] != 0)
    if _is_profile(found.get(b"iCCP", b"")) or found.get(b"sRGB", b"\xff")[0] in _INTENTS:
        return None
    gamma = int.from_bytes(found.get(b"gAMA", b""), "big")
    if not gamma:
        return None
    primaries = _SRGB
    if b"cHRM" in found:
        numbers = [number / 100_000 for number in struct.unpack(">8I", found[b"cHRM"])]
        ordered = (*numbers[2:], *numbers[:2])
        if any(abs(value - standard) > 0.001 for value, standard in zip(ordered, _SRGB, strict=True)):
            primaries = ordered
    if primaries == _SRGB and abs(gamma / _PLAIN_GAMMA - 1) <= _GAMMA_TOLERANCE:
        return None
    return Signal(primaries, _power(100_000 / gamma))


def _is_profile(chunk: bytes) -> bool:
    """Whether an iCCP chunk seems to hold an ICC profile."""
    try:
        head = zlib.decompressobj().decompress(chunk[chunk.find(b"\0") + 2 :], 40)
    except zlib.error:
        return False
    return head[36:40] == b"acsp"


def _heif_signal(content: bytes) -> Signal | None:
    """The `colr` property of the primary item (ISO/IEC 23008-12 6.5.5), in which an ICC profile takes precedence;
    without the property, the sequence header. The decoder applies the range."""
    items = heif.items(content)
    if items is None:
        return None
    colours = items.property_of_picture(b"colr")
    if any(colour.startswith((b"prof", b"rICC")) for colour in colours):
        return None
    for colour in colours:
        if colour.startswith(b"nclx") and len(colour) >= 10:
            return _of_picture(*struct.unpack(">HH", colour[4:8]))
    codes = av1.colour_codes(items.head_of(content, items.tiles[-1], _SEQUENCE_HEADER_BYTES))
    return _of_picture(*codes) if codes else None


def _of_picture(primaries: int, transfer: int) -> Signal | None:
    """Like browsers, treats the transfer functions of video as sRGB in still pictures: cameras and video encoders
    write them for pictures made on an sRGB screen."""
    return _from_cicp(primaries, _SRGB_TRANSFER if transfer in _OF_VIDEO else transfer, full_range=True)
