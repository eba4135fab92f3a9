"""Whatever a URL of thumbor, imagor or ipx requests has a native spelling with the same operations and output."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadTransform, CalotypeError
from proxy.core.transform.operations import Transform, without_no_ops
from proxy.core.url.dialects import ipx, thumbor
from proxy.core.url.dialects.component import components_of
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.ipx_modifiers import MODIFIERS
from proxy.core.url.dialects.native import parse_transform, spell
from proxy.core.url.dialects.thumbor_filters import FILTERS
from proxy.core.url.parsed_url import VariantUrl

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
