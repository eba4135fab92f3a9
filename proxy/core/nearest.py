"""Names an unknown word in an error, and suggests the known word nearest to it."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_SIMILAR = 0.66
"""One edit in a word of two letters or more; two words of one letter are never similar."""
_MOST_SUGGESTED = 3
_LONGEST = 32
"""Longer words have no nearest one: comparing them takes milliseconds."""
_QUOTABLE = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)


def named(written: str, position: int) -> str:
    """The name of an unknown parameter as it is written if that is plain text, else its position."""
    return written if _QUOTABLE.fullmatch(written) else str(position)


def nearest(word: str, known: Iterable[str], synonyms: Mapping[str, str] = {}) -> str | None:
    """The known word nearest to `word`, or None. `synonyms` maps foreign words to known ones. Case does not count."""
    if len(word) > _LONGEST:
        return None
    words = {**synonyms, **{name: name for name in known}}
    word = word.casefold()
    if word in words:
        return words[word]
    close = get_close_matches(word, words, n=1, cutoff=_SIMILAR)
    return words[close[0]] if close else None


def meant(*suggested: str | None) -> str:
    """The suggestion at the end of an error text; empty if nothing is suggested."""
    names = [name for name in suggested if name][:_MOST_SUGGESTED]
    return f"; is {' or '.join(names)} meant?" if names else ""
