"""The query after an original that is the end of a path, where no parameter has an effect."""

from proxy.core.errors import BadUrl
from proxy.core.nearest import named
from proxy.core.url.dialects.dialect import QueryRule
from proxy.core.url.parsed_url import Unused
from proxy.core.url.target import is_tracker, query_parts

NO_EFFECT = "it has no effect here"


def unused_query(query: str | None, rule: QueryRule, cure: str) -> tuple[Unused, ...]:
    """The parameters of `query`. Raises BadUrl if one is neither ignored by the mount nor a tracker's; `cure` says where
    a transform belongs instead."""
    unused: list[Unused] = []
    for position, part in enumerate(query_parts(query or ""), start=1):
        name = part.partition("=")[0]
        if part and not is_tracker(name) and rule is not QueryRule.IGNORE:
            raise BadUrl(f"parameter {named(name, position)} is not supported: {cure}")
        if part:
            unused.append(Unused(named(name, position), NO_EFFECT))
    return tuple(unused)
