"""Colours that a file signals without an ICC profile, or by a grey one, are rendered as browsers show them.

The expected values are those of the standards (ITU-T H.273, PNG 3rd edition), which Chromium 156 shows within 3 of 255.
"""

import base64
import struct
import zlib

import pytest
import pyvips

from proxy.core.image import av1, colour
from proxy.core.image.formats import Format
from tests.render.conftest import LIMITS, draw, probe
from tests.support.avif import avif, flat, icc, nclx
from tests.support.bombs import jpeg_segment
from tests.support.pictures import is_near, pixel
from tests.support.png import P3, SRGB, cicp, gamma, png, png_chunk

RED = (200, 80, 80)


def shown(content: bytes) -> list[int]:
    """The colour, which must be the same at the picture's own size and shrunk."""
    whole, shrunk = pixel(draw(content, "f_png"), 5, 5), pixel(draw(content, "w_8,f_png"), 5, 5)
    assert is_near(whole, tuple(shrunk), 1)
    return whole


@pytest.mark.parametrize(
    ("primaries", "right"),
    [
        (1, (200, 80, 80)), (4, (234, 74, 73)), (5, (203, 80, 80)), (6, (195, 84, 80)), (7, (195, 84, 80)),
        (8, (225, 67, 75)), (9, (244, 37, 75)), (11, (212, 69, 75)), (12, (216, 69, 75)), (22, (202, 85, 80)),
    ],
)  # fmt: skip
def test_png_primaries_are_converted_to_srgb(primaries: int, right: tuple[int, ...]) -> None:
    assert is_near(shown(png(RED, cicp(primaries, 13))), right, 2)


@pytest.mark.parametrize(
    ("transfer", "right"),
    [
        (1, 121),
        (4, 129),
        (5, 106),
        (6, 121),
        (7, 141),
        (8, 188),
        (11, 121),
        (13, 128),
        (14, 121),
        (15, 121),
        (17, 118),
    ],
)
def test_png_transfer_functions_are_converted_to_srgb(transfer: int, right: int) -> None:
    assert is_near(shown(png((128, 128, 128), cicp(1, transfer))), (right,) * 3, 2)


@pytest.mark.parametrize(
    ("content", "right"),
    [
        (png((128,) * 3, gamma(100_000)), (188,) * 3),
        (png((128,), gamma(100_000)), (188,) * 3),
        (png((128, 200), gamma(100_000)), (188, 188, 188, 200)),
        (png((128, 128, 128, 200), gamma(100_000)), (188, 188, 188, 200)),
        (png((32_896,) * 3, gamma(100_000), deep=True), (188,) * 3),
        (png((60, 128, 200), gamma(50_000)), (67, 137, 206)),
        (png((60, 128, 200), gamma(30_000)), (22, 89, 178)),
        (png((60, 128, 200), gamma(45_455)), (60, 128, 200)),
        (png((60, 128, 200), gamma(45_455), (b"cHRM", SRGB)), (60, 128, 200)),
        (png((60, 128, 200), gamma(0)), (60, 128, 200)),
        (png(RED, gamma(45_455), (b"cHRM", P3)), (218, 67, 74)),
        (png((128,) * 3, gamma(100_000), (b"cHRM", SRGB)), (188,) * 3),
        # What counts more.
        (png((128,) * 3, (b"sRGB", b"\0"), gamma(100_000)), (128,) * 3),
        (png(RED, (b"sRGB", b"\0"), cicp(12, 13)), (216, 69, 75)),
        (png(RED, (b"iCCP", b"x\0\0" + zlib.compress(b"no profile")), cicp(12, 13)), (216, 69, 75)),
        (png((128,) * 3, (b"iCCP", b"x\0\0" + zlib.compress(b"no profile")), gamma(100_000)), (188,) * 3),
        (png((128,) * 3, (b"iCCP", b"nonsense"), gamma(100_000)), (188,) * 3),
        (png((128,) * 3, (b"sRGB", b"\x09"), gamma(100_000)), (188,) * 3),
        (png((128,) * 3, (b"sRGB", b""), gamma(100_000)), (188,) * 3),
        # What says nothing.
        (png(RED, (b"cHRM", P3)), RED),
        (png(RED, gamma(45_455), (b"cHRM", bytes(32))), RED),
        (png(RED, gamma(45_455), (b"cHRM", P3[:20])), RED),
        (png(RED, cicp(2, 13)), RED),
        (png(RED, cicp(12, 2)), RED),
        (png(RED, cicp(12, 13, matrix=1)), RED),
        (png(RED, cicp(200, 200)), RED),
        (png(RED, cicp(12, 12)), RED),
        (png((128,) * 3, (b"gAMA", struct.pack(">IB", 100_000, 0))), (128,) * 3),
        (png(RED, (b"cICP", b"\x0c\x0d")), RED),
        # Black is 16 and white 235.
        (png((128,) * 3, cicp(1, 13, full=0)), (130,) * 3),
        (png((16, 235, 5), cicp(1, 13, full=0)), (0, 255, 0)),
        (png((4096, 60_160, 0), cicp(1, 13, full=0), deep=True), (0, 255, 0)),
    ],
)  # fmt: skip
def test_png_colour_chunks_have_their_order_of_precedence(content: bytes, right: tuple[int, ...]) -> None:
    assert is_near(shown(content), right, 2)


def test_damaged_colour_chunks_are_ignored() -> None:
    for chunk in (cicp(12, 13), gamma(100_000)):
        content = bytearray(png(RED, chunk))
        content[content.index(chunk[0]) + 4 + len(chunk[1])] ^= 1
        assert shown(bytes(content)) == list(RED)


@pytest.mark.parametrize(
    "tokens",
    ["f_png", "w_8,f_png", "e_contrast:20,f_png", "e_sharpen:2,f_png", "f_jpg", "w_20,h_9,c_pad,b_fff,f_png"],
)
@pytest.mark.parametrize("values", [(200, 80, 80, 128), (200, 80, 80, 255), (120, 128), (120, 255)])
def test_sixteen_bits_with_alpha_render_as_eight_bits(values: tuple[int, ...], tokens: str) -> None:
    signal = cicp(12, 13) if len(values) > 2 else gamma(100_000)
    deep = draw(png(tuple(257 * value for value in values), signal, deep=True), tokens)
    for x, y in ((4, 4), (0, 0)):
        assert is_near(pixel(deep, x, y), tuple(pixel(draw(png(values, signal), tokens), x, y)), 3)
    assert pyvips.Image.new_from_buffer(deep, "").format == "uchar"


@pytest.mark.parametrize("alpha", [128, 255])
def test_ten_bits_with_alpha_render_as_eight_bits(alpha: int) -> None:
    deep = avif(flat((51_400, 20_560, 20_560), depth=10), nclx(12, 13), alpha=flat((alpha,)))
    plain = avif(flat(RED), nclx(12, 13), alpha=flat((alpha,)))
    for tokens in ("f_png", "w_20,f_png", "e_contrast:20,f_png", "f_jpg"):
        assert is_near(pixel(draw(deep, tokens), 5, 5), tuple(pixel(draw(plain, tokens), 5, 5)), 4)


def test_colour_chunks_after_the_picture_are_ignored() -> None:
    content = png(RED)
    with_late_chunk = content[:-12] + png_chunk(*cicp(12, 13)) + content[-12:]
    assert shown(with_late_chunk) == list(RED)


@pytest.mark.parametrize(
    "content",
    [
        png((38_057,) * 3, cicp(9, 16), deep=True),
        png((148,) * 3, cicp(9, 16)),
        png((148,), cicp(9, 16)),
        png((191,) * 3, cicp(9, 18)),
        avif(flat((38_057,) * 3, depth=10), nclx(9, 16, 9)),
        avif(flat((38_057,) * 3, depth=12), nclx(9, 16, 9)),
        avif(flat((49_151,) * 3, depth=10), nclx(9, 18, 9)),
    ],
    ids=["pq16", "pq8", "pq grey", "hlg8", "pq10", "pq12", "hlg10"],
)
def test_hdr_reference_white_has_its_tone_mapped_value(content: bytes) -> None:
    """203 cd/m2 (ITU-R BT.2408) on the tone map that the documents tell of."""
    assert is_near(shown(content), (191, 191, 191), 3)


def test_the_tone_map_is_monotonic_from_black_to_white() -> None:
    levels = [shown(png((value,) * 3, cicp(9, 16)))[0] for value in (0, 40, 80, 120, 148, 170, 185, 200, 255)]
    assert levels == sorted(set(levels[:-1])) + levels[-1:]
    assert levels[0] == 0
    assert levels[-2:] == [255, 255], "1000 cd/m2 and all above is white"


@pytest.mark.parametrize(
    ("properties", "right"),
    [
        ((), (200, 80, 81)),
        ((nclx(1, 13),), (200, 80, 81)),
        ((nclx(2, 2),), (200, 80, 81)),
        ((nclx(12, 13),), (216, 69, 76)),
        ((nclx(12, 2),), (216, 69, 76)),
        ((nclx(9, 13),), (244, 37, 77)),
        ((nclx(1, 1),), (200, 80, 81)),
        ((nclx(9, 14),), (244, 37, 77)),
        ((nclx(1, 8),), (229, 152, 153)),
        ((nclx(1, 4),), (201, 79, 80)),
        ((nclx(11, 17),), (213, 50, 61)),
        ((nclx(12, 13, full_range=False),), (230, 61, 70)),
    ],
)
def test_avif_code_points_are_converted_to_srgb(
    properties: tuple[bytes, ...], right: tuple[int, ...]
) -> None:
    assert is_near(shown(avif(flat(RED), *properties)), right, 3)


def test_an_avif_profile_overrides_code_points() -> None:
    signal = colour.signalled(Format.PNG, png(RED, cicp(12, 13)))
    assert signal is not None
    profile = colour.profile(signal, 8)
    assert profile is not None
    for properties in ((icc(profile),), (icc(profile), nclx(1, 13)), (nclx(9, 16), icc(profile))):
        assert is_near(shown(avif(flat(RED), *properties)), (216, 69, 76), 3)


def test_code_points_of_the_stream_apply_without_a_property() -> None:
    stream, properties = flat(RED)
    assert av1.colour_codes(stream) == (1, 13)
    number = int.from_bytes(stream, "big")
    bits = f"{number:0{8 * len(stream)}b}".replace("0000000100001101", "0000110000001101", 1)
    wide = int(bits, 2).to_bytes(len(stream), "big")
    assert av1.colour_codes(wide) == (12, 13)
    assert is_near(shown(avif((wide, properties))), (216, 69, 76), 3)
    assert is_near(shown(avif((wide, properties), nclx(1, 13))), RED, 3)


GREY_STREAM = base64.b64decode("EgAKCRgVf/2mBAQNQDIMEgapAIPkAM/ME5lY")
"""64x64 of grey 128 in one channel, as libavif makes it; libvips always writes three."""


def grey_profile() -> bytes:
    """A profile of one channel whose values are linear light."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63_190, 65_536, 54_061)
    parts = {
        b"desc": b"desc\0\0\0\0\0\0\0\5Grey\0" + bytes(79),
        b"wtpt": white,
        b"kTRC": b"curv\0\0\0\0\0\0\0\0",
    }
    table, body, at = b"", b"", 132 + 12 * len(parts)
    for name, part in parts.items():
        table += name + struct.pack(">II", at + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    head = (
        struct.pack(">I4xI4s4s4s12x4s28x", at + len(body), 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
        + white[8:]
    )
    return head.ljust(128, b"\0") + struct.pack(">I", len(parts)) + table + body


def _jpeg(bands: int) -> bytes:
    image = (pyvips.Image.black(16, 16, bands=bands) + 128).cast("uchar")
    content = bytes(
        image.copy(interpretation="b-w" if bands == 1 else "srgb").jpegsave_buffer(Q=100, keep="none")
    )
    return content[:2] + jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1" + grey_profile()) + content[2:]


def _webp() -> bytes:
    image = (pyvips.Image.black(16, 16, bands=3) + 128).cast("uchar").copy(interpretation="srgb")
    content = bytes(image.webpsave_buffer(lossless=True, keep="icc", profile="p3"))
    at = content.index(b"ICCP")
    size = int.from_bytes(content[at + 4 : at + 8], "little")
    profile = grey_profile()
    body = (
        content[12:at]
        + b"ICCP"
        + len(profile).to_bytes(4, "little")
        + profile
        + content[at + 8 + size + size % 2 :]
    )
    return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body


ICCP = b"iCCP", b"x\0\0" + zlib.compress(grey_profile())
AV1C = b"\0\0\0\x0cav1C\x81\0\x1c\0" + b"\0\0\0\x14ispe" + bytes(4) + struct.pack(">II", 64, 64)


@pytest.mark.parametrize(
    ("content", "right"),
    [
        (_jpeg(1), (188,) * 3),
        (png((128,), ICCP), (188,) * 3),
        (png((128, 200), ICCP), (188, 188, 188, 200)),
        (png((32_896,), ICCP, deep=True), (188,) * 3),
        (avif((GREY_STREAM, AV1C), icc(grey_profile())), (188,) * 3),
        (avif((GREY_STREAM, AV1C)), (128,) * 3),
        # A profile of one channel says nothing of three.
        (_jpeg(3), (128,) * 3),
        (png((128,) * 3, ICCP), (128,) * 3),
        (_webp(), (128,) * 3),
        (avif(flat((128,) * 3), icc(grey_profile())), (128,) * 3),
    ],
    ids=[
        "jpeg",
        "png",
        "png alpha",
        "png16",
        "avif",
        "avif plain",
        "jpeg rgb",
        "png rgb",
        "webp",
        "avif rgb",
    ],
)
def test_grey_profiles_are_applied(content: bytes, right: tuple[int, ...]) -> None:
    assert is_near(shown(content), right, 3)


@pytest.mark.parametrize("code_points", [(1, 13), (12, 13)])
def test_premultiplied_alpha_is_undone(code_points: tuple[int, int]) -> None:
    colour_of, alpha = flat((100, 40, 20)), flat((128,))
    stored = avif(colour_of, nclx(*code_points), alpha=alpha, is_premultiplied=True)
    plain = avif(flat((200, 80, 40)), nclx(*code_points), alpha=alpha)
    for tokens in ("f_png", "w_20,f_png", "w_99,h_30,c_fill,f_png"):
        assert is_near(pixel(draw(stored, tokens), 5, 5), tuple(pixel(draw(plain, tokens), 5, 5)), 3)
    assert probe(stored, LIMITS).alpha
