"""Components: presets below parameters, and the way to operations and back."""

import pytest
from hypothesis import given

from proxy.core.transform.operations import (
    Blur,
    Crop,
    Enlarge,
    Fit,
    Offset,
    Resize,
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
