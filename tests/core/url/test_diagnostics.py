"""Diagnostics report every parameter of a URL that was ignored, snapped or clamped."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from proxy.core.image.formats import Format
from proxy.core.transform.operations import Fit
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.core.url.diagnostics import clamped, ignored, notices, without_faces
from proxy.core.url.dialects.component import Component, Presets
from proxy.core.url.dialects.native.urls import parse, parse_tokens
from proxy.core.url.notice import Notice, notice_list
from proxy.core.url.parsed_url import VariantUrl
from proxy.core.url.policy import Dimensions, restrict

DEFAULTS = RenderDefaults(quality=80, effort={}, max_side_px=4000)


def variant(tokens: str, presets: Presets = MappingProxyType({})) -> VariantUrl:
    parsed = parse(f"/{tokens}/a", presets)
    assert isinstance(parsed, VariantUrl)
    return parsed


@pytest.mark.parametrize(
    ("tokens", "kind", "names"),
    [
        ("w_400,h_300,c_fill,g_north,dpr_2,q_50,b_fff", Format.JPEG, []),
        ("w_400,c_fill", Format.JPEG, ["c"]),
        ("w_400,c_fill,g_north", Format.JPEG, ["c", "g"]),
        ("w_400,h_300,c_pad,g_auto", Format.JPEG, ["g"]),
        ("w_400,h_300,c_fill,g_face", Format.JPEG, ["g"]),
        ("dpr_2", Format.JPEG, ["dpr"]),
        ("b_fff,q_50", Format.PNG, ["b", "q"]),
        ("w_4,h_3,c_pad,b_fff", Format.PNG, []),
        ("pad_4,b_fff", Format.PNG, []),
        ("ext_4x3,b_fff", Format.PNG, []),
        ("b_f00,e_flatten:f00", Format.PNG, []),
        ("w_4,ar_1,c_fill,g_north", Format.PNG, []),
        ("ar_1,g_north", Format.PNG, []),
        ("ar_1,c_fill", Format.PNG, ["c"]),
        ("c_crop,w_3,g_face", Format.PNG, ["g"]),
        ("c_crop,w_3,el_allow", Format.PNG, ["el"]),
        ("w_4~g_north~c_fill", Format.PNG, ["g", "c"]),
        ("pg_2,meta_copyright", Format.PNG, []),
        ("frames_2", Format.GIF, []),
        ("frames_2", Format.PNG, ["frames"]),
        ("frames_2,pg_1,meta_copyright", Format.GIF, ["frames", "meta"]),
        ("ar_1,maxw_4,maxh_4", Format.PNG, ["maxw", "maxh"]),
        ("maxw_4", Format.PNG, []),
    ],
)
def test_ignored_parameters_are_named(tokens: str, kind: Format, names: list[str]) -> None:
    parsed = variant(tokens)
    lines = ignored(parsed, parsed.transform, resolve(parsed.transform, kind, DEFAULTS))
    assert [line.partition(":")[0] for line in lines] == names


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("w_200,q_80", []),
        ("w_150,q_82,dpr_1.3", ["w: 200", "q: 80", "dpr: 1.5"]),
        ("q_500", ["q: 100"]),
        ("w_200,h_200,g_0.33:0.5,e_blur:1.3", ["g: 0.3:0.5", "e: blur:1.5"]),
    ],
)
def test_clamped_values_are_named(tokens: str, expected: list[str]) -> None:
    parsed = variant(tokens)
    granted = restrict(parsed.transform, Dimensions.SNAP, (100, 200))
    assert clamped(parsed, granted, 4000) == expected


def test_a_box_that_is_scaled_down_is_reported() -> None:
    parsed = variant("w_3840,h_100,dpr_4")
    assert clamped(parsed, parsed.transform, 4000) == ["w: 4000", "h: 104"]


def test_values_of_a_preset_are_not_reported_as_clamped() -> None:
    parsed = variant("t_p,q_50", {"p": [Component(width=333, quality=77)]})
    granted = restrict(parsed.transform, Dimensions.SNAP, (100,), of_presets=parsed.of_presets)
    assert clamped(parsed, granted, 4000) == []


@pytest.mark.parametrize(
    ("tokens", "query", "expected"),
    [
        ("w_400,h_300,c_fill,g_0.3:0.7,q_80", "w=400&h=300&fit=cover&g=0.3:0.7&q=80", ""),
        ("q_500", "q=500", "q;asked=500;made=100"),
        ("q_0", "q=0", "q;asked=0;made=1"),
        ("w_9000", "w=9000", "w;asked=9000;made=4000"),
        ("w_9000,h_300,c_fill", "w=9000&h=300&fit=cover", "w;asked=9000;made=4000, h;asked=300;made=133"),
        ("h_3000,dpr_2", "h=3000&dpr=2", "h;asked=6000;made=4000"),
        ("w_400,c_fill", "w=400&fit=cover", "fit;asked={cover};made={inside}"),
        ("h_400,c_pad", "h=400&fit=contain", "fit;asked={contain};made={inside}"),
        ("c_scale", "fit=fill", "fit;asked={fill};made={inside}"),
        ("c_outside,f_png", "fit=outside&format=png", "fit;asked=outside;made={inside}"),
        ("w_400,c_fit", "w=400&fit=inside", ""),
        ("w_400,c_limit", "w=400&fit=inside", ""),
        ("w_400,h_300,c_fill,g_face", "w=400&h=300&fit=cover&g=face", "gravity;asked=face;made=auto"),
        ("w_400,h_300,c_pad,g_auto", "w=400&h=300&fit=contain&g=auto", "gravity;asked=auto;made=center"),
        ("w_400,h_300,c_pad,g_face", "w=400&h=300&fit=contain&g=face", "gravity;asked=face;made=center"),
        ("w_400,h_300,c_pad,g_north", "w=400&h=300&fit=contain&g=north", ""),
        ("q_101,w_5000,c_fill,g_face", "q=101&w=5000&fit=cover&g=face",
         "w;asked=5000;made=4000, q;asked=101;made=100, fit;asked={cover};made={inside}"),
    ],
)  # fmt: skip
def test_the_notice_names_each_parameter_that_was_ignored_or_clamped(
    tokens: str, query: str, expected: str
) -> None:
    words = {"cover": "fill", "contain": "pad", "inside": "fit", "fill": "scale"}
    parsed = variant(tokens)
    assert notice_list(notices(parsed, parsed.transform, 4000)) == expected.format(**words)
    of_query = parse(f"/thumbnail?url=a&{query}", {})
    assert isinstance(of_query, VariantUrl)
    assert notice_list(notices(of_query, of_query.transform, 4000)) == expected.format(
        **dict(zip(words, words, strict=True))
    )


def test_limits_of_presets_and_formats_are_reported() -> None:
    parsed = variant("t_p", {"p": [Component(width=9000, fit=Fit.COVER)]})
    reported = notices(parsed, parsed.transform, 4000)
    assert notice_list(reported) == "w;asked=9000;made=4000, fit;asked=fill;made=fit"
    parsed = variant("w_20000,f_webp")
    assert notice_list(notices(parsed, parsed.transform, 18_000)) == "w;asked=20000;made=16383"


def test_a_size_that_was_snapped_and_clamped_is_named_once() -> None:
    parsed = variant("w_3000,q_102,dpr_1.9")
    granted = restrict(parsed.transform, Dimensions.SNAP, (3840,))
    reported = notice_list(notices(parsed, granted, 4000))
    assert reported == "w;asked=5700;made=4000, q;asked=102;made=100, dpr;asked=1.9;made=2"


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("w_200,q_80", []),
        ("w_150,q_82", [Notice("w", "150", "200"), Notice("q", "82", "80")]),
        ("w_100,h_100,c_fill,g_face", [Notice("g", "face", "auto")]),
        ("w_99,h_100,c_fill,g_face", [Notice("w", "99", "100"), Notice("g", "face", "auto")]),
        ("w_100,h_100,c_fill,g_auto", []),
    ],
)
def test_the_notice_names_each_size_that_was_snapped(tokens: str, expected: list[Notice]) -> None:
    parsed = variant(tokens)
    assert notices(parsed, restrict(parsed.transform, Dimensions.SNAP, (100, 200)), 4000) == expected


@pytest.mark.parametrize("gravity", ["face", "faces"])
def test_with_a_detector_only_the_variant_knows_about_faces(gravity: str) -> None:
    parsed = variant(f"w_9000,h_9000,c_fill,g_{gravity}~c_crop,w_9,g_{gravity}")
    limited = notices(parsed, parsed.transform, 4000, finds_faces=True)
    of_faces = [Notice("g", gravity, "auto")]
    assert [each.parameter for each in limited] == ["w", "h"]
    assert notices(parsed, parsed.transform, 4000) == limited + of_faces
    with_detector = replace(DEFAULTS, face_detector="fake 1")
    plans = [resolve(parsed.transform, Format.JPEG, each) for each in (DEFAULTS, with_detector)]
    assert [len(ignored(parsed, parsed.transform, plan)) for plan in plans] == [1, 0]
    assert without_faces(plans[1].ops) == of_faces


def test_the_face_gravity_of_a_preset_is_reported() -> None:
    parsed = variant("t_p", {"p": parse_tokens("w_100,h_100,c_fill,g_face", {}).components})
    assert notices(parsed, parsed.transform, 4000) == [Notice("g", "face", "auto")]


def test_a_value_that_a_dialect_has_reduced_is_clamped_and_not_ignored() -> None:
    parsed = replace(variant("e_blur:100"), reduced=(Notice("blur", "2000", "100"),))
    plan = resolve(parsed.transform, Format.PNG, DEFAULTS)
    assert ignored(parsed, parsed.transform, plan) == []
    assert clamped(parsed, parsed.transform, 4000) == ["blur: 100"]
    assert notice_list(notices(parsed, parsed.transform, 4000)) == "blur;asked=2000;made=100"
