"""Variables keep the size that they were made of, and a condition leaves what its branches agree on."""

from fractions import Fraction

from proxy.core.transform.conditions import Measure
from proxy.core.url.dialects.cloudinary.scope import Multiple, Scope, Unknown

HALF = Fraction(1, 2)


def test_a_variable_of_the_canvas_is_one_of_the_original_or_unknown_afterwards() -> None:
    scope = Scope({"$a": Multiple(HALF, Measure.WIDTH), "$b": Fraction(3)})
    scope.canvas(300, 200)
    assert scope.variables == {"$a": Multiple(HALF, Measure.ORIGINAL_WIDTH), "$b": Fraction(3)}
    assert (scope.width_px, scope.height_px, scope.is_original) == (300, 200, False)
    scope.variables["$c"] = Multiple(HALF, Measure.HEIGHT)
    scope.canvas(None, None)
    assert scope.variables["$c"] == Unknown("h")
    assert scope.variables["$a"] == Multiple(HALF, Measure.ORIGINAL_WIDTH)


def test_two_branches_leave_what_both_agree_on() -> None:
    one = Scope({"$a": Fraction(1), "$b": Fraction(2)}, 300, 200, is_original=False)
    other = Scope({"$a": Fraction(1), "$b": Fraction(3), "$c": Fraction(4)}, 300, 100, is_original=False)
    merged = one.merged(other)
    unknown = Unknown("a condition")
    assert merged.variables == {"$a": Fraction(1), "$b": unknown, "$c": unknown}
    assert (merged.width_px, merged.height_px, merged.is_original) == (300, None, False)
