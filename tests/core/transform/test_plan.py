"""Equal transforms have equal plans; the text of a plan is complete and unique."""

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image.faces import Faces
from proxy.core.image.formats import OUTPUTS, Format
from proxy.core.transform.operations import (
    WHITE,
    Adjust,
    Auto,
    Colour,
    Crop,
    Enlarge,
    Fit,
    FocalPoint,
    Offset,
    Resize,
    Smart,
    Tone,
    Turn,
)
from proxy.core.transform.plan import Encode, Plan, RenderDefaults, resolve
from proxy.core.transform.plan_text import canonical
from proxy.core.url.dialects.component import Component, transform_of
from proxy.core.url.dialects.native.urls import parse, parse_transform, path_url, query_url, spell
from proxy.core.url.parsed_url import VariantUrl
from tests.support.strategies import components, flat, keys

DEFAULTS = RenderDefaults(quality=80, effort={Format.WEBP: 4, Format.PNG: 6}, max_side_px=4000)
FINDS_FACES = replace(DEFAULTS, face_detector="fake 1")


def plan(tokens: str, kind: Format = Format.JPEG) -> Plan:
    return resolve(parse_transform(tokens, {}), kind, DEFAULTS)


def resize(width: int, height: int, fit: Fit = Fit.INSIDE, enlarge: Enlarge = Enlarge.ALLOW) -> Resize:
    return Resize(width=width, height=height, fit=fit, enlarge=enlarge)


@pytest.mark.parametrize(
    ("tokens", "ops"),
    [
        ("f_jpg", ()),
        ("w_400", (resize(400, 4000, enlarge=Enlarge.NEVER),)),
        ("h_300", (resize(4000, 300, enlarge=Enlarge.NEVER),)),
        ("w_400,h_300", (resize(400, 300, enlarge=Enlarge.NEVER),)),
        ("w_400,h_300,c_fit", (resize(400, 300, enlarge=Enlarge.NEVER),)),
        ("w_400,h_300,el_allow", (resize(400, 300),)),
        ("w_400,el_only", (resize(400, 4000, enlarge=Enlarge.ONLY),)),
        ("w_400,h_300,c_outside", (resize(400, 300, Fit.OUTSIDE),)),
        ("w_400,h_300,c_fill", (resize(400, 300, Fit.COVER),)),
        ("w_400,h_300,c_pad", (resize(400, 300, Fit.CONTAIN),)),
        ("w_400,h_300,c_scale", (resize(400, 300, Fit.FILL),)),
        ("w_400,ar_4:3,c_scale", (resize(400, 300, Fit.FILL),)),
        ("h_301,ar_1.333,c_scale,dpr_1.5", (resize(602, 452, Fit.FILL),)),
        ("w_400,h_300,dpr_2", (resize(800, 600, enlarge=Enlarge.NEVER),)),
        ("w_401,h_301,dpr_1.5", (resize(602, 452, enlarge=Enlarge.NEVER),)),
        ("w_8000,h_6000,c_fill", (resize(4000, 3000, Fit.COVER),)),
        ("w_4000,h_4000,dpr_4,c_scale", (resize(4000, 4000, Fit.FILL),)),
        ("w_99999", (resize(4000, 4000, enlarge=Enlarge.NEVER),)),
        ("w_400,h_300,c_crop,dpr_2", (Crop(width=400, height=300),)),
        ("w_9000,c_crop,x_5,dpr_2", (Crop(width=9000, at=Offset(5, 0)),)),
        ("ar_3:2,g_north", (Crop(ratio=Fraction(3, 2), at=FocalPoint(0.5, 0)),)),
        ("e_sepia~w_400,h_300,c_scale~a_90", (Adjust(Tone.SEPIA, 80), resize(400, 300, Fit.FILL), Turn.R90)),
    ],
)
def test_each_size_resolves_to_its_operation(tokens: str, ops: object) -> None:
    assert plan(tokens).ops == ops


def test_operations_of_a_component_have_a_fixed_order() -> None:
    ops = plan("e_blur:2,a_90,w_40,h_30,c_fill,g_north,e_grayscale").ops
    assert [type(op).__name__ for op in ops] == ["Resize", "Turn", "Blur", "Adjust"]
    assert ops[0] == replace(resize(40, 30, Fit.COVER), gravity=FocalPoint(0.5, 0))
    assert ops[1] is Turn.R90


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("w_400", "w_400,c_fill"),
        ("w_400", "w_400,c_pad,g_north,b_red".replace("b_red", "b_fff")),
        ("w_400", "w_400,c_scale"),
        ("w_400", "w_200,dpr_2"),
        ("w_400", "w_400,h_4000"),
        ("w_400", "w_400,q_80"),
        ("w_400", "w_400,dpr_1"),
        ("w_400", "w_400,e_contrast:0"),
        ("w_400", "w_400,b_white"),
        ("f_jpg", "f_jpg,dpr_3"),
        ("w_40,h_30", "w_40,h_30,c_fit,g_north"),
        ("w_40,h_30,c_fill", "w_40,h_30,c_fill,g_center"),
        ("w_40,h_30,c_fill,g_center", "w_40,h_30,c_fill,g_0.5:0.5"),
        ("w_40,h_30,c_fill,g_north_west", "w_40,h_30,c_fill,g_0:0"),
        ("w_40,h_30,c_fill,g_auto", "w_40,h_30,c_fill,g_face"),
        ("w_40,h_30,c_fill,g_auto", "w_40,h_30,c_fill,g_faces:60"),
        ("w_40,h_30,c_pad", "w_40,h_30,c_pad,g_auto"),
        ("w_40,h_30,c_pad", "w_40,h_30,c_pad,b_transparent"),
        ("w_8000,h_8000", "w_4000,h_4000"),
        ("e_sepia", "e_sepia:80"),
        ("e_sharpen", "e_sharpen:1"),
        ("w_400,e_sepia", "w_400~e_sepia"),
        ("w_400,f_png", "f_png~w_400"),
        ("w_40,h_30,c_fill", "w_40,ar_4:3,c_fill"),
        ("w_40,h_30,c_fill", "w_40,h_30,c_fill,el_allow"),
        ("w_40,h_30", "w_40,h_30,el_never"),
        ("w_400", "w_400~c_crop,x_0,y_0"),
        ("w_400", "c_crop,g_north~w_400"),
        ("a_90", "a_90~e_contrast:0~f_jpg"),
        ("a_180", "a_90~a_90"),
        ("f_jpg", "a_hflip~a_hflip"),
        ("a_hflip.90", "a_hflip~a_90"),
        ("a_hflip.270", "a_90~a_hflip"),
        ("w_300", "w_400,maxw_300"),
        ("w_300,h_200", "h_200,maxw_300"),
        ("w_300,h_200", "w_400,h_200,maxw_300,maxh_900"),
        ("w_300,dpr_2", "maxw_300,dpr_2"),
        ("w_300", "maxw_300,c_fill,el_allow"),
        ("w_9~a_vflip~h_9", "w_9,a_hflip~a_180~h_9"),
        ("w_9,b_f00", "w_9,e_flatten:f00"),
        ("w_9,b_f00", "w_9,e_flatten:f00~a_90~a_270,b_00f"),
        ("a_90,b_f00", "e_flatten:f00~a_90"),
        ("w_9", "w_9,e_flatten:fff"),
        ("w_9,e_flatten:f00,e_blur:1", "w_9,e_flatten:f00,e_blur:1,b_00f"),
        ("w_40,h_30,c_pad,el_never,g_north,b_f00", "w_40,h_30,ext_40x30:north,b_f00"),
        ("w_40,h_30,c_pad,el_never,dpr_2", "w_40,h_30,ext_40x30,dpr_2"),
        ("a_90", "rw_1.0,rh_1.0,c_scale,a_90"),
        ("a_90", "rw_1.0,a_90,dpr_2"),
        ("h_9,c_crop,x_1", "rw_1.0,h_9,c_crop,x_1"),
        ("f_jpg", "rw_1.0,c_crop"),
        ("w_9", "w_9,eq_png:30,fq_gif:50"),
    ],
)
def test_explicit_defaults_and_ignored_parameters_do_not_change_the_plan(one: str, other: str) -> None:
    assert plan(one) == plan(other)


@pytest.mark.parametrize("tokens", ["w_40,h_30,c_fill,g_{}", "c_crop,w_9,g_{}", "w_9,minh_9,g_{}"])
def test_a_plan_that_looks_for_faces_has_the_version_of_the_detector(tokens: str) -> None:
    made = [
        resolve(
            parse_transform(tokens.format(word), {}), Format.JPEG, replace(DEFAULTS, face_detector=version)
        )
        for word in ("face", "faces", "auto")
        for version in ("fake 1", "fake 2", "")
    ]
    assert [each.face_detector for each in made] == ["fake 1", "fake 2", ""] * 2 + [""] * 3
    assert len({canonical(each) for each in made}) == 5
    assert " faces:fake 1 " in canonical(made[0])
    assert canonical(replace(made[0], faces=Faces())) == canonical(made[0])


@pytest.mark.parametrize("tokens", ["w_400,g_face", "w_400,c_fill,g_faces", "w_40,h_30,c_pad,g_face"])
def test_a_plan_that_cuts_nothing_looks_for_no_faces(tokens: str) -> None:
    assert resolve(parse_transform(tokens, {}), Format.JPEG, FINDS_FACES) == plan(tokens)
    described = resolve(parse_transform("w_40,h_30,c_fill,g_face", {}), Format.INFO, FINDS_FACES)
    assert described.face_detector == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("w_400", "h_400"),
        ("w_400", "w_401"),
        ("w_40,h_30,c_fill", "w_40,h_30,c_pad"),
        ("w_40,h_30,c_fill", "w_40,h_30,c_outside"),
        ("w_40,h_30,c_fill", "w_40,h_30,c_fill,g_auto"),
        ("w_40,h_30,c_fill,g_auto", "w_40,h_30,c_fill,g_entropy"),
        ("e_blur:2,e_grayscale", "e_grayscale,e_blur:2"),
        ("w_400,b_fff", "w_400,b_000"),
        ("q_80", "q_81"),
        ("a_90", "a_270"),
        ("w_40~w_30", "w_30"),
        ("w_40~e_sepia", "e_sepia~w_40"),
        ("w_40,h_30,c_crop", "w_40,h_30,c_fill"),
        ("w_40,h_30,c_crop", "w_40,h_30,c_crop,x_0"),
        ("ar_3:2", "ar_2:3"),
        ("w_40,h_30", "w_40,h_30,el_allow"),
        ("w_40,h_30,el_allow", "w_40,h_30,el_only"),
    ],
)
def test_plans_of_different_pictures_differ(one: str, other: str) -> None:
    assert plan(one) != plan(other)
    assert canonical(plan(one)) != canonical(plan(other))


def test_lossless_formats_have_no_quality() -> None:
    for kind in (Format.PNG, Format.GIF):
        assert plan("q_30", kind) == plan("q_90", kind)


def test_alpha_is_flattened_only_for_formats_without_alpha() -> None:
    for tokens, kind, colour in [
        ("f_jpg", Format.JPEG, WHITE),
        ("b_00ff0080", Format.JPEG, Colour(127, 255, 127)),
        ("b_00ff00", Format.PNG, None),
    ]:
        output = plan(tokens, kind).output
        assert isinstance(output, Encode)
        assert output.flatten == colour
    for kind, colour in [(Format.PNG, Colour(0, 0, 0, 0)), (Format.JPEG, WHITE)]:
        [pad] = plan("w_4,h_3,c_pad,b_transparent", kind).ops
        assert pad == replace(resize(4, 3, Fit.CONTAIN), background=colour)


def test_the_limit_of_the_encoder_bounds_the_side() -> None:
    wide = RenderDefaults(quality=80, effort={}, max_side_px=20_000)
    webp = resolve(flat(width=20_000), Format.WEBP, wide)
    assert webp.ops == (resize(16_383, 16_383, enlarge=Enlarge.NEVER),)
    assert webp.limit_px == 16_383


@given(keys, components, st.permutations(range(8)), st.sampled_from(sorted(OUTPUTS)))
def test_equal_transforms_have_one_plan_in_every_spelling(
    key: str, component: Component, order: list[int], kind: Format
) -> None:
    """The property the cache rests on, over generated transforms and all their spellings."""
    expected = resolve(transform_of([component]), kind, FINDS_FACES)
    spellings = [query_url(key, component)]
    tokens = [token for token in spell([component]).split(",") if token]
    if tokens:
        spellings.append(path_url(key, component))
        shuffled = [token for token in tokens if not token.startswith("e_")]
        shuffled = [shuffled[at] for at in order if at < len(shuffled)] + shuffled[8:]
        shuffled += [token for token in tokens if token.startswith("e_")]
        aliased = [alias for token in shuffled for alias in _spelled_out(token)]
        for token in ("q_80", "dpr_1.0", "b_ffffff", "c_fit", "g_0.5:0.5"):
            if not any(given.split("_")[0] == token.split("_")[0] for given in aliased):
                aliased.append(token)
        spellings.append(f"/{','.join(aliased)}/{path_url(key, component).rpartition('/')[2]}")
        assert resolve(parse_transform("t_p", {"p": [component]}), kind, FINDS_FACES) == expected
    for spelling in spellings:
        parsed = parse(spelling, {})
        assert isinstance(parsed, VariantUrl)
        assert resolve(parsed.transform, kind, FINDS_FACES) == expected


def _spelled_out(token: str) -> tuple[str, ...]:
    """Another spelling of the same token, where there is one."""
    aliases = {
        "f_jpeg": "f_jpg", "g_face": "g_faces", "b_ffffff": "b_white", "b_000000": "b_black",
        "b_00000000": "b_transparent", "g_center": "g_0.5:0.50", "g_north": "g_0.5:0", "g_south_east": "g_1:1.0",
    }  # fmt: skip
    return (aliases.get(token, token),)


def test_every_fit_resolves_with_every_gravity_and_format() -> None:
    """Every fit with every gravity resolves, in every format."""
    for fit, gravity, kind in itertools.product(Fit, [None, *Smart, FocalPoint(0.2, 0.9)], sorted(OUTPUTS)):
        transform = flat(width=30, height=20, fit=fit, gravity=gravity, format=Auto.AUTO)
        assert canonical(resolve(transform, kind, FINDS_FACES))
