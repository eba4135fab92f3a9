"""The number of cache entries of an original on a mount, computed from the contract and not from the code."""

from fractions import Fraction
from typing import NamedTuple

from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.size import Size
from proxy.core.transform.geometry import multiplied, ratio, scaled_into
from proxy.core.transform.operations import (
    BLACK,
    TRANSPARENT,
    WHITE,
    Adjust,
    Blur,
    Colour,
    Effect,
    FocalPoint,
    Sharpen,
    Smart,
    Tone,
    Turn,
)
from proxy.core.transform.plan import Crop as CropStep
from proxy.core.transform.plan import Pad as PadStep
from proxy.core.transform.plan import (
    Plan,
    RenderDefaults,
    ScaleInside,
    ScaleOutside,
    ScaleTo,
    encoder_quality,
)

OUTPUTS = tuple(kind for kind in Format if TRAITS[kind].shown)
BESIDES = 3
"""What `/info/` tells, the facts of the original, and what it was known by when it was last looked at."""
POINTS = frozenset(FocalPoint(x / 10, y / 10) for x in range(11) for y in range(11))
GRAVITIES = POINTS | {Smart.ATTENTION, Smart.ENTROPY}
TURNS = (None, *Turn)
EFFECTS: frozenset[Effect | None] = frozenset(
    [
        None,
        *(Blur(half / 2) for half in range(1, 201)),
        *(Sharpen(half / 2) for half in range(1, 21)),
        Adjust(Tone.GRAYSCALE, 100),
        *(Adjust(Tone.SEPIA, percent) for percent in range(5, 101, 5)),
        *(
            Adjust(tone, percent)
            for tone in (Tone.BRIGHTNESS, Tone.CONTRAST, Tone.SATURATION)
            for percent in range(-100, 101, 5)
            if percent
        ),
    ]
)
DPRS = range(100, 401, 25)
RATIOS = frozenset(Fraction(high, wide) for high in range(1, 22) for wide in range(1, 22))


class Possible(NamedTuple):
    """The parts that the Plans of one format are put together of, each with each."""

    kind: Format
    inside: frozenset[Size]
    boxes: frozenset[Size]
    qualities: frozenset[int | None]
    paddings: frozenset[Colour]
    flattened: frozenset[Colour]

    @property
    def plans(self) -> int:
        """The number of Plans. A format without alpha is flattened on the colour of its padding."""
        drawn = len(self.inside) + len(self.boxes) * (2 + len(GRAVITIES))
        barred = len(self.boxes) * len(POINTS) * len(self.paddings)
        of_sizes = drawn * (len(self.flattened) or 1) + barred
        return of_sizes * len(TURNS) * len(EFFECTS) * len(self.qualities)

    def holds(self, plan: Plan) -> bool:
        """Whether `plan` is one of them."""
        steps = list(plan.steps)
        cut = steps.pop(0) if steps and isinstance(steps[0], CropStep | PadStep) else None
        turn = steps.pop(0) if steps and isinstance(steps[0], Turn) else None
        effect = steps.pop(0) if steps else None
        match plan.scale, cut:
            case (ScaleInside(box=box, enlarge=False), None):
                sized = box in self.inside
            case (ScaleOutside() | ScaleTo(), None):
                sized = plan.scale.box in self.boxes
            case (ScaleOutside(box=box, max_side_px=None), CropStep(box=cut_to, gravity=gravity)):
                sized = box == cut_to and box in self.boxes and gravity in GRAVITIES
            case (
                ScaleInside(box=box, enlarge=True),
                PadStep(box=canvas, position=point, background=padding),
            ):
                sized = box == canvas and box in self.boxes and point in POINTS and padding in self.paddings
                sized = sized and (not self.flattened or plan.output.flatten == padding)
            case _:
                sized = False
        flatten = plan.output.flatten
        return (
            sized
            and not steps
            and turn in TURNS
            and effect in EFFECTS
            and plan.output.quality in self.qualities
            and (flatten in self.flattened if self.flattened else flatten is None)
        )


def possible(
    kind: Format,
    allowed_px: tuple[int, ...],
    defaults: RenderDefaults,
    *,
    colours: frozenset[Colour] = frozenset(),
    snaps: bool = False,
) -> Possible:
    """What unsigned URLs can ask in one format where a mount has no presets and no transforms of its own."""
    most_px = min(defaults.max_side_px, TRAITS[kind].max_side_px)
    pairs = {(wide, high) for wide in allowed_px for high in allowed_px}
    if snaps:
        pairs |= {
            (wide, ratio(wide, each.numerator, each.denominator)) for wide in allowed_px for each in RATIOS
        }
    boxes = frozenset(
        scaled_into(Size(multiplied(wide, dpr) or 0, multiplied(high, dpr) or 0), most_px)
        for wide, high in pairs
        for dpr in DPRS
    )
    sides = {min(multiplied(side, dpr) or 0, most_px) for side in allowed_px for dpr in DPRS}
    alone = {Size(side, most_px) for side in sides} | {Size(most_px, side) for side in sides}
    paddings = frozenset({WHITE, BLACK, TRANSPARENT}) | colours
    has_alpha = TRAITS[kind].alpha
    if not has_alpha:
        paddings = frozenset(map(_on_white, paddings))
    return Possible(
        kind=kind,
        inside=boxes | alone | {Size(most_px, most_px)},
        boxes=boxes,
        qualities=frozenset(
            encoder_quality(kind, quality) for quality in (*range(5, 101, 5), defaults.quality)
        ),
        paddings=paddings,
        flattened=frozenset() if has_alpha else paddings,
    )


def entries(allowed_px: tuple[int, ...], defaults: RenderDefaults, *, snaps: bool = False) -> int:
    """All entries an original can have."""
    return BESIDES + sum(possible(kind, allowed_px, defaults, snaps=snaps).plans for kind in OUTPUTS)


def _on_white(colour: Colour) -> Colour:
    def laid(channel: int) -> int:
        return (channel * colour.alpha + 255 * (255 - colour.alpha) + 127) // 255

    return Colour(laid(colour.red), laid(colour.green), laid(colour.blue))
