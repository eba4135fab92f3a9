"""Tables of parameters: what is read, moved into a range, ignored and refused."""

from typing import Any

import pytest

from proxy.core.errors import BadTransform, NotSupported
from proxy.core.url.dialects.dialect import DocumentedOption, OnlyPolishes, Support, UnsupportedValue
from proxy.core.url.dialects.parameter import (
    Given,
    Parameter,
    ParameterReader,
    belonging,
    changing,
    documented,
    ignored,
    polishing,
    row,
    showing,
)
from proxy.core.url.notice import Notice


def no_more(text: str) -> None:
    raise (OnlyPolishes if text == "fine" else UnsupportedValue)("is too fine")


WIDTH = row("w width", "width", int, "Pixels.", least=1, most=10, make=lambda value: value * 2)
NEEDY = row("n", "needy", str, "", "w", "fit=crop")
NO_MORE = row("m", "more", no_more)


def read(
    parameter: Parameter, text: str, words: frozenset[str] = frozenset(), **rules: bool
) -> tuple[Any, list[str], list[Notice]]:
    reader = ParameterReader(**{"ignores_polishing": False, **rules})
    value = reader.read(Given(parameter.names[-1], parameter, text), {*words})
    return value, [f"{each.parameter}: {each.reason}" for each in reader.unused], reader.reduced


def test_a_value_is_moved_into_its_range_and_made() -> None:
    assert read(WIDTH, "5") == (10, [], [])
    assert read(WIDTH, "50") == (20, [], [Notice("width", "50", "10")])
    assert read(WIDTH, "-5") == (2, [], [Notice("width", "-5", "1")])


def test_a_parameter_needs_another() -> None:
    assert read(NEEDY, "x", frozenset({"fit=crop"})) == ("x", [], [])
    assert read(NEEDY, "x", frozenset({"fit=clip"})) == (None, ["n: it needs w or fit=crop"], [])


def test_a_mistake_is_refused_or_ignored() -> None:
    with pytest.raises(BadTransform, match="^parameter width invalid literal"):
        read(WIDTH, "x", ignores_polishing=True)
    assert read(WIDTH, "x", ignores_mistakes=True)[0] is None


@pytest.mark.parametrize("parameter", [*polishing("p"), NO_MORE])
def test_what_only_polishes_follows_the_rule(parameter: Parameter) -> None:
    with pytest.raises(NotSupported, match="^parameter . is "):
        read(parameter, "fine")
    value, unused, _ = read(parameter, "fine", ignores_polishing=True)
    assert (value, len(unused)) == (None, 1)


@pytest.mark.parametrize("parameter", [*changing("c"), *showing("s"), NO_MORE])
def test_what_changes_the_picture_is_always_refused(parameter: Parameter) -> None:
    with pytest.raises(NotSupported, match="^parameter . is "):
        read(parameter, "x", ignores_polishing=True, ignores_mistakes=True)


def test_words_that_ask_for_nothing() -> None:
    for parameter in (*polishing("p"), *changing("c")):
        assert read(parameter, "0") == read(parameter, "false") == (None, [], [])
    with pytest.raises(BadTransform):
        read(*showing("s"), "0")


def test_what_is_ignored_is_named() -> None:
    assert read(*ignored("No reason.", "i"), "x") == (None, ["i: No reason."], [])
    assert read(*belonging("mark", "b"), "x") == (None, ["b: it needs mark"], [])


def test_rows_are_documented() -> None:
    assert documented([WIDTH]) == (
        DocumentedOption(names=("w", "width"), support=Support.DONE, note="Pixels."),
    )
