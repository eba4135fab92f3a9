"""Values of Content-Disposition and the file names in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.url.disposition import Disposition, disposition_of


@pytest.mark.parametrize(
    ("disposition", "value"),
    [
        (Disposition(True), "attachment"),
        (Disposition(True, "red shoe.jpg"), 'attachment; filename="red shoe.jpg"'),
        (Disposition(False, "red.jpg"), 'inline; filename="red.jpg"'),
        (Disposition(True, "é\"'.jpg"), "attachment; filename*=UTF-8''%C3%A9%22%27.jpg"),
    ],
)
def test_a_name_has_the_form_that_its_characters_need(disposition: Disposition, value: str) -> None:
    assert str(disposition) == value


@given(st.builds(Disposition, st.booleans(), st.text(st.characters(exclude_categories=["Cs"]), max_size=200)))
def test_a_value_is_ascii_and_gives_its_name_back(disposition: Disposition) -> None:
    value = str(disposition)
    assert value.isascii()
    assert value.isprintable()
    assert disposition_of(value) == disposition


def test_an_empty_value_has_no_disposition() -> None:
    assert disposition_of("") is None
