"""Values as TOML are read back as they are."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.toml import document

values = st.one_of(
    st.text(),
    st.integers(0, 2**60),
    st.booleans(),
    st.lists(st.text()).map(tuple),
    st.lists(st.integers(0, 99)).map(tuple),
)
keys = st.sampled_from(["a", "b-c", "D_1"])


def test_a_document_has_tables_in_the_order_of_their_first_keys() -> None:
    settings = {("b", "x"): 1, ("a", "n", "y"): "t", ("b", "z"): (1, 2)}
    assert document(settings) == '[b]\nx = 1\nz = [1, 2]\n\n[a.n]\ny = "t"\n'
    assert document({}) == ""


@given(st.dictionaries(st.tuples(keys, keys), values))
def test_a_document_is_read_back(settings: dict[tuple[str, ...], object]) -> None:
    found = tomllib.loads(document(settings))
    read = {(table, key): value for table, keys_ in found.items() for key, value in keys_.items()}
    assert read == {
        path: list(value) if isinstance(value, tuple) else value for path, value in settings.items()
    }
