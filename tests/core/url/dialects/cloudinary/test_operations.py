"""Cloudinary's components become operations, whose sizes are those of Cloudinary's documentation."""

from dataclasses import replace
from fractions import Fraction

import pytest

from proxy.core.errors import BadTransform
from proxy.core.image.formats import Format
from proxy.core.image.size import Box, Size
from proxy.core.transform.layout import Cut, Embed, Find, FindBorders, Load, Scale, commands
from proxy.core.transform.lengths import WHOLE, Part
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    TRANSPARENT,
    Adjust,
    AsStored,
    BlurFaces,
    CloseUp,
    Colour,
    Crop,
    Ellipse,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Offset,
    Opacity,
    Operation,
    OriginalPoint,
    Outline,
    Pad,
    PixelateFaces,
    Resize,
    Rotate,
    Rounded,
    Shifted,
    Smart,
    Tone,
    Trim,
    Turn,
    TurnToShape,
    Vignette,
)
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.core.url.dialects.cloudinary.operations import MODES
from proxy.core.url.dialects.cloudinary.urls import parse
from proxy.core.url.dialects.component import MAX_EFFECTS
from proxy.core.url.dialects.dialect import Reading, Support
from proxy.core.url.parsed_url import VariantUrl

DEFAULTS = RenderDefaults(quality=80, effort={}, max_side_px=4000)
RED = Colour(255, 0, 0)
HALF = Part(Fraction(1, 2))


def variant(transformation: str) -> VariantUrl:
    parsed = parse(f"/demo/image/upload/{transformation}/lake", Reading(presets={}))
    assert isinstance(parsed, VariantUrl)
    return parsed


def ops(transformation: str) -> tuple[Operation, ...]:
    return variant(transformation).transform.ops


def size_of(transformation: str, original: tuple[int, int]) -> tuple[int, int]:
    """The size of the result, where every smart crop finds the upper left corner."""
    plan = resolve(variant(transformation).transform, Format.PNG, DEFAULTS)
    following = commands(plan.ops, plan.limit_px, Size(*original))
    size, answer = Size(*original), None
    while True:
        try:
            command = following.send(answer)
        except StopIteration:
            return size
        answer = None
        match command:
            case Load(size=size) | Scale(size=size) | Embed(size=size):
                pass
            case Cut(box):
                size = Size(box.width, box.height)
            case Turn() if command.swaps_sides:
                size = Size(size.height, size.width)
            case Find(box_size) | FindBorders(size=box_size):
                answer = Box(0, 0, *box_size)


CAMERA, SMALL, THIN = (1280, 853), (640, 427), (1200, 300)

SIZES: list[tuple[str, tuple[int, int], tuple[int, int]]] = [
    # The documentation's pictures are camera.jpg (1280 by 853) and camera-640.jpg (640 by 427).
    ("c_scale,w_150", CAMERA, (150, 100)),
    ("c_scale,h_100", CAMERA, (150, 100)),
    ("c_scale,w_0.5", CAMERA, (640, 427)),
    ("c_scale,w_150,h_150", CAMERA, (150, 150)),
    ("c_scale,ar_1.0,w_150", CAMERA, (150, 150)),
    ("c_scale,w_4.0", (200, 303), (800, 1212)),
    ("w_1000", SMALL, (1000, 667)),
    ("c_scale,fl_ignore_aspect_ratio,w_100", CAMERA, (100, 853)),
    ("c_fit,w_250,h_250", CAMERA, (250, 167)),
    ("c_fit,w_1280,h_1280", SMALL, (1280, 854)),
    ("c_fit,ar_1:1,w_250", CAMERA, (250, 167)),
    ("c_limit,w_250,h_250", CAMERA, (250, 167)),
    ("c_limit,w_900,h_900", SMALL, SMALL),
    ("c_limit,w_900", SMALL, SMALL),
    ("c_mfit,w_250,h_250", SMALL, SMALL),
    ("c_mfit,w_1280,h_1280", SMALL, (1280, 854)),
    ("c_fill,w_250,h_250", CAMERA, (250, 250)),
    ("c_fill,w_1000,h_1000", SMALL, (1000, 1000)),
    ("c_fill,ar_1.5,w_300", CAMERA, (300, 200)),
    ("c_fill,ar_2,h_0.5", CAMERA, (854, 427)),
    ("c_fill,w_250", CAMERA, (250, 167)),
    ("c_lfill,w_250,h_250", CAMERA, (250, 250)),
    ("c_lfill,w_900,h_900", SMALL, SMALL),
    ("c_lfill,w_400,h_400", THIN, (400, 300)),
    ("c_pad,w_250,h_250", CAMERA, (250, 250)),
    ("c_pad,w_900,h_900", SMALL, (900, 900)),
    ("c_pad,ar_1:1,w_250", CAMERA, (250, 250)),
    ("c_lpad,w_900,h_900", SMALL, (900, 900)),
    ("c_mpad,w_900,h_900", SMALL, (900, 900)),
    ("c_mpad,w_250,h_250", SMALL, SMALL),
    ("c_mpad,w_400,h_400", THIN, (1200, 400)),
    ("c_crop,w_300,h_360,g_west", CAMERA, (300, 360)),
    ("c_crop,w_300,h_360,x_1000,y_600", CAMERA, (280, 253)),
    ("c_crop,w_5000,h_5000", SMALL, SMALL),
    ("c_crop,w_0.5,h_0.5", CAMERA, (640, 427)),
    ("c_crop,w_300", CAMERA, (300, 853)),
    ("c_crop,ar_1:1,w_300", CAMERA, (300, 300)),
    ("c_crop,ar_1:1", CAMERA, (853, 853)),
    ("c_fill,ar_1:1", CAMERA, (853, 853)),
    ("c_pad,ar_1:1", CAMERA, (1280, 1280)),
    ("c_scale,ar_1:1", CAMERA, (1280, 1280)),
    ("c_thumb,g_face,w_150,h_150", CAMERA, (150, 150)),
    ("c_thumb,g_face,w_150,h_150,z_1.3", CAMERA, (150, 150)),
    ("c_crop,g_face,ar_1.0,z_2", CAMERA, (427, 427)),
    ("c_auto,g_auto,w_200,h_300", CAMERA, (200, 300)),
    ("c_fill_pad,g_auto,w_200,h_300", CAMERA, (200, 300)),
    ("c_auto_pad,w_200,h_300", CAMERA, (200, 300)),
    ("c_fill,w_100,h_100,dpr_2.0", CAMERA, (200, 200)),
    ("c_fill,w_100,h_100,dpr_0.5", CAMERA, (50, 50)),
    ("c_fill,w_100,h_100,dpr_4.5", CAMERA, (450, 450)),
    ("c_limit,w_500,dpr_2", SMALL, SMALL),
    ("c_limit,w_300/dpr_1.25", CAMERA, (375, 250)),
    ("c_crop,w_600,h_600/c_scale,w_0.5", CAMERA, (300, 300)),
    ("w_300,a_90", CAMERA, (200, 300)),
    ("c_fill,w_300,h_200/a_auto_right,c_fill,w_100,h_200", CAMERA, (100, 200)),
    ("$size_200/c_fill,w_$size,h_$size_div_2", CAMERA, (200, 100)),
    ("c_scale,w_iw_div_2", CAMERA, (640, 427)),
    ("c_fill,w_300,h_200/c_crop,w_w_div_2,h_h_mul_0.5", CAMERA, (150, 100)),
    ("c_scale,w_9000", CAMERA, (4000, 2666)),
    ("w_auto:100:400", CAMERA, (400, 267)),
    ("w_auto", CAMERA, CAMERA),
]


@pytest.mark.parametrize(("transformation", "original", "size"), SIZES)
def test_sizes(transformation: str, original: tuple[int, int], size: tuple[int, int]) -> None:
    assert size_of(transformation, original) == size


def filled(gravity: Gravity, width: int = 300, height: int = 200) -> Resize:
    return Resize(width=width, height=height, fit=Fit.COVER, enlarge=Enlarge.ALLOW, gravity=gravity)


@pytest.mark.parametrize(
    ("gravity", "expected"),
    [
        ("g_north_east", FocalPoint(1, 0)),
        ("g_auto", Smart.ATTENTION),
        ("g_auto:subject", Smart.ATTENTION),
        ("g_auto:faces", Smart.FACES),
        ("g_auto:classic:face", Smart.FACE),
        ("g_face", Smart.FACE),
        ("g_face:center", Smart.FACE),
        ("g_faces:auto", Smart.FACES),
        ("g_adv_faces", Smart.FACES),
        ("g_south_east,x_10,y_20", Shifted(FocalPoint(1, 1), -10, -20)),
        ("g_west,x_0.1", Shifted(FocalPoint(0, 0.5), Part(Fraction(1, 10)), 0)),
        ("g_south,y_-5", Shifted(FocalPoint(0.5, 1), 0, 5)),
        ("x_10", Shifted(CENTER, 10, 0)),
        ("g_xy_center,x_10,y_20", OriginalPoint(10, 20)),
        ("g_xy_center,x_0.3,y_0.7", FocalPoint(0.3, 0.7)),
        ("g_xy_center,x_0.0,y_0.7", FocalPoint(0, 0.7)),
        ("g_face,x_10", Smart.FACE),
    ],
)
def test_gravities(gravity: str, expected: Gravity) -> None:
    assert ops(f"c_fill,w_300,h_200,{gravity}") == (filled(expected),)


@pytest.mark.parametrize(
    ("transformation", "at"),
    [
        ("x_10,y_20", Offset(10, 20)),
        ("x_0.1", Offset(Part(Fraction(1, 10)), 0)),
        ("g_north_west,x_10", Offset(10, 0)),
        ("g_north_west", FocalPoint(0, 0)),
        ("g_center,x_-10", Shifted(CENTER, -10, 0)),
        ("g_xy_center,x_10,y_20", OriginalPoint(10, 20)),
        ("g_faces", Smart.FACES),
    ],
)
def test_gravities_of_a_crop(transformation: str, at: Gravity | Offset) -> None:
    assert ops(f"c_crop,w_300,h_200,{transformation}") == (Crop(width=300, height=200, at=at),)


BORDER = Pad(top_px=5, right_px=5, bottom_px=5, left_px=5, background=RED)


def test_a_point_of_a_known_canvas() -> None:
    assert ops("c_fill,w_300,h_200/c_crop,w_10,h_10,g_xy_center,x_150,y_50")[1] == Crop(
        width=10, height=10, at=FocalPoint(0.5, 0.25)
    )


@pytest.mark.parametrize(
    ("transformation", "expected"),
    [
        ("w_iw_div_3", (Resize(width=Part(Fraction(333_333, 10**6)), enlarge=Enlarge.ALLOW),)),
        ("a_90", (Turn.R90,)),
        ("a_-90", (Turn.R270,)),
        ("a_450", (Turn.R90,)),
        ("a_0", ()),
        ("a_hflip", (Turn.HFLIP,)),
        ("a_hflip.90", (Turn.HFLIP, Turn.R90)),
        ("a_ignore", (AsStored(),)),
        ("a_exif", ()),
        ("w_300,a_vflip.ignore", (AsStored(), Resize(width=300, enlarge=Enlarge.ALLOW), Turn.VFLIP)),
        ("a_auto_left,c_fill,w_300,h_200", (TurnToShape(Turn.R270, True), filled(CENTER))),
        ("c_scale,a_auto_right,ar_1:2,h_80", (TurnToShape(Turn.R90, False), Resize(height=80, ratio=Fraction(1, 2), fit=Fit.FILL, enlarge=Enlarge.ALLOW))),
        ("c_fill,w_300,h_200/a_auto_right,c_fit,w_90,h_80", (filled(CENTER), Resize(width=90, height=80, enlarge=Enlarge.ALLOW))),
        ("c_fill,w_300,h_200/a_auto_left,c_fit,ar_1:2,h_80", (filled(CENTER), Turn.R270, Resize(height=80, ratio=Fraction(1, 2), enlarge=Enlarge.ALLOW))),
        ("b_red", (Flatten(RED),)),
        ("b_rgb:f00", (Flatten(RED),)),
        ("b_transparent", ()),
        ("c_pad,w_30,h_20,b_rgb:ff0000", (Resize(width=30, height=20, fit=Fit.CONTAIN, enlarge=Enlarge.ALLOW, background=RED), Flatten(RED))),
        ("c_lpad,w_30,h_20,b_transparent,g_south,y_5", (Resize(width=30, height=20, fit=Fit.CONTAIN, background=TRANSPARENT, gravity=Shifted(FocalPoint(0.5, 1), 0, -5)),)),
        ("c_pad,ar_16:9,b_red,g_north", (Extend(ratio=Fraction(16, 9), gravity=FocalPoint(0.5, 0), background=RED), Flatten(RED))),
        ("e_trim", (Trim(threshold=25.5),)),
        ("w_300,e_trim:20:red", (Trim(threshold=51, colour=RED), Resize(width=300, enlarge=Enlarge.ALLOW))),
        ("c_thumb,g_auto,w_100,h_50,z_2", (Crop(ratio=Fraction(2), at=Smart.ATTENTION), Crop(width=HALF, height=HALF, at=Smart.ATTENTION), filled(CENTER, 100, 50))),
        ("c_thumb,g_auto,w_100,h_50,z_0.7", (filled(Smart.ATTENTION, 100, 50),)),
        ("c_thumb,g_face,w_100,h_50", (filled(CloseUp(Smart.FACE, 60), 100, 50),)),
        ("c_thumb,g_faces,w_100,h_50,z_0.5", (filled(CloseUp(Smart.FACES, 30), 100, 50),)),
        ("c_thumb,g_face,w_100,h_50,z_9", (filled(CloseUp(Smart.FACE, 100), 100, 50),)),
        ("c_thumb,g_face,ar_2.0", (Crop(ratio=Fraction(2), at=CloseUp(Smart.FACE, 60)),)),
        ("c_crop,g_face", (Crop(at=CloseUp(Smart.FACE, 100)),)),
        ("c_crop,g_face,w_90", (Crop(width=90, at=Smart.FACE),)),
        ("e_blur_faces", (BlurFaces(25.0),)),
        ("e_blur_faces:100", (BlurFaces(5.0),)),
        ("e_pixelate_faces", (PixelateFaces(20),)),
        ("e_pixelate_faces:7", (PixelateFaces(7),)),
        ("c_scale,fl_ignore_aspect_ratio,h_5", (Resize(width=WHOLE, height=5, fit=Fit.FILL, enlarge=Enlarge.ALLOW),)),
        ("r_0,bo_0px_solid_black,o_100", (Rounded((0, 0, 0, 0)),)),
        ("a_45", (Rotate(45),)),
        ("a_-7,b_red", (Rotate(353, RED), Flatten(RED))),
        ("a_hflip.15", (Turn.HFLIP, Rotate(15))),
        ("o_50", (Opacity(50),)),
        ("r_20", (Rounded((20, 20, 20, 20)),)),
        ("r_1:2", (Rounded((1, 2, 1, 2)),)),
        ("r_1:2:3", (Rounded((1, 2, 3, 2)),)),
        ("r_1:2:3:4,e_sepia:50", (Adjust(Tone.SEPIA, 50), Rounded((1, 2, 3, 4)))),
        ("r_max,b_red", (Ellipse(), Flatten(RED))),
        ("bo_5px_solid_red", (BORDER,)),
        ("bo_5px_solid_rgb:ff0000,r_20", (Rounded((15, 15, 15, 15)), Flatten(RED), BORDER, Rounded((20, 20, 20, 20)))),
        ("r_max,bo_5px_solid_red", (Ellipse(), Flatten(RED), BORDER, Ellipse())),
        ("e_vibrance:30", (Adjust(Tone.VIBRANCE, 30),)),
        ("e_vignette:30", (Vignette(30),)),
        ("e_vignette:0", ()),
        ("e_outline:4,co_red", (Outline(4, RED),)),
        ("e_outline", (Outline(5, BLACK),)),
    ],
)  # fmt: skip
def test_operations(transformation: str, expected: tuple[Operation, ...]) -> None:
    assert ops(transformation) == expected


@pytest.mark.parametrize(
    ("transformation", "names"),
    [
        ("c_fill", ["c"]),
        ("c_fill,w_3,h_2,ar_1:1", ["ar"]),
        ("c_fill,w_3,h_2,g_auto,x_1", ["x"]),
        ("x_1", ["x"]),
        ("c_limit,w_300,g_auto", ["g"]),
        ("g_south", ["g"]),
        ("c_fit,ar_1:1", ["ar"]),
        ("w_auto", ["w"]),
        ("dpr_auto", ["dpr"]),
        ("dn_300", ["dn"]),
        ("fl_progressive:semi.lossy", ["fl", "fl"]),
    ],
)
def test_what_has_no_effect_is_reported(transformation: str, names: list[str]) -> None:
    unused = variant(transformation).unused
    assert [each.parameter for each in unused] == names
    assert all(each.is_option for each in unused)


@pytest.mark.parametrize(
    ("transformation", "text"),
    [
        ("w_0", "parameter w must be above 0"),
        ("h_-5", "parameter h must be above 0"),
        ("w_foo", "parameter w must"),
        ("w_iar", "parameter w depends on iar of the original"),
        ("w_iw_mul_1000_add_1", "parameter w must be less than 1000 times"),
        ("w_0_sub_iw_sub_ih", "parameter w must be above 0"),
        ("c_fil,w_3", "parameter c must be .*is fill meant"),
        ("c_imagga_crop,w_3", "add-on"),
        ("c_crop", "parameter c_crop needs"),
        ("c_thumb,g_face", "parameter c_thumb needs"),
        ("c_crop,w_3,x_-1", "parameter x must be 0 or more"),
        ("c_fill,w_3,h_3,g_custom", "parameter g must be"),
        ("c_fill,w_3,h_3,g_xy_center,x_1", "g_xy_center needs x and y"),
        ("c_fit,w_3/c_crop,w_3,g_xy_center,x_1,y_1", "g_xy_center needs x and y"),
        ("c_fill,w_3,h_3,g_xy_center,x_1.5,y_0.5", "within the picture"),
        ("c_fill,w_3,h_3,z_2", "parameter z needs"),
        ("c_thumb,w_3,z_2", "parameter z needs"),
        ("z_0", "parameter z must"),
        ("c_thumb,w_0.5,h_0.5,z_2", "parameter z needs w and h in pixels"),
        ("w_999999999_mul_2", "up to 1000000000"),
        ("q_iw", "depends on the size of the picture"),
        ("q_80:420:444:420", "too many parts"),
        ("ar_0:1,w_3", "parameter ar must be"),
        ("ar_1:0,w_3", "parameter ar must not divide by 0"),
        ("a_x", "parameter a must"),
        ("a_auto_right,w_30", "auto_right"),
        ("dpr_0", "parameter dpr must be"),
        ("dpr_11", "parameter dpr must be"),
        ("b_auto:predominant_gradient", "parameter b must be"),
        ("o_101", "parameter o must"),
        ("r_1:2:3:4:5", "parameter r must be max, or one to four radii"),
        ("r_10000", "parameter r must"),
        ("bo_5px_dashed_red", "parameter bo must be as in 4px_solid_black"),
        ("bo_10000px_solid_red", "parameter bo must be 9999 pixels wide at most"),
        ("w_2000.0", "1000 times"),
        ("/".join(["e_grayscale"] * (MAX_EFFECTS + 1)), "effects"),
        ("/".join(["c_crop,w_30"] * 16), "operations"),
        ("/".join(["f_auto"] * 33), "32 components"),
        (",".join(["f_auto"] * 33), "32 parameters"),
    ],
)
def test_errors_name_the_parameter(transformation: str, text: str) -> None:
    with pytest.raises(BadTransform, match=text):
        variant(transformation)


def test_every_mode_is_explained() -> None:
    assert all(mode.note for mode in MODES.values())
    assert {mode.support for mode in MODES.values()} == {
        Support.DONE,
        Support.APPROXIMATED,
        Support.REFUSED,
    }


def test_a_dpr_that_no_native_url_has_multiplies_the_numbers() -> None:
    transform = variant("c_fill,w_100,h_50,dpr_0.5").transform
    assert transform == replace(transform, ops=(filled(CENTER, 50, 25),), dpr_percent=None)
    assert variant("w_3,dpr_1.33").transform.dpr_percent == 133
    own = variant("w_0.5,dpr_0.5/c_crop,w_10,h_10").transform.ops
    assert own == variant("w_0.5/c_crop,w_10,h_10").transform.ops, "parts and crops are not multiplied"
