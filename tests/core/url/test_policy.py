"""The policy of a mount restricts unsigned URLs, in both URL forms."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.errors import ColourNotAllowed, DimensionNotAllowed, NotAllowed, OperationNotAllowed
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    Adjust,
    Blur,
    Colour,
    Crop,
    Fit,
    FocalPoint,
    Resize,
    Sharpen,
    Smart,
    Tone,
    Transform,
    without_no_ops,
)
from proxy.core.url.dialects.native.urls import parse, parse_transform
from proxy.core.url.parsed_url import VariantUrl
from proxy.core.url.policy import Dimensions, restrict
from tests.support.strategies import flat, transforms

ALLOWED = (100, 200, 400)
BOUNDED = [Dimensions.LISTED, Dimensions.SNAP]


def tokens(text: str) -> Transform:
    return parse_transform(text, {})


def sides_of(transform: Transform) -> tuple[object, object]:
    [resize] = transform.ops
    assert isinstance(resize, Resize)
    return resize.width, resize.height


@given(transforms)
def test_policy_any_changes_nothing(transform: Transform) -> None:
    assert restrict(transform, Dimensions.ANY, ALLOWED) == transform


@pytest.mark.parametrize("name", ["w", "h"])
@pytest.mark.parametrize(
    ("requested", "granted"), [(1, 100), (100, 100), (101, 200), (399, 400), (401, 400), (10**9, 400)]
)
def test_snap_raises_a_side_to_the_next_allowed_size(name: str, requested: int, granted: int) -> None:
    assert restrict(tokens(f"{name}_{requested}"), Dimensions.SNAP, ALLOWED) == tokens(f"{name}_{granted}")


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        ((100, 400), (100, 400)),  # Both are of the list.
        ((101, 101), (200, 200)),
        ((150, 100), (200, 133)),  # 3:2
        ((160, 90), (200, 113)),  # 16:9
        ((100, 56), (100, 56)),  # 100:56 is nearest to 16:9.
        ((400, 300), (400, 300)),
        ((1230, 700), (400, 229)),  # 7:4 is nearest
        ((300, 9000), (400, 8400)),  # no farther than 1:21
        ((9000, 1), (400, 19)),
        ((10**18, 10**18), (400, 400)),
    ],
)
def test_snap_keeps_the_proportion(requested: tuple[int, int], granted: tuple[int, int]) -> None:
    bounded = restrict(flat(width=requested[0], height=requested[1]), Dimensions.SNAP, ALLOWED)
    assert sides_of(bounded) == granted


@given(st.integers(1, 5000), st.integers(1, 5000), st.lists(st.integers(1, 4000), min_size=1, max_size=5))
@example(16, 15, [16])
def test_snap_chooses_the_nearest_ratio_and_is_idempotent(
    width_px: int, height_px: int, sides: list[int]
) -> None:
    allowed_px = tuple(sorted(set(sides)))
    once = restrict(flat(width=width_px, height=height_px), Dimensions.SNAP, allowed_px)
    assert restrict(once, Dimensions.SNAP, allowed_px) == once, "a size that was made is made again"
    made_px, high_px = sides_of(once)
    assert made_px in allowed_px
    assert isinstance(made_px, int)
    assert isinstance(high_px, int)
    if {width_px, height_px} <= set(allowed_px):
        assert (made_px, high_px) == (width_px, height_px)
        return
    proportion = Fraction(height_px * made_px, width_px)
    nearest = min(
        abs(proportion - Fraction(made_px * high, wide)) for high in range(1, 22) for wide in range(1, 22)
    )
    assert abs(proportion - high_px) <= max(nearest, 1) + Fraction(1, 2)


@pytest.mark.parametrize("name", ["w", "h"])
def test_listed_refuses_other_sizes_by_name_and_lists_the_allowed_ones(name: str) -> None:
    with pytest.raises(
        DimensionNotAllowed, match=f"^parameter {name} must be one of 100, 200, 400; .*signed"
    ):
        restrict(tokens(f"{name}_150"), Dimensions.LISTED, ALLOWED)
    assert restrict(tokens(f"{name}_200"), Dimensions.LISTED, ALLOWED) == tokens(f"{name}_200")


@pytest.mark.parametrize("requested", ["w_150", "h_150", "b_ff0000", "e_sepia,e_blur:1"])
def test_a_refusal_mentions_signed_urls_if_the_mount_accepts_them(requested: str) -> None:
    for signable in (True, False):
        with pytest.raises(NotAllowed) as caught:
            restrict(tokens(requested), Dimensions.LISTED, ALLOWED, signable=signable)
        assert ("sign" in caught.value.detail) is signable


@pytest.mark.parametrize(
    ("requested", "granted"),
    [(1, 5), (2, 5), (3, 5), (7, 5), (8, 10), (82, 80), (83, 85), (100, 100), (98, 100)],
)
def test_quality_is_rounded_to_multiples_of_five(requested: int, granted: int) -> None:
    assert restrict(flat(quality=requested), Dimensions.LISTED, ALLOWED).quality == granted


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        ("1", "1"),
        ("1.01", "1.25"),
        ("1.25", "1.25"),
        ("1.5", "1.5"),
        ("2.63", "2.75"),
        ("3.99", "4"),
        ("4", "4"),
    ],
)
@pytest.mark.parametrize("policy", BOUNDED)
def test_a_pixel_ratio_is_raised_to_the_next_quarter(
    policy: Dimensions, requested: str, granted: str
) -> None:
    assert restrict(tokens(f"w_100,dpr_{requested}"), policy, ALLOWED) == tokens(f"w_100,dpr_{granted}")


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        (FocalPoint(0.274, 0.126), FocalPoint(0.3, 0.1)),
        (FocalPoint(0.05, 0.95), FocalPoint(0.1, 1.0)),
        (FocalPoint(0.0, 1.0), FocalPoint(0.0, 1.0)),
        (Smart.ENTROPY, Smart.ENTROPY),
    ],
)
def test_focal_points_are_rounded_to_a_grid(
    requested: FocalPoint | Smart, granted: FocalPoint | Smart
) -> None:
    assert restrict(covering(requested), Dimensions.SNAP, ALLOWED) == covering(granted)


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        (Blur(1.26), Blur(1.5)),
        (Blur(0.3), Blur(0.5)),
        (Sharpen(1.74), Sharpen(1.5)),
        (Adjust(Tone.SEPIA, 82), Adjust(Tone.SEPIA, 80)),
        (Adjust(Tone.BRIGHTNESS, -13), Adjust(Tone.BRIGHTNESS, -15)),
        (Adjust(Tone.CONTRAST, 2), Adjust(Tone.CONTRAST, 0)),
    ],
)
@pytest.mark.parametrize("policy", BOUNDED)
def test_effect_strengths_are_rounded_to_a_grid(policy: Dimensions, requested: Blur, granted: Blur) -> None:
    assert restrict(flat(effects=(requested,)), policy, ALLOWED).ops == (granted,)


@pytest.mark.parametrize("policy", BOUNDED)
@pytest.mark.parametrize(
    "text",
    [
        "e_sepia,e_blur:2",
        "e_blur:2,e_blur:2",
        "e_grayscale,e_contrast:50,e_contrast:0",
        "e_sharpen,e_sepia:3",
    ],
)
def test_a_second_effect_is_refused(policy: Dimensions, text: str) -> None:
    with pytest.raises(OperationNotAllowed, match="one effect"):
        restrict(tokens(text), policy, ALLOWED)


@pytest.mark.parametrize("policy", BOUNDED)
@pytest.mark.parametrize(
    ("text", "name"), [("e_negate", "negate"), ("e_rgb:1:2:3", "rgb"), ("e_median:3", "median")]
)
def test_a_filter_needs_a_signature_or_a_preset(policy: Dimensions, text: str, name: str) -> None:
    with pytest.raises(OperationNotAllowed, match=f"^the operation {name} needs"):
        restrict(tokens(text), policy, ALLOWED)
    assert restrict(tokens(text), policy, ALLOWED, of_presets=tokens(text)) == tokens(text)


@pytest.mark.parametrize("policy", BOUNDED)
def test_a_turn_by_shape_needs_a_signature_or_a_preset(policy: Dimensions) -> None:
    with pytest.raises(OperationNotAllowed, match="^a turn that depends on the shape"):
        restrict(tokens("a_90.wide"), policy, ALLOWED)
    condition = tokens("if_w_gt_400~w_400~if_end")
    with pytest.raises(OperationNotAllowed, match=r"^a condition \(if\) needs"):
        restrict(condition, policy, ALLOWED)
    assert restrict(condition, policy, ALLOWED, of_presets=condition) == condition
    assert restrict(tokens("a_90.wide"), policy, ALLOWED, of_presets=tokens("a_90.wide")) == tokens(
        "a_90.wide"
    )


@pytest.mark.parametrize("text", ["e_sepia", "e_sepia,e_contrast:0", "e_contrast:2,e_blur:2", "e_contrast:0"])
def test_an_effect_that_does_nothing_is_dropped(text: str) -> None:
    restrict(tokens(text), Dimensions.LISTED, ALLOWED)


MARKED = frozenset({Colour(0x12, 0x34, 0x56), Colour(1, 2, 3, 4)})


@pytest.mark.parametrize("policy", BOUNDED)
@pytest.mark.parametrize(
    "colour", ["white", "black", "transparent", "fff", "FFFFFF", "000000ff", "00000000", "123456", "01020304"]
)
def test_listed_backgrounds_are_accepted(policy: Dimensions, colour: str) -> None:
    assert restrict(tokens(f"b_{colour}"), policy, ALLOWED, MARKED) == tokens(f"b_{colour}")


@pytest.mark.parametrize("policy", BOUNDED)
@pytest.mark.parametrize("colour", ["f00", "123457", "12345600", "ffffff00", "fffffe"])
def test_other_backgrounds_are_refused(policy: Dimensions, colour: str) -> None:
    with pytest.raises(ColourNotAllowed, match="white, black, transparent, 01020304, 123456;"):
        restrict(tokens(f"b_{colour}"), policy, ALLOWED, MARKED)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("w_9,h_8", "h_8,w_9,c_fit,v_2"),
        ("w_9", "w_9,c_fill,g_auto,dpr_1,b_fff"),
        ("w_9,h_8,c_fill", "w_9,h_8,c_fill,g_0.5:0.5"),
        ("w_9,h_8,c_pad", "w_9,h_8,c_pad,g_auto,b_white"),
        ("e_sepia", "e_contrast:0,e_sepia:80,dpr_3"),
        ("f_jpg", "f_jpeg,e_brightness:0,e_rgb:0:0:0,e_colorize:0:0:0:fff,e_gamma:1"),
    ],
)
def test_transforms_that_do_the_same_are_equal_without_no_ops(one: str, other: str) -> None:
    assert without_no_ops(tokens(one)) == without_no_ops(tokens(other))


@pytest.mark.parametrize(
    "other", ["w_9,h_8", "w_9,h_8,c_fill,g_north", "w_9,h_8,c_fill,q_80", "w_8,h_9,c_fill"]
)
def test_transforms_that_differ_are_not_equal_without_no_ops(other: str) -> None:
    assert without_no_ops(tokens("w_9,h_8,c_fill")) != without_no_ops(tokens(other))


@given(transforms)
def test_the_policy_is_idempotent(transform: Transform) -> None:
    try:
        once = restrict(transform, Dimensions.SNAP, ALLOWED)
    except NotAllowed:
        return
    assert restrict(once, Dimensions.SNAP, ALLOWED) == once


def test_path_and_query_urls_have_the_same_policy() -> None:
    path, query = (
        parse(raw, {})
        for raw in ("/w_150,h_100,c_fill,q_82/a", "/thumbnail?url=a&q=82&fit=cover&h=100&w=150")
    )
    assert isinstance(path, VariantUrl)
    assert isinstance(query, VariantUrl)
    granted = restrict(path.transform, Dimensions.SNAP, ALLOWED)
    assert granted == restrict(query.transform, Dimensions.SNAP, ALLOWED)
    assert granted == parse_transform("w_200,h_133,c_fill,q_80", {})


def covering(gravity: FocalPoint | Smart) -> Transform:
    return flat(width=100, height=200, fit=Fit.COVER, gravity=gravity)


@pytest.mark.parametrize("policy", BOUNDED)
@pytest.mark.parametrize(
    "text",
    [
        "w_100~e_sepia",
        "a_90~f_png",
        "w_100,el_allow",
        "w_100,h_200,c_crop,g_north",
        "c_crop,x_0,y_0",
        "w_100,h_200,c_fill,a_90~e_blur:2",
        "ar_21:20",
        "w_100,ar_16:9,c_fill,g_auto",
        "a_90~w_100",
        "e_sepia~a_90",
        "w_100,e_sepia,e_flatten:white~a_90",
        "e_pixelate:5",
    ],
)
def test_a_size_an_effect_and_a_background_are_granted_in_this_order_and_a_turn_anywhere(
    policy: Dimensions, text: str
) -> None:
    assert restrict(tokens(text), policy, ALLOWED) == tokens(text)


@pytest.mark.parametrize("policy", BOUNDED)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("w_100~w_100", "one size or crop"),
        ("ar_1~w_100", "one size or crop"),
        ("a_90~w_100~a_90", "one turn"),
        ("e_sepia~w_100", "before an effect"),
        ("e_flatten:white,e_sepia", "before a background"),
        ("e_flatten:white,e_flatten:black", "one background"),
        ("w_100,h_100,c_crop,x_0,y_1", "a crop at x and y"),
        ("c_crop,x_1", "a crop at x and y"),
    ],
)
def test_more_operations_need_a_signature(policy: Dimensions, text: str, says: str) -> None:
    with pytest.raises(OperationNotAllowed, match=says):
        restrict(tokens(text), policy, ALLOWED)


@pytest.mark.parametrize("policy", BOUNDED)
def test_a_relative_size_needs_a_signature(policy: Dimensions) -> None:
    half = Part(Fraction(1, 2))
    for op in (Resize(width=half), Resize(height=half), Crop(width=half)):
        with pytest.raises(OperationNotAllowed, match="a relative size"):
            restrict(Transform(ops=(op,)), policy, ALLOWED)


@pytest.mark.parametrize("policy", BOUNDED)
@pytest.mark.parametrize(
    ("requested", "granted"),
    [("16:9", "16:9"), ("1.78", "16:9"), ("1.5", "3:2"), ("100:1", "21:1"), ("1:100", "1:21")],
)
def test_a_ratio_is_moved_to_whole_numbers_up_to_21(policy: Dimensions, requested: str, granted: str) -> None:
    for before in ("", "w_100,c_fill,", "h_200,c_crop,"):
        assert restrict(tokens(f"{before}ar_{requested}"), policy, ALLOWED) == tokens(f"{before}ar_{granted}")


@pytest.mark.parametrize("policy", BOUNDED)
@pytest.mark.parametrize(("text", "says"), [("pg_1", "a page"), ("f_gif,frames_2", "a number of frames")])
def test_pages_need_a_signature_or_a_preset(policy: Dimensions, text: str, says: str) -> None:
    with pytest.raises(OperationNotAllowed, match=says):
        restrict(tokens(text), policy, ALLOWED)
    assert restrict(tokens(text), policy, ALLOWED, of_presets=tokens(text)) == tokens(text)


def test_copyright_fields_need_no_signature() -> None:
    for policy in BOUNDED:
        assert restrict(tokens("meta_copyright"), policy, ALLOWED) == tokens("meta_copyright")


@pytest.mark.parametrize("text", ["maxw_200", "h_100,maxw_200", "w_400,h_400,maxw_100,maxh_200"])
def test_greatest_sides_are_sizes(text: str) -> None:
    assert restrict(tokens(text), Dimensions.LISTED, ALLOWED) == tokens(text)
    snapped = restrict(tokens(text), Dimensions.SNAP, ALLOWED)
    assert without_no_ops(snapped) == without_no_ops(tokens(text))


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        ("maxw_150", "maxw_200"),
        ("h_99,maxw_150", "h_100,maxw_200"),
        ("w_300,h_150,maxw_150", "w_200,h_200"),
    ],
)
def test_snap_moves_greatest_sides(requested: str, granted: str) -> None:
    assert restrict(tokens(requested), Dimensions.SNAP, ALLOWED) == tokens(granted)


def test_other_greatest_sides_are_refused() -> None:
    with pytest.raises(DimensionNotAllowed, match="parameter maxw must be one of 100, 200, 400"):
        restrict(tokens("w_100,maxw_150"), Dimensions.LISTED, ALLOWED)
    preset = tokens("maxw_150")
    wider = tokens("h_100,maxw_150")
    assert restrict(wider, Dimensions.LISTED, ALLOWED, of_presets=preset) == wider
    for policy in BOUNDED:
        with pytest.raises(OperationNotAllowed, match="a greatest size"):
            restrict(tokens("w_400,h_200,c_fill,maxw_100"), policy, ALLOWED)


def test_everything_of_a_preset_is_granted() -> None:
    preset = tokens("w_101,h_77,c_pad,g_0.33:0.5,b_f00,q_82,dpr_1.1,e_blur:1.3,e_sepia:3")
    assert restrict(preset, Dimensions.LISTED, ALLOWED, of_presets=preset) == preset
    wider = replace(preset, ops=(replace(preset.ops[0], width=100), *preset.ops[1:]))
    assert restrict(wider, Dimensions.LISTED, ALLOWED, of_presets=preset) == wider
    with pytest.raises(OperationNotAllowed):
        restrict(tokens("w_100~w_101,h_77~h_77"), Dimensions.LISTED, ALLOWED, of_presets=preset)
