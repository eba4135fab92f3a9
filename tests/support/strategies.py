"""Generated transforms and their many spellings."""

from fractions import Fraction

from hypothesis import strategies as st

from proxy.core.image.formats import Format
from proxy.core.transform.conditions import Comparison, Condition, Measure, Relation
from proxy.core.transform.lengths import Part, is_negative, length
from proxy.core.transform.operations import (
    TRANSPARENT,
    Adjust,
    Backdrop,
    Blend,
    Blur,
    BlurFaces,
    CloseUp,
    Colorize,
    Colour,
    Convolve,
    Duotone,
    Ellipse,
    Enlarge,
    Exposure,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gamma,
    Hue,
    Median,
    Metadata,
    Noise,
    Opacity,
    OriginalPoint,
    Outline,
    Overlay,
    Pixelate,
    PixelateFaces,
    Placing,
    Remap,
    Rgb,
    Rotate,
    Rounded,
    Rounding,
    Shadow,
    Sharpen,
    Shifted,
    Smart,
    Text,
    Threshold,
    Tint,
    Tone,
    Transform,
    Trim,
    Turn,
    TurnToShape,
    UnsharpMask,
    Vignette,
)
from proxy.core.transform.quality_level import QualityLevel
from proxy.core.url.dialects.component import MAX_EFFECTS, Branch, Component, CropFit, transform_of
from proxy.core.url.dialects.native.params import FORMATS, GRAVITIES
from proxy.core.url.disposition import Disposition

channels = st.integers(0, 255)
sigmas = st.integers(30, 1000).map(lambda hundredths: hundredths / 100)
fractions = st.integers(0, 10_000).map(lambda parts: parts / 10_000)

names = st.sampled_from([point for point in GRAVITIES.values() if isinstance(point, FocalPoint)])
parts = st.integers(1, 3_000_000).map(lambda millionths: Part(Fraction(millionths, 1_000_000)))
factors = (
    st.integers(-3_000_000, 3_000_000).filter(bool).map(lambda millionths: Fraction(millionths, 1_000_000))
)
sums = st.builds(
    lambda pixels, across, by_original: length(
        Fraction(pixels),
        {Measure.WIDTH: across, Measure.ORIGINAL_HEIGHT: by_original, Measure.ORIGINAL_WIDTH: across},
        Measure.WIDTH,
    ),
    st.integers(-500, 500),
    factors,
    factors,
)
offsets = st.one_of(
    st.integers(-500, 500),
    sums,
    st.integers(-900_000, 900_000).map(lambda millionths: Part(Fraction(millionths, 1_000_000))),
)
colours = st.builds(Colour, channels, channels, channels, channels)
points = st.builds(FocalPoint, fractions, fractions)
shifts = st.builds(Shifted, names | points, offsets, offsets)
close_ups = st.one_of(
    st.builds(CloseUp, st.just(Smart.FACE), st.integers(1, 100), st.none() | st.integers(1, 32)),
    st.builds(CloseUp, st.just(Smart.FACES), st.integers(1, 100)),
)
gravities = st.one_of(
    st.sampled_from(Smart),
    close_ups,
    points,
    shifts,
    st.builds(OriginalPoint, st.integers(0, 9999), st.integers(0, 9999)),
)

percents = st.integers(0, 100)
matrices = st.sampled_from([(1, 1), (3, 1), (1, 3), (3, 3), (5, 3), (7, 7)]).flatmap(
    lambda sides: st.builds(
        Convolve,
        st.just(sides[0]),
        st.sampled_from([-2.5, 1.0, 9.0, 48_999.75]),
        st.tuples(*[st.integers(-100_000, 100_000).map(lambda number: number / 100)] * (sides[0] * sides[1])),
    )
)
opaque = st.builds(Colour, channels, channels, channels)
filters = st.one_of(
    st.sampled_from(Remap),
    st.builds(Rgb, *[st.integers(-100, 100)] * 3),
    st.builds(Colorize, percents, percents, percents, opaque),
    st.builds(Tint, opaque),
    st.builds(Hue, st.integers(1, 359)),
    st.builds(Gamma, st.integers(1_000, 100_000).map(lambda number: number / 10_000)),
    st.builds(Threshold, st.integers(1, 255)),
    st.builds(Noise, st.integers(2, 255)),
    st.builds(Median, st.integers(2, 15)),
    matrices,
    st.builds(Exposure, st.integers(-500, 500).map(lambda hundredths: hundredths / 100)),
    st.builds(Duotone, opaque, opaque),
    st.builds(UnsharpMask, sigmas, st.integers(1, 500), st.integers(0, 255)),
    st.builds(Vignette, st.integers(1, 100)),
    st.builds(Opacity, st.integers(0, 99)),
    st.builds(Rounded, st.tuples(*[st.integers(0, 9999)] * 4)),
    st.just(Ellipse()),
    st.builds(BlurFaces, sigmas),
    st.builds(PixelateFaces, st.integers(2, 1000)),
    st.builds(Outline, st.integers(1, 50), colours),
    st.builds(
        Shadow,
        st.integers(-999, 999),
        st.integers(-999, 999),
        st.integers(3, 1000).map(lambda tenths: tenths / 10),
        colours,
    ),
    st.builds(Rotate, st.integers(1, 35_999).map(lambda hundredths: hundredths / 100), colours),
)

effects = st.one_of(
    filters,
    st.builds(Pixelate, st.integers(2, 1000)),
    st.builds(Flatten, colours),
    st.builds(Blur, sigmas),
    st.builds(Sharpen, sigmas),
    st.sampled_from([Adjust(Tone.GRAYSCALE, 100), Adjust(Tone.GRAYSCALE_601, 100)]),
    st.builds(Adjust, st.just(Tone.SEPIA), st.integers(1, 100)),
    st.builds(
        Adjust,
        st.sampled_from([Tone.BRIGHTNESS, Tone.CONTRAST, Tone.SATURATION, Tone.SATURATION_HSP]),
        st.integers(-100, 100),
    ),
)

components = st.builds(
    # Of a named tuple itself hypothesis would fill the other fields too.
    lambda **fields: Component(**fields),
    width=st.none() | st.integers(1, 10_000),
    height=st.none() | st.integers(1, 10_000),
    fit=st.none() | st.sampled_from(Fit),
    enlarge=st.none() | st.sampled_from(Enlarge),
    rounding=st.none() | st.sampled_from(Rounding),
    gravity=st.none() | st.sampled_from(Smart) | close_ups | points,
    format=st.none() | st.sampled_from(list(FORMATS.values())),
    quality=st.none() | st.integers(1, 100) | st.sampled_from(QualityLevel),
    dpr_percent=st.none() | st.integers(100, 400),
    background=st.none() | colours,
    turn=st.none() | st.sampled_from(Turn),
    effects=st.none() | st.lists(effects, min_size=1, max_size=4).map(tuple),
    version=st.none() | st.text(st.sampled_from("abcXYZ019._-"), min_size=1, max_size=64),
)

ratios = st.builds(Fraction, st.integers(1, 2000), st.integers(1, 2000))
crops = st.builds(
    lambda component, ratio, corner: component._replace(
        fit=CropFit.CROP,
        width=None if ratio else component.width,
        ratio=ratio,
        left=corner and corner[0],
        top=corner and corner[1],
    ),
    components,
    st.none() | ratios,
    st.none() | st.tuples(st.integers(0, 9999), st.integers(0, 9999)),
)
sized_by_ratio = st.builds(
    lambda component, ratio: component._replace(height=None, ratio=ratio), components, ratios
)
sizes = st.integers(1, 5000)
file_names = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=12
).filter(lambda name: name != "*")
_qualities = st.integers(1, 100)
_lossy = st.sampled_from([Format.JPEG, Format.WEBP, Format.AVIF])
rich_components = st.builds(
    lambda component, more: component._replace(**more),
    components,
    st.fixed_dictionaries(
        {},
        optional={
            "as_stored": st.just(True),
            "trim": st.builds(
                Trim,
                threshold=st.integers(0, 25_500).map(lambda hundredths: hundredths / 100),
                colour=st.none() | colours,
                equal_x=st.booleans(),
                equal_y=st.booleans(),
            ),
            "width": parts | sums.filter(lambda length: not is_negative(length)),
            "height": parts | sums.filter(lambda length: not is_negative(length)),
            "gravity": gravities,
            "min_width_px": sizes,
            "min_height_px": sizes,
            "max_width_px": sizes,
            "max_height_px": sizes,
            "extend": st.builds(Extend, width_px=sizes, height_px=sizes, gravity=names | points | shifts)
            | st.builds(Extend, width_px=sizes, gravity=names)
            | st.builds(Extend, height_px=sizes)
            | st.builds(
                Extend,
                ratio=ratios,
                gravity=names,
                background=st.sampled_from((TRANSPARENT, Backdrop.EDGES)),
            ),
            "padding_px": st.tuples(*(st.integers(0, 900) for _ in range(4))),
            "qualities": st.dictionaries(_lossy, _qualities, min_size=1).map(lambda by: tuple(by.items())),
            "encoder_qualities": st.dictionaries(_lossy, _qualities, min_size=1).map(
                lambda by: tuple(by.items())
            )
            | st.tuples(st.tuples(st.none(), _qualities)),
            "max_bytes": st.integers(1, 10**7),
            "turn": st.builds(TurnToShape, st.sampled_from([Turn.R90, Turn.R270]), st.booleans()),
            "page": st.integers(1, 3),
            "frames": st.integers(1, 3),
            "metadata": st.sampled_from(Metadata),
            "disposition": st.builds(Disposition, st.booleans(), file_names).map(str) | st.just("attachment"),
        },
    ),
)
"""Components with everything that only signed URLs and presets may request."""

conditions = st.lists(
    st.lists(
        st.builds(
            Comparison,
            st.sampled_from(Measure),
            st.sampled_from(Relation),
            st.builds(Fraction, st.integers(0, 4000), st.integers(1, 9)),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    min_size=1,
    max_size=2,
).map(lambda alternatives: Condition(tuple(alternatives)))


def _decided(
    chain: list[Component], condition: Condition | None, at: tuple[int, int, int]
) -> list[Component]:
    """`chain` with a condition before some of its components, none or several in each branch."""
    if condition is None:
        return chain
    start, middle, end = sorted(position % (len(chain) + 1) for position in at)
    marks = (Component(branch=condition), Component(branch=Branch.ELSE), Component(branch=Branch.END))
    return [
        *(*chain[:start], marks[0], *chain[start:middle], marks[1]),
        *(*chain[middle:end], marks[2], *chain[end:]),
    ]


_unconditional = (
    st.lists(rich_components | crops | sized_by_ratio, min_size=1, max_size=4)
    .map(
        # The fields of the output may be given once.
        lambda chain: [chain[0], *(each._replace(**dict.fromkeys(_OF_OUTPUT)) for each in chain[1:])]
    )
    .filter(lambda chain: sum(len(each.effects or ()) for each in chain) <= MAX_EFFECTS)
)
chains = st.builds(
    _decided, _unconditional, st.none() | conditions, st.tuples(*(st.integers(0, 4) for _ in range(3)))
).map(tuple)
_OF_OUTPUT = (
    "format",
    "quality",
    "qualities",
    "encoder_qualities",
    "max_bytes",
    "dpr_percent",
    "page",
    "frames",
    "metadata",
    "version",
    "disposition",
)

transforms = components.map(lambda component: transform_of([component]))
"""Transforms of one component."""


def flat(**values: object) -> Transform:
    """The transform of one component with these fields."""
    return transform_of([Component(**values)])  # type: ignore[arg-type]


keys = st.lists(
    st.text(
        st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=12
    ).filter(lambda segment: not segment.startswith(".")),
    min_size=1,
    max_size=4,
).map("/".join)


def layers_of(keys: st.SearchStrategy[str], families: st.SearchStrategy[str]) -> st.SearchStrategy[Overlay]:
    """Layers of originals with these keys, of texts in these fonts, and of colours."""
    sides = st.none() | st.integers(1, 99_999)
    texts = st.builds(
        Text,
        text=st.text(
            st.characters(exclude_categories=("C",)) | st.just("\n"), min_size=1, max_size=20
        ).filter(str.strip),
        family=families,
        size_px=st.integers(1, 1000),
        weight=st.integers(100, 1000),
        italic=st.booleans(),
        colour=colours,
        width_px=st.none() | st.integers(1, 9999),
        letter_px=st.integers(-999, 999),
        stroke_px=st.integers(0, 50),
        background=colours.filter(lambda colour: colour.alpha > 0),
        padding_px=st.integers(0, 999),
    )
    of_originals = st.builds(
        Overlay,
        of=keys,
        width=sides | st.integers(1, 99_999).map(lambda parts: Part(Fraction(parts, 10_000))),
        height=sides,
        at=points | shifts,
        opacity_percent=percents,
        blend=st.sampled_from(Blend),
        placing=st.sampled_from(Placing),
    )
    of_texts = st.builds(Overlay, of=texts, at=points, opacity_percent=percents)
    of_colours = st.builds(Overlay, of=colours, width=sides, fit=st.just(Fit.FILL))
    return of_originals | of_texts | of_colours


layers = layers_of(keys, keys.filter(lambda key: key.isprintable()))
