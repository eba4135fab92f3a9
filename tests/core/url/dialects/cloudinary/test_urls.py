"""The dialect of Cloudinary: originals, formats, components in order, conditions, presets, and every error."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.errors import (
    BadTransform,
    BadUrl,
    CalotypeError,
    NotSupported,
    OriginalNotFound,
    SourceNotAllowed,
    UnknownRoute,
)
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Adjust, Auto, Metadata, Tone, Transform, without_no_ops
from proxy.core.transform.quality_level import QualityLevel
from proxy.core.url.dialects.cloudinary.effects import BY_NAME as EFFECTS
from proxy.core.url.dialects.cloudinary.flags import BY_NAME as FLAGS
from proxy.core.url.dialects.cloudinary.operations import MODES
from proxy.core.url.dialects.cloudinary.params import BY_NAME as PARAMS
from proxy.core.url.dialects.cloudinary.urls import DIALECT, parse
from proxy.core.url.dialects.component import Presets
from proxy.core.url.dialects.dialect import Reading, Support, Unsupported
from proxy.core.url.dialects.native import urls as native
from proxy.core.url.dialects.native.urls import parse_tokens
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.parsed_url import VariantUrl
from proxy.edge.problems import PROBLEMS

PRESETS: Presets = {
    name: parse_tokens(tokens, {}).components
    for name, tokens in {
        "card": "w_480,h_320,c_fill,f_auto",
        "grey": "e_grayscale,v_3",
        "two": "w_9~e_sepia",
        "sized": "if_w_gt_300~w_100~if_end",
    }.items()
}
READING = Reading(presets=PRESETS)
IGNORING = Reading(presets=PRESETS, unsupported=Unsupported.IGNORE)


def variant(raw: str, reading: Reading = READING) -> VariantUrl:
    parsed = parse(raw, reading)
    assert isinstance(parsed, VariantUrl)
    return parsed


def of(transformation: str, reading: Reading = READING) -> VariantUrl:
    return variant(f"/demo/image/upload/{transformation}/lake", reading)


# Originals.


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/demo/image/upload/lake.jpg", "lake.jpg"),
        ("/image/upload/w_3/v1/a/lake.jpg", "a/lake.jpg"),
        ("/demo/image/upload/v1/w_3/lake.jpg", "w_3/lake.jpg"),
        ("/demo/image/upload/a%20b/l%C3%A4ke", "a b/l\u00e4ke"),
        ("/demo/iu/w_3/lake.png", "lake.png"),
        ("/demo/images/w_3/v1/a/lake/some-name.webp", "a/lake.webp"),
        ("/images/lake/some-name", "lake"),
        ("/demo/image/private/w_3/lake.jpg", "lake.jpg"),
        ("/demo/image/authenticated/s--AAAAAAAA--/w_3/lake.jpg", "lake.jpg"),
        ("/demo/w_3/lake.jpg", "lake.jpg"),
        ("/lake.jpg?_a=BATAABC0", "lake.jpg"),
        ("/demo/image/fetch/https://x.org/a.jpg", "https://x.org/a.jpg"),
        ("/demo/image/fetch/w_3/https://x.org/a%20b.jpg%3Fc=1%26d=%252F", "https://x.org/a b.jpg?c=1&d=%2F"),
        ("/demo/image/fetch/w_3/https%3A%2F%2Fx.org%2Fa.jpg%3Fc%3D1", "https://x.org/a.jpg?c=1"),
        (
            "/demo/image/fetch/w_3/https://x.org/a.jpg?c=1&_a=BAA&d=2&utm_source=x",
            "https://x.org/a.jpg?c=1&d=2",
        ),
        ("/demo/image/fetch/https://x.org/a.jpg%3Fc=1?d=2", "https://x.org/a.jpg?c=1&d=2"),
        ("/demo/image/fetch/https:/x.org/a.jpg", "https://x.org/a.jpg"),
        ("/demo/image/fetch/s--AAAAAAAA--/http%3A/x.org/a.jpg?__cld_token__=x", "http://x.org/a.jpg"),
    ],
)
def test_originals(path: str, key: str) -> None:
    assert variant(path).key == key


@pytest.mark.parametrize(
    ("path", "alternatives"),
    [
        ("/demo/image/upload/a/lake", ("a/lake.jpg", "a/lake.png", "a/lake.webp", "a/lake.gif", "a/lake.avif")),
        ("/demo/image/upload/lake.webp", ("lake", "lake.jpg", "lake.png", "lake.gif", "lake.avif")),
        ("/demo/image/upload/lake.JPG", ("lake", "lake.jpg", "lake.png", "lake.webp", "lake.gif", "lake.avif")),
        ("/demo/image/upload/f_auto/lake.svg", ("lake", "lake.jpg", "lake.png", "lake.webp", "lake.gif", "lake.avif")),
        ("/demo/image/upload/lake.v2", tuple(f"lake.v2.{suffix}" for suffix in READING.suffixes)),
        ("/demo/image/upload/a.b/lake", tuple(f"a.b/lake.{suffix}" for suffix in READING.suffixes)),
        ("/demo/image/fetch/https://x.org/a.jpg", ()),
    ],
)  # fmt: skip
def test_a_public_id_may_stand_for_other_keys(path: str, alternatives: tuple[str, ...]) -> None:
    assert variant(path).alternatives == alternatives


def test_the_mount_has_the_suffixes() -> None:
    reading = replace(READING, suffixes=("jpeg",))
    assert variant("/demo/image/upload/lake.png", reading).alternatives == ("lake", "lake.jpeg")
    assert variant("/demo/image/upload/lake", replace(READING, suffixes=())).alternatives == ()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/demo/image/upload/lake", None),
        ("/demo/image/upload/lake.jpg", Format.JPEG),
        ("/demo/image/upload/lake.AVIF", Format.AVIF),
        ("/demo/image/upload/lake.v2", None),
        ("/demo/image/upload/lake.auto", None),
        ("/demo/image/upload/f_auto/lake.jpg", Auto.AUTO),
        ("/demo/image/upload/f_auto:image/lake.gif", Auto.AUTO),
        ("/demo/image/upload/f_png/lake.jpg", Format.PNG),
        ("/demo/image/upload/f_png/f_webp/lake", Format.WEBP),
        ("/demo/image/upload/f_webp/lake.svg", Format.WEBP),
        ("/demo/image/upload/t_card/lake.jpg", Auto.AUTO),
        ("/demo/image/upload/t_grey/lake.jpg", Format.JPEG),
        ("/demo/image/upload/fl_preserve_transparency/lake.jpg", Auto.JPEG_FOR_PNG),
        ("/demo/image/upload/fl_preserve_transparency/lake.webp", Format.WEBP),
        ("/demo/image/fetch/https://x.org/a.jpg", None),
        ("/demo/image/fetch/f_auto/https://x.org/a.jpg", Auto.AUTO),
    ],
)
def test_formats(path: str, kind: Format | Auto | None) -> None:
    parsed = variant(path)
    assert parsed.transform.format == kind
    assert DIALECT.negotiates(path, READING) is (kind is Auto.AUTO)


def test_an_invalid_url_negotiates_if_it_asks_to() -> None:
    assert DIALECT.negotiates("/demo/image/upload/w_x,f_auto/lake", READING)
    assert not DIALECT.negotiates("/demo/image/upload/w_x/lake", READING)


@pytest.mark.parametrize(
    ("path", "version"),
    [("v1/a/lake", None), ("v1234567890/lake", "1234567890"), ("lake", None), ("t_grey/lake", "3"), ("t_grey/v7/lake", "7")],
)  # fmt: skip
def test_versions(path: str, version: str | None) -> None:
    assert variant(f"/demo/image/upload/{path}").transform.version == version


# Components.


@pytest.mark.parametrize(
    ("transformation", "tokens"),
    [
        ("c_limit,w_640/f_auto/q_auto", "w_640,f_auto,q_auto"),
        ("q_auto:good,f_auto,c_limit,w_640", "f_auto,w_640,q_auto:good"),
        ("c_fill,w_300,h_200", "c_fill,w_300,h_200"),
        ("c_fill%2Cw_300%2Ch_200,g_auto", "c_fill,w_300,h_200,g_auto"),
        ("c_fill,w_300,h_200,q_70,dpr_2.0", "c_fill,w_300,h_200,q_70,dpr_2"),
        ("c_scale,w_300", "w_300,el_allow"),
        ("c_pad,w_300,h_200", "c_pad,w_300,h_200"),
        ("c_lpad,w_300,h_200,b_transparent", "c_pad,el_never,w_300,h_200,b_transparent"),
        ("c_crop,w_30,h_20,x_1,y_2/c_fill,w_9,h_9", "c_crop,w_30,h_20,x_1,y_2~c_fill,w_9,h_9"),
        ("c_fill,ar_16:9,w_320,a_90", "c_fill,ar_16:9,w_320,a_90"),
        ("q_auto:best/fl_keep_attribution/pg_2", "q_auto:best,meta_copyright,pg_2"),
        ("t_card/e_sepia", "c_fill,w_480,h_320,f_auto,e_sepia"),
        ("t_card.grey", "c_fill,w_480,h_320,f_auto,e_grayscale"),
        ("e_grayscale/e_blur:100/e_sharpen", "e_grayscale,e_blur:5,e_sharpen:1"),
        ("f_auto,w_9,c_limit,w_9,f_auto", "w_9,f_auto"),
        ("e_negate", "e_negate"),
        ("e_sepia", "e_sepia"),
        ("e_sepia:50", "e_sepia:50"),
        ("e_brightness:-20", "e_brightness:-20"),
        ("e_contrast:50", "e_contrast:50"),
        ("e_saturation", "e_saturation:80"),
        ("e_hue:50", "e_hue:90"),
        ("e_hue:-50", "e_hue:270"),
        ("e_hue:0", ""),
        ("e_gamma:50", "e_gamma:1.5"),
        ("e_red:10", "e_rgb:10:0:0"),
        ("e_green:-10", "e_rgb:0:-10:0"),
        ("e_blue", ""),
        ("e_blackwhite:40", "e_threshold:102"),
        ("e_blackwhite:0", "e_threshold:1"),
        ("e_colorize:40,co_red", "e_colorize:40:40:40:ff0000"),
        ("co_rgb:00f,e_colorize", "e_colorize:100:100:100:0000ff"),
        ("e_noise:20", "e_noise:51"),
        ("e_noise", ""),
        ("e_pixelate:8", "e_pixelate:8"),
        ("e_auto_contrast", "e_normalize"),
        ("e_trim:0", "trim_0"),
        ("b_red", "e_flatten:ff0000"),
        ("cs_srgb,fl_strip_profile.force_strip", ""),
        ("c_crop,w_ih,h_ih", "c_crop,rw_h,rh_1.0,g_center"),
        ("c_crop,w_iw_sub_20,h_ih_sub_20,x_10,y_10", "c_crop,rw_w_sub_20,rh_h_sub_20,x_10,y_10"),
        ("c_fill,w_9,h_9/c_scale,w_iw_div_2,h_ih", "c_fill,w_9,h_9,el_allow~c_scale,rw_0.5iw,rh_ih,el_allow"),
        ("$side_iw_add_ih/c_crop,w_9/c_scale,w_$side_mul_0.5", "c_crop,w_9,g_center~rw_0.5iw_add_0.5ih,el_allow"),
        ("c_fill,w_9,h_9,g_north,y_ih_mul_-0.1", "c_fill,w_9,h_9,el_allow,g_north:0:-0.1"),
        ("c_crop,w_9,h_9,x_h_sub_w", "c_crop,w_9,h_9,rx_h_sub_w,y_0"),
    ],
)  # fmt: skip
def test_equal_pictures_are_equal_transforms(transformation: str, tokens: str) -> None:
    expected = native.parse_transform(tokens, {}) if tokens else Transform()
    assert without_no_ops(of(transformation).transform) == without_no_ops(expected)


@pytest.mark.parametrize(
    ("transformation", "tone"),
    [
        ("if_1_lt_2/e_sepia/if_else/e_grayscale/if_end", Tone.SEPIA),
        ("if_1_gt_2/e_sepia/if_else/e_grayscale/if_end", Tone.GRAYSCALE),
        ("if_1_gt_2/e_sepia/if_end", None),
        ("if_1_gt_2,e_sepia", None),
        ("if_1_gt_2,e_sepia/e_grayscale", Tone.GRAYSCALE),
        ("e_sepia,if_1_lt_2", Tone.SEPIA),
        ("if_1_gt_2,e_sepia/if_else,e_grayscale", Tone.GRAYSCALE),
        ("if_1_gt_2,e_sepia/e_sepia/if_end/e_grayscale", Tone.GRAYSCALE),
        ("if_1_gt_2,e_sepia/if_1_lt_2,e_grayscale", Tone.GRAYSCALE),
        ("$a_!yes!/if_$a_eq_!yes!/e_sepia/if_end", Tone.SEPIA),
        ("$a_2,$b_$a_mul_3/if_$b_eq_6/e_sepia/if_end", Tone.SEPIA),
        ("c_fill,w_300,h_200/if_w_gt_250_and_h_lt_250/e_sepia/if_end", Tone.SEPIA),
        ("c_fill,w_300,h_200/if_ar_lt_1/e_grayscale/if_else/e_sepia/if_end", Tone.SEPIA),
        ("w_200/if_w_eq_200/e_sepia/if_end", Tone.SEPIA),
        ("c_fill,w_300,h_200,a_90/if_h_eq_300/e_sepia/if_end", Tone.SEPIA),
        ("if_1_gt_2/w_x/if_end/e_sepia", Tone.SEPIA),
    ],
)
def test_conditions_choose_components(transformation: str, tone: Tone | None) -> None:
    tones = [op.tone for op in of(transformation).transform.ops if isinstance(op, Adjust)]
    assert tones == ([] if tone is None else [tone])


@pytest.mark.parametrize(
    ("transformation", "native_chain"),
    [
        ("if_w_gt_1000,c_limit,w_1000", "if_w_gt_1000~w_1000~if_end"),
        ("if_w_gt_300/e_sepia/if_else/e_grayscale/if_end", "if_w_gt_300~e_sepia:80~if_else~e_grayscale~if_end"),
        ("if_w_gt_300,e_sepia/if_else,e_grayscale", "if_w_gt_300~e_sepia:80~if_else~e_grayscale~if_end"),
        ("c_limit,w_500/if_h_gt_400,c_crop,h_400", "w_500~if_h_gt_400~h_400,c_crop~if_end"),
        ("if_ar_gt_1,w_300/if_end/if_ar_lte_1,h_300/if_end/e_sepia", "if_ar_gt_1~w_300,el_allow~if_end~if_ar_lte_1~h_300,el_allow~if_end~e_sepia:80"),
        ("if_w_gt_300/w_0.5/w_0.5", "if_w_gt_300~rw_0.5,el_allow~rw_0.5,el_allow~if_end"),
        ("if_w_gt_300/w_100/if_else/w_100/if_end", "w_100,el_allow"),
        ("dpr_0.5/if_iw_gt_100,w_200/if_else,w_100", "if_w_gt_100~w_100,el_allow~if_else~w_50,el_allow~if_end"),
        ("c_scale,w_500,h_500/t_sized/if_w_gt_300,e_sepia", "w_500,h_500,c_scale~if_w_gt_300~w_100~if_end~if_w_gt_300~e_sepia:80~if_end"),
        ("t_sized/if_iw_gt_300,e_sepia", "if_w_gt_300~w_100~if_end~if_iw_gt_300~e_sepia:80~if_end"),
        ("$ow_iw/c_limit,w_100/if_$ow_gt_1000,e_sepia", "w_100~if_iw_gt_1000~e_sepia:80~if_end"),
        ("$big_w_gt_1000_and_ar_lt_2/c_limit,w_100/if_$big,e_sepia", "w_100~if_iw_gt_1000_and_iar_lt_2~e_sepia:80~if_end"),
        ("if_w_gt_300/$a_5/if_else/$a_5/if_end/c_limit,w_$a", "w_5"),
        ("$a_5/if_w_gt_300/$a_9,c_limit,w_$a/if_else/c_limit,w_$a/if_end", "if_w_gt_300~w_9~if_else~w_5~if_end"),
        ("if_w_gt_300/c_fill,w_9,h_9/if_else/c_fill,w_9,h_9,g_north/if_end/if_w_eq_9,e_sepia", "if_w_gt_300~c_fill,w_9,h_9~if_else~c_fill,w_9,h_9,g_north~if_end~e_sepia:80"),
    ],
)  # fmt: skip
def test_conditions_on_sizes_are_operations(transformation: str, native_chain: str) -> None:
    expected = native.parse_transform(native_chain, {})
    assert without_no_ops(of(transformation).transform) == without_no_ops(expected)


@pytest.mark.parametrize(
    ("transformation", "text"),
    [
        ("if_!a!_in_tags/e_sepia/if_end", "depends on tags of the original"),
        ("if_w_gt_300,q_50", "may decide operations only"),
        ("if_w_gt_300/e_sepia/if_else/f_png/if_end", "may decide operations only"),
        ("if_w_gt_300/t_card/if_end", "may decide operations only"),
        ("if_w_gt_300/w_3/if_else/w_4/if_else/w_5/if_end", "if_else is given twice"),
        ("if_1_eq_1/w_3/if_else/w_4/if_else/w_5/if_end", "if_else is given twice"),
        ("if_iw_gt_123456.123457/w_3/if_end", "must compare sizes with numbers up to"),
        (
            "c_limit,w_9/$both_w_add_h/c_limit,w_8/w_$both",
            "parameter w depends on a sum of sizes of the original",
        ),
        (
            "c_limit,w_90/$b_w_gt_9/c_limit,w_80/if_$b/e_sepia/if_end",
            "parameter if depends on a condition of the original",
        ),
        ("if_w_gt_300/if_w_gt_400,e_sepia/if_end", "parameter if may not stand"),
        ("if_w_gt_300/$a_5/if_end/w_$a", "parameter w depends on a condition of the original"),
        ("if_1/e_sepia/if_end", "parameter if must compare"),
        ("if_else/e_sepia", "if_else needs a condition"),
        ("if_1_eq_1/if_1_eq_1/if_end", "parameter if may not stand"),
        ("if_1_eq_1,if_1_eq_1,w_3", "parameter if is given twice"),
        ("$a_b", "variable a must have numbers"),
        ("w_$a", "parameter w uses a variable"),
        ("w_3,w_4", "parameter w is given twice"),
        ("w_", "parameter w is empty"),
        ("w_3,foo_4", "parameter foo_4 of a component is unknown"),
        ("w_3,dp_4", "is dpr .*meant|is dn .*meant|unknown"),
        ("w_3,", "parameter 2 of a component is unknown"),
        ("q_0", "parameter q must be a whole number from 1 to 100"),
        ("q_101", "parameter q must be"),
        ("q_auto:great", "parameter q must have"),
        ("q_80:foo", "parameter q must be"),
        ("f_tiff", "parameter f must be"),
        ("e_blurr:3", "has an unknown effect: blurr; is blur meant"),
        ("e_blur:3000", "effect blur must be a whole number from 1 to 2000"),
        ("e_grayscale:3", "effect grayscale takes no strength"),
        ("e_trim:101", "effect trim must have a tolerance"),
        ("e_cartoonify", "effect cartoonify is not supported"),
        ("e_tint:50:red", "effect tint is not supported"),
        ("fl_foo", "has an unknown flag: foo"),
        ("fl_layer_apply", "flag layer_apply is not supported"),
        ("fl_getinfo", "flag getinfo is not supported"),
        ("fl_attachment:a%2Fb", "file name without slashes"),
        ("l_video:dog,w_3", "parameter l is not supported"),
        ("u_fetch:aHR0cA", "parameter u is not supported"),
        ("so_3", "parameter so is not supported"),
        ("pg_0", "parameter pg must be"),
        ("pg_1-3", "parameter pg must"),
        ("cs_p3", "parameter cs must be"),
        ("t_none", "parameter t names no preset"),
    ],
)
def test_errors_name_the_parameter(transformation: str, text: str) -> None:
    for reading in (READING, IGNORING):
        with pytest.raises(BadTransform, match=text):
            of(transformation, reading)


@pytest.mark.parametrize(
    "path",
    [
        *("/demo/video/upload/a.mp4", "/demo/image/facebook/1.jpg", "/demo/image/upload/lake.pdf"),
        *(
            f"/demo/image/upload/{transformation}/lake"
            for transformation in (
                *(
                    "l_video:dog",
                    "fl_layer_apply",
                    "fl_new_flag",
                    "e_cartoonify",
                    "e_new_effect:3",
                    "e_contrast:5:sigmoidal",
                ),
                *(
                    "bo_5px_dashed_red",
                    "b_gen_fill",
                    "g_custom",
                    "c_new",
                    "c_imagga_crop,w_3",
                    "c_thumb,g_face",
                    "f_jxl",
                ),
                *(
                    "e_outline:outer:5",
                    "e_shadow",
                    "t_unknown",
                    "if_fc_gt_1,w_3",
                    "w_iar",
                    "pg_1-3",
                    "q_auto:new",
                    "w_3,xy_3",
                ),
                *("q_80:444", "e_improve", "/".join(["e_sepia"] * 9)),
            )
        ),
    ],
)
def test_what_cloudinary_does_may_go_to_it(path: str) -> None:
    with pytest.raises(NotSupported):
        parse(path, READING)


@pytest.mark.parametrize(
    "transformation", ["w_0", "w_x", "q_101", "dpr_0", "$a_b", "w_$a", "w_", "w_3,w_4", "if_else"]
)
def test_what_is_invalid_anywhere_is_not_passed_on(transformation: str) -> None:
    with pytest.raises(BadTransform) as error:
        of(transformation)
    assert not isinstance(error.value, NotSupported)


@pytest.mark.parametrize(
    ("transformation", "defaults"),
    [
        ("d_avatar.png,w_30", ("avatar.png", "avatar", "avatar.jpg")),
        ("w_30/d_folder:avatar", ("folder/avatar", "folder/avatar.jpg", "folder/avatar.png")),
        ("w_30", ()),
    ],
)
def test_a_default_picture_is_the_last_candidate(transformation: str, defaults: tuple[str, ...]) -> None:
    parsed = parse(f"/demo/image/upload/{transformation}/lake", replace(READING, suffixes=("jpg", "png")))
    assert isinstance(parsed, VariantUrl)
    assert (parsed.defaults, parsed.alternatives) == (defaults, ("lake.jpg", "lake.png"))


@pytest.mark.parametrize("name", ["https:::a.example:b.jpg", ".hidden", "a::b", "%00"])
def test_a_default_picture_is_a_public_id(name: str) -> None:
    with pytest.raises(BadTransform, match="parameter d must be the public id"):
        of(f"d_{name}")


POLISH = [
    ("q_80:444", "q"),
    ("q_auto:good:420", "q"),
    ("q_jpegmini", "q"),
    ("cs_cmyk", "cs"),
    ("e_improve:50", "improve"),
    ("e_redeye", "redeye"),
    ("fl_png8", "png8"),
]


@pytest.mark.parametrize(("transformation", "name"), POLISH)
def test_what_only_polishes_follows_the_rule(transformation: str, name: str) -> None:
    with pytest.raises(BadTransform, match=name):
        of(transformation)
    unused = of(transformation, IGNORING).unused
    assert [each.parameter for each in unused] == [name]
    assert all(each.is_option for each in unused)


def test_a_quality_counts_where_its_chroma_is_ignored() -> None:
    assert of("q_70:444", IGNORING).transform.quality == 70
    assert of("q_auto:eco:444", IGNORING).transform.quality is QualityLevel.ECO


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("fl_attachment/lake.jpg", "attachment"),
        ("fl_attachment:my_lake/lake.jpg", 'attachment; filename="my_lake.jpg"'),
        ("fl_attachment:my%20lake,f_auto/lake.jpg", 'attachment; filename="my lake"'),
        ("fl_progressive.attachment:a%252Eb/lake.webp", 'attachment; filename="a.b.webp"'),
        ("w_3/lake.jpg", ""),
    ],
)
def test_attachments(path: str, value: str) -> None:
    assert variant(f"/demo/image/upload/{path}").disposition == value


def test_metadata_and_pages() -> None:
    assert of("fl_keep_iptc").transform.metadata is Metadata.COPYRIGHT
    assert of("pg_3").transform.page == 3


@pytest.mark.parametrize(
    ("path", "is_preset"),
    [
        ("t_card/lake", True),
        ("t_card/v7/lake.png", True),
        ("t_card/fl_attachment:x/lake", True),
        ("t_card.grey/lake", False),
        ("t_card/w_3/lake", False),
        ("t_card/fl_progressive/lake", False),
        ("t_card/$a_1/lake", False),
        ("if_1_eq_1/t_card/if_end/lake", False),
        ("lake", False),
    ],
)
def test_urls_of_presets(path: str, is_preset: bool) -> None:
    parsed = variant(f"/demo/image/upload/{path}")
    assert parsed.is_preset is is_preset
    if is_preset:
        assert parsed.of_presets == native.parse_transform("t_card", PRESETS)


def test_a_preset_precedes_its_component_and_may_be_a_chain() -> None:
    expected = native.parse_transform("w_9~e_sepia~c_fill,w_3,h_3", {})
    assert of("c_fill,t_two,w_3,h_3").transform.ops == expected.ops


# Errors.


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("/", UnknownRoute, "no such route"),
        ("/demo/image/nonsense/lake.jpg", BadUrl, "the delivery type after image must be"),
        ("/demo/image/upload/", BadUrl, "the key of the original is missing|empty"),
        ("/demo/image/upload", BadUrl, "missing|empty"),
        ("/demo/image/upload/a//b.jpg", BadUrl, "empty"),
        ("/demo/image/upload/.a.jpg", BadUrl, "begins with a dot"),
        ("/demo/image/upload/a%zz", BadUrl, "the public id holds a %"),
        ("/demo/image/upload/w_3%zz/a", BadUrl, "the transformation holds a %"),
        ("/demo/images/lake.jpg", BadUrl, "the SEO suffix is missing"),
        ("/demo/image/upload/https://x.org/a.jpg", SourceNotAllowed, "keys of its own source"),
        ("/demo/image/fetch/lake.jpg", BadUrl, "must be an absolute URL"),
        ("/demo/image/fetch/", BadUrl, "must be an absolute URL"),
        ("/demo/video/upload/a.mp4", BadTransform, "assets of type video are not supported"),
        ("/demo/raw/upload/a.pdf", BadTransform, "assets of type raw are not supported"),
        ("/files/a/b.pdf", BadTransform, "assets of type files are not supported"),
        ("/demo/image/facebook/w_3/65646572251.jpg", BadTransform, "the delivery type facebook is not supported"),
        ("/demo/image/upload/lake.pdf", BadTransform, "the extension of the URL"),
        ("/demo/image/upload/w_300/lake.svg", BadTransform, "the extension of the URL"),
    ],
)  # fmt: skip
def test_errors_of_the_path(path: str, error: type[CalotypeError], text: str) -> None:
    with pytest.raises(error, match=text):
        parse(path, READING)


def test_the_query_is_ignored_and_reported_but_for_analytics() -> None:
    parsed = variant("/demo/image/upload/lake.jpg?_a=BAA&x=1&_s=y&%3C")
    assert [(each.parameter, each.is_option) for each in parsed.unused] == [("x", False), ("4", False)]


# The record.


def test_the_dialect_is_registered() -> None:
    assert DIALECTS["cloudinary"] is DIALECT
    assert DIALECT.recognises("/demo/image/upload/lake.jpg")
    assert DIALECT.settings == {"suffixes"}


@pytest.mark.parametrize(
    ("slug", "status"),
    [
        *(("bad-signature", 401), ("signature-required", 401), ("signature-expired", 401), ("bad-url", 400)),
        *(("bad-transform", 400), ("source-not-allowed", 401), ("dimension-not-allowed", 401)),
        *(("original-not-found", 404), ("unknown-route", 404), ("unsupported-format", 400)),
        *(("undecodable", 400), ("original-too-large", 400), ("overloaded", 503)),
    ],
)
def test_the_statuses_are_those_of_cloudinary(slug: str, status: int) -> None:
    assert DIALECT.statuses.get(slug, PROBLEMS[slug].status) == status


def test_an_error_has_its_reason_in_a_header() -> None:
    failure = OriginalNotFound("no original l\u00e4ke\n.jpg")
    assert len(DIALECT.error_headers("/x", OriginalNotFound("a" * 9000))["X-Cld-Error"]) == 500
    assert DIALECT.error_headers("/x", failure) == {"X-Cld-Error": "no original l?ke?.jpg"}


def test_every_option_is_documented() -> None:
    names = [name for option in DIALECT.options for name in option.names]
    assert len(names) == len(set(names))
    prefixes = {name.partition("_")[0] for name in names}
    assert {name.lstrip("$") for name in PARAMS} <= prefixes | set(names)
    assert {f"c_{name}" for name in MODES} | {f"e_{name}" for name in EFFECTS} <= set(names)
    assert {f"fl_{name}" for name in FLAGS} <= set(names)
    for option in DIALECT.options:
        assert option.note or option.support in (Support.DONE, Support.REFUSED)


# Anything at all.

WORDS = [
    *(
        "/",
        "/",
        ",",
        "_",
        ":",
        ".",
        "%",
        "%2C",
        "%2",
        "%ff",
        "?",
        "&",
        "!",
        "$a",
        "$a_",
        "if_",
        "if_end",
        "if_else",
    ),
    *(
        "demo",
        "image",
        "upload",
        "fetch",
        "images",
        "iu",
        "private",
        "v1",
        "v12",
        "s--AAAAAAAA--",
        "https://x.org",
    ),
    *(
        "0",
        "300",
        "0.5",
        "-1",
        "1e9",
        "9" * 400,
        "16:9",
        "\u0663",
        "\udcff",
        "\x00",
        " ",
        "a.jpg",
        "..",
        "auto",
        "w",
    ),
    *(f"{name}_" for name in PARAMS),
    *(f"c_{name}" for name in MODES),
    *("g_face", "g_south", "g_xy_center", "red", "add", "mul", "div", "gt", "hflip"),
]
texts = st.one_of(
    st.text(), *(st.lists(st.sampled_from(WORDS)).map(joint.join) for joint in ("", "/", ",", "_"))
)
values = st.one_of(
    st.sampled_from(WORDS), st.integers().map(str), st.decimals().map(str), st.sampled_from([*MODES])
)
pairs = st.tuples(st.sampled_from([*PARAMS, "if", "$a"]), values).map("_".join)
effects = st.tuples(st.sampled_from([*EFFECTS]), st.integers(-300, 2500)).map(
    lambda each: f"e_{each[0]}:{each[1]}"
)
components = st.lists(st.one_of(pairs, effects), min_size=1, max_size=5).map(",".join)
transformations = st.lists(components, max_size=5).map(lambda each: "/".join([*each, "lake.png"]))


@given(
    st.sampled_from(["/", "/demo/image/upload/", "/image/fetch/", "/demo/images/"]),
    st.one_of(texts, transformations),
    st.sampled_from(list(Unsupported)),
)
@example("/image/upload/", "c_thumb,g_face,w_9,h_8,z_1.3/lake.png", Unsupported.REFUSE)
@example("/image/upload/", "c_crop,ar_2:1,z_3/lake.png", Unsupported.REFUSE)
@example("/image/upload/", "w_" + "1" * 7000 + "/a.jpg", Unsupported.REFUSE)
@example("/image/upload/", "w_" + "1_mul_" * 1400 + "1/a.jpg", Unsupported.REFUSE)
@example("/image/upload/", "w_" + "!" * 7000 + "/a.jpg", Unsupported.REFUSE)
@example("/image/upload/", "/".join(["w_1"] * 2000), Unsupported.REFUSE)
def test_nothing_raises_but_the_errors_of_a_request(start: str, text: str, unsupported: Unsupported) -> None:
    raw = start + text
    reading = Reading(presets=PRESETS, unsupported=unsupported)
    DIALECT.recognises(raw)
    DIALECT.negotiates(raw, reading)
    try:
        parsed = parse(raw, reading)
    except CalotypeError as failure:
        assert failure.detail
        return
    assert isinstance(parsed, VariantUrl)
    spelled = native.native_url(parsed, "lake", parsed.transform)
    again = native.parse(spelled, {})
    assert isinstance(again, VariantUrl)
    assert without_no_ops(again.transform) == without_no_ops(parsed.transform), spelled
