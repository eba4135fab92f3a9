"""Variables, arithmetic and conditions of a Cloudinary URL, which are evaluated when the URL is read.

Terms are separated by `_`: `$side_mul_2`, `w_gt_300_and_h_gt_200`. A size that depends on the original is a Multiple, and
with others or with pixels added a Sum; compared with a number, one size gives a Condition, which the layout decides. What else
depends on the original, such as `tags`, is Unknown: a condition that it decides, and a length made of it, have no value. Each
number is bounded, and an expression has at most MAX_TERMS terms.
"""

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from proxy.core.transform.conditions import MAX_COMPARISONS, Comparison, Condition, Measure, Relation
from proxy.core.transform.lengths import SIDES, Sum
from proxy.core.url.dialects.cloudinary.scope import Multiple, Scope, Unknown, Value, as_sum
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


_ASPECTS = {
    (Measure.WIDTH, Measure.HEIGHT): Measure.ASPECT,
    (Measure.ORIGINAL_WIDTH, Measure.ORIGINAL_HEIGHT): Measure.ORIGINAL_ASPECT,
}
_OF_ORIGINAL = frozenset(
    ("tar", "cp", "fc", "pc", "px", "py", "tags", "ctx", "md", "ils", "du", "idu", "pgnames", "faces")
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


def holds(condition: str, scope: Scope) -> bool | Condition:
    """Whether a condition is true, or the condition if its sizes depend on the original. Raises ValueError, also if it
    depends on something else of the original."""
    value = evaluate(condition, scope)
    if isinstance(value, Unknown):
        raise UnsupportedValue(_depends_on(value))
    if not isinstance(value, bool | Condition):
        raise ValueError("must compare two values, as in $side_gt_300")
    return value


def number(text: str, scope: Scope) -> Fraction | Multiple | Sum:
    """The value of an arithmetic expression. Raises ValueError."""
    value = evaluate(text, scope)
    match value:
        case Unknown():
            raise UnsupportedValue(_depends_on(value))
        case Multiple(_, measure) if measure not in SIDES:
            raise UnsupportedValue(_depends_on(Unknown(measure)))
        case bool() | str() | Condition():
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
            return Multiple(Fraction(1), Measure(name)) if side_px is None else Fraction(side_px)
        case "iw" | "ow" | "ih" | "oh":
            measure = Measure(name[1] if scope.is_original else f"i{name[1]}")
            return Multiple(Fraction(1), measure)
        case "ar":
            if scope.width_px is None or scope.height_px is None:
                return Multiple(Fraction(1), Measure.ASPECT)
            return Fraction(scope.width_px, scope.height_px)
        case "iar":
            return Multiple(Fraction(1), Measure.ORIGINAL_ASPECT)
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
    """`and` and `or` of two values: one that is not known counts only if the other side does not decide."""
    decisive = name == "or"
    if left is decisive or right is decisive:
        return decisive
    if not isinstance(left, bool | Condition | Unknown) or not isinstance(right, bool | Condition | Unknown):
        raise ValueError("must have comparisons beside and, or")
    match left, right:
        case (Unknown(), _) | (_, bool()):
            return left
        case Condition(some), Condition(more):
            together = some + more if decisive else tuple(one + other for one in some for other in more)
            if sum(map(len, together)) > MAX_COMPARISONS:
                raise UnsupportedValue(f"has more than {MAX_COMPARISONS} comparisons of sizes")
            return Condition(together)
    return right


def _compared(relation: Relation) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        match left, right:
            case Fraction(), Fraction():
                return relation.holds(left, right)
            case Multiple(more, measure), Multiple(less, other) if measure is other:
                return relation.holds(more, less)
            case Multiple(factor, measure), Fraction():
                return _comparison(measure, factor, relation, right)
            case Fraction(), Multiple(factor, measure):
                return _comparison(measure, factor, relation.mirrored, left)
            case Multiple(wide, measure), Multiple(high, other) if aspect := _ASPECTS.get((measure, other)):
                return _comparison(aspect, wide, relation, high)
            case Multiple(high, measure), Multiple(wide, other) if aspect := _ASPECTS.get((other, measure)):
                return _comparison(aspect, wide, relation.mirrored, high)
            case Multiple(_, measure), Multiple():
                return Unknown(measure)
            case Sum(pixels, ((measure, factor),)), Fraction():
                return _comparison(measure, factor, relation, right - pixels)
            case Fraction(), Sum(pixels, ((measure, factor),)):
                return _comparison(measure, factor, relation.mirrored, left - pixels)
            case (Sum(), Fraction() | Multiple() | Sum()) | (Fraction() | Multiple(), Sum()):
                return Unknown("a sum of sizes")
        raise ValueError("must compare two numbers, or two texts by eq or ne")

    return apply


def _comparison(measure: Measure, factor: Fraction, relation: Relation, number: Fraction) -> Value:
    """Compares `factor` times a measure, which is positive, with a number."""
    if factor < 0:
        factor, relation, number = -factor, relation.mirrored, -number
    if not factor or number <= 0:
        return relation.holds(factor, number)
    number = _bounded(number / factor)
    if number.numerator > _MOST:
        raise ValueError(f"must compare sizes with numbers up to {_MOST}, and no finer fractions")
    return Condition(((Comparison(measure, relation, number),),))


def _equal(relation: Relation) -> Callable[[Value, Value], Value]:
    of_numbers = _compared(relation)

    def apply(left: Value, right: Value) -> Value:
        if isinstance(left, str) and isinstance(right, str):
            return (left == right) is (relation is Relation.EQUAL)
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
            case (Multiple(_, measure), Fraction() | Multiple()) | (Fraction(), Multiple(_, measure)):
                return Unknown(measure)
            case (Sum(), Fraction() | Multiple() | Sum()) | (Fraction() | Multiple(), Sum()):
                return Unknown("a sum of sizes")
        raise ValueError("must have numbers beside operators of arithmetic")

    return apply


def _scaled(calculate: Callable[[Fraction, Fraction], Fraction]) -> Callable[[Value, Value], Value]:
    """A multiplication or division, of a relative length too."""
    plain = _calculated(calculate)

    def apply(left: Value, right: Value) -> Value:
        match left, right:
            case Multiple(factor, measure), Fraction():
                return Multiple(_bounded(calculate(factor, right)), measure)
            case Fraction(), Multiple(factor, measure) if calculate is _multiplied:
                return Multiple(_bounded(calculate(left, factor)), measure)
            case Sum(), Fraction():
                return _times(left, calculate(Fraction(1), right))
            case Fraction(), Sum() if calculate is _multiplied:
                return _times(right, left)
            case Multiple(wide, measure), Multiple(high, other) if calculate is _divided:
                if (aspect := _ASPECTS.get((measure, other))) is not None:
                    return Multiple(_bounded(_divided(wide, high)), aspect)
        return plain(left, right)

    return apply


def _summed(calculate: Callable[[Fraction, Fraction], Fraction]) -> Callable[[Value, Value], Value]:
    """A sum or difference, of lengths that depend on sizes too."""
    plain = _calculated(calculate)

    def apply(left: Value, right: Value) -> Value:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return plain(left, right)
        one, two = as_sum(left), as_sum(right)
        if one is None or two is None:
            return plain(left, right)
        pixels, multiples = _bounded(calculate(one.pixels, two.pixels)), dict(one.multiples)
        for measure, factor in two.multiples:
            multiples[measure] = _bounded(calculate(multiples.get(measure, Fraction(0)), factor))
        found = tuple((measure, multiples[measure]) for measure in SIDES if multiples.get(measure))
        if not found:
            return pixels
        return Sum(pixels, found) if pixels or len(found) > 1 else Multiple(found[0][1], found[0][0])

    return apply


def _times(value: Sum, factor: Fraction) -> Value:
    if not factor:
        return factor
    return Sum(
        _bounded(value.pixels * factor),
        tuple((measure, _bounded(each * factor)) for measure, each in value.multiples),
    )


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
    "eq": _equal(Relation.EQUAL),
    "ne": _equal(Relation.DIFFERENT),
    **{name: _compared(Relation(name)) for name in ("lt", "gt", "lte", "gte")},
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
