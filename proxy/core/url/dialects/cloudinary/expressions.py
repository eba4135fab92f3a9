"""Variables, arithmetic and conditions of a Cloudinary URL, which are evaluated when the URL is read.

Terms are separated by `_`: `$side_mul_2`, `w_gt_300_and_h_gt_200`. What depends on the original, such as `iw` after a
crop, or `tags`, is an Unknown: a condition that it decides, and a length made of it, have no value. Each number is
bounded, and an expression has at most MAX_TERMS terms.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from proxy.core.url.dialects.dialect import UnsupportedValue

MAX_TERMS = 63
_MOST = 10**9
_MAX_EXPONENT = 8

_TERM = re.compile(
    r"(?P<quoted>(?:ctx:|md:)?)!(?P<text>[^!]*)!"
    r"|(?P<variable>\$[A-Za-z][A-Za-z0-9]*)"
    r"|(?P<number>-?[0-9]{1,9}(?:\.[0-9]{1,6})?)(?::(?P<below>[0-9]{1,9}(?:\.[0-9]{1,6})?))?"
    r"|(?P<word>[A-Za-z]+)",
    re.ASCII,
)
VARIABLE = re.compile(r"\$[A-Za-z][A-Za-z0-9]*", re.ASCII)


class Relative(NamedTuple):
    """A multiple of the width (`w`) or the height (`h`) of a canvas whose size is not known."""

    factor: Fraction
    axis: str


class Unknown(NamedTuple):
    """A value that depends on the original, so that parsing the URL cannot evaluate it; `name` is how the URL names it."""

    name: str


Value = Fraction | str | bool | Relative | Unknown


@dataclass(slots=True)
class Scope:
    """The variables of a URL by name, and the canvas at a point of it. A side is None if it depends on the original;
    `is_original` says that the canvas has the size of the original."""

    variables: dict[str, Value] = field(default_factory=dict)
    width_px: int | None = None
    height_px: int | None = None
    is_original: bool = True

    def canvas(self, width_px: int | None, height_px: int | None) -> None:
        """Notes the size after an operation that changes it."""
        self.width_px, self.height_px, self.is_original = width_px, height_px, False


_OF_ORIGINAL = frozenset(
    ("iar", "tar", "cp", "fc", "pc", "px", "py", "tags", "ctx", "md", "ils", "du", "idu", "pgnames", "faces")
)


def evaluate(text: str, scope: Scope) -> Value:
    """The value of an expression. Raises ValueError with a reason that repeats no byte of the request."""
    values: list[Value] = []
    operators: list[str] = []
    for position, term in enumerate(_terms(text)):
        if position % 2 == 0:
            values.append(_operand(term, scope))
            continue
        name = term["word"] or ""
        if name not in _PRECEDENCE:
            raise ValueError(f"must have one of {', '.join(_PRECEDENCE)} between two values")
        while operators and _PRECEDENCE[operators[-1]] >= _PRECEDENCE[name]:
            _reduce(values, operators)
        operators.append(name)
    if len(values) != len(operators) + 1:
        raise ValueError("must not end in an operator")
    while operators:
        _reduce(values, operators)
    return values[0]


def holds(condition: str, scope: Scope) -> bool:
    """Whether a condition is true. Raises ValueError, also if that depends on the original."""
    value = evaluate(condition, scope)
    if isinstance(value, Unknown):
        raise UnsupportedValue(_depends_on(value))
    if not isinstance(value, bool):
        raise ValueError("must compare two values, as in $side_gt_300")
    return value


def number(text: str, scope: Scope) -> Fraction | Relative:
    """The value of an arithmetic expression. Raises ValueError."""
    value = evaluate(text, scope)
    match value:
        case Unknown():
            raise UnsupportedValue(_depends_on(value))
        case bool() | str():
            raise ValueError("must be a number")
        case _:
            return value


def _depends_on(unknown: Unknown) -> str:
    return f"depends on {unknown.name} of the original, which is not known when the URL is read"


def _terms(text: str) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []
    at = 0
    while len(found) < MAX_TERMS:
        term = _TERM.match(text, at)
        if term is None or (term.end() < len(text) and text[term.end()] != "_"):
            raise ValueError(
                "must be numbers, variables and texts such as !red!, with operators between them"
            )
        found.append(term)
        if term.end() == len(text):
            return found
        at = term.end() + 1
    raise ValueError(f"must have at most {MAX_TERMS} terms")


def _operand(term: re.Match[str], scope: Scope) -> Value:
    if (text := term["text"]) is not None:
        return Unknown(term["quoted"].rstrip(":")) if term["quoted"] else text
    if (digits := term["number"]) is not None:
        if term["below"] is None:
            return Fraction(digits)
        return _bounded(_divided(Fraction(digits), Fraction(term["below"])))
    if (variable := term["variable"]) is not None:
        if variable not in scope.variables:
            raise ValueError("uses a variable that is not set")
        return scope.variables[variable]
    return _predefined(term["word"], scope)


def _predefined(name: str, scope: Scope) -> Value:
    match name:
        case "w" | "h":
            side_px = scope.width_px if name == "w" else scope.height_px
            return Relative(Fraction(1), name) if side_px is None else Fraction(side_px)
        case "iw" | "ow" | "ih" | "oh":
            return Relative(Fraction(1), name[1]) if scope.is_original else Unknown(name)
        case "ar":
            if scope.width_px is None or scope.height_px is None:
                return Unknown(name)
            return Fraction(scope.width_px, scope.height_px)
        case _ if name in _OF_ORIGINAL:
            return Unknown(name)
        case _:
            raise ValueError("must have numbers, variables such as $side, or w, h, iw, ih, ar as values")


def _reduce(values: list[Value], operators: list[str]) -> None:
    right, left = values.pop(), values.pop()
    name = operators.pop()
    if name in ("and", "or"):
        values.append(_joined(name, left, right))
    elif isinstance(left, Unknown):
        values.append(left)
    elif isinstance(right, Unknown):
        values.append(right)
    else:
        values.append(_APPLY[name](left, right))


def _joined(name: str, left: Value, right: Value) -> Value:
    """`and` and `or` of three values: an Unknown counts only if the other side does not decide."""
    decisive = name == "or"
    if left is decisive or right is decisive:
        return decisive
    if not isinstance(left, bool | Unknown) or not isinstance(right, bool | Unknown):
        raise ValueError("must have comparisons beside and, or")
    return left if isinstance(left, Unknown) else right


def _compared(compare: Callable[[Fraction, Fraction], bool]) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        match left, right:
            case Fraction(), Fraction():
                return compare(left, right)
            case Relative(more, axis), Relative(less, other) if axis == other:
                return compare(more, less)
            case (Relative(_, axis), Fraction() | Relative()) | (Fraction(), Relative(_, axis)):
                return Unknown(axis)
        raise ValueError("must compare two numbers, or two texts by eq or ne")

    return apply


def _equal(*, is_equal: bool) -> Callable[[Value, Value], Value]:
    of_numbers = _compared(operator.eq if is_equal else operator.ne)

    def apply(left: Value, right: Value) -> Value:
        if isinstance(left, str) and isinstance(right, str):
            return (left == right) is is_equal
        return of_numbers(left, right)

    return apply


def _contained(*, is_in: bool) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        if not isinstance(left, str) or not isinstance(right, str):
            raise ValueError("must have texts beside in, nin")
        return (left in right.split(":")) is is_in

    return apply


def _calculated(calculate: Callable[[Fraction, Fraction], Fraction]) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        match left, right:
            case Fraction(), Fraction():
                return _bounded(calculate(left, right))
            case (Relative(_, axis), Fraction() | Relative()) | (Fraction(), Relative(_, axis)):
                return Unknown(axis)
        raise ValueError("must have numbers beside operators of arithmetic")

    return apply


def _scaled(calculate: Callable[[Fraction, Fraction], Fraction]) -> Callable[[Value, Value], Value]:
    """A multiplication or division, of a relative length too."""
    plain = _calculated(calculate)

    def apply(left: Value, right: Value) -> Value:
        match left, right:
            case Relative(factor, axis), Fraction():
                return Relative(_bounded(calculate(factor, right)), axis)
            case Fraction(), Relative(factor, axis) if calculate is _multiplied:
                return Relative(_bounded(calculate(left, factor)), axis)
        return plain(left, right)

    return apply


def _summed(calculate: Callable[[Fraction, Fraction], Fraction]) -> Callable[[Value, Value], Value]:
    """A sum or difference, of two lengths relative to one side too."""
    plain = _calculated(calculate)

    def apply(left: Value, right: Value) -> Value:
        match left, right:
            case Relative(one, axis), Relative(two, other) if axis == other:
                return Relative(_bounded(calculate(one, two)), axis)
        return plain(left, right)

    return apply


def _bounded(value: Fraction) -> Fraction:
    if abs(value) > _MOST or value.denominator > _MOST:
        raise ValueError(f"must have numbers up to {_MOST}, and no finer fractions")
    return value


def _multiplied(left: Fraction, right: Fraction) -> Fraction:
    return left * right


def _divided(left: Fraction, right: Fraction) -> Fraction:
    if not right:
        raise ValueError("must not divide by 0")
    return left / right


def _remainder(left: Fraction, right: Fraction) -> Fraction:
    return left - right * (_divided(left, right).__floor__())


def _raised(left: Fraction, right: Fraction) -> Fraction:
    if right.denominator != 1 or abs(right) > _MAX_EXPONENT:
        raise ValueError(f"must have whole exponents from -{_MAX_EXPONENT} to {_MAX_EXPONENT}")
    if right < 0:
        return _divided(Fraction(1), left ** -int(right))
    return left ** int(right)


_APPLY: Mapping[str, Callable[[Value, Value], Value]] = {
    "eq": _equal(is_equal=True),
    "ne": _equal(is_equal=False),
    "lt": _compared(operator.lt),
    "gt": _compared(operator.gt),
    "lte": _compared(operator.le),
    "gte": _compared(operator.ge),
    "in": _contained(is_in=True),
    "nin": _contained(is_in=False),
    "add": _summed(operator.add),
    "sub": _summed(operator.sub),
    "mul": _scaled(_multiplied),
    "div": _scaled(_divided),
    "mod": _calculated(_remainder),
    "pow": _calculated(_raised),
}
_LEVELS = (
    ("or",),
    ("and",),
    ("eq", "ne", "lt", "gt", "lte", "gte", "in", "nin"),
    ("add", "sub"),
    ("mul", "div", "mod"),
    ("pow",),
)
_PRECEDENCE = {name: level for level, names in enumerate(_LEVELS) for name in names}
