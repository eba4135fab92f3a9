"""The text of a Plan is fixed, and different for different plans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image.formats import OUTPUTS, Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Transform
from proxy.core.transform.plan import Plan, RenderDefaults, resolve
from proxy.core.transform.plan_text import canonical
from proxy.core.url.dialects.component import Component, transform_of
from proxy.core.url.dialects.native.urls import parse_transform
from tests.support.strategies import chains, transforms

DEFAULTS = RenderDefaults(
    quality=80, effort={Format.WEBP: 4, Format.PNG: 6}, max_side_px=4000, face_detector="fake 1"
)


def plan(tokens: str, kind: Format = Format.JPEG) -> Plan:
    return resolve(parse_transform(tokens, {}), kind, DEFAULTS)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("w_40,h_30,c_fill,maxw_20", "resize:40x30:cover:allow:0.5,0.5:max20x"),
        ("w_40,h_30,c_scale,maxw_20,maxh_5,dpr_2", "resize:80x60:fill:allow:max40x10"),
        ("w_40,el_only,maxw_20", "resize:40x4000:inside:only:max20x"),
        ("rw_0.5,maxh_20", "resize:1/2x:inside:never:maxx20"),
    ],
)
def test_greatest_sides_stand_in_the_plan_where_they_are_not_the_box(tokens: str, text: str) -> None:
    assert canonical(plan(tokens, Format.GIF)) == f"{text} limit:4000 gif:e0"


def test_transparent_borders_have_a_word_in_the_plan() -> None:
    assert canonical(plan("trim_10:transparent", Format.GIF)) == "trim:10:transparent: limit:4000 gif:e0"
    assert canonical(plan("trim_10:000", Format.GIF)) == "trim:10:000000: limit:4000 gif:e0"


@pytest.mark.parametrize("kind", sorted(OUTPUTS))
def test_the_copyright_fields_stand_in_the_plan(kind: Format) -> None:
    assert canonical(plan("meta_none", kind)) == canonical(plan("w_3000", kind)).replace(
        "resize:3000x4000:inside:never ", ""
    )
    assert canonical(plan("meta_copyright", kind)).endswith(":copyright") is (kind is not Format.GIF)


def test_the_text_of_a_plan_is_fixed() -> None:
    """A change here empties every cache in the world: raise keys.EPOCH only knowingly."""
    everything = (
        "w_400,h_300,c_fill,g_0.3:0.7,q_80,a_hflip,e_blur:2.5,e_sharpen:1,e_sepia:80,e_brightness:-10,b_fff"
    )
    assert canonical(plan(everything)) == (
        "resize:400x300:cover:allow:0.3,0.7 turn:hflip blur:2.5 sharpen:1 sepia:80 brightness:-10 limit:4000"
        " jpeg:q80:e0:onffffff"
    )
    assert canonical(plan("w_4,h_3,c_pad,b_transparent", Format.WEBP)) == (
        "resize:4x3:contain:allow:0.5,0.5:00000000 limit:4000 webp:q72:e4"
    )
    assert canonical(plan("w_4,h_3,c_scale", Format.PNG)) == "resize:4x3:fill:allow limit:4000 png:e6"
    assert canonical(plan("w_4,h_3,c_outside", Format.PNG)) == "resize:4x3:outside:allow limit:4000 png:e6"
    assert (
        canonical(plan("w_4,h_3,c_fill,g_entropy", Format.GIF))
        == "resize:4x3:cover:allow:entropy limit:4000 gif:e0"
    )
    assert canonical(plan("f_auto")) == "limit:4000 jpeg:q80:e0:onffffff"
    assert (
        canonical(plan("w_4,c_crop,x_1,y_2~ar_16:9,g_north", Format.GIF))
        == "crop:4x:+1+2 crop:x/16:9:0.5,0 limit:4000 gif:e0"
    )


@pytest.mark.parametrize(
    ("kind", "tokens", "text"),
    [
        (Format.GIF, "pg_2", "page:2 limit:4000 gif:e0"),
        (Format.GIF, "pg_1", "page:1 limit:4000 gif:e0"),
        (Format.GIF, "frames_1", "page:1 limit:4000 gif:e0"),
        (Format.GIF, "pg_3,frames_2", "page:3 limit:4000 gif:e0"),
        (Format.GIF, "frames_2", "frames:2 limit:4000 gif:e0"),
        (Format.PNG, "pg_2,w_9", "page:2 resize:9x4000:inside:never limit:4000 png:e6"),
        (Format.PNG, "pg_1", "limit:4000 png:e6"),
        (Format.PNG, "frames_2", "limit:4000 png:e6"),
    ],
)
def test_the_first_page_has_no_trace_where_nothing_animates(kind: Format, tokens: str, text: str) -> None:
    assert canonical(plan(tokens, kind)) == text


@given(transforms, transforms, st.sampled_from(sorted(OUTPUTS)))
def test_plans_are_equal_exactly_when_their_texts_are(one: Transform, other: Transform, kind: Format) -> None:
    first, second = resolve(one, kind, DEFAULTS), resolve(other, kind, DEFAULTS)
    assert (first == second) is (canonical(first) == canonical(second))


@given(chains, chains, st.sampled_from(sorted(OUTPUTS)))
def test_plans_of_chains_are_equal_exactly_when_their_texts_are(
    one: tuple[Component, ...], other: tuple[Component, ...], kind: Format
) -> None:
    first, second = (resolve(transform_of(chain), kind, DEFAULTS) for chain in (one, other))
    assert (first == second) is (canonical(first) == canonical(second))


def test_a_plan_names_its_further_originals_unambiguously() -> None:
    names = [
        [("logos", "a b.png")],
        [("logos", "a"), ("b.png", "c")],
        [("logos", "a original:b.png:c")],
        [("logos:a", "b")],
        [("logos", "a:b")],
        [],
    ]
    plans = [
        resolve(Transform(further=tuple(OriginalRef(*each) for each in refs)), Format.JPEG, DEFAULTS)
        for refs in names
    ]
    assert canonical(plans[0]) == "original:logos:a%20b.png limit:4000 jpeg:q80:e0:onffffff"
    assert canonical(plans[-1]) == "limit:4000 jpeg:q80:e0:onffffff"
    assert len({canonical(each) for each in plans}) == len(plans)


def test_a_condition_has_both_branches_in_the_text() -> None:
    text = "if:w_gt_1000(resize:500x4000:inside:never)(turn:90 sepia:80)"
    chain = "if_w_gt_1000~w_500~if_else~a_90,e_sepia~if_end"
    assert canonical(plan(chain, Format.GIF)) == f"{text} limit:4000 gif:e0"
