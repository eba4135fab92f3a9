"""Components: presets below parameters, and the way to operations and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadTransform, CalotypeError
from proxy.core.transform.operations import (
    Blur,
    Crop,
    Enlarge,
    Fit,
    Offset,
    Resize,
    Transform,
    Turn,
    without_no_ops,
)
from proxy.core.url.dialects.component import (
    Component,
    CropFit,
    components_of,
    expanded,
    overlay,
    transform_of,
)
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.native.urls import parse_transform, spell
from proxy.core.url.dialects.next import ipx
from proxy.core.url.dialects.next.ipx_modifiers import MODIFIERS
from proxy.core.url.dialects.thumbor import urls as thumbor
from proxy.core.url.dialects.thumbor.filters import FILTERS
from proxy.core.url.parsed_url import VariantUrl
from tests.support.strategies import chains, components


@given(components, components)
def test_parameters_override_the_preset(below: Component, above: Component) -> None:
    merged = overlay(below, above)
    for name in Component.__slots__:
        override = getattr(above, name)
        assert getattr(merged, name) == (getattr(below, name) if override is None else override)


@given(components)
def test_an_empty_component_overrides_nothing(component: Component) -> None:
    assert overlay(component, Component()) == component == overlay(Component(), component)


@pytest.mark.parametrize(
    ("component", "ops"),
    [
        (Component(), ()),
        (Component(fit=Fit.COVER, turn=Turn.R90), (Turn.R90,)),
        (Component(width=4), (Resize(width=4),)),
        (Component(width=4, fit=Fit.COVER), (Resize(width=4),)),
        (
            Component(width=4, height=3, fit=Fit.COVER, effects=(Blur(2),)),
            (Resize(width=4, height=3, fit=Fit.COVER, enlarge=Enlarge.ALLOW), Blur(2)),
        ),
        (Component(fit=CropFit.CROP, width=4, top=3), (Crop(width=4, at=Offset(0, 3)),)),
    ],
)
def test_a_component_has_its_operations_in_a_fixed_order(
    component: Component, ops: tuple[object, ...]
) -> None:
    assert component.ops() == ops


def test_a_preset_of_several_components_is_inserted() -> None:
    presets = {"one": [Component(width=4)], "two": [Component(width=8), Component(turn=Turn.R90)]}
    chain = [Component(preset="two", version="7"), Component(preset="one", height=3)]
    assert expanded(chain, presets) == (
        *presets["two"],
        Component(version="7"),
        Component(width=4, height=3),
    )


@given(chains)
def test_every_transform_has_components(chain: tuple[Component, ...]) -> None:
    transform = transform_of(chain)
    again = transform_of(components_of(transform))
    assert without_no_ops(again) == without_no_ops(transform)
    assert again.version == transform.version


# Whatever a URL of thumbor, imagor or ipx requests has a native spelling.

READING = Reading(presets={})

whole = st.integers(-20, 400).map(str) | st.sampled_from(
    ["0", "1", "100", "9999", "10000", "1000000", "9" * 30]
)
fractions = st.decimals(0, 20, places=9).map(lambda number: f"{number:f}") | st.sampled_from(
    ["0.5", "0.333333333", ".25", "2.", "1.0"]
)
words = st.sampled_from(
    ["true", "false", "auto", "none", "red", "ff8800", "0f08", "transparent", "srgb", "bottom-right"]
)
matrices = st.lists(whole | fractions, min_size=1, max_size=9).map(";".join)
regions = st.tuples(whole | fractions, whole | fractions, whole | fractions, whole | fractions).map(
    lambda sides: "{}x{}:{}x{}".format(*sides)
)
arguments = st.one_of(whole, whole, fractions, words, matrices, regions)
TAKEN = (
    *(
        "padding(red,{},{})",
        "crop({},{},{},{})",
        "proportion({})",
        "focal({},{})",
        "rgb({},{},{})",
        "fill(red,{})",
    ),
    *(
        "colorize({},{},{},f80)",
        "convolution({};{};{},3,true)",
        "convolution({};{};{},1)",
        "noise({})",
        "hue({})",
    ),
    *("brightness({})", "contrast({})", "saturation({})", "blur({})", "sharpen({},{},true)", "pixelate({})"),
)
"""Filters in which numbers are taken for the most part."""
calls = st.one_of(
    st.builds(
        lambda name, values: f"{name}({','.join(values)})",
        st.sampled_from(sorted(FILTERS)),
        st.lists(arguments, max_size=5),
    ),
    st.builds(
        lambda form, values: form.format(*values), st.sampled_from(TAKEN), st.tuples(*[whole | fractions] * 4)
    ),
)
sides = st.sampled_from(["", "0", "orig", "1", "7", "300", "100000"])
paths = st.tuples(
    st.sampled_from(["", "trim/", "trim:bottom-right/", "trim:top-left:999/"]),
    st.just("") | regions.map(lambda region: f"{region}/"),
    st.sampled_from(["", "fit-in/", "full-fit-in/", "adaptive-fit-in/", "stretch/"]),
    st.builds(
        lambda flip, width, flop, height: f"{flip}{width}x{flop}{height}/",
        *[st.sampled_from(["", "-"]), sides] * 2,
    ),
    st.sampled_from(["", "5x6/", "1x2:30000x4/", "left/", "top/", "smart/"]),
)


def assert_spelled(transform: Transform) -> None:
    """That the native spelling has the same operations and the same output."""
    tokens = spell(components_of(transform))
    again = parse_transform(tokens, {}) if tokens else Transform()
    assert without_no_ops(again) == without_no_ops(transform)


@given(paths, st.lists(calls, max_size=6))
def test_a_chain_of_filters_has_a_native_spelling(path: tuple[str, ...], chain: list[str]) -> None:
    filters = f"filters:{':'.join(chain)}/" if chain else ""
    try:
        parsed = thumbor.parse(f"/unsafe/{''.join(path)}{filters}lake.jpg", READING)
    except CalotypeError:
        return
    if isinstance(parsed, VariantUrl):
        assert_spelled(parsed.transform)


@given(
    st.dictionaries(
        st.sampled_from(sorted(MODIFIERS)), st.lists(arguments | st.just("30x20"), max_size=4), max_size=8
    )
)
def test_modifiers_have_a_native_spelling(modifiers: dict[str, list[str]]) -> None:
    # One that is refused would hide the others.
    accepted = [
        part for part in ("_".join([name, *values]) for name, values in modifiers.items()) if _is_taken(part)
    ]
    try:
        transform, _ = ipx.read(",".join(accepted) or "_")
    except BadTransform:
        return
    assert_spelled(transform)


def _is_taken(modifier: str) -> bool:
    try:
        ipx.read(modifier)
    except BadTransform:
        return False
    return True
