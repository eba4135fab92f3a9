"""The readers of imgproxy's options: a later one overrides an earlier one, and presets give values to override."""

from fractions import Fraction

import pytest

from proxy.core.transform.operations import (
    CENTER,
    TRANSPARENT,
    Adjust,
    Enlarge,
    Fit,
    FocalPoint,
    Resize,
    Tone,
)
from proxy.core.url.dialects.component import Presets
from proxy.core.url.dialects.dialect import OnlyPolishes
from proxy.core.url.dialects.imgproxy.readers import (
    Requested,
    apply_preset,
    only,
    read_background,
    read_crop,
    read_extend,
    read_padding,
    read_resize,
    read_size,
    read_zoom,
    sets,
)
from proxy.core.url.dialects.native.urls import parse_tokens
from proxy.core.url.dialects.shared_values import whole

PRESETS: Presets = {
    name: parse_tokens(tokens, {}).components
    for name, tokens in {
        "card": "w_300,h_200,c_fill,g_north,q_70,b_transparent",
        "wide": "w_900",
        "fine": "dpr_2,v_7,f_webp",
        "cut": "w_30,h_20,c_crop",
        "brown": "e_sepia",
        "stretched": "w_30,h_20,c_scale,el_never",
    }.items()
}


def requested() -> Requested:
    return Requested(presets=PRESETS)


def test_an_empty_argument_leaves_the_value() -> None:
    to = requested()
    read_resize(to, ["fill", "300", "200", "1"])
    read_resize(to, ["", "", "100"])
    read_size(to, ["", "", "", ""])
    assert (to.fit, to.width_px, to.height_px, to.enlarges, to.extends) == (Fit.COVER, 300, 100, True, False)


def test_arguments_that_are_not_given_are_reset() -> None:
    to = requested()
    read_crop(to, ["10", "20", "so"])
    read_crop(to, ["10"])
    assert (to.crop, to.crop_gravity) == ((10, None), None)
    read_extend(to, ["1", "so"])
    read_extend(to, ["yes"])
    assert (to.extends, to.extend_gravity) == (False, CENTER)
    read_zoom(to, ["2", "0.5"])
    read_zoom(to, ["3"])
    assert to.zoom == (3, 3)
    read_padding(to, ["1", "2", "3", "4"])
    read_padding(to, ["", "", "", "4"])
    assert to.padding == (0, 0, 0, 4)


@pytest.mark.parametrize("args", [["1", "2"], ["256", "0", "0"], ["1", "", "2"]])
def test_invalid_backgrounds(args: list[str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        read_background(requested(), args)


def test_a_setter_and_a_switch() -> None:
    to = requested()
    sets("max_bytes", whole)(to, ["7"])
    assert to.max_bytes == 7
    only(True, "never")(to, ["1"])
    with pytest.raises(OnlyPolishes, match="never"):
        only(True, "never")(to, ["0"])


def test_presets_that_resize_are_merged() -> None:
    to = requested()
    for name in ("card", "wide", "fine"):
        apply_preset(to, name, 1)
    assert (to.width_px, to.height_px, to.fit, to.enlarges) == (900, 200, Fit.COVER, True)
    assert (to.gravity, to.background, to.flattens) == (FocalPoint(0.5, 0.0), TRANSPARENT, False)
    assert (to.quality, to.dpr, to.version) == (70, Fraction(2), "7")
    assert (to.before, to.named) == ([], ["card", "wide", "fine"])


def test_other_presets_precede_and_apply_once() -> None:
    to = requested()
    for name in ("cut", "brown", "stretched", "brown"):
        apply_preset(to, name, 1)
    _, sepia, stretched = to.before
    assert sepia == Adjust(Tone.SEPIA, 80)
    assert stretched == Resize(width=30, height=20, fit=Fit.FILL, enlarge=Enlarge.NEVER)
    assert (to.width_px, to.named) == (0, ["cut", "brown", "stretched"])


def test_an_unknown_preset() -> None:
    with pytest.raises(ValueError, match="names no preset of this node: 3"):
        apply_preset(requested(), "<>", 3)
