"""What is told of a URL is what happened to it."""

import pytest

from proxy.core.dialects.native import parse_tokens
from proxy.core.explain import clamped, ignored, notices
from proxy.core.formats import Format
from proxy.core.notice import Notice
from proxy.core.plan import Recipe, resolve
from proxy.core.policy import Dimensions, bound
from proxy.core.transform import Transform, overlay

RECIPE = Recipe(quality=80, effort={}, max_side_px=4000)


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
    ],
)
def test_idle_parameters_are_named(tokens: str, kind: Format, names: list[str]) -> None:
    granted = parse_tokens(tokens, {}).own
    told = ignored(granted, resolve(granted, kind, RECIPE))
    assert [line.partition(":")[0] for line in told] == names


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ("w_200,q_80", []),
        ("w_150,q_82,dpr_1.3", ["w: 200", "q: 80", "dpr: 1.5"]),
        ("q_500", ["q: 100"]),
        ("w_200,h_200,g_0.33:0.5,e_blur:1.3", ["g: 0.3:0.5", "e: blur:1.5"]),
    ],
)
def test_moved_values_are_named(tokens: str, told: list[str]) -> None:
    asked = parse_tokens(tokens, {})
    granted = bound(asked.own, Dimensions.SNAP, (100, 200))
    assert clamped(asked, granted, resolve(granted, Format.JPEG, RECIPE)) == told


def test_a_box_that_is_scaled_down_is_told() -> None:
    asked = parse_tokens("w_3840,h_100,dpr_4", {})
    told = clamped(asked, asked.own, resolve(asked.own, Format.JPEG, RECIPE))
    assert told == ["w: the box is scaled down to 4000x104", "h: the box is scaled down to 4000x104"]


def test_a_preset_does_not_count_as_moving() -> None:
    preset = Transform(width_px=333, quality=77)
    asked = parse_tokens("t_p,q_50", {"p": preset})
    granted = overlay(preset, bound(asked.own, Dimensions.SNAP, (100,)))
    assert clamped(asked, granted, resolve(granted, Format.JPEG, RECIPE)) == []


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ("w_200,q_80", []),
        ("w_150,q_82", [Notice("w", "150", "200"), Notice("q", "82", "80")]),
        ("w_100,h_100,c_fill,g_face", [Notice("g", "face", "auto")]),
        ("w_99,h_100,c_fill,g_face", [Notice("w", "99", "100"), Notice("g", "face", "auto")]),
        ("w_100,h_100,c_fill,g_auto", []),
    ],
)
def test_every_answer_tells_what_was_moved(tokens: str, told: list[Notice]) -> None:
    asked = parse_tokens(tokens, {})
    assert notices(asked, bound(asked.own, Dimensions.SNAP, (100, 200))) == told


def test_a_face_of_a_preset_is_told_too() -> None:
    preset = parse_tokens("w_100,h_100,c_fill,g_face", {}).own
    asked = parse_tokens("t_p", {"p": preset})
    assert notices(asked, asked.transform({"p": preset})) == [Notice("g", "face", "auto")]
