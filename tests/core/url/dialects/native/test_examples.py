"""Example values of path parameters: each is one that the parser takes."""

import pytest

from proxy.core.url.dialects.native.examples import EFFECTS, path_parameters
from proxy.core.url.dialects.native.filters import FILTER_WORDS
from proxy.core.url.dialects.native.params import EFFECT_WORDS, PATH

EXAMPLES = [(name, value) for name, _, values in path_parameters() for value in values]


@pytest.mark.parametrize(("name", "value"), EXAMPLES)
def test_examples_are_read(name: str, value: str) -> None:
    assert PATH[name].read(value) is not None


def test_every_effect_has_an_example() -> None:
    assert [effect.partition(":")[0] for effect in EFFECTS] == [*EFFECT_WORDS, *FILTER_WORDS]


def test_every_parameter_but_conditions_is_listed() -> None:
    assert [name for name, _, _ in path_parameters()] == [name for name in PATH if name != "if"]
