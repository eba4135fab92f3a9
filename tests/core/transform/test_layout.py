"""The layout decides the exact size and position of every command, whatever part of the original is loaded."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image.faces import PARTS, Face, Faces
from proxy.core.image.formats import Format
from proxy.core.image.size import Box, Size, pixels
from proxy.core.transform import layout
from proxy.core.transform.conditions import Measure
from proxy.core.transform.layout import (
    Command,
    Cut,
    Embed,
    Find,
    FindBorders,
    InBoxes,
    Load,
    Scale,
    boxed,
    outline,
)
from proxy.core.transform.lengths import Part, Sum, length
from proxy.core.transform.operations import (
    CENTER,
    TRANSPARENT,
    Backdrop,
    Blur,
    Colour,
    Crop,
    Enlarge,
    Fit,
    Offset,
    Operation,
    OriginalPoint,
    Resize,
    Rotate,
    Shifted,
    Smart,
    Transform,
    Trim,
    Turn,
)
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.core.url.dialects.component import Component, transform_of
from proxy.core.url.dialects.native.urls import parse_transform
from tests.support.laid_out import LIMIT_PX, laid, size_after
from tests.support.strategies import chains

DEFAULTS = RenderDefaults(quality=80, effort={}, max_side_px=LIMIT_PX)
FINDS_FACES = replace(DEFAULTS, face_detector="fake 1")


def of(tokens: str, original: Size) -> list[Command]:
    return laid(resolve(parse_transform(tokens, {}), Format.PNG, DEFAULTS).ops, original)


WHOLE = Box(0, 0, 1000, 500)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("f_png", [Load(WHOLE, Size(1000, 500))]),
        ("w_400", [Load(WHOLE, Size(400, 200))]),
        ("w_2000", [Load(WHOLE, Size(1000, 500))]),
        ("w_2000,el_allow", [Load(WHOLE, Size(2000, 1000))]),
        ("w_2000,el_only", [Load(WHOLE, Size(2000, 1000))]),
        ("w_400,el_only", [Load(WHOLE, Size(1000, 500))]),
        ("w_300,h_300,c_fill", [Load(WHOLE, Size(600, 300)), Cut(Box(150, 0, 300, 300))]),
        (
            "w_300,ext_300x300:edges,b_f00",
            [Load(WHOLE, Size(300, 150)), Embed(Size(300, 300), 0, 75, Backdrop.EDGES)],
        ),
        ("if_w_gt_900~w_400~if_end", [Load(WHOLE, Size(400, 200))]),
        ("if_w_gt_1000~w_400~if_end", [Load(WHOLE, Size(1000, 500))]),
        ("if_ar_lt_1~w_400~if_else~w_200~if_end", [Load(WHOLE, Size(200, 100))]),
        (
            "w_400~if_w_eq_400_and_iw_eq_1000~w_200~if_end",
            [Load(WHOLE, Size(400, 200)), Scale(Size(200, 100))],
        ),
        ("if_iar_eq_2~a_90~if_ar_eq_1:2~w_100~if_end~if_end", [Load(WHOLE, Size(200, 100)), Turn.R90]),
        ("w_300,h_300,c_fill,g_east", [Load(WHOLE, Size(600, 300)), Cut(Box(300, 0, 300, 300))]),
        (
            "w_300,h_300,c_fill,g_auto",
            [
                Load(WHOLE, Size(600, 300)),
                Find(Size(300, 300), Smart.ATTENTION),
                Cut(Box(0, 0, 300, 300)),
            ],
        ),
        ("w_600,h_600,c_fill,el_never", [Load(Box(200, 0, 600, 500), Size(600, 500))]),
        (
            "w_300,h_300,c_pad,b_transparent",
            [Load(WHOLE, Size(300, 150)), Embed(Size(300, 300), 0, 75, TRANSPARENT)],
        ),
        ("w_600,h_600,c_fill,el_ratio", [Load(Box(250, 0, 500, 500), Size(500, 500))]),
        ("w_2000,h_500,c_scale,el_never", [Load(WHOLE, Size(1000, 250))]),
        ("h_400,maxw_300", [Load(WHOLE, Size(300, 150))]),
        ("maxh_100", [Load(WHOLE, Size(200, 100))]),
        ("maxw_2000", [Load(WHOLE, Size(1000, 500))]),
        ("w_400,maxw_100,dpr_2", [Load(WHOLE, Size(200, 100))]),
        ("w_400,el_only,maxw_300", [Load(WHOLE, Size(300, 150))]),
        ("w_400,h_400,c_outside,maxw_300", [Load(WHOLE, Size(300, 150))]),
        ("w_400,h_400,c_scale,maxw_300", [Load(WHOLE, Size(300, 300))]),
        ("w_600,h_600,c_fill,maxh_300", [Load(WHOLE, Size(600, 300)), Cut(Box(150, 0, 300, 300))]),
        (
            "w_600,h_600,c_pad,b_transparent,maxh_300",
            [Load(WHOLE, Size(300, 150)), Embed(Size(300, 300), 0, 75, TRANSPARENT)],
        ),
        ("w_100,minh_100,maxw_80", [Load(WHOLE, Size(200, 100)), Cut(Box(60, 0, 80, 100))]),
        ("w_100,minh_100", [Load(WHOLE, Size(200, 100)), Cut(Box(50, 0, 100, 100))]),
        ("w_100,minh_100,g_east", [Load(WHOLE, Size(200, 100)), Cut(Box(100, 0, 100, 100))]),
        ("w_300,h_300,c_fill,g_west:20:0", [Load(WHOLE, Size(600, 300)), Cut(Box(20, 0, 300, 300))]),
        ("w_300,h_300,c_fill,g_west:-20:0", [Load(WHOLE, Size(600, 300)), Cut(Box(0, 0, 300, 300))]),
        ("w_150,h_150,c_fill,g_west:20:0,dpr_2", [Load(WHOLE, Size(600, 300)), Cut(Box(40, 0, 300, 300))]),
        ("w_300,h_300,c_fill,g_west:0.25:0.0", [Load(WHOLE, Size(600, 300)), Cut(Box(150, 0, 300, 300))]),
        ("w_300,h_300,c_fill,g_at:300:9", [Load(WHOLE, Size(600, 300)), Cut(Box(30, 0, 300, 300))]),
        (
            "c_crop,x_100,w_800~a_90~w_100,h_100,c_fill,g_at:200:100",
            [
                Load(Box(100, 0, 800, 500), Size(160, 100)),
                Turn.R90,
                Cut(Box(0, 0, 100, 100)),
            ],
        ),
        ("rw_0.5", [Load(WHOLE, Size(500, 250))]),
        ("c_crop,rx_0.5,rw_0.25", [Load(Box(500, 0, 250, 500), Size(250, 500))]),
        (
            "w_300,ext_400x100,b_f00",
            [Load(WHOLE, Size(300, 150)), Embed(Size(400, 150), 50, 0, Colour(255, 0, 0))],
        ),
        (
            "w_300,ext_1:1:south,b_f00",
            [Load(WHOLE, Size(300, 150)), Embed(Size(300, 300), 0, 150, Colour(255, 0, 0))],
        ),
        (
            "w_300,pad_1:2:3:4,dpr_2,b_000",
            [Load(WHOLE, Size(600, 300)), Embed(Size(612, 308), 8, 2, Colour(0, 0, 0))],
        ),
        (
            "pad_3000:0:3000:0,b_000",
            [Load(WHOLE, Size(615, 308)), Embed(Size(615, 4000), 0, 1846, Colour(0, 0, 0))],
        ),
        (
            "trim_5~w_100",
            [
                Load(WHOLE, Size(1000, 500)),
                FindBorders(Trim(threshold=5), Size(1000, 500)),
                Scale(Size(100, 50)),
            ],
        ),
        (
            "w_1200,h_1200,c_pad,el_never,b_f00",
            [Load(WHOLE, Size(1000, 500)), Embed(Size(1200, 1200), 100, 350, Colour(255, 0, 0))],
        ),
        ("w_300,h_300,c_outside", [Load(WHOLE, Size(600, 300))]),
        ("w_300,h_300,c_scale", [Load(WHOLE, Size(300, 300))]),
        # A crop comes before the decoder, and the size after it.
        ("c_crop,x_10,y_20,w_300,h_200", [Load(Box(10, 20, 300, 200), Size(300, 200))]),
        ("c_crop,x_900,y_400,w_300,h_200", [Load(Box(900, 400, 100, 100), Size(100, 100))]),
        ("c_crop,x_900", [Load(Box(900, 0, 100, 500), Size(100, 500))]),
        ("c_crop,w_100,g_south_east", [Load(Box(900, 0, 100, 500), Size(100, 500))]),
        ("c_crop,x_1000,w_3", [Load(WHOLE, Size(1000, 500))]),
        ("ar_1,g_west", [Load(Box(0, 0, 500, 500), Size(500, 500))]),
        ("ar_1:2", [Load(Box(375, 0, 250, 500), Size(250, 500))]),
        ("c_crop,w_100,ar_1:2,x_5", [Load(Box(5, 0, 100, 200), Size(100, 200))]),
        ("ar_1,g_west~w_100", [Load(Box(0, 0, 500, 500), Size(100, 100))]),
        (
            "c_crop,x_10,y_20,w_400,h_300~c_crop,x_5,y_5,w_300,h_100~w_150",
            [Load(Box(15, 25, 300, 100), Size(150, 50))],
        ),
        # What follows works on the result.
        ("w_400~c_crop,w_100", [Load(WHOLE, Size(400, 200)), Cut(Box(150, 0, 100, 200))]),
        ("w_400~w_100", [Load(WHOLE, Size(400, 200)), Scale(Size(100, 50))]),
        ("e_blur:2~w_100", [Load(WHOLE, Size(1000, 500)), Blur(2), Scale(Size(100, 50))]),
        # A turn swaps the sides of what is loaded.
        ("a_90", [Load(WHOLE, Size(1000, 500)), Turn.R90]),
        ("a_90.high", [Load(WHOLE, Size(1000, 500)), Turn.R90]),
        ("a_90.wide", [Load(WHOLE, Size(1000, 500))]),
        ("a_270.high~w_100", [Load(WHOLE, Size(200, 100)), Turn.R270]),
        ("w_100,h_200,c_scale,a_90.wide", [Load(WHOLE, Size(100, 200)), Turn.R90]),
        ("a_90~w_100", [Load(WHOLE, Size(200, 100)), Turn.R90]),
        ("a_90~c_crop,x_0,y_0,w_100,h_200", [Load(Box(0, 400, 200, 100), Size(200, 100)), Turn.R90]),
        ("a_180~c_crop,x_0,y_0,w_100,h_200~w_50", [Load(Box(900, 300, 100, 200), Size(50, 100)), Turn.R180]),
    ],
)
def test_the_commands_of_a_transform(tokens: str, expected: list[Command]) -> None:
    assert of(tokens, Size(1000, 500)) == expected


LARGE, SMALL = Face(7800, 5000, 400, 900), Face(1000, 5000, 200, 400)
"""Heads with their middles at 800, 265 and 110, 257 of 1000 x 500."""


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("w_200,h_300,c_fill,g_face", [Load(WHOLE, Size(600, 300)), Cut(Box(380, 0, 200, 300))]),
        ("w_200,h_300,c_fill,g_faces", [Load(WHOLE, Size(600, 300)), Cut(Box(380, 0, 200, 300))]),
        ("w_300,h_300,c_fill,g_face", [Load(WHOLE, Size(600, 300)), Cut(Box(300, 0, 300, 300))]),
        ("w_300,h_150,c_fill,g_face", [Load(WHOLE, Size(300, 150))]),
        ("w_100,minh_100,g_face", [Load(WHOLE, Size(200, 100)), Cut(Box(100, 0, 100, 100))]),
        ("c_crop,w_100,h_100,g_face", [Load(Box(750, 215, 100, 100), Size(100, 100))]),
        ("c_crop,w_100,h_100,g_faces", [Load(Box(750, 215, 100, 100), Size(100, 100))]),
        ("c_crop,w_800,h_100,g_face", [Load(Box(200, 215, 800, 100), Size(800, 100))]),
        ("c_crop,w_800,h_100,g_faces", [Load(Box(60, 215, 800, 100), Size(800, 100))]),
        # After a crop, also one that cuts off the larger face, or both.
        ("c_crop,x_500,w_500~c_crop,w_100,h_100,g_face", [Load(Box(750, 215, 100, 100), Size(100, 100))]),
        ("c_crop,x_500,w_500~c_crop,w_100,h_100,g_faces", [Load(Box(750, 215, 100, 100), Size(100, 100))]),
        ("c_crop,x_0,w_500~c_crop,w_100,h_100,g_face", [Load(Box(60, 207, 100, 100), Size(100, 100))]),
        ("c_crop,x_0,w_500~c_crop,w_100,h_100,g_faces", [Load(Box(60, 207, 100, 100), Size(100, 100))]),
        ("c_crop,x_200,w_300~c_crop,w_100,h_100,g_face", [Load(Box(400, 215, 100, 100), Size(100, 100))]),
        ("c_crop,x_200,w_300~c_crop,w_100,h_100,g_faces", [Load(Box(400, 215, 100, 100), Size(100, 100))]),
        # A head is above its face in the original, wherever that is on the canvas.
        ("a_90~c_crop,w_100,h_100,g_face", [Load(Box(750, 215, 100, 100), Size(100, 100)), Turn.R90]),
        ("a_90~c_crop,w_100,h_100,g_faces", [Load(Box(750, 215, 100, 100), Size(100, 100)), Turn.R90]),
        ("a_hflip~c_crop,w_100,h_100,g_faces", [Load(Box(750, 215, 100, 100), Size(100, 100)), Turn.HFLIP]),
    ],
)
def test_a_crop_centres_on_the_heads_of_faces(tokens: str, expected: list[Command]) -> None:
    ops = resolve(parse_transform(tokens, {}), Format.PNG, FINDS_FACES).ops
    assert laid(ops, Size(1000, 500), faces=Faces((LARGE, SMALL))) == expected


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        # The head is 40 x 60 pixels at 780, 235, that of the other face 20 x 27 at 100, 243.
        ("w_200,h_300,c_fill,g_face:100", [Load(Box(780, 235, 40, 60), Size(200, 300))]),
        ("w_200,h_300,c_fill,g_face:50", [Load(Box(760, 205, 80, 120), Size(200, 300))]),
        ("w_300,h_300,c_fill,g_face:50", [Load(Box(740, 205, 120, 120), Size(300, 300))]),
        ("w_200,h_300,c_fill,g_face:50:2", [Load(Box(90, 227, 40, 60), Size(200, 300))]),
        ("w_200,h_300,c_fill,g_face:50:9", [Load(Box(90, 227, 40, 60), Size(200, 300))]),
        ("w_900,h_200,c_fill,g_faces:90", [Load(Box(60, 176, 800, 178), Size(900, 200))]),
        # Near an edge, and larger than the picture.
        ("w_300,h_300,c_fill,g_face:13", [Load(Box(538, 34, 462, 462), Size(300, 300))]),
        ("w_300,h_300,c_fill,g_face:1", [Load(Box(500, 0, 500, 500), Size(300, 300))]),
        ("w_200,h_300,c_fill,g_faces:100", [Load(Box(294, 0, 333, 500), Size(200, 300))]),
        ("c_crop,g_face:100", [Load(Box(780, 235, 40, 60), Size(40, 60))]),
        ("c_crop,g_face:50", [Load(Box(760, 205, 80, 120), Size(80, 120))]),
        ("c_crop,g_faces:1", [Load(WHOLE, Size(1000, 500))]),
        ("c_crop,ar_1:1,g_face:50", [Load(Box(740, 205, 120, 120), Size(120, 120))]),
        ("c_crop,w_100,h_100,g_face:50", [Load(Box(750, 215, 100, 100), Size(100, 100))]),
        ("a_hflip~c_crop,g_face:100", [Load(Box(780, 235, 40, 60), Size(40, 60)), Turn.HFLIP]),
    ],
)
def test_a_close_up_is_as_near_as_its_per_cent(tokens: str, expected: list[Command]) -> None:
    ops = resolve(parse_transform(tokens, {}), Format.PNG, FINDS_FACES).ops
    assert laid(ops, Size(1000, 500), faces=Faces((LARGE, SMALL))) == expected


def test_a_close_up_without_a_face_on_the_canvas_is_a_crop() -> None:
    ops = resolve(
        parse_transform("c_crop,x_200,w_300~w_300,h_300,c_fill,g_face:50", {}), Format.PNG, FINDS_FACES
    ).ops
    faces = laid(ops, Size(1000, 500), faces=Faces((LARGE,)))
    nothing = laid(ops, Size(1000, 500), faces=Faces())
    assert faces == [Load(Box(200, 115, 300, 300), Size(300, 300))]
    assert nothing == of("c_crop,x_200,w_300~w_300,h_300,c_fill,g_auto", Size(1000, 500))


@pytest.mark.parametrize(
    ("tokens", "boxes"),
    [
        ("e_blurfaces:9", [Box(780, 235, 40, 60), Box(100, 243, 20, 27)]),
        ("w_500,e_blurfaces:9", [Box(390, 117, 20, 31), Box(50, 121, 10, 14)]),
        # One face is outside, the other one cut off.
        ("c_crop,x_800,w_200~e_blurfaces:9", [Box(0, 235, 20, 60)]),
        ("a_hflip~e_blurfaces:9", [Box(180, 235, 40, 60), Box(880, 243, 20, 27)]),
        ("c_crop,x_300,w_100~e_blurfaces:9", []),
        ("a_90~e_blurfaces:9", [Box(205, 780, 60, 40), Box(230, 100, 27, 20)]),
        # The box around a head that is turned by 45 degrees is as wide as high: the sum of its sides by the root of two.
        ("e_rotate:45,e_blurfaces:9", [Box(696, 717, 72, 72), Box(233, 242, 34, 34)]),
    ],
)
def test_faces_are_hidden_wherever_they_are_on_the_canvas(tokens: str, boxes: list[Box]) -> None:
    ops = resolve(parse_transform(tokens, {}), Format.PNG, FINDS_FACES).ops
    found = laid(ops, Size(1000, 500), faces=Faces((LARGE, SMALL)))
    assert [each for each in found if isinstance(each, InBoxes)] == (
        [InBoxes(Blur(9), tuple(boxes))] if boxes else []
    )


@pytest.mark.parametrize("faces", [None, Faces()])
@pytest.mark.parametrize("gravity", ["face", "faces", "face:60", "faces:60"])
def test_without_a_face_a_crop_shows_what_draws_attention(gravity: str, faces: Faces | None) -> None:
    ops = resolve(parse_transform(f"w_300,h_300,c_fill,g_{gravity}", {}), Format.PNG, FINDS_FACES).ops
    found = laid(ops, Size(1000, 500), faces=faces)
    assert found == of("w_300,h_300,c_fill,g_auto", Size(1000, 500))


def test_faces_change_no_other_gravity() -> None:
    for gravity in ("auto", "entropy", "north"):
        ops = resolve(parse_transform(f"w_300,h_300,c_fill,g_{gravity}", {}), Format.PNG, FINDS_FACES).ops
        assert laid(ops, Size(1000, 500), faces=Faces((LARGE,))) == laid(ops, Size(1000, 500))


@pytest.mark.parametrize(
    ("degrees", "size", "into"),
    [
        (30, Size(400, 300), Size(496, 460)),
        (330, Size(400, 300), Size(496, 460)),
        (45, Size(100, 100), Size(141, 141)),
        (180.5, Size(400, 300), Size(403, 303)),
        (0.01, Size(1, 1), Size(1, 1)),
    ],
)
def test_a_rotation_has_the_box_around_it(degrees: float, size: Size, into: Size) -> None:
    turned = Rotate(degrees)
    assert layout.size_after((turned,), 4000, size) == into
    assert max(layout.size_after((turned,), 200, size)) <= 200


def test_a_point_of_the_original_turns_with_it() -> None:
    corner = Crop(width=10, height=10, at=OriginalPoint(400, 0))
    *_, cut = outline((Rotate(30), corner), 4000, Size(400, 300))
    # The upper right corner of 400 by 300, 30 degrees clockwise about the middle of 496 by 460.
    assert cut == Cut(Box(486, 195, 10, 10))


def test_a_vast_enlargement_is_cut_first() -> None:
    assert of("w_400,h_400,c_fill", Size(10, 10_000)) == [Load(Box(0, 4995, 10, 10), Size(400, 400))]
    assert of("w_400,h_400,c_fill,g_auto", Size(10, 10_000)) == [
        Load(Box(0, 0, 10, 10_000), Size(10, 10_000)),
        Find(Size(10, 10), Smart.ATTENTION),
        Cut(Box(0, 0, 10, 10)),
        Scale(Size(400, 400)),
    ]


def test_a_vast_enlargement_of_one_side_is_cut_first() -> None:
    op = Resize(width=part(1, 1_000_000), height=4000, fit=Fit.FILL, enlarge=Enlarge.ALLOW, min_width_px=4000)
    assert laid((op,), Size(4000, 100)) == [Load(Box(2000, 50, 1, 1), Size(1, 4000))]


def test_an_original_beyond_the_limit_is_reduced_before_effects() -> None:
    large = Size(8000, 2000)
    assert of("f_png", large) == [Load(Box(0, 0, 8000, 2000), Size(4000, 1000))]
    assert of("e_blur:2", large) == [Load(Box(0, 0, 8000, 2000), Size(4000, 1000)), Blur(2)]
    assert of("a_90,e_blur:2", large) == [
        Load(Box(0, 0, 8000, 2000), Size(4000, 1000)),
        Turn.R90,
        Blur(2),
    ]
    assert of("c_crop,w_3000,x_0", large) == [Load(Box(0, 0, 3000, 2000), Size(3000, 2000))]


def part(numerator: int, denominator: int) -> Part:
    return Part(Fraction(numerator, denominator))


@pytest.mark.parametrize(
    ("op", "size"),
    [
        (Resize(width=part(1, 2)), Size(500, 250)),
        (Resize(width=part(1, 3), height=100, fit=Fit.FILL), Size(333, 100)),
        (Resize(width=part(2, 1), enlarge=Enlarge.ALLOW), Size(2000, 1000)),
        (Resize(width=part(9, 1), enlarge=Enlarge.ALLOW), Size(4000, 2000)),
        (Resize(width=part(1, 2), ratio=Fraction(1), fit=Fit.COVER), Size(500, 500)),
        (Resize(height=part(1, 2), ratio=Fraction(1), fit=Fit.COVER), Size(250, 250)),
        (Crop(width=part(1, 2), height=part(1, 5)), Size(500, 100)),
        (Crop(at=Offset(part(1, 4), part(1, 1000))), Size(750, 499)),
    ],
)
def test_parts_are_of_the_canvas(op: Operation, size: Size) -> None:
    assert size_after(laid((op,), Size(1000, 500))) == size


def sum_of(pixels: int, **factors: float) -> Sum:
    found = length(
        Fraction(pixels), {Measure(name): Fraction(factor) for name, factor in factors.items()}, Measure.WIDTH
    )
    assert isinstance(found, Sum)
    return found


@pytest.mark.parametrize(
    ("ops", "size"),
    [
        ((Crop(width=sum_of(0, h=1), at=CENTER),), Size(500, 500)),
        ((Crop(width=sum_of(-20, w=1), height=sum_of(-40, w=0.5), at=Offset(10, 10)),), Size(980, 460)),
        ((Crop(at=Offset(sum_of(-600, h=1), sum_of(-400, h=1))),), Size(1000, 400)),
        ((Resize(width=100), Resize(width=sum_of(10, iw=0.5), height=9, fit=Fit.FILL, enlarge=Enlarge.ALLOW)), Size(510, 9)),
        ((Resize(width=sum_of(0, ih=-1, w=0.1), height=9, fit=Fit.FILL),), Size(1, 9)),
        ((Resize(width=sum_of(0, w=999, h=999), enlarge=Enlarge.ALLOW),), Size(4000, 2000)),
        ((Crop(width=sum_of(-2000, w=1), at=CENTER),), Size(1, 500)),
    ],
)  # fmt: skip
def test_sums_are_of_the_canvas_and_of_the_original(ops: tuple[Operation, ...], size: Size) -> None:
    assert size_after(laid(ops, Size(1000, 500))) == size


def test_offsets_that_are_sums_move_a_cut() -> None:
    at = Shifted(CENTER, sum_of(-10, h=0.1), sum_of(0, iw=-0.01))
    assert laid((Crop(width=100, height=100, at=at),), Size(1000, 500))[0].region == Box(490, 190, 100, 100)


def test_a_pixel_ratio_multiplies_pixels_and_not_parts() -> None:
    assert boxed(Resize(width=part(1, 2), height=101, fit=Fit.FILL), 150, LIMIT_PX) == Resize(
        width=part(1, 2), height=152, fit=Fit.FILL
    )
    assert boxed(Resize(width=101), 150, LIMIT_PX) == Resize(width=152, height=LIMIT_PX)
    assert boxed(Resize(width=2001, height=100), 400, LIMIT_PX) == Resize(width=4000, height=200)
    assert boxed(Resize(width=10**18, height=10**17), 400, LIMIT_PX) == Resize(width=4000, height=400)


sizes = st.builds(Size, st.integers(1, 12_000), st.integers(1, 12_000))


drawn_faces = st.builds(
    lambda left, top, width, height: Face(left, top, min(width, PARTS - left), min(height, PARTS - top)),
    *(st.integers(0, PARTS - 1),) * 2,
    *(st.integers(1, PARTS),) * 2,
)


@given(chains, sizes, st.builds(Faces, st.lists(drawn_faces, max_size=4).map(tuple)))
def test_every_layout_is_possible_and_bounded(
    chain: tuple[Component, ...], original: Size, faces: Faces
) -> None:
    """Boxes lie within what they are cut out of, no side of the result exceeds the limit, and no canvas between is
    vastly larger than the limit or the original."""
    plan = resolve(transform_of(chain), Format.PNG, FINDS_FACES)
    laid_ = laid(plan.ops, original, faces=faces)
    assert isinstance(laid_[0], Load)
    assert not any(isinstance(command, Load) for command in laid_[1:])
    region = laid_[0].region
    assert min(region.left, region.top) >= 0
    assert region.left + region.width <= original.width
    assert region.top + region.height <= original.height
    assert max(size_after(laid_)) <= LIMIT_PX
    for command in laid_:
        if isinstance(command, Load | Scale):
            assert pixels(command.size) <= max(4 * LIMIT_PX**2, pixels(original))


@given(sizes, st.sampled_from(Turn), st.integers(0, 99), st.integers(0, 99), st.integers(1, 200))
def test_a_turn_before_a_crop_loads_the_region_that_becomes_the_crop(
    original: Size, turn: Turn, left: int, top: int, side: int
) -> None:
    """The corners of the loaded region, turned, are those of the crop of the turned original."""
    turned = Size(original.height, original.width) if turn.swaps_sides else original
    crop = Crop(width=side, height=side, at=Offset(min(left, turned.width - 1), min(top, turned.height - 1)))
    first = laid((turn, crop), original, 100_000)[0]
    assert isinstance(first, Load)
    expected = laid((crop,), turned, 100_000)[0]
    assert isinstance(expected, Load)
    points = [
        (expected.region.left, expected.region.top),
        (expected.region.left + expected.region.width, expected.region.top + expected.region.height),
    ]
    back = [_before(turn, x, y, original) for x, y in points]
    region = first.region
    assert region.left == min(x for x, _ in back)
    assert region.top == min(y for _, y in back)
    assert (region.left + region.width, region.top + region.height) == (
        max(x for x, _ in back),
        max(y for _, y in back),
    )


def _before(turn: Turn, x: int, y: int, original: Size) -> tuple[int, int]:
    """The point of the original that `turn` moves to this one."""
    match turn:
        case Turn.R90:
            return y, original.height - x
        case Turn.R180:
            return original.width - x, original.height - y
        case Turn.R270:
            return original.width - y, x
        case Turn.HFLIP:
            return original.width - x, y
        case Turn.VFLIP:
            return x, original.height - y
        case Turn.TRANSPOSE:
            return y, x
        case Turn.TRANSVERSE:
            return original.width - y, original.height - x


@pytest.mark.parametrize(
    ("tokens", "size"),
    [
        ("w_640,el_original", Size(640, 320)),
        ("h_400,el_original", Size(800, 400)),
        ("w_3000,el_original", Size(1000, 500)),
        ("w_640,el_original,dpr_2", Size(1000, 500)),
        ("c_crop,w_100,h_100~w_640,el_original", Size(500, 500)),
        ("a_90~w_300,el_original", Size(250, 500)),
        ("c_crop,w_100,h_100~w_3000,el_capped", Size(1000, 1000)),
        ("c_crop,w_100,h_100~w_3000,h_400,c_fill,el_capped", Size(1000, 400)),
        ("c_crop,w_100,h_100~w_300,h_4000,c_scale,el_capped", Size(300, 500)),
        ("w_3000,h_400,c_pad,el_capped", Size(1000, 400)),
        ("rw_0.333,rh_0.333,c_scale,round_down", Size(333, 166)),
        ("rw_0.333,rh_0.333,c_scale", Size(333, 167)),
        ("rw_0.0001,rh_0.5,c_scale,round_down", Size(1, 250)),
        ("w_301,el_allow", Size(301, 151)),
        ("w_301,el_allow,round_even", Size(301, 150)),
        ("w_303,el_allow,round_even", Size(303, 152)),
        ("w_303,el_allow,round_down", Size(303, 151)),
    ],
)
def test_the_sizes_that_the_original_bounds_and_parts_of_the_canvas(tokens: str, size: Size) -> None:
    assert size_after(of(tokens, Size(1000, 500))) == size


@given(
    op=st.builds(
        Resize,
        width=st.none() | st.integers(1, 3000),
        height=st.none() | st.integers(1, 3000),
        fit=st.sampled_from(Fit),
        enlarge=st.sampled_from(Enlarge),
        min_width_px=st.none() | st.integers(1, 500),
        max_width_px=st.integers(1, 2000),
        max_height_px=st.none() | st.integers(1, 2000),
    ),
    original=st.builds(Size, st.integers(1, 2000), st.integers(1, 2000)),
)
def test_no_side_exceeds_the_greatest_one(op: Resize, original: Size) -> None:
    for ops in ((op,), resolve(Transform(ops=(op,)), Format.PNG, DEFAULTS).ops):
        size = size_after(laid(ops, original))
        assert size.width <= (op.max_width_px or LIMIT_PX)
        assert size.height <= (op.max_height_px or LIMIT_PX)
