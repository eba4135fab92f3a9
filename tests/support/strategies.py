"""Generated transforms and their many spellings."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from proxy.core.transform.operations import (
    Adjust,
    Blur,
    Colour,
    Enlarge,
    Fit,
    FocalPoint,
    Sharpen,
    Smart,
    Tone,
    Transform,
    Turn,
)
from proxy.core.url.dialects.component import MAX_EFFECTS, Component, CropFit, transform_of
from proxy.core.url.dialects.native_params import FORMATS

channels = st.integers(0, 255)
sigmas = st.integers(30, 1000).map(lambda hundredths: hundredths / 100)
fractions = st.integers(0, 10_000).map(lambda parts: parts / 10_000)

effects = st.one_of(
    st.builds(Blur, sigmas),
    st.builds(Sharpen, sigmas),
    st.just(Adjust(Tone.GRAYSCALE, 100)),
    st.builds(Adjust, st.just(Tone.SEPIA), st.integers(1, 100)),
    st.builds(
        Adjust, st.sampled_from([Tone.BRIGHTNESS, Tone.CONTRAST, Tone.SATURATION]), st.integers(-100, 100)
    ),
)

components = st.builds(
    Component,
    width_px=st.none() | st.integers(1, 10_000),
    height_px=st.none() | st.integers(1, 10_000),
    fit=st.none() | st.sampled_from(Fit),
    enlarge=st.none() | st.sampled_from(Enlarge),
    gravity=st.none() | st.sampled_from(Smart) | st.builds(FocalPoint, fractions, fractions),
    format=st.none() | st.sampled_from(list(FORMATS.values())),
    quality=st.none() | st.integers(1, 100),
    dpr_percent=st.none() | st.integers(100, 400),
    background=st.none() | st.builds(Colour, channels, channels, channels, channels),
    turn=st.none() | st.sampled_from(Turn),
    effects=st.none() | st.lists(effects, min_size=1, max_size=4).map(tuple),
    version=st.none() | st.text(st.sampled_from("abcXYZ019._-"), min_size=1, max_size=64),
)

ratios = st.builds(Fraction, st.integers(1, 2000), st.integers(1, 2000))
crops = st.builds(
    lambda component, ratio, corner: replace(
        component,
        fit=CropFit.CROP,
        width_px=None if ratio else component.width_px,
        ratio=ratio,
        left_px=corner and corner[0],
        top_px=corner and corner[1],
    ),
    components,
    st.none() | ratios,
    st.none() | st.tuples(st.integers(0, 9999), st.integers(0, 9999)),
)
sized_by_ratio = st.builds(
    lambda component, ratio: replace(component, height_px=None, ratio=ratio), components, ratios
)
chains = (
    st.lists(components | crops | sized_by_ratio, min_size=1, max_size=4)
    .map(
        # The fields of the output may be given once.
        lambda chain: (chain[0], *(replace(each, **dict.fromkeys(_OF_OUTPUT)) for each in chain[1:]))
    )
    .filter(lambda chain: sum(len(each.effects or ()) for each in chain) <= MAX_EFFECTS)
)
_OF_OUTPUT = ("format", "quality", "dpr_percent", "version")

transforms = components.map(lambda component: transform_of([component]))
"""Transforms of one component."""


def flat(**values: object) -> Transform:
    """The transform of one component with these fields."""
    return transform_of([Component(**values)])  # type: ignore[arg-type]


keys = st.lists(
    st.text(
        st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=12
    ).filter(lambda segment: not segment.startswith(".")),
    min_size=1,
    max_size=4,
).map("/".join)
