"""Generated transforms as the parameters of the clients, with the URL that the node itself writes."""

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from hypothesis import strategies as st

from proxy.core.url.dialects.component import Component
from proxy.core.url.dialects.native.params import PATH
from proxy.core.url.dialects.native.urls import path_url, spell
from tests.support.strategies import rich_components

CLIENTS = Path(__file__).parents[2] / "clients"
TOKENS: dict[str, str] = json.loads((CLIENTS / "parameters.json").read_text())
_NAMES = {token: name for name, token in TOKENS.items()}
_FILE_NAMES = ("dl", "fn")
_KEYS = (
    "lake.jpg",
    "shoes/red one.jpg",
    "a'b(c)!*.png",
    "größe/ü.webp",
    "https://cdn.example/a b/c.jpg?x=1&y=ü",
)


class Case(NamedTuple):
    """A variant of `key`: the parameters of each step by their Python names, and its URL."""

    key: str
    steps: list[dict[str, Any]]
    url: str


def parameters_of(component: Component) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in spell([component]).split(","):
        token, _, text = part.partition("_")
        value: Any = unquote(unquote(text)) if token in _FILE_NAMES else text
        if (
            token not in _FILE_NAMES
            and text.isascii()
            and text.isdigit()
            and str(int(text)) == text
            and len(text) < 16
        ):
            value = int(text)
        if token in PATH and PATH[token].repeats:
            found.setdefault(_NAMES[token], []).append(value)
        else:
            found[_NAMES[token]] = value
    return found


cases = st.builds(
    lambda key, chain: Case(key, [parameters_of(each) for each in chain], path_url(key, *chain)),
    st.sampled_from(_KEYS),
    st.lists(rich_components.filter(lambda each: bool(spell([each]))), min_size=1, max_size=3),
)
