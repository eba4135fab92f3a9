"""Equal transforms have equal plans; the text of a plan is complete and unique."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image.formats import OUTPUTS, Format
from proxy.core.image.size import Size
from proxy.core.transform.operations import (
    CENTER,
    WHITE,
    Auto,
    Colour,
    Fit,
    FocalPoint,
    Smart,
    Transform,
    Turn,
)
from proxy.core.transform.plan import (
    Crop,
    Pad,
    Plan,
    RenderDefaults,
    ScaleInside,
    ScaleOutside,
    ScaleTo,
    canonical,
    encoder_quality,
    resolve,
)
from proxy.core.url.dialects.native import parse, parse_tokens, path_url, query_url, spell
from tests.support.strategies import keys, transforms

DEFAULTS = RenderDefaults(quality=80, effort={Format.WEBP: 4, Format.PNG: 6}, max_side_px=4000)


def plan(tokens: str, kind: Format = Format.JPEG) -> Plan:
    return resolve(parse_tokens(tokens, {}).own, kind, DEFAULTS)


@pytest.mark.parametrize(
    ("tokens", "scale"),
    [
        ("f_jpg", ScaleInside(box=Size(4000, 4000), enlarge=False)),
        ("w_400", ScaleInside(box=Size(400, 4000), enlarge=False)),
        ("h_300", ScaleInside(box=Size(4000, 300), enlarge=False)),
        ("w_400,h_300", ScaleInside(box=Size(400, 300), enlarge=False)),
        ("w_400,h_300,c_fit", ScaleInside(box=Size(400, 300), enlarge=False)),
        ("w_400,h_300,c_outside", ScaleOutside(box=Size(400, 300), max_side_px=4000)),
        ("w_400,h_300,c_fill", ScaleOutside(box=Size(400, 300), max_side_px=None)),
        ("w_400,h_300,c_pad", ScaleInside(box=Size(400, 300), enlarge=True)),
        ("w_400,h_300,c_scale", ScaleTo(box=Size(400, 300))),
        ("w_400,h_300,dpr_2", ScaleInside(box=Size(800, 600), enlarge=False)),
        ("w_401,h_301,dpr_1.5", ScaleInside(box=Size(602, 452), enlarge=False)),
        ("w_8000,h_6000,c_fill", ScaleOutside(box=Size(4000, 3000), max_side_px=None)),
        ("w_4000,h_4000,dpr_4,c_scale", ScaleTo(box=Size(4000, 4000))),
        ("w_99999", ScaleInside(box=Size(4000, 4000), enlarge=False)),
    ],
)
def test_each_fit_resolves_to_its_scale_step(tokens: str, scale: object) -> None:
    assert plan(tokens).scale == scale


def test_steps_have_a_fixed_order() -> None:
    steps = plan("e_blur:2,a_90,w_40,h_30,c_fill,g_north,e_grayscale").steps
    assert [type(step).__name__ for step in steps] == ["Crop", "Turn", "Blur", "Adjust"]
    assert steps[0] == Crop(box=Size(40, 30), gravity=FocalPoint(0.5, 0))
    assert steps[1] is Turn.R90


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
        ("w_40,h_30,c_pad", "w_40,h_30,c_pad,g_auto"),
        ("w_40,h_30,c_pad", "w_40,h_30,c_pad,b_transparent"),
        ("w_8000,h_8000", "w_4000,h_4000"),
        ("e_sepia", "e_sepia:80"),
        ("e_sharpen", "e_sharpen:1"),
    ],
)
def test_explicit_defaults_and_ignored_parameters_do_not_change_the_plan(one: str, other: str) -> None:
    assert plan(one) == plan(other)


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
    ],
)
def test_plans_of_different_pictures_differ(one: str, other: str) -> None:
    assert plan(one) != plan(other)
    assert canonical(plan(one)) != canonical(plan(other))


def test_lossless_formats_have_no_quality() -> None:
    for kind in (Format.PNG, Format.GIF):
        assert plan("q_30", kind) == plan("q_90", kind)


def test_alpha_is_flattened_only_for_formats_without_alpha() -> None:
    assert plan("f_jpg", Format.JPEG).output.flatten == WHITE
    assert plan("b_00ff0080", Format.JPEG).output.flatten == Colour(127, 255, 127)
    assert plan("b_00ff00", Format.PNG).output.flatten is None
    pad = plan("w_4,h_3,c_pad,b_transparent", Format.PNG).steps[0]
    assert isinstance(pad, Pad)
    assert pad.background.alpha == 0
    assert plan("w_4,h_3,c_pad,b_transparent").steps[0] == Pad(
        box=Size(4, 3), position=CENTER, background=WHITE
    )


@pytest.mark.parametrize(
    ("kind", "quality", "encoders"),
    [
        (Format.JPEG, 80, 80),
        (Format.WEBP, 1, 1),
        (Format.WEBP, 49, 54),
        (Format.WEBP, 77, 80),
        (Format.WEBP, 80, 83),
        (Format.WEBP, 100, 100),
        (Format.AVIF, 49, 52),
        (Format.AVIF, 63, 59),
        (Format.AVIF, 77, 66),
        (Format.AVIF, 80, 70),
        (Format.AVIF, 100, 100),
        (Format.PNG, 80, None),
        (Format.GIF, 80, None),
    ],
)
def test_quality_is_mapped_to_each_encoder(kind: Format, quality: int, encoders: int | None) -> None:
    assert encoder_quality(kind, quality) == encoders


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_encoder_quality_is_monotonic(kind: Format) -> None:
    mapped = [encoder_quality(kind, quality) or 0 for quality in range(1, 101)]
    assert mapped == sorted(mapped)
    assert mapped[0] == 1
    assert mapped[-1] == 100


def test_the_limit_of_the_encoder_bounds_the_side() -> None:
    wide = RenderDefaults(quality=80, effort={}, max_side_px=20_000)
    assert resolve(Transform(width_px=20_000), Format.WEBP, wide).scale == ScaleInside(
        box=Size(16_383, 16_383), enlarge=False
    )


def test_the_text_of_a_plan_is_fixed() -> None:
    """A change here empties every cache in the world: raise keys.EPOCH only knowingly."""
    everything = (
        "w_400,h_300,c_fill,g_0.3:0.7,q_80,a_hflip,e_blur:2.5,e_sharpen:1,e_sepia:80,e_brightness:-10,b_fff"
    )
    assert canonical(plan(everything)) == (
        "outside:400x300 crop:400x300:0.3,0.7 turn:hflip blur:2.5 sharpen:1 sepia:80 brightness:-10 jpeg:q80:e0:onffffff"
    )
    assert canonical(plan("w_4,h_3,c_pad,b_transparent", Format.WEBP)) == (
        "within:4x3 pad:4x3:0.5,0.5:00000000 webp:q83:e4"
    )
    assert canonical(plan("w_4,h_3,c_scale", Format.PNG)) == "to:4x3 png:e6"
    assert canonical(plan("w_4,h_3,c_outside", Format.PNG)) == "outside:4x3:4000 png:e6"
    assert canonical(plan("w_4,h_3,c_fill,g_entropy", Format.GIF)) == "outside:4x3 crop:4x3:entropy gif:e0"
    assert canonical(plan("f_auto")) == "inside:4000x4000 jpeg:q80:e0:onffffff"


@given(transforms, transforms, st.sampled_from(sorted(OUTPUTS)))
def test_plans_are_equal_exactly_when_their_texts_are(one: Transform, other: Transform, kind: Format) -> None:
    first, second = resolve(one, kind, DEFAULTS), resolve(other, kind, DEFAULTS)
    assert (first == second) is (canonical(first) == canonical(second))


@given(keys, transforms, st.permutations(range(8)), st.sampled_from(sorted(OUTPUTS)))
def test_equal_transforms_have_one_plan_in_every_spelling(
    key: str, transform: Transform, order: list[int], kind: Format
) -> None:
    """The property the cache rests on, over generated transforms and all their spellings."""
    expected = resolve(transform, kind, DEFAULTS)
    spellings = [query_url(key, transform)]
    tokens = [token for token in spell(transform).split(",") if token]
    if tokens:
        spellings.append(path_url(key, transform))
        shuffled = [token for token in tokens if not token.startswith("e_")]
        shuffled = [shuffled[at] for at in order if at < len(shuffled)] + shuffled[8:]
        shuffled += [token for token in tokens if token.startswith("e_")]
        aliased = [alias for token in shuffled for alias in _spelled_out(token)]
        for token in ("q_80", "dpr_1.0", "b_ffffff", "c_fit", "g_0.5:0.5"):
            if not any(given.split("_")[0] == token.split("_")[0] for given in aliased):
                aliased.append(token)
        spellings.append(f"/{','.join(aliased)}/{path_url(key, transform).rpartition('/')[2]}")
        preset = parse_tokens(",".join(tokens), {}).own
        assert (
            resolve(parse_tokens("t_p", {"p": preset}).transform({"p": preset}), kind, DEFAULTS) == expected
        )
    for spelling in spellings:
        parsed = parse(spelling, {})
        assert resolve(parsed.own, kind, DEFAULTS) == expected  # type: ignore[union-attr]


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
        transform = Transform(width_px=30, height_px=20, fit=fit, gravity=gravity, format=Auto.AUTO)
        assert canonical(resolve(transform, kind, DEFAULTS))
