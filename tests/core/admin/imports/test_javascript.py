"""Literals are read out of JavaScript, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.admin.imports.javascript import Literal, NotLiteral, literal, named_literals

NOT = NotLiteral.EXPRESSION


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\n\\u00e9\\x41"', "a\né" + "A"),
        ("'it\\'s'", "it's"),
        ("`plain`", "plain"),
        ("`a${b}`", NOT),
        ("1_000", 1000.0),
        ("-1.5e2", -150.0),
        ("60 * 60 * 24", 86_400.0),
        ("60 *", NOT),
        ("60 + 1", NOT),
        ("true", True),
        ("null", None),
        ("[1, 'a', [], ]", [1.0, "a", []]),
        ("{a: 1, 'b-c': [2], 3: {}, }", {"a": 1.0, "b-c": [2.0], "3": {}}),
        ("{a: f(1, 2), b: 2}", {"a": NOT, "b": 2.0}),
        ("{a, b() { return 1 }, ...c, d: 4}", {"a": NOT, "b": NOT, "...": NOT, "d": 4.0}),
        ("{a: x ? [1] : {b: 2}, c: 3}", {"a": NOT, "c": 3.0}),
        ("{a: (x) => ({y: 1}), c: 3}", {"a": NOT, "c": 3.0}),
        ("{a: [1] as const, b: {} satisfies T}", {"a": [1.0], "b": {}}),
        ("{/* c: 1 */ a: 1, // b: 2\n d: 3}", {"a": 1.0, "d": 3.0}),
        ("[new URL('https://a.example/**'), new Foo('x')]", ["https://a.example/**", NOT]),
        ("process.env.X", NOT),
        ("{a: 1", NOT),
        ("[1, 2", NOT),
        ("[1; 2]", NOT),
        ("[1}", NOT),
        ("1e999", 1e15),
        ("", NOT),
        ("[" * 100 + "]" * 100, None),
    ],
)
def test_values(text: str, value: Literal) -> None:
    found = literal(text)
    if value is None and text != "null":
        assert isinstance(found, list | NotLiteral)
    else:
        assert found == value


def test_a_property_is_found_wherever_it_is() -> None:
    text = """
// images: {a: 1}
const s = "images: {b: 1}"
module.exports = withPlugins({ webpack(c) { return c }, images: { sizes: [1] } }, { images: { sizes: [2] } })
"""
    assert named_literals(text, frozenset({"images", "basePath"})) == {"images": {"sizes": [1.0]}}
    assert named_literals('{"images": {}}', frozenset({"images"})) == {"images": {}}
    assert named_literals("export const images = config", frozenset({"images"})) == {}
    assert named_literals("x = {images: config}", frozenset({"images"})) == {"images": NOT}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_json_is_read(value: object) -> None:
    assert literal(json.dumps(value)) == value


@given(
    st.lists(st.sampled_from([*"{}[](),:;*'`", '"', "a", "1", "...", "new URL('x')", "as", "=>", "//", "/*"]))
)
def test_any_text_has_an_end(parts: list[str]) -> None:
    literal(" ".join(parts))
    named_literals("".join(parts), frozenset({"a"}))


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="is too long"):
        literal("[" * 300_000)
