"""Generated transforms and their many spellings."""

from hypothesis import strategies as st

from proxy.core.transform.operations import (
    Adjust,
    Blur,
    Colour,
    Fit,
    FocalPoint,
    Sharpen,
    Smart,
    Tone,
    Transform,
    Turn,
)
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

transforms = st.builds(
    Transform,
    width_px=st.none() | st.integers(1, 10_000),
    height_px=st.none() | st.integers(1, 10_000),
    fit=st.none() | st.sampled_from(Fit),
    gravity=st.none() | st.sampled_from(Smart) | st.builds(FocalPoint, fractions, fractions),
    format=st.none() | st.sampled_from(list(FORMATS.values())),
    quality=st.none() | st.integers(1, 100),
    dpr_percent=st.none() | st.integers(100, 400),
    background=st.none() | st.builds(Colour, channels, channels, channels, channels),
    turn=st.none() | st.sampled_from(Turn),
    effects=st.none() | st.lists(effects, min_size=1, max_size=4).map(tuple),
    version=st.none() | st.text(st.sampled_from("abcXYZ019._-"), min_size=1, max_size=64),
)

keys = st.lists(
    st.text(
        st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=12
    ).filter(lambda segment: not segment.startswith(".")),
    min_size=1,
    max_size=4,
).map("/".join)
