"""Reads literals out of JavaScript, TypeScript and JSON text, without executing it.

An expression that is no literal becomes NotLiteral; `new URL("...")` becomes its text.
"""

import re
from enum import Enum
from typing import NamedTuple, TypeAlias

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
    | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\$]|\\.|\$(?!\{))*`)
    | (?P<number>-?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<sign>\.\.\.|=>|.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "undefined": None}
_OPENING, _CLOSING = "([{", ")]}"
_MOST_NESTED = 32
_MOST = 1e15
_MOST_TOKENS = 200_000


class NotLiteral(Enum):
    """An expression whose value is not known without executing it."""

    EXPRESSION = "expression"


Literal: TypeAlias = "str | float | bool | list[Literal] | dict[str, Literal] | NotLiteral | None"


class _Token(NamedTuple):
    kind: str
    text: str


def named_literals(text: str, names: frozenset[str]) -> dict[str, Literal]:
    """The value of the first property of each of the names, however deep it is. Raises ValueError for a text that is too
    long."""
    tokens = _tokens(text)
    found: dict[str, Literal] = {}
    for at, token in enumerate(tokens[:-1]):
        name = _text(token.text) if token.kind == "text" else token.text
        if name in names and name not in found and tokens[at + 1].text == ":":
            found[name] = _LiteralReader(tokens, at + 2).value(0)
    return found


def literal(text: str) -> Literal:
    """The value of a text that is one literal, such as JSON; NotLiteral for any other. Raises ValueError for a text that
    is too long."""
    tokens = _tokens(text)
    reader = _LiteralReader(tokens, 0)
    value = reader.value(0)
    return value if reader.at == len(tokens) else NotLiteral.EXPRESSION


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKEN.finditer(text):
        assert match.lastgroup is not None
        if match.lastgroup != "skip":
            found.append(_Token(match.lastgroup, match[0]))
        if len(found) > _MOST_TOKENS:
            raise ValueError("is too long")
    return found


def _text(quoted: str) -> str:
    def plain(match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        if digits:
            return chr(int(digits, 16)) if int(digits, 16) < 0x110000 else ""
        return _NAMED.get(match[4], match[4])

    text = _ESCAPE.sub(plain, quoted[1:-1])
    # JavaScript escapes halves of UTF-16.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _LiteralReader:
    """Reads from a position in the tokens."""

    def __init__(self, tokens: list[_Token], at: int) -> None:
        self._tokens = tokens
        self.at = at

    def _peek(self) -> _Token:
        return self._tokens[self.at] if self.at < len(self._tokens) else _Token("end", "")

    def _next(self) -> _Token:
        token = self._peek()
        self.at += 1
        return token

    def value(self, depth: int) -> Literal:
        """The value before the next comma or closing bracket; type annotations behind it are skipped."""
        read = self._literal(depth) if depth < _MOST_NESTED else NotLiteral.EXPRESSION
        following = self._peek()
        if following.kind == "end" or following.text in (",", ";", *_CLOSING):
            return read
        is_annotated = following.text in ("as", "satisfies")
        self._skip()
        return read if is_annotated else NotLiteral.EXPRESSION

    def _literal(self, depth: int) -> Literal:
        token = self._peek()
        match token.kind, token.text:
            case "text", quoted:
                self.at += 1
                return _text(quoted)
            case "number", _:
                return self._product()
            case "word", word if word in _WORDS:
                self.at += 1
                return _WORDS[word]
            case "word", "new":
                return self._url()
            case _, "{":
                self.at += 1
                return self._object(depth)
            case _, "[":
                self.at += 1
                return self._array(depth)
        return NotLiteral.EXPRESSION

    def _product(self) -> float:
        """Numbers between asterisks, as in `60 * 60`."""
        product = float(self._next().text.replace("_", ""))
        while self._peek().text == "*" and self._tokens[self.at + 1 : self.at + 2] != []:
            if self._tokens[self.at + 1].kind != "number":
                break
            self.at += 1
            product *= float(self._next().text.replace("_", ""))
        return max(-_MOST, min(product, _MOST))

    def _url(self) -> Literal:
        words = [token.text for token in self._tokens[self.at : self.at + 5]]
        if len(words) == 5 and words[1:3] == ["URL", "("] and words[4] == ")":
            quoted = self._tokens[self.at + 3]
            if quoted.kind == "text":
                self.at += 5
                return _text(quoted.text)
        return NotLiteral.EXPRESSION

    def _array(self, depth: int) -> Literal:
        values: list[Literal] = []
        while self._peek().text != "]" and self._peek().kind != "end":
            values.append(self.value(depth + 1))
            if self._peek().text == ",":
                self.at += 1
            elif self._peek().text != "]":
                break
        return values if self._next().text == "]" else NotLiteral.EXPRESSION

    def _object(self, depth: int) -> Literal:
        values: dict[str, Literal] = {}
        while self._peek().text != "}" and self._peek().kind != "end":
            token = self._next()
            name = _text(token.text) if token.kind == "text" else token.text
            if token.kind in ("text", "word", "number") and self._peek().text == ":":
                self.at += 1
                values[name] = self.value(depth + 1)
            else:
                # A spread, a method, or a name that is a variable.
                values[name if token.kind == "word" else "..."] = NotLiteral.EXPRESSION
                self._skip()
            if self._peek().text == ",":
                self.at += 1
            elif self._peek().text != "}":
                break
        return values if self._next().text == "}" else NotLiteral.EXPRESSION

    def _skip(self) -> None:
        """Skips to the comma or the bracket that ends an expression."""
        depth = 0
        while (token := self._peek()).kind != "end":
            if depth == 0 and (token.text in (",", ";") or token.text in _CLOSING):
                return
            if token.kind == "sign":
                depth += (token.text in _OPENING) - (token.text in _CLOSING)
            self.at += 1
