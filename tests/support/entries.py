"""The number of cache entries of an original on a mount, computed from the contract and not from the code."""

from fractions import Fraction
from functools import cache
from itertools import product
from typing import NamedTuple

from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.size import Size
from proxy.core.transform.geometry import ratio, scaled_into
from proxy.core.transform.operations import (
    BLACK,
    TRANSPARENT,
    WHITE,
    Adjust,
    Blur,
    Colour,
    Crop,
    Effect,
    Enlarge,
    Fit,
    Flatten,
    FocalPoint,
    Offset,
    Pixelate,
    Resize,
    Sharpen,
    Smart,
    Tone,
    Turn,
)
from proxy.core.transform.plan import Encode, Plan, RenderDefaults, requested_side_px
from proxy.core.transform.quality import encoder_quality
from proxy.core.transform.quality_level import QualityLevel

OUTPUTS = tuple(kind for kind in Format if TRAITS[kind].shown)
BESIDES = 4
"""What `/info/` tells, the facts of the original, where faces are, and what it was known by when it was last looked at."""
POINTS = frozenset(FocalPoint(x / 10, y / 10) for x in range(11) for y in range(11))
GRAVITIES = POINTS | set(Smart)
"""With a face detector; without one there are fewer entries."""
TURNS = len(Turn) * 4 + 1
"""None, or one before or after a size, an effect and a background."""
EFFECTS: frozenset[Effect | None] = frozenset(
    [
        None,
        *(Blur(half / 2) for half in range(1, 201)),
        *(Sharpen(half / 2) for half in range(1, 21)),
        *(Pixelate(side) for side in range(5, 1001, 5)),
        Adjust(Tone.GRAYSCALE, 100),
        Adjust(Tone.GRAYSCALE_601, 100),
        *(Adjust(Tone.SEPIA, percent) for percent in range(5, 101, 5)),
        *(
            Adjust(tone, percent)
            for tone in (Tone.BRIGHTNESS, Tone.CONTRAST, Tone.SATURATION, Tone.SATURATION_HSP)
            for percent in range(-100, 101, 5)
            if percent
        ),
    ]
)
DPRS = range(100, 401, 25)
RATIOS = frozenset(Fraction(high, wide) for high in range(1, 22) for wide in range(1, 22))


Sides = tuple[int | None, int | None]


class Possible(NamedTuple):
    """The parts that the Plans of one format are put together of, each with each. `cuts` are the sides of a crop, and
    with a ratio its ratio. `qualities` are those of the size that has most of them."""

    kind: Format
    inside: frozenset[Size]
    boxes: frozenset[Size]
    cuts: frozenset[tuple[Sides, Fraction | None]]
    qualities: frozenset[int | QualityLevel | None]
    paddings: frozenset[Colour]
    flattened: frozenset[Colour]
    default_quality: int

    @property
    def backgrounds(self) -> int:
        """The number of colours to flatten on; a format with alpha need not be flattened."""
        return len(self.flattened) or 1 + len(set(map(_on_white, self.paddings)))

    @property
    def plans(self) -> int:
        """The number of Plans."""
        drawn = len(Enlarge) * (len(self.inside) + len(self.boxes) * (2 + 2 * len(GRAVITIES)))
        drawn += 1 + len(self.cuts) * len(GRAVITIES)
        barred = len(Enlarge) * len(self.boxes) * len(POINTS) * len(self.paddings)
        return (drawn + barred) * self.backgrounds * TURNS * len(EFFECTS) * len(self.qualities)

    def holds(self, plan: Plan) -> bool:
        """Whether `plan` is one of them."""
        assert isinstance(plan.output, Encode)
        ops = [op for op in plan.ops if not isinstance(op, Turn)]
        size = ops.pop(0) if ops and isinstance(ops[0], Resize | Crop) else None
        background = ops.pop() if ops and isinstance(ops[-1], Flatten) else None
        effect = ops.pop(0) if ops else None
        flatten = plan.output.flatten
        match size:
            case None:
                sized = True
            case Crop(at=at):
                sized = ((size.width, size.height), size.ratio) in self.cuts
                sized = sized and not isinstance(at, Offset) and at in GRAVITIES
            case Resize(fit=fit, gravity=gravity):
                box = (size.width or plan.limit_px, size.height or plan.limit_px)
                sized = size.max_width_px is None and size.max_height_px is None
                sized = sized and box in (self.inside if fit is Fit.INSIDE else self.boxes)
                if fit in (Fit.COVER, Fit.ADAPTIVE):
                    sized = sized and gravity in GRAVITIES
                if fit is Fit.CONTAIN:
                    sized = sized and gravity in POINTS and size.background in self.paddings
            case _:
                sized = False
        return (
            sized
            and not ops
            and len(plan.ops) - (len(ops) + sum(part is not None for part in (size, effect, background))) <= 1
            and (background is None or background.colour in map(_on_white, self.paddings))
            and effect in EFFECTS
            and plan.output.quality
            in qualities_at(self.kind, self.default_quality, requested_side_px(plan.ops, plan.limit_px))
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
    boxes = _boxes(allowed_px, most_px, snaps)
    pairs = _pairs(allowed_px, snaps)
    sides = {min(ratio(side, dpr, 100), most_px) for side in allowed_px for dpr in DPRS}
    alone = {Size(side, most_px) for side in sides} | {Size(most_px, side) for side in sides}
    one_side: set[Sides] = {(side, None) for side in allowed_px} | {(None, side) for side in allowed_px}
    cuts = {(each, None) for each in {*pairs, *one_side}}
    with_ratio = {(each, Fraction(by)) for each in {*one_side, (None, None)} for by in RATIOS}
    paddings = frozenset({WHITE, BLACK, TRANSPARENT}) | colours
    has_alpha = TRAITS[kind].alpha
    if not has_alpha:
        paddings = frozenset(map(_on_white, paddings))
    return Possible(
        kind=kind,
        inside=boxes | alone,
        boxes=boxes,
        cuts=frozenset({*cuts, *with_ratio}),
        qualities=max(
            (qualities_at(kind, defaults.quality, side) for side in (*allowed_px, most_px)), key=len
        ),
        paddings=paddings,
        flattened=frozenset() if has_alpha else paddings,
        default_quality=defaults.quality,
    )


@cache
def qualities_at(kind: Format, default: int, side_px: int) -> frozenset[int | QualityLevel | None]:
    """The qualities of a picture of this size, on the scale of its encoder."""
    requested = (*range(5, 101, 5), default)
    mapped = frozenset(encoder_quality(kind, quality, side_px) for quality in requested)
    # On the scale of the encoder too, and levels.
    return mapped if None in mapped else mapped | {*range(5, 101, 5)} | set(QualityLevel)


def _pairs(allowed_px: tuple[int, ...], snaps: bool) -> set[tuple[int, int]]:
    """The sides that a URL may name together."""
    pairs = {(wide, high) for wide in allowed_px for high in allowed_px}
    if snaps:
        pairs |= {
            (wide, ratio(wide, each.numerator, each.denominator)) for wide in allowed_px for each in RATIOS
        }
    return pairs


@cache
def _boxes(allowed_px: tuple[int, ...], most_px: int, snaps: bool) -> frozenset[Size]:
    """The boxes in output pixels. A ratio gives the side that is not named."""
    pairs = _pairs(allowed_px, snaps)
    for side, each in product(allowed_px, RATIOS):
        follows = ratio(side, each.numerator, each.denominator)
        pairs |= {(side, follows), (follows, side)}
    return frozenset(
        scaled_into(Size(ratio(wide, dpr, 100), ratio(high, dpr, 100)), most_px)
        for wide, high in pairs
        for dpr in DPRS
    )


def entries(allowed_px: tuple[int, ...], defaults: RenderDefaults, *, snaps: bool = False) -> int:
    """All entries an original can have."""
    return BESIDES + sum(
        # With and without the copyright fields.
        possible(kind, allowed_px, defaults, snaps=snaps).plans * (2 if TRAITS[kind].metadata else 1)
        for kind in OUTPUTS
    )


def _on_white(colour: Colour) -> Colour:
    def laid(channel: int) -> int:
        return (channel * colour.alpha + 255 * (255 - colour.alpha) + 127) // 255

    return Colour(laid(colour.red), laid(colour.green), laid(colour.blue))
