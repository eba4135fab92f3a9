"""The query behind an original in a path."""

import pytest

from proxy.core.errors import BadUrl
from proxy.core.url.dialects.dialect import QueryRule
from proxy.core.url.dialects.unused_query import unused_query


@pytest.mark.parametrize(
    ("query", "rule", "names"),
    [
        (None, QueryRule.STRICT, []),
        ("", QueryRule.STRICT, []),
        ("&&", QueryRule.STRICT, []),
        ("utm_source=x&fbclid=y", QueryRule.STRICT, ["utm_source", "fbclid"]),
        ("w=5&(=1", QueryRule.IGNORE, ["w", "2"]),
    ],
)
def test_parameters_without_an_effect_are_listed(
    query: str | None, rule: QueryRule, names: list[str]
) -> None:
    assert [each.parameter for each in unused_query(query, rule, "")] == names


def test_another_parameter_is_refused_with_the_cure() -> None:
    with pytest.raises(BadUrl, match="parameter w is not supported: it belongs elsewhere"):
        unused_query("ver=1&w=5", QueryRule.STRICT, "it belongs elsewhere")
