"""Purges: their scopes, and the generations of originals.

A generation is part of the identity of an original, so that no lookup finds an entry that was made before a purge,
wherever it is stored and whenever it is written. Tables are merged in any order; the newer token of a scope counts.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from proxy.core.image.original import OriginalRef, forms
from proxy.core.transform.plan import Plan
from proxy.core.transform.plan_text import canonical


class ScopeKind(StrEnum):
    """The meaning of a scope's text: a key, a prefix of keys (empty for all), the text of a Plan of any original, or a key
    and the text of a Plan in two lines."""

    ORIGINAL = "original"
    PREFIX = "prefix"
    PLAN = "plan"
    VARIANT = "variant"


class PurgeScope(NamedTuple):
    """The scope of a purge, within one source."""

    source: str
    kind: ScopeKind
    text: str

    @property
    def original(self) -> OriginalRef | None:
        """The original, if the scope is all of one original."""
        return OriginalRef(self.source, self.text) if self.kind is ScopeKind.ORIGINAL else None

    @property
    def key(self) -> str:
        """The key or the prefix of keys; empty for a Plan of any original."""
        return (
            ""
            if self.kind is ScopeKind.PLAN
            else self.text.partition("\n")[0]
            if self.kind is ScopeKind.VARIANT
            else self.text
        )

    def normal_forms(self) -> "list[PurgeScope]":
        """The scope in all Unicode normal forms of its key."""
        return [self._replace(text=text) for text in forms(self.text)]

    @classmethod
    def of_original(cls, ref: OriginalRef) -> "PurgeScope":
        return cls(ref.source, ScopeKind.ORIGINAL, ref.key)

    @classmethod
    def of_variant(cls, ref: OriginalRef, plan: Plan) -> "PurgeScope":
        return cls(ref.source, ScopeKind.VARIANT, f"{ref.key}\n{canonical(plan)}")


class Purge(NamedTuple):
    """A scope and the token of its new generation. Tokens are unique, and later ones are greater."""

    scope: PurgeScope
    token: str


class Generations:
    """The table of purges: the latest token of each scope, in the order in which they were applied. A purge that a later
    one covers is dropped, in whichever order they arrive."""

    def __init__(self) -> None:
        self._tokens: dict[PurgeScope, str] = {}
        self._lengths: dict[str, Counter[int]] = {}
        self.latest = ""
        """The greatest token that was applied or created."""
        self.plan_purge_count = 0
        """The number of applied purges of plans and variants; a cached key is valid while it does not change."""

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[Purge]:
        return (Purge(scope, token) for scope, token in self._tokens.items())

    def last_applied(self, count: int) -> list[Purge]:
        """At least the purges of the last `count` calls of `apply`, without those that later ones cover."""
        return [Purge(*entry) for entry in islice(reversed(self._tokens.items()), count)][::-1]

    def next_token(self, now_ns: int, salt: str) -> str:
        """A token greater than all others; `now_ns` is in Unix nanoseconds, `salt` differs between nodes."""
        self.latest = f"{max(now_ns, int(self.latest[:16] or '0', 16) + 1):016x}{salt}"
        return self.latest

    def original_generation(self, ref: OriginalRef) -> str:
        """The generation of an original: the latest purge that covers it as a whole, in any normal form of its key; empty if
        there is none."""
        if not self._tokens:
            return ""
        return max(
            max(
                self._tokens.get(PurgeScope(ref.source, ScopeKind.ORIGINAL, key), ""),
                self._prefix_generation(ref.source, key),
            )
            for key in forms(ref.key)
        )

    def plan_generation(self, ref: OriginalRef, plan: Plan) -> str:
        """The generation of one variant, in addition to that of its original; empty if there is none."""
        if not self.plan_purge_count:
            return ""
        everywhere = self._tokens.get(PurgeScope(ref.source, ScopeKind.PLAN, canonical(plan)), "")
        return max(everywhere, self._tokens.get(PurgeScope.of_variant(ref, plan), ""))

    def is_newer(self, purge: Purge) -> bool:
        """Whether the purge would change the table."""
        scope, token = purge
        # A Plan of any original is covered by the empty prefix only.
        covering = self._prefix_generation(scope.source, scope.key)
        return token > max(self._tokens.get(scope, ""), covering)

    def apply(self, purge: Purge) -> None:
        """Adds the purge, unless a later one covers it."""
        self.latest = max(self.latest, purge.token)
        if not self.is_newer(purge):
            return
        scope, token = purge
        if scope.kind is ScopeKind.PREFIX:
            self._drop_covered(scope, token)
            lengths = self._lengths.setdefault(scope.source, Counter())
            lengths[len(scope.text)] += scope not in self._tokens
        self.plan_purge_count += scope.kind in (ScopeKind.PLAN, ScopeKind.VARIANT)
        self._tokens.pop(scope, None)  # It becomes the last one.
        self._tokens[scope] = token

    def _prefix_generation(self, source: str, text: str) -> str:
        lengths = self._lengths.get(source, ())
        tokens = (
            self._tokens.get(PurgeScope(source, ScopeKind.PREFIX, text[:length]), "") for length in lengths
        )
        return max(tokens, default="")

    def _drop_covered(self, wide: PurgeScope, token: str) -> None:
        for scope, older in list(self._tokens.items()):
            within = scope.source == wide.source and scope.key.startswith(wide.text)
            if within and older <= token:
                del self._tokens[scope]
                if scope.kind is ScopeKind.PREFIX:
                    lengths = self._lengths[scope.source]
                    lengths[len(scope.text)] -= 1
                    if not lengths[len(scope.text)]:
                        del lengths[len(scope.text)]
