"""`Calotype-Notice`: which parameters were not applied as requested, as an RFC 9651 list."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14}|(?:0|[1-9][0-9]{0,11})\.[0-9]{0,2}[1-9])", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*", re.ASCII)
_TEXT = re.compile(r"[^\x20-\x7e]")

_WORDS = {"g": "gravity", "c": "fit"}
"""Parameters that the header calls by another name than a path URL."""


class Notice(NamedTuple):
    """A parameter, the requested value and the applied one, each as a URL spells it. A parameter without values
    was ignored."""

    parameter: str
    requested: str | None = None
    applied: str = ""

    def __str__(self) -> str:
        name = _bare(_WORDS.get(self.parameter, self.parameter))
        if self.requested is None:
            return f"{name};ignored"
        return f"{name};asked={_bare(self.requested)};made={_bare(self.applied)}"


def notice_list(notices: Iterable[Notice]) -> str:
    """The value of the header; empty without notices."""
    return ", ".join(map(str, notices))


def _bare(value: str) -> str:
    """Numbers and tokens unquoted, other values as a string (RFC 9651 3.3)."""
    if _NUMBER.fullmatch(value) or _TOKEN.fullmatch(value):
        return value
    quoted = _TEXT.sub("?", value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
