"""An original: its reference and its identity."""

import re
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import quote

from proxy.core.errors import OriginalNotFound
from proxy.core.masking import without_secrets

_LONGEST_SHOWN = 200
_NO_LETTER = re.compile(r"[^\w/.~:?=,;@+% -]")


class OriginalRef(NamedTuple):
    """The name of a source and a decoded key of it."""

    source: str
    key: str

    def __str__(self) -> str:
        return f"{self.source}:{self.key}"


class Identity(NamedTuple):
    """One exact state of an original: `version` changes with its bytes if the source can tell, `generation` with
    every purge that covers it."""

    ref: OriginalRef
    version: str
    generation: str = ""


def forms(text: str) -> tuple[str, ...]:
    """`text`, then its Unicode normal forms NFC and NFD if they differ: file systems and keyboards use either."""
    if text.isascii():
        return (text,)
    return tuple(dict.fromkeys((text, normalize("NFC", text), normalize("NFD", text))))


def missing(ref: OriginalRef, why: str = "") -> OriginalNotFound:
    """The error for a missing original. It names the source and the key."""
    return OriginalNotFound(f"there is no original {shown(ref)}{why}")


def shown(ref: OriginalRef) -> str:
    """Key and source in the detail of an error, with credentials masked and unusual characters percent-encoded."""
    key = without_secrets(ref.key)
    key = key if len(key) <= _LONGEST_SHOWN else f"{key[:_LONGEST_SHOWN]}..."
    spelled = _NO_LETTER.sub(lambda match: quote(match[0], errors="replace"), key)
    return f"'{spelled}' in source {ref.source}"
