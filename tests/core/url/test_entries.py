"""The number of cache entries per original is finite on a mount, and equals the computed one."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.settings import load
from proxy.core.cache.keys import variant_key
from proxy.core.errors import NotAllowed
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.transform.operations import (
    BLACK,
    TRANSPARENT,
    WHITE,
    Blur,
    Colour,
    Crop,
    Enlarge,
    Fit,
    Flatten,
    FocalPoint,
    Resize,
)
from proxy.core.transform.plan import Encode, Plan, RenderDefaults, resolve
from proxy.core.transform.quality_level import QualityLevel
from proxy.core.url.dialects.component import Component, CropFit
from proxy.core.url.dialects.native.params import GRAVITIES
from proxy.core.url.dialects.native.urls import parse, path_url, query_url, spell
from proxy.core.url.interpret import admit
from proxy.core.url.mounts import Mount
from proxy.core.url.parsed_url import VariantUrl
from proxy.core.url.policy import Dimensions
from proxy.node.factory import mounts, render_defaults
from tests.support import strategies
from tests.support.entries import (
    DPRS,
    EFFECTS,
    OUTPUTS,
    POINTS,
    RATIOS,
    TURNS,
    Possible,
    entries,
    possible,
    qualities_at,
)

ALLOWED = (100, 320, 1280, 3840)
COLOURS = frozenset({Colour(1, 2, 3), Colour(1, 2, 3, 128)})
DEFAULTS = RenderDefaults(quality=77, effort={}, max_side_px=4000, face_detector="fake 1")
LISTED, SNAP = (
    Mount(name="m", source="s", dimensions=policy, allowed_px=ALLOWED, colours=COLOURS, max_age_s=1)
    for policy in (Dimensions.LISTED, Dimensions.SNAP)
)
DEFAULT_ENTRIES = 4_682_344_813_072_033
"""Said in docs/urls.md."""


@cache
def of(kind: Format, dimensions: Dimensions) -> Possible:
    return possible(kind, ALLOWED, DEFAULTS, colours=COLOURS, snaps=dimensions is Dimensions.SNAP)


def planned(mount: Mount, raw: str, kind: Format) -> Plan | None:
    """What an unsigned URL comes to in a format, None where it is refused."""
    parsed = parse(raw, {})
    assert isinstance(parsed, VariantUrl)
    try:
        granted = admit(mount, parsed, signed=False)
    except NotAllowed:
        return None
    return resolve(granted, granted.format if isinstance(granted.format, Format) else kind, DEFAULTS)


sides = st.sampled_from([*ALLOWED, None]) | st.integers(1, 9999)
ratios = st.none() | st.sampled_from([Fraction(16, 9), Fraction(1, 21)]) | strategies.ratios
requested_components = st.builds(
    lambda component, width_px, height_px, ratio, is_crop, few, colour, most: component._replace(
        max_width_px=most[0],
        max_height_px=most[1],
        width=width_px,
        height=None if ratio else height_px,
        ratio=ratio,
        fit=CropFit.CROP if is_crop else component.fit,
        effects=(component.effects or ())[:few] or None,
        background=colour,
    ),
    strategies.components,
    sides,
    sides,
    ratios,
    st.sampled_from([False, False, True]),
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from([None, *COLOURS, Colour(0, 0, 0), Colour(9, 9, 9)]),
    st.just((None, None)) | st.tuples(sides, sides),
)


@st.composite
def urls(draw: st.DrawFn) -> str:
    """Any unsigned URL of a picture, in either form."""
    component = draw(requested_components)
    if not spell([component]):
        return "/f_auto/a"
    return path_url("a", component) if draw(st.booleans()) else query_url("a", component)


@pytest.mark.parametrize("mount", [LISTED, SNAP], ids=["listed", "snap"])
@given(raw=urls(), kind=st.sampled_from(OUTPUTS))
@settings(max_examples=300)
def test_every_unsigned_url_resolves_to_a_counted_plan(mount: Mount, raw: str, kind: Format) -> None:
    plan = planned(mount, raw, kind)
    if plan is not None:
        assert of(plan.output.format, mount.dimensions).holds(plan), (raw, plan)


@given(raw=urls(), version=st.from_regex(r"\A[A-Za-z0-9._-]{1,64}\Z"))
def test_a_version_does_not_add_an_entry(raw: str, version: str) -> None:
    keys = set()
    for url_version in (None, version):
        parsed = parse(raw, {})
        assert isinstance(parsed, VariantUrl)
        plan = resolve(replace(parsed.transform, version=url_version), Format.PNG, DEFAULTS)
        keys.add(variant_key([Identity(OriginalRef("s", "a"), "")], plan))
    assert len(keys) == 1


def all_sizes() -> Iterator[Component]:
    """Sizes, fits, gravities and bars as they can be spelled, over the smallest of lists."""
    points = [FocalPoint(x / 20, y / 20) for x in range(21) for y in range(21)]
    yield Component()
    for width_px, height_px, dpr_percent in product((None, 100), (None, 100), range(100, 401, 5)):
        yield Component(width=width_px, height=height_px, dpr_percent=dpr_percent)
    for ratio, dpr_percent in product(RATIOS, range(100, 401, 25)):
        yield Component(width=100, ratio=ratio, dpr_percent=dpr_percent)
        yield Component(height=100, ratio=ratio, dpr_percent=dpr_percent)
    for width_px, height_px, ratio in product((None, 100), (None, 100), (None, *RATIOS)):
        if width_px is None or height_px is None or ratio is None:
            yield Component(width=width_px, height=height_px, ratio=ratio, fit=CropFit.CROP)
    colours = (None, *COLOURS, Colour(0, 0, 0), Colour(0, 0, 0, 0))
    boxed = Component(width=100, height=100, dpr_percent=200)
    for fit, colour in product((*Fit, *CropFit, None), colours):
        coarse = POINTS if fit in (Fit.COVER, Fit.CONTAIN, Fit.ADAPTIVE, CropFit.CROP) else ()
        for gravity in (*coarse, *GRAVITIES.values(), None):
            yield boxed._replace(fit=fit, gravity=gravity, background=colour)
    for fit, enlarge in product(Fit, Enlarge):
        yield boxed._replace(fit=fit, enlarge=enlarge)
    for fit, gravity in product((Fit.COVER, Fit.CONTAIN, Fit.ADAPTIVE), points):
        yield boxed._replace(fit=fit, gravity=gravity)
    for fit, dpr_percent in product(Fit, range(100, 401)):
        yield Component(width=100, height=100, fit=fit, dpr_percent=dpr_percent)


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP])
def test_every_counted_entry_is_reached_by_a_url(kind: Format) -> None:
    """Each part of the number is met by URLs, all of them."""
    mount = Mount(name="m", source="s", allowed_px=(100,), colours=COLOURS, max_age_s=1)
    counted = possible(kind, (100,), DEFAULTS, colours=COLOURS)

    def found(requested: Component) -> Plan:
        plan = planned(mount, path_url("a", requested._replace(format=kind)), kind)
        assert plan is not None
        return plan

    sized = [found(requested) for requested in all_sizes()]
    first = [plan.ops[0] for plan in sized if plan.ops]
    resized = [op for op in first if isinstance(op, Resize)]
    assert {(op.width, op.height) for op in resized if op.fit is Fit.INSIDE} == counted.inside
    cuts = {((op.width, op.height), op.ratio) for op in first if isinstance(op, Crop)}
    assert cuts == counted.cuts
    one = counted._replace(
        inside=frozenset(box for box in counted.inside if box == (200, 200)),
        boxes=frozenset(box for box in counted.boxes if box == (200, 200)),
        cuts=frozenset({((100, 100), None)}),
        qualities=frozenset({0}),
    )
    of_one = [op for op in resized if (op.width, op.height) == (200, 200)]
    assert {(op.fit, op.enlarge) for op in of_one} == set(product(Fit, Enlarge))
    reached = len(Enlarge) * len({replace(op, enlarge=Enlarge.ALLOW) for op in of_one})
    reached += len(
        {op for op in first if isinstance(op, Crop) and (op.width, op.height, op.ratio) == (100, 100, None)}
    )
    backgrounds = set()
    for colour in (None, WHITE, BLACK, TRANSPARENT, *COLOURS):
        plan = found(Component(effects=None if colour is None else (Flatten(colour),)))
        assert isinstance(plan.output, Encode)
        backgrounds.add((plan.ops, plan.output.flatten))
    assert len(backgrounds) == one.backgrounds
    assert (reached + 1) * len(backgrounds) * TURNS * len(EFFECTS) == one.plans
    qualities = set()
    for quality in (None, *range(1, 101), *QualityLevel):
        of_encoder = ((None, quality),) if isinstance(quality, int) else None
        for component in (Component(quality=quality), Component(encoder_qualities=of_encoder)):
            output = found(component).output
            assert isinstance(output, Encode)
            qualities.add(output.quality)
    assert qualities == qualities_at(kind, counted.default_quality, 10_000)


def test_every_effect_and_turn_is_counted() -> None:
    mount = Mount(name="m", source="s", allowed_px=(100,), max_age_s=1)
    tokens = [f"e_blur:{hundredths / 100:g}" for hundredths in range(30, 10_001)]
    tokens += [f"e_sharpen:{hundredths / 100:g}" for hundredths in range(30, 1001)]
    tones = ("brightness", "contrast", "saturation", "saturation_hsp")
    tokens += [f"e_{tone}:{n}" for tone in tones for n in range(-100, 101)]
    tokens += [f"e_pixelate:{side}" for side in range(2, 1001)]
    tokens += [
        "e_grayscale",
        "e_grayscale_601",
        "e_sepia",
        "e_sharpen",
        *(f"e_sepia:{n}" for n in range(1, 101)),
    ]
    plans = [planned(mount, f"/{token}/a", Format.PNG) for token in tokens]
    assert {plan.ops[0] if plan.ops else None for plan in plans if plan} == EFFECTS
    assert Blur(100.0) in EFFECTS
    assert len(POINTS) == 121
    assert len(DPRS) == 13


def test_the_default_configuration_has_the_documented_number_of_entries() -> None:
    settings = load(None, {"sources": {"a": {"path": "/a"}}})
    [mount] = mounts(settings)
    assert mount.dimensions is Dimensions.LISTED
    assert entries(mount.allowed_px, render_defaults(settings)) == DEFAULT_ENTRIES
