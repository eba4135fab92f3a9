"""An original: where it is, and which it is exactly."""

import re
from dataclasses import dataclass
from unicodedata import normalize
from urllib.parse import quote

from proxy.core.errors import OriginalNotFound
from proxy.core.masking import without_secrets

_LONGEST_SHOWN = 200
_NO_LETTER = re.compile(r"[^\w/.~:?=,;@+% -]")


@dataclass(frozen=True, slots=True)
class OriginalRef:
    """Where an original is: the name of its source and its key there, decoded."""

    source: str
    key: str

    def __str__(self) -> str:
        return f"{self.source}:{self.key}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which original, exactly: `version` changes with its bytes wherever the source can tell, `generation` with every
    purge that covers it."""

    ref: OriginalRef
    version: str
    generation: str = ""


def forms(text: str) -> tuple[str, ...]:
    """`text`, then its Unicode normal forms NFC and NFD as far as they differ: file systems and keyboards spell one name in
    either."""
    if text.isascii():
        return (text,)
    return tuple(dict.fromkeys((text, normalize("NFC", text), normalize("NFD", text))))


def missing(ref: OriginalRef, why: str = "") -> OriginalNotFound:
    """That there is no such original: the key that was looked for, without what would let its bearer in and with what is no
    letter of any script percent-encoded, and the source."""
    shown = without_secrets(ref.key)
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
    spelled = _NO_LETTER.sub(lambda match: quote(match[0], errors="replace"), shown)
    return OriginalNotFound(f"there is no original '{spelled}' in source {ref.source}{why}")
