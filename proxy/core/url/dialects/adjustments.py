"""Adjustments by a factor, as vendors have them, in the steps of the language."""

from fractions import Fraction

from proxy.core.transform.operations import Adjust, Tone

MAX_FACTOR = 16


def scaled(tone: Tone, percent: Fraction | int) -> list[Adjust]:
    """The adjustments that multiply distances by `percent`; one at most doubles them."""
    steps: list[Adjust] = []
    percent = Fraction(min(percent, 100 * MAX_FACTOR))
    while percent > 200:
        steps.append(Adjust(tone, 100))
        percent /= 2
    last = round(percent) - 100
    return [*steps, Adjust(tone, last)] if last else steps
