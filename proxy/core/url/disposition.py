"""Content-Disposition (RFC 6266): the value for a file name, and back."""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

_UNQUOTED_NAME = re.compile(r"[A-Za-z0-9._ -]{1,128}", re.ASCII)
UNFIT_FOR_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\ud800-\udfff]")
"""Characters that no file name of a URL may have."""
_VALUE = re.compile(r"""(attachment|inline)(?:; filename="([^"]*)"|; filename\*=UTF-8''(.*))?""", re.ASCII)


class Disposition(NamedTuple):
    """Whether a browser saves the answer instead of showing it, and under which name; empty for that of the URL."""

    is_attachment: bool
    name: str = ""

    def __str__(self) -> str:
        """The value of the header. A name with other characters than ASCII letters, digits, spaces, dots, underscores
        and dashes is percent-encoded (RFC 8187)."""
        kind = "attachment" if self.is_attachment else "inline"
        if not self.name:
            return kind
        if _UNQUOTED_NAME.fullmatch(self.name):
            return f'{kind}; filename="{self.name}"'
        return f"{kind}; filename*=UTF-8''{quote(self.name, safe='')}"


def disposition_of(value: str) -> Disposition | None:
    """The inverse of `str`; None for an empty value."""
    match = _VALUE.fullmatch(value)
    return match and Disposition(match[1] == "attachment", match[2] or unquote(match[3] or ""))
