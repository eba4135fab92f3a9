"""Pixels of variants: sizes, positions, colours, orientation, alpha, animation, metadata."""

import itertools

import pytest
import pyvips

from proxy.core.image.exif import MAIN, Exif
from proxy.core.image.formats import Format, sniff
from tests.render.conftest import draw
from tests.support import pictures
from tests.support.pictures import BLUE, GREEN, RED, YELLOW, is_near, pixel, size


@pytest.mark.parametrize(
    ("original", "tokens", "result"),
    [
        ((400, 300), "f_png", (400, 300)),
        ((400, 300), "w_200,f_png", (200, 150)),
        ((400, 300), "h_100,f_png", (133, 100)),
        ((400, 300), "w_800,f_png", (400, 300)),
        ((400, 300), "w_200,h_200,f_png", (200, 150)),
        ((400, 300), "w_800,h_800,c_fit,f_png", (400, 300)),
        ((400, 300), "w_200,h_200,c_fill,f_png", (200, 200)),
        ((400, 300), "w_800,h_200,c_fill,f_png", (800, 200)),
        ((400, 300), "w_200,h_200,c_pad,f_png", (200, 200)),
        ((400, 300), "w_800,h_800,c_pad,f_png", (800, 800)),
        ((400, 300), "w_200,h_200,c_outside,f_png", (267, 200)),
        ((400, 300), "w_800,h_800,c_outside,f_png", (1067, 800)),
        ((400, 300), "w_123,h_45,c_scale,f_png", (123, 45)),
        ((400, 300), "w_200,h_100,dpr_1.5,c_scale,f_png", (300, 150)),
        ((400, 300), "w_200,h_100,c_scale,a_90,f_png", (100, 200)),
        ((40, 2000), "w_10,f_png", (10, 500)),
        ((900, 2), "w_100,f_png", (100, 1)),
        ((2, 900), "w_4000,h_4000,c_fill,f_png", (4000, 4000)),
        ((2, 900), "w_300,h_300,c_fill,g_auto,f_png", (300, 300)),
        ((900, 2), "w_3000,h_1000,c_fill,g_entropy,f_png", (3000, 1000)),
        ((2, 6000), "w_3000,f_png", (1, 4000)),
        ((2, 2), "w_3,h_3,c_outside,f_png", (3, 3)),
        ((400, 300), "w_800,el_allow,f_png", (800, 600)),
        ((400, 300), "w_200,el_only,f_png", (400, 300)),
        ((400, 300), "w_800,h_800,c_fill,el_never,f_png", (400, 300)),
        ((400, 300), "w_500,h_200,c_pad,el_never,f_png", (500, 200)),
        ((400, 300), "ar_1,f_png", (300, 300)),
        ((400, 300), "w_200,ar_16:9,c_fill,f_png", (200, 113)),
        ((400, 300), "c_crop,x_350,y_10,w_100,h_100,f_png", (50, 100)),
        ((400, 300), "c_crop,x_10,y_10,w_300,h_200~w_100,f_png", (100, 67)),
        ((400, 300), "w_200,h_200,c_fill~w_100~c_pad,w_120,h_110,f_png", (120, 110)),
        ((400, 300), "a_90~w_100,f_png", (100, 133)),
        ((400, 300), "w_100~a_90~c_crop,w_50,f_png", (50, 100)),
        ((6000, 300), "c_crop,w_5000,f_png", (4000, 240)),
    ],
)
def test_sizes_are_exact(original: tuple[int, int], tokens: str, result: tuple[int, int]) -> None:
    assert size(draw(pictures.quarters_as("png", *original), tokens)) == result


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif", "gif"])
@pytest.mark.parametrize("width", [199, 200, 133, 101, 67, 50, 49, 33, 25, 13, 7, 1])
def test_shrinking_while_loading_never_changes_a_size(kind: str, width: int) -> None:
    content = pictures.photo_as(kind, 401, 299)
    height = max(1, (2 * 299 * width + 401) // (2 * 401))
    assert size(draw(content, f"w_{width},f_png")) == (width, height)
    assert size(draw(content, f"w_{width},h_{width},c_fill,f_jpg")) == (width, width)


@pytest.mark.parametrize(
    ("source", "target"), list(itertools.product(["jpeg", "png", "webp", "avif", "gif"], repeat=2))
)
def test_every_format_is_converted_to_every_other(source: str, target: str) -> None:
    drawn = draw(pictures.quarters_as(source), f"w_200,f_{target}")
    assert sniff(drawn[:64]) is Format(target)
    assert size(drawn) == (200, 150)
    for x, y, colour in ((30, 30, RED), (-30, 30, GREEN), (30, -30, BLUE), (-30, -30, YELLOW)):
        assert is_near(pixel(drawn, x, y), colour)


def ramp(width: int, height: int) -> pyvips.Image:
    """Red tells x and green tells y, both 0 to 255."""
    xy = pyvips.Image.xyz(width, height)
    bands = (xy[0] * 255 / (width - 1)).bandjoin([xy[1] * 255 / (height - 1), xy[0] * 0])
    return bands.cast("uchar").copy(interpretation="srgb")


@pytest.mark.parametrize("kind", [".jpg[Q=100]", ".png", ".webp[lossless]", ".avif[Q=95]", ".gif"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("reduced_px", [160, 41, 13])
def test_a_crop_before_a_size_shows_its_region(kind: str, orientation: int, reduced_px: int) -> None:
    """The corners are those of the upright picture, however far the decoder shrinks and however the file lies."""
    upright = ramp(640, 480)
    lying = {1: upright, 3: upright.rot180(), 6: upright.rot270()}[orientation].copy()
    lying.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    if orientation != 1 and kind.startswith((".avif", ".gif")):
        lying = upright  # These formats have no EXIF orientation.
    drawn = draw(lying.write_to_buffer(kind), f"c_crop,x_160,y_120,w_320,h_320~w_{reduced_px},f_png")
    assert size(drawn) == (reduced_px, reduced_px)
    half_px = 320 / reduced_px / 2
    for x, y in ((0, 0), (-1, 0), (0, -1), (-1, -1)):
        red, green, _ = pixel(drawn, x, y)[:3]
        expected_x = 160 + half_px if x == 0 else 480 - half_px
        expected_y = 120 + half_px if y == 0 else 440 - half_px
        slack = 9 if kind == ".gif" else 4  # A GIF has 256 colours.
        assert abs(red - expected_x * 255 / 639) < slack
        assert abs(green - expected_y * 255 / 479) < slack


def test_a_crop_before_a_size_is_made_of_every_page() -> None:
    moving = pictures.film_as("gif")
    drawn = pyvips.Image.new_from_buffer(draw(moving, "c_crop,x_0,y_0,w_10,h_10~w_5,f_webp"), "", n=-1)
    original = pyvips.Image.new_from_buffer(moving, "", n=-1)
    assert (drawn.width, drawn.get_page_height(), drawn.get_n_pages()) == (5, 5, original.get_n_pages())


GRAVITIES = {
    "center": (0.5, 0.5), "north": (0.5, 0.0), "south": (0.5, 1.0), "east": (1.0, 0.5), "west": (0.0, 0.5),
    "north_east": (1.0, 0.0), "north_west": (0.0, 0.0), "south_east": (1.0, 1.0), "south_west": (0.0, 1.0),
    "0.25:0.25": (0.25, 0.25), "0.8:0.3": (0.8, 0.3),
}  # fmt: skip


@pytest.mark.parametrize(("gravity", "point"), list(GRAVITIES.items()))
@pytest.mark.parametrize("box", [(100, 300), (400, 60)])
def test_gravity_and_focal_points_select_the_crop(
    gravity: str, point: tuple[float, float], box: tuple[int, int]
) -> None:
    """On a ramp of position: red tells x, green tells y."""
    xy = pyvips.Image.xyz(400, 300)
    ramp = (
        (xy[0] * 255 / 399).bandjoin([xy[1] * 255 / 299, xy[0] * 0]).cast("uchar").copy(interpretation="srgb")
    )
    drawn = draw(pictures.encoded(ramp, "png"), f"w_{box[0]},h_{box[1]},c_fill,g_{gravity},f_png")
    left = min(max(0, int(point[0] * 400 - box[0] / 2 + 0.5)), 400 - box[0])
    top = min(max(0, int(point[1] * 300 - box[1] / 2 + 0.5)), 300 - box[1])
    red, green, _ = pixel(drawn, 0, 0)
    assert abs(red - left * 255 / 399) <= 1
    assert abs(green - top * 255 / 299) <= 1


@pytest.mark.parametrize("gravity", ["auto", "entropy", "face"])
def test_smart_gravity_finds_the_subject(gravity: str) -> None:
    """A busy, coloured spot at the right edge of a grey field."""
    field = (pyvips.Image.black(600, 200, bands=3) + 128).cast("uchar").copy(interpretation="srgb")
    spot = pictures.photo(80, 80).hist_equal()
    content = pictures.encoded(field.insert(spot, 500, 60), "png")
    drawn = pyvips.Image.new_from_buffer(draw(content, f"w_200,h_200,c_fill,g_{gravity},f_png"), "")
    assert drawn.deviate() > 20


def test_a_large_enlargement_is_cropped_at_its_gravity() -> None:
    """4 x 1000 with its colour at the very end, blown up to a square."""
    strip = (pyvips.Image.black(4, 1000, bands=3) + 10).cast("uchar").copy(interpretation="srgb")
    strip = strip.draw_rect(list(RED), 0, 996, 4, 4, fill=True)
    content = pictures.encoded(strip, "png")
    assert is_near(pixel(draw(content, "w_1000,h_1000,c_fill,g_south,f_png"), 500, 500), RED)
    assert is_near(pixel(draw(content, "w_1000,h_1000,c_fill,g_north,f_png"), 500, 500), (10, 10, 10))


@pytest.mark.parametrize("orientation", list(range(1, 9)))
def test_orientation_is_applied_before_all_steps(orientation: int) -> None:
    """Stored so that it must be turned: shown upright, red is at the upper left."""
    upright = pictures.quarters()
    lying = {
        1: upright,
        2: upright.fliphor(),
        3: upright.rot180(),
        4: upright.flipver(),
        5: upright.rot90().fliphor(),
        6: upright.rot270(),
        7: upright.rot270().fliphor(),
        8: upright.rot90(),
    }[orientation].copy()
    lying.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    content = bytes(lying.jpegsave_buffer(Q=92, keep="all"))
    for tokens, expected in (
        ("w_200,f_png", (200, 150)),
        ("w_100,h_150,c_fill,g_north_west,f_png", (100, 150)),
    ):
        drawn = draw(content, tokens)
        assert size(drawn) == expected
        assert is_near(pixel(drawn, 10, 10), RED)
    assert is_near(pixel(draw(content, "w_200,f_png"), -10, -10), YELLOW)
    bare = bytes(lying.jpegsave_buffer(Q=92, keep="none"))
    for tokens in ("w_200,f_png", "w_90,h_60,c_fill,g_north_west,f_png", "c_crop,x_20,y_10,w_80,h_90,f_png"):
        as_stored, expected_image = draw(content, f"orient_stored,{tokens}"), draw(bare, tokens)
        assert size(as_stored) == size(expected_image)
        for x, y in ((5, 5), (-5, 5), (5, -5), (-5, -5)):
            assert is_near(pixel(as_stored, x, y), pixel(expected_image, x, y)), (tokens, x, y)


@pytest.mark.parametrize(
    ("turn", "upper_left", "expected"),
    [("90", BLUE, (150, 200)), ("180", YELLOW, (200, 150)), ("270", GREEN, (150, 200)), ("hflip", GREEN, (200, 150)), ("vflip", BLUE, (200, 150))],
)  # fmt: skip
def test_rotation_is_applied_after_resizing(
    turn: str, upper_left: tuple[int, ...], expected: tuple[int, int]
) -> None:
    drawn = draw(pictures.quarters_as("jpeg"), f"w_200,a_{turn},f_png")
    assert size(drawn) == expected
    assert is_near(pixel(drawn, 10, 10), upper_left)


def test_padding_has_its_colour_and_position() -> None:
    content = pictures.quarters_as("png")
    drawn = draw(content, "w_300,h_300,c_pad,b_102030,f_png")
    assert pixel(drawn, 150, 2) == pixel(drawn, 150, -3) == [16, 32, 48]
    assert is_near(pixel(drawn, 20, 60), RED)
    assert pixel(draw(content, "w_300,h_300,c_pad,f_jpg"), 150, 2) == [255, 255, 255]
    top = draw(content, "w_300,h_300,c_pad,g_north,b_black,f_png")
    assert is_near(pixel(top, 5, 5), RED)
    assert pixel(top, 5, -5) == [0, 0, 0]
    clear = draw(content, "w_300,h_300,c_pad,b_transparent,f_png")
    assert pixel(clear, 150, 2)[3] == 0
    assert pixel(clear, 20, 60)[3] == 255


@pytest.mark.parametrize("kind", ["png", "webp", "avif"])
def test_alpha_is_preserved_in_formats_with_alpha(kind: str) -> None:
    drawn = draw(pictures.cut_out_as("png"), f"w_100,f_{kind}")
    assert pixel(drawn, 2, 2)[3] == 0
    middle = pixel(drawn, 50, 40)
    assert middle[3] == 255
    assert is_near(middle, RED)


def test_alpha_is_preserved_in_gif() -> None:
    drawn = draw(pictures.cut_out_as("png"), "w_100,f_gif")
    assert pixel(drawn, 2, 2)[3] == 0
    assert is_near(pixel(drawn, 50, 40), RED)


def test_alpha_is_flattened_in_jpeg() -> None:
    content = pictures.cut_out_as("png")
    assert is_near(pixel(draw(content, "w_100,f_jpg"), 2, 2), (255, 255, 255), 3)
    assert is_near(pixel(draw(content, "w_100,f_jpg,b_0000ff"), 2, 2), (0, 0, 255), 6)


def test_resizing_and_blurring_ignore_colours_of_transparent_pixels() -> None:
    """Black hides under the transparent part; neither resizing nor blurring may pull it in."""
    alpha = pyvips.Image.black(100, 100).draw_rect(255, 50, 0, 50, 100, fill=True)
    white = (pyvips.Image.black(100, 100, bands=3)).draw_rect([255, 255, 255], 50, 0, 50, 100, fill=True)
    content = pictures.encoded(white.bandjoin(alpha).copy(interpretation="srgb"), "png")
    for tokens in ("w_30,f_png", "w_60,e_blur:3,f_png"):
        image = pyvips.Image.new_from_buffer(draw(content, tokens), "")
        seen = (image[3] > 20).ifthenelse(image[0], 255)
        assert seen.min() > 235


@pytest.mark.parametrize("source", ["gif", "webp"])
@pytest.mark.parametrize("target", ["gif", "webp"])
@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("w_30", (30, 20)),
        ("w_40,h_40,c_fill", (40, 40)),
        ("w_40,h_40,c_fill,g_auto", (40, 40)),
        ("w_40,h_40,c_pad", (40, 40)),
        ("w_30,a_90", (20, 30)),
        ("w_30,e_blur:1,e_sepia", (30, 20)),
    ],
)
def test_animations_preserve_frames_delays_and_loop(
    source: str, target: str, tokens: str, expected: tuple[int, int]
) -> None:
    drawn = draw(pictures.film_as(source), f"{tokens},f_{target}")
    film = pyvips.Image.new_from_buffer(drawn, "", n=-1)
    assert (film.width, film.get("page-height"), film.get_n_pages()) == (*expected, 5)
    assert film.get("delay") == [40, 120, 40, 120, 40]
    assert film.get("loop") == 3
    brightness = [pixel(drawn, expected[0] * 3 // 4, expected[1] * 3 // 4, page)[1] for page in range(5)]
    if "sepia" not in tokens:
        assert brightness == sorted(brightness)
    assert brightness[4] - brightness[0] > 80


@pytest.mark.parametrize("kind", ["jpeg", "png", "avif"])
def test_other_formats_show_the_first_frame(kind: str) -> None:
    drawn = draw(pictures.film_as("gif"), f"w_30,f_{kind}")
    assert size(drawn) == (30, 20)
    assert is_near(pixel(drawn, 20, 10), (40, 40, 40))


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif", "gif"])
@pytest.mark.parametrize("tokens", ["w_100", "w_50,h_50,c_fill", "a_90"])
def test_metadata_is_removed(target: str, tokens: str) -> None:
    content = pictures.with_exif(6)
    assert b"SECRETCAMERA" in content
    assert b"SECRETXMP" in content
    drawn = draw(content, f"{tokens},f_{target}")
    for trace in (
        b"SECRET",
        b"Exif",
        b"EXIF",
        b"http://ns.adobe.com",
        b"xmpmeta",
        b"8BIM",
        b"ICC_PROFILE",
        b"iCCP",
    ):
        assert trace not in drawn
    fields = pyvips.Image.new_from_buffer(drawn, "").get_fields()
    assert not [field for field in fields if field.startswith(("exif", "xmp", "iptc", "icc"))]


def with_owner() -> bytes:
    """A JPEG with the copyright fields of EXIF, XMP and IPTC, beside a camera and a location."""
    image = pyvips.Image.new_from_buffer(pictures.with_exif(6), "").copy()
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Artist", "EXIFARTIST")
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    packet = (
        f'<rdf:RDF xmlns:rdf="{rdf}" xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Description>'
        "<dc:rights>XMPRIGHTS</dc:rights><dc:title>SECRET</dc:title></rdf:Description></rdf:RDF>"
    )
    image.set_type(pyvips.GValue.blob_type, "xmp-data", packet.encode())
    data = b"\x1c\x02\x05\0\x06SECRET\x1c\x02\x50\0\x0aIPTCBYLINE"
    head = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(data).to_bytes(4, "big")
    image.set_type(pyvips.GValue.blob_type, "iptc-data", head + data + bytes(len(data) % 2))
    return bytes(image.jpegsave_buffer(Q=90, keep="all"))


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif", "gif"])
@pytest.mark.parametrize("tokens", ["w_100", "c_crop,w_50,x_1", "a_90,mb_2000"])
def test_a_url_may_request_copyright_fields_and_nothing_else(target: str, tokens: str) -> None:
    content = with_owner()
    for secret in (b"SECRETCAMERA", b"SECRETOWNER", b"SECRET", b"IPTCBYLINE", b"XMPRIGHTS"):
        assert secret in content
    drawn = draw(content, f"{tokens},meta_copyright,f_{target}")
    header = pyvips.Image.new_from_buffer(drawn, "")
    fields = header.get_fields()
    if target == "gif":
        assert not [field for field in fields if field.startswith(("exif", "xmp", "iptc"))]
        return
    file = Exif(bytes(header.get("exif-data")))
    assert (file.text((MAIN, 0x013B)), file.text((MAIN, 0x8298))) == ("EXIFARTIST", "SECRETOWNER")
    assert b"XMPRIGHTS" in bytes(header.get("xmp-data"))
    assert ("iptc-data" in fields) is (target == "jpeg")
    assert (b"IPTCBYLINE" in drawn) is (target == "jpeg")
    assert drawn.replace(b"SECRETOWNER", b"").count(b"SECRET") == 0
    assert not [field for field in fields if "GPS" in field or field.startswith(("exif-ifd3", "icc"))]
    assert header.get("orientation") == 1 if "orientation" in fields else True
    plain = draw(content, f"{tokens},f_{target}")
    if "mb_" not in tokens:
        assert pictures.pixel(drawn, 9, 9) == pictures.pixel(plain, 9, 9)
        assert draw(content, f"{tokens},meta_none,f_{target}") == plain


def test_a_picture_without_copyright_fields_has_no_metadata() -> None:
    content = draw(pictures.with_exif(1), "f_jpg")
    assert draw(content, "meta_copyright,f_webp") == draw(content, "f_webp")


def test_colours_are_converted_before_the_profile_is_removed() -> None:
    """A red in Display P3 is a redder red in sRGB; ignoring the profile would leave the numbers alone."""
    flat = (pyvips.Image.black(64, 64, bands=3) + [200, 60, 60]).cast("uchar").copy(interpretation="srgb")
    profiled = flat.icc_transform("p3", input_profile="srgb", embedded=False)
    content = bytes(profiled.pngsave_buffer(keep="icc"))
    raw = pixel(bytes(profiled.copy().pngsave_buffer(keep="none")), 5, 5)
    assert not is_near(raw, (200, 60, 60), 5)
    assert is_near(pixel(draw(content, "w_32,f_png"), 5, 5), (200, 60, 60), 2)


@pytest.mark.parametrize(
    ("effect", "colour"),
    [
        ("grayscale", [64, 64, 64]),
        ("saturation:-100", [64, 64, 64]),
        ("brightness:-100", [0, 0, 0]),
        ("brightness:100", [255, 80, 40]),
        ("brightness:-50", [100, 20, 10]),
        ("contrast:-100", [128, 128, 128]),
        ("contrast:100", [255, 0, 0]),
        ("contrast:0", [200, 40, 20]),
        ("sepia:100", [113, 101, 78]),
        ("saturation:100", [255, 7, 0]),
    ],
)
@pytest.mark.parametrize("alpha", [False, True])
def test_effects_equal_css_filters(effect: str, colour: list[int], alpha: bool) -> None:
    flat = (pyvips.Image.black(16, 16, bands=3) + [200, 40, 20]).cast("uchar").copy(interpretation="srgb")
    if alpha:
        flat = flat.bandjoin(128)
    got = pixel(draw(pictures.encoded(flat, "png"), f"f_png,e_{effect}"), 8, 8)
    assert is_near(got[:3], tuple(colour), 9 if "grayscale" in effect or "-100" in effect else 2)
    assert got[3:] == ([128] if alpha else [])


@pytest.mark.parametrize(
    ("effect", "colour"),
    [
        ("grayscale_601", [86, 86, 86]),
        ("saturation_hsp:-100", [113, 113, 113]),
        ("saturation_hsp:-50", [156, 76, 66]),
        ("saturation_hsp:50", [243, 3, 0]),
    ],
)
def test_effects_with_weights_of_their_own(effect: str, colour: list[int]) -> None:
    """0.299, 0.587 and 0.114 of the values, or of their squares."""
    flat = (pyvips.Image.black(16, 16, bands=3) + [200, 40, 20]).cast("uchar").copy(interpretation="srgb")
    assert pixel(draw(pictures.encoded(flat, "png"), f"f_png,e_{effect}"), 8, 8) == colour


def test_blur_and_sharpen_are_applied_in_order() -> None:
    content = pictures.photo_as("png", 120, 90)
    plain, soft, crisp = (
        pyvips.Image.new_from_buffer(draw(content, f"f_png{tokens}"), "")
        for tokens in ("", ",e_blur:3", ",e_sharpen:2")
    )
    assert soft.deviate() < plain.deviate() < crisp.deviate() + 0.5
    assert draw(content, "f_png,e_blur:2,e_contrast:50") != draw(content, "f_png,e_contrast:50,e_blur:2")


def test_higher_quality_takes_more_bytes_in_lossy_formats() -> None:
    content = pictures.photo_as("png")
    for kind in ("jpeg", "webp", "avif"):
        lengths = [len(draw(content, f"w_300,f_{kind},q_{quality}")) for quality in (10, 50, 80, 95)]
        assert lengths == sorted(lengths)


def test_rendering_is_deterministic() -> None:
    content = pictures.photo_as("jpeg")
    for kind in ("jpeg", "png", "webp", "avif", "gif"):
        tokens = f"w_200,h_200,c_fill,g_auto,f_{kind}"
        assert draw(content, tokens) == draw(content, tokens)


def test_the_quality_is_reduced_until_the_variant_is_small_enough() -> None:
    original = pictures.photo_as("png")
    for kind in ("jpg", "webp", "avif"):
        whole = draw(original, f"w_300,q_95,f_{kind}")
        assert len(draw(original, f"w_300,q_95,f_{kind},mb_{len(whole) // 3}")) <= len(whole) // 3
        assert draw(original, f"w_300,q_95,f_{kind},mb_{len(whole)}") == whole
    least = draw(original, "w_300,q_95,f_jpg,mb_10")
    assert len(least) > 10, "there is no smaller one"


def test_qualities_are_those_of_the_format() -> None:
    original = pictures.photo_as("png")
    assert draw(original, "w_99,f_webp,q_80,fq_webp:30:jpg:90") == draw(original, "w_99,f_webp,q_30")
    assert draw(original, "w_99,f_jpg,q_80,eq_20:webp:90") == draw(original, "w_99,f_jpg,q_20")
    assert draw(original, "w_99,f_webp,eq_46") == draw(original, "w_99,f_webp,q_50")


FRAMED = pyvips.Image.black(60, 40, bands=3).copy(interpretation="srgb") + 255


def framed() -> bytes:
    """A red box of 20x10 at (30, 5) on white."""
    return FRAMED.cast("uchar").draw_rect([255, 0, 0], 30, 5, 20, 10, fill=True).pngsave_buffer()


@pytest.mark.parametrize(
    ("tokens", "result"),
    [
        ("trim_10", (20, 10)),
        ("trim_10:fff", (20, 10)),
        ("trim_10:000", (60, 40)),
        ("trim_10:south_east", (20, 10)),
        ("trim_10:auto:x", (40, 10)),
        ("trim_10:auto:y", (20, 30)),
        ("trim_10:fff:xy~w_20", (20, 15)),
    ],
)
def test_borders_are_trimmed(tokens: str, result: tuple[int, int]) -> None:
    assert size(draw(framed(), f"{tokens}~f_png")) == result


def test_borders_are_trimmed_in_the_colour_of_the_lower_right_corner() -> None:
    black = pyvips.Image.black(30, 20, bands=3).cast("uchar").copy(interpretation="srgb")
    framed = black.embed(0, 0, 40, 25, extend="white").pngsave_buffer()
    assert size(draw(framed, "trim_10~f_png")) == (40, 25)
    assert size(draw(framed, "trim_10:south_east~f_png")) == (30, 20)


@pytest.mark.parametrize(("alpha", "result"), [(0, (30, 20)), (128, (40, 25))])
def test_transparent_borders_are_trimmed(alpha: int, result: tuple[int, int]) -> None:
    black = pyvips.Image.black(30, 20, bands=3).cast("uchar").copy(interpretation="srgb").addalpha()
    framed = black.embed(
        0, 0, 40, 25, extend="background", background=[255, 255, 255, alpha]
    ).pngsave_buffer()
    assert size(draw(framed, "trim_0:transparent~f_png")) == result


def test_an_opaque_picture_has_no_transparent_borders() -> None:
    magenta = pyvips.Image.black(30, 20, bands=3).cast("uchar").copy(interpretation="srgb")
    framed = magenta.embed(0, 0, 40, 25, extend="background", background=[255, 0, 255]).pngsave_buffer()
    assert size(draw(framed, "trim_0:transparent~f_png")) == (40, 25)


def test_a_line_of_pixels_is_trimmed() -> None:
    line = pyvips.Image.black(10, 1, bands=3).cast("uchar").embed(5, 0, 20, 1, extend="white")
    assert size(draw(line.copy(interpretation="srgb").pngsave_buffer(), "trim_10~f_png")) == (10, 1)


def test_a_picture_of_one_colour_is_not_trimmed() -> None:
    assert size(draw(FRAMED.cast("uchar").pngsave_buffer(), "trim_10~f_png")) == (60, 40)


def test_padding_and_extension_have_their_colour() -> None:
    drawn = draw(pictures.quarters_as("png"), "w_40,pad_5:6:7:8,b_102030~f_png")
    assert size(drawn) == (54, 42)
    assert is_near(pixel(drawn, 0, 0), (0x10, 0x20, 0x30), 1)
    assert is_near(pixel(drawn, 9, 6), RED)
    drawn = draw(pictures.quarters_as("png"), "w_40,ext_60x60:south_east,b_00000000~f_png")
    assert size(drawn) == (60, 60)
    assert pixel(drawn, 0, 0)[3] == 0
    assert is_near(pixel(drawn, -2, -2)[:3], YELLOW)


def test_an_extension_may_repeat_the_edges() -> None:
    drawn = draw(pictures.quarters_as("png"), "w_40,ext_60x60:south_east:edges~f_png")
    assert size(drawn) == (60, 60)
    assert pixel(drawn, 0, 0) == pixel(drawn, 20, 30)
    assert pixel(drawn, 59, 0) == pixel(drawn, 59, 30)
    assert pixel(drawn, 0, 59) == pixel(drawn, 20, 59)
    assert pixel(drawn, 30, 3) == pixel(drawn, 30, 30)
    assert len(pixel(drawn, 0, 0)) == 3
    still = draw(drawn, "ext_70x70:edges,b_transparent~f_png")
    assert len(pixel(still, 0, 0)) == 3


@pytest.mark.parametrize("tokens", ["w_40,h_60,c_pad", "w_40,ext_40x60", "w_40,pad_15:0"])
def test_a_background_may_be_the_picture_blurred_or_its_most_common_colour(tokens: str) -> None:
    wide = pictures.plain_as("png", 80, 60, (200, 0, 0))
    for word in ("blurred", "dominant", "edges"):
        drawn = draw(wide, f"{tokens.replace(':0', ':0:15:0')},b_{word}~f_png")
        assert size(drawn) == (40, 60)
        assert is_near(pixel(drawn, 20, 2), (200, 0, 0), 2)
        assert len(pixel(drawn, 20, 2)) == 3


def test_a_blurred_background_fills_the_box_and_the_picture_stays_sharp() -> None:
    drawn = draw(pictures.quarters_as("png"), "w_80,h_160,c_pad,b_blurred,f_png")
    assert size(drawn) == (80, 160)
    own = draw(pictures.quarters_as("png"), "w_80,f_png")
    top = (160 - size(own)[1]) // 2
    assert [pixel(drawn, x, top + 9) for x in range(80)] == [pixel(own, x, 9) for x in range(80)]
    # The picture covers the box: its middle is above the middle of the drawn one, mixed across the border of its quarters.
    assert not is_near(pixel(drawn, 36, 2), pixel(drawn, 2, 2), 20)
    assert not is_near(pixel(drawn, 40, 2), pixel(own, 2, 2), 20)


def test_a_transparent_picture_lies_on_its_blurred_background() -> None:
    drawn = draw(pictures.cut_out_as("png"), "w_40,h_90,c_pad,b_blurred,f_png")
    assert size(drawn) == (40, 90)
    assert pixel(drawn, 20, 45)[3] == 255
    assert pixel(draw(pictures.cut_out_as("png"), "w_40,h_90,c_pad,b_dominant,f_png"), 0, 0)[3] == 255


def test_squares_have_the_mean_colour() -> None:
    drawn = draw(ramp(100, 100).pngsave_buffer(), "e_pixelate:30,f_png")
    assert size(drawn) == (100, 100)
    assert pixel(drawn, 0, 0) == pixel(drawn, 29, 29)
    assert pixel(drawn, 0, 0) != pixel(drawn, 30, 0)
    assert is_near(pixel(drawn, 45, 45), (115, 115, 0), 2)


def test_transparency_is_flattened_in_formats_with_alpha_too() -> None:
    drawn = draw(pictures.cut_out_as("png"), "e_flatten:00f,f_png")
    assert is_near(pixel(drawn, 0, 0), (0, 0, 255), 4)
    assert len(pixel(drawn, 0, 0)) == 3


def textured(width: int = 320) -> pyvips.Image:
    """A picture that a low quality makes much smaller."""
    grain = pyvips.Image.gaussnoise(width, 240, sigma=25, seed=1)
    return (pictures.photo(width, 240) + grain).cast("uchar").copy(interpretation="srgb")


def jpeg(**options: object) -> bytes:
    return bytes(textured().jpegsave_buffer(optimize_coding=True, **options))


@pytest.mark.parametrize(
    "tokens", ["f_jpg", "w_320,f_jpg", "w_900,f_jpg", "w_900,h_900,f_jpg,b_fff", "w_320"]
)
def test_an_original_that_is_shown_as_it_is_never_becomes_larger(tokens: str) -> None:
    content = jpeg(Q=20)
    drawn = draw(content, tokens)
    assert len(drawn) < len(content), "its metadata are left out"
    both = [pyvips.Image.new_from_buffer(each, "") for each in (content, drawn)]
    assert (both[0] != both[1]).max() == 0
    assert "exif-data" not in both[1].get_fields()
    fine = jpeg(Q=98)
    assert len(draw(fine, tokens)) < len(fine) / 2


def test_an_indexed_png_stays_one() -> None:
    content = bytes(textured().pngsave_buffer(palette=True, colours=16))
    drawn = draw(content, "f_png")
    assert pyvips.Image.new_from_buffer(drawn, "").get("palette")
    assert len(drawn) <= len(content)


@pytest.mark.parametrize(
    "tokens",
    [
        "q_79,f_jpg",
        "eq_90,f_jpg",
        "w_319,f_jpg",
        "a_hflip,f_jpg",
        "e_sepia,f_jpg",
        "c_crop,w_100,f_jpg",
        "f_webp",
    ],
)
def test_what_is_changed_or_has_a_quality_is_encoded(tokens: str) -> None:
    content = jpeg(Q=20)
    own = draw(content, "f_jpg")
    assert draw(content, tokens) != own


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_original_on_its_side_is_encoded(orientation: int) -> None:
    image = pictures.photo(240, 320).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    drawn = draw(bytes(image.jpegsave_buffer(Q=20)), "f_jpg")
    assert size(drawn) == ((240, 320) if orientation == 1 else (320, 240))


def test_frames_of_an_animation_that_are_left_out_stay_so() -> None:
    content = pictures.film_as("gif")
    for tokens, pages in (("f_gif", 5), ("frames_2,f_gif", 2), ("pg_2,f_gif", 1)):
        assert pyvips.Image.new_from_buffer(draw(content, tokens), "").get_n_pages() == pages
