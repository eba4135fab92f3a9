"""The word of ours that is nearest to one that is unknown, and the question that a complaint ends with."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_SIMILAR = 0.66
"""One edit in a word of two letters or more; two words of one letter are never similar."""
_MOST_SUGGESTED = 3


def nearest(word: str, ours: Iterable[str], synonyms: Mapping[str, str] = {}) -> str | None:
    """`synonyms` are words of others, each with ours. Case does not count."""
    words = {**synonyms, **{name: name for name in ours}}
    word = word.casefold()
    if word in words:
        return words[word]
    close = get_close_matches(word, words, n=1, cutoff=_SIMILAR)
    return words[close[0]] if close else None


def meant(*suggested: str | None) -> str:
    """A question behind a complaint; empty where nothing is suggested."""
    names = [name for name in suggested if name][:_MOST_SUGGESTED]
    return f"; is {' or '.join(names)} meant?" if names else ""
