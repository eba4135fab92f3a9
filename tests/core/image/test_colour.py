"""The colours that a file signals, and the ICC profile for them.

The expected values are computed here from ITU-T H.273, ITU-R BT.2100 and ICC.1, by functions that go from light to values.
"""

import math
import struct
import zlib
from collections.abc import Callable

import pytest

from proxy.core.image import colour
from proxy.core.image.colour import Signal, profile, signalled
from proxy.core.image.formats import Format
from tests.core.image.test_av1 import still, unit
from tests.support import pictures
from tests.support.avif import avif, box, flat, full_box, icc, nclx
from tests.support.png import P3, SRGB, cicp, gamma, png, png_chunk

RED = (200, 80, 80)
D65, C, E = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3)
PRIMARIES: dict[int, tuple[float, ...]] = {
    1: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *D65),
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *C),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65),
    10: (1, 0, 0, 1, 0, 0, *E),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *D65),
}
"""H.273 table 2: x and y of red, green, blue and white."""


def srgb_of(light: float) -> float:
    return 12.92 * light if light < 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def smpte_240_of(light: float) -> float:
    return 4 * light if light < 0.0228 else 1.1115 * light**0.45 - 0.1115


def pq_of(nits: float) -> float:
    """H.273 table 3, 16."""
    power = (nits / 10_000) ** (2610 / 16_384)
    return (
        (3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)
    ) ** (2523 / 32)  # fmt: skip


def hlg_of(nits: float) -> float:
    """H.273 table 3, 18, of the scene that a display of 1000 cd/m2 shows so (BT.2100 table 5, gamma 1.2)."""
    scene = (nits / 1000) ** (1 / 1.2)
    a, b = 0.17883277, 0.28466892
    return math.sqrt(3 * scene) if scene <= 1 / 12 else a * math.log(12 * scene - b) + 0.55991073


def signal_of(*chunks: tuple[bytes, bytes]) -> Signal | None:
    return signalled(Format.PNG, png(RED, *chunks))


def present_signal(*chunks: tuple[bytes, bytes]) -> Signal:
    signal = signal_of(*chunks)
    assert signal is not None
    return signal


@pytest.mark.parametrize("code", PRIMARIES)
def test_primaries_of_each_code_point(code: int) -> None:
    signal = present_signal(cicp(code, 8))
    assert signal.primaries == pytest.approx(PRIMARIES[code])
    assert signal.full_range


LIGHTS = [0.0, 0.001, 0.02, 0.05, 0.18, 0.5, 0.9, 1.0]


@pytest.mark.parametrize(
    ("code", "value_of"),
    [
        (4, lambda light: light ** (1 / 2.2)),
        (5, lambda light: light ** (1 / 2.8)),
        (7, smpte_240_of),
        (8, lambda light: light),
        (13, srgb_of),
        (17, lambda light: (48 / 52.37 * light) ** (1 / 2.6)),
        *((code, lambda light: light ** (1 / 2.4)) for code in (1, 6, 11, 14, 15)),
    ],
)
@pytest.mark.parametrize("light", LIGHTS)
def test_transfer_functions_of_each_code_point(
    code: int, value_of: Callable[[float], float], light: float
) -> None:
    assert present_signal(cicp(9, code)).light(value_of(light)) == pytest.approx(light, abs=1e-4)


HDR = pytest.mark.parametrize(("code", "value_of"), [(16, pq_of), (18, hlg_of)], ids=["pq", "hlg"])


@HDR
@pytest.mark.parametrize("nits", [0.0, 0.5, 10.0, 26.0, 100.0, 203.0, 500.0, 999.0, 1000.0])
def test_hdr_is_mapped_to_the_range_of_srgb(
    code: int, value_of: Callable[[float], float], nits: float
) -> None:
    light, peak = nits / 203, 1000 / 203
    expected = light * (1 + light / peak**2) / (1 + light)
    assert present_signal(cicp(9, code)).light(value_of(nits)) == pytest.approx(expected, abs=1e-4)


@HDR
def test_the_tone_map_preserves_black_reference_white_and_peak_white(
    code: int, value_of: Callable[[float], float]
) -> None:
    light = present_signal(cicp(9, code)).light
    assert light(0.0) == pytest.approx(0.0, abs=1e-9)
    assert round(255 * srgb_of(light(value_of(203.0)))) == 191, "reference white"
    assert light(value_of(1000.0)) == pytest.approx(1.0, abs=1e-4), "peak white"
    assert light(1.0) == pytest.approx(1.0, abs=1e-4)
    levels = [light(value / 1000) for value in range(1001)]
    assert levels == sorted(levels)
    below_peak = [level for level in levels if level < 0.9999]
    assert len(set(below_peak)) == len(below_peak)


def test_light_above_the_peak_is_white() -> None:
    assert present_signal(cicp(9, 16)).light(pq_of(4000.0)) == 1.0


NONE = (b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))
ICC = (b"iCCP", b"x\0\0" + zlib.compress(bytes(36) + b"acsp" + bytes(88)))
WIDE = PRIMARIES[12]


@pytest.mark.parametrize(
    ("chunks", "primaries", "middle"),
    [
        ([gamma(100_000)], 1, 0.5),
        ([gamma(50_000)], 1, 0.25),
        ([gamma(25_000)], 1, 0.0625),
        ([gamma(100_000), (b"cHRM", SRGB)], 1, 0.5),
        ([(b"cHRM", P3), gamma(100_000)], 12, 0.5),
        ([gamma(45_455), (b"cHRM", P3)], 12, 0.5 ** (100_000 / 45_455)),
        # The order of precedence.
        ([(b"sRGB", b"\0"), cicp(12, 8)], 12, 0.5),
        ([ICC, cicp(12, 8)], 12, 0.5),
        ([NONE, gamma(100_000)], 1, 0.5),
        ([(b"iCCP", b"nonsense"), gamma(100_000)], 1, 0.5),
        ([(b"iCCP", b""), gamma(100_000)], 1, 0.5),
        ([(b"sRGB", b"\4"), gamma(100_000)], 1, 0.5),
        ([(b"sRGB", b""), gamma(100_000)], 1, 0.5),
        ([(b"sRGB", b"\0\0"), gamma(100_000)], 1, 0.5),
        ([cicp(12, 8), cicp(9, 13)], 12, 0.5),
        # What code points say that are none is nothing, and the next counts.
        ([cicp(12, 8, matrix=1), gamma(100_000)], 1, 0.5),
        ([cicp(2, 8), gamma(100_000)], 1, 0.5),
        ([cicp(12, 2), gamma(100_000)], 1, 0.5),
        ([(b"cICP", b"\x0c\x08\0"), gamma(100_000)], 1, 0.5),
        # A cHRM of the wrong length.
        ([gamma(100_000), (b"cHRM", P3[:28])], 1, 0.5),
    ],
)
def test_png_chunks_signal_primaries_and_transfer(
    chunks: list[tuple[bytes, bytes]], primaries: int, middle: float
) -> None:
    signal = present_signal(*chunks)
    assert signal.primaries == pytest.approx(PRIMARIES[primaries])
    assert signal.light(0.5) == pytest.approx(middle, rel=1e-6)
    assert signal.full_range


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [(b"sRGB", b"\0")],
        [(b"sRGB", b"\3"), gamma(100_000)],
        [ICC, gamma(100_000)],
        [cicp(1, 13)],
        [gamma(0), (b"cHRM", P3)],
        [(b"cHRM", P3)],
        [(b"gAMA", b"\0\1\x86\xa0\0")],
        [(b"gAMA", b"")],
        # Within a twentieth of sRGB nothing is done.
        [gamma(45_455), (b"cHRM", SRGB)],
        [gamma(47_727)],
        [gamma(43_183)],
        # Code points that are reserved, or leave it open.
        [cicp(200, 200)],
        [cicp(2, 2)],
    ],
)
def test_chunks_for_srgb_give_no_signal(chunks: list[tuple[bytes, bytes]]) -> None:
    assert signal_of(*chunks) is None


@pytest.mark.parametrize("number", [47_729, 43_181])
def test_a_gamma_that_differs_from_srgb_by_a_twentieth_is_a_signal(number: int) -> None:
    assert present_signal(gamma(number)).light(0.5) == pytest.approx(0.5 ** (100_000 / number))


def test_srgb_of_limited_range_is_a_signal() -> None:
    signal = present_signal(cicp(1, 13, full=0))
    assert not signal.full_range
    assert signal.primaries == PRIMARIES[1]
    assert signal.light(0.5) == pytest.approx(((0.5 + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("chunk", [cicp(12, 13), gamma(100_000)])
def test_damaged_chunks_and_chunks_after_the_picture_are_ignored(chunk: tuple[bytes, bytes]) -> None:
    content = bytearray(png(RED, chunk))
    assert signalled(Format.PNG, bytes(content)) is not None
    content[content.index(chunk[0]) + 4 + len(chunk[1])] ^= 1
    assert signalled(Format.PNG, bytes(content)) is None
    plain = png(RED)
    assert signalled(Format.PNG, plain[:-12] + png_chunk(*chunk) + plain[-12:]) is None
    assert signalled(Format.PNG, png(RED, (b"PLTE", bytes(3)), chunk)) is None


def test_at_most_a_thousand_chunks_are_read() -> None:
    """The header is one of them."""
    text = (b"tEXt", b"k\0v")
    assert signal_of(*[text] * 998, gamma(100_000)) is not None
    assert signal_of(*[text] * 999, gamma(100_000)) is None


@pytest.mark.parametrize("length", [8, 20, 33, 40, 48])
def test_a_png_truncated_before_its_signal_has_none(length: int) -> None:
    """The header ends at 33, and the chunk at 49."""
    assert signalled(Format.PNG, png(RED, gamma(100_000))[:49]) is not None
    assert signalled(Format.PNG, png(RED, gamma(100_000))[:length]) is None


STREAM = unit(still(codes=(12, 8)))
"""A sequence header that tells of the primaries of P3, and linear light; nothing else is looked at here."""


@pytest.mark.parametrize(
    ("properties", "primaries", "transfer"),
    [
        ((nclx(12, 13),), 12, 13),
        ((nclx(9, 16, 9),), 9, 16),
        ((nclx(9, 18, 9),), 9, 18),
        ((nclx(1, 8),), 1, 8),
        ((nclx(12, 2),), 12, 13),
        ((nclx(12, 13, full_range=False),), 12, 13),
        ((nclx(9, 13), nclx(12, 13)), 9, 13),
        # A camera's transfer function is taken for that of a screen.
        *(((nclx(9, transfer),), 9, 13) for transfer in (1, 6, 14, 15)),
        # Without a property the stream counts.
        ((), 12, 8),
        ((box(b"colr", b"nclx\0\x09\0\x10\0"),), 12, 8),
        ((box(b"colr", b"what\0\x09\0\x10\0\0\0"),), 12, 8),
        ((box(b"colr"),), 12, 8),
    ],
)
@pytest.mark.parametrize("kind", [Format.AVIF, Format.HEIC])
def test_code_points_of_an_avif(
    kind: Format, properties: tuple[bytes, ...], primaries: int, transfer: int
) -> None:
    signal = signalled(kind, avif((STREAM, b""), *properties))
    assert signal is not None
    assert signal.primaries == pytest.approx(PRIMARIES[primaries])
    assert signal.light is present_signal(cicp(9, transfer)).light
    assert signal.full_range, "the decoder undoes the other"


@pytest.mark.parametrize(
    "properties",
    [
        (nclx(1, 13),),
        (nclx(2, 2),),
        (nclx(1, 1),),
        (icc(b"any"),),
        (nclx(9, 16), icc(b"any")),
        (icc(b"any"), nclx(9, 16)),
        (box(b"colr", b"rICCany"), nclx(9, 16)),
    ],
)
def test_an_avif_in_srgb_or_with_a_profile_has_no_signal(properties: tuple[bytes, ...]) -> None:
    assert signalled(Format.AVIF, avif((STREAM, b""), *properties)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        box(b"ftyp", b"avif\0\0\0\0"),
        box(b"ftyp", b"avif\0\0\0\0") + full_box(b"meta", full_box(b"pitm")),
        avif((unit(still(codes=None)), b"")),
        avif((unit(still(codes=(1, 13))), b"")),
        avif((b"", b"")),
        avif((STREAM, b""))[: -len(STREAM)],
    ],
    ids=["nothing", "no items", "broken items", "no codes", "sRGB", "no stream", "cut"],
)
def test_an_avif_without_code_points_has_no_signal(content: bytes) -> None:
    assert signalled(Format.AVIF, content) is None


def test_srgb_originals_have_no_signal() -> None:
    """Not a number is changed, and the fast way is taken."""
    for content in (png(RED), png(RED, (b"sRGB", b"\0")), png(RED, gamma(45_455)), png(RED, cicp(1, 13))):
        assert signalled(Format.PNG, content) is None
    assert signalled(Format.AVIF, avif(flat(RED), nclx(1, 13))) is None
    assert signalled(Format.JPEG, pictures.photo_as("jpeg")) is None


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP, Format.GIF])
def test_other_formats_have_no_signal(kind: Format) -> None:
    assert signalled(kind, png(RED, cicp(12, 13))) is None


# The profile, read back.


def identity(value: float) -> float:
    return value


def tags_of(icc_profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack(">I", icc_profile[128:132])
    entries = [struct.unpack(">4sII", icc_profile[at : at + 12]) for at in range(132, 132 + 12 * count, 12)]
    assert len({name for name, _, _ in entries}) == count
    for _, start, size in entries:
        assert start % 4 == 0
        assert 132 + 12 * count <= start
        assert start + size <= len(icc_profile)
    return {name: icc_profile[start : start + size] for name, start, size in entries}


def xyz(tag: bytes) -> tuple[float, ...]:
    assert tag[:8] == b"XYZ \0\0\0\0"
    assert len(tag) == 20
    return tuple(number / 65536 for number in struct.unpack(">3i", tag[8:]))


def curve_of(icc_profile: bytes) -> tuple[int, ...]:
    tag = tags_of(icc_profile)[b"rTRC"]
    kind, _, count = struct.unpack(">4sII", tag[:12])
    assert (kind, count) == (b"curv", 4096)
    return struct.unpack(">4096H", tag[12:])


def made(signal: Signal, depth: int = 8) -> bytes:
    icc_profile = profile(signal, depth)
    assert icc_profile is not None
    return icc_profile


D50 = 0.9642, 1.0, 0.8249


def test_the_header_of_a_generated_profile() -> None:
    icc_profile = made(present_signal(cicp(12, 13)))
    size, version, device, space, connection = struct.unpack(">I4xI4s4s4s", icc_profile[:24])
    assert size == len(icc_profile)
    assert (version, device, space, connection) == (0x02400000, b"mntr", b"RGB ", b"XYZ ")
    assert icc_profile[36:40] == b"acsp"
    white = tuple(number / 65536 for number in struct.unpack(">3i", icc_profile[68:80]))
    assert white == pytest.approx(D50, abs=1e-4)
    tags = tags_of(icc_profile)
    assert set(tags) == {
        b"desc", b"cprt", b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC",
    }  # fmt: skip
    assert tags[b"rTRC"] == tags[b"gTRC"] == tags[b"bTRC"]
    assert xyz(tags[b"wtpt"]) == pytest.approx(D50, abs=1e-4)
    assert tags[b"desc"][:20] == b"desc\0\0\0\0\0\0\0\x08Signals\0"
    assert tags[b"cprt"] == b"text\0\0\0\0none\0"


@pytest.mark.parametrize(
    ("code", "red", "green", "blue"),
    [
        (1, (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
        (12, (0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
        (9, (0.6734, 0.2790, -0.0019), (0.1657, 0.6753, 0.0300), (0.1251, 0.0456, 0.7969)),
    ],
    ids=["sRGB", "Display P3", "BT.2020"],
)
def test_colorants_are_those_of_published_profiles(
    code: int, red: tuple[float, ...], green: tuple[float, ...], blue: tuple[float, ...]
) -> None:
    tags = tags_of(made(Signal(PRIMARIES[code], identity)))
    for name, expected in ((b"rXYZ", red), (b"gXYZ", green), (b"bXYZ", blue)):
        assert xyz(tags[name]) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("code", PRIMARIES)
def test_the_colorants_of_all_primaries_make_white(code: int) -> None:
    tags = tags_of(made(Signal(PRIMARIES[code], identity)))
    parts = [xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    assert tuple(map(sum, zip(*parts, strict=True))) == pytest.approx(D50, abs=2e-4)


@pytest.mark.parametrize("transfer", [1, 4, 5, 7, 8, 13, 16, 17, 18])
def test_the_tone_curve_follows_the_transfer_function(transfer: int) -> None:
    signal = present_signal(cicp(9, transfer))
    curve = curve_of(made(signal))
    for point in (0, 1, 100, 2048, 3000, 4095):
        assert curve[point] == round(65535 * min(1.0, signal.light(point / 4095)))
    assert list(curve) == sorted(curve)


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_the_tone_curve_of_limited_range(depth: int) -> None:
    curve = curve_of(made(Signal(WIDE, identity, full_range=False), depth))
    black, white = 16 * 2 ** (depth - 8) / (2**depth - 1), 235 * 2 ** (depth - 8) / (2**depth - 1)
    for point, got in enumerate(curve):
        expected = (point / 4095 - black) / (white - black)
        assert got == pytest.approx(65535 * min(1.0, max(0.0, expected)), abs=0.51)


def test_the_tone_curve_of_full_range_is_equal_at_every_depth() -> None:
    assert made(present_signal(cicp(12, 13)), 8) == made(present_signal(cicp(12, 13)), 16)


@pytest.mark.parametrize(
    "primaries",
    [
        (0.0,) * 8,
        (0.64, 0.33) * 3 + D65,
        (*PRIMARIES[1][:6], 0.3127, 0.0),
        (*PRIMARIES[1][:6], 0.3127, -0.1),
        (*PRIMARIES[1][:6], 0.9, 0.05),
        (0.64, 0.33, 0.6401, 0.3301, 0.15, 0.06, *D65),
    ],
    ids=["zero", "one point", "no white", "less than no white", "no white to be seen", "no triangle"],
)
def test_unknown_primaries_have_no_profile(primaries: tuple[float, ...]) -> None:
    assert profile(Signal(primaries, identity), 8) is None


def test_a_png_with_zero_primaries_has_no_profile() -> None:
    signal = present_signal(gamma(45_455), (b"cHRM", bytes(32)))
    assert signal.primaries == (0.0,) * 8
    assert colour.profile(signal, 8) is None
