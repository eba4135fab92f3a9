"""The operations and sizes of imgix's parameters, with the examples of imgix's documentation."""

from fractions import Fraction

import pytest

from proxy.core.errors import BadTransform
from proxy.core.image.formats import Format
from proxy.core.image.size import Size
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import (
    CENTER,
    TRANSPARENT,
    WHITE,
    Adjust,
    AsStored,
    Auto,
    Backdrop,
    Blur,
    BlurFaces,
    CloseUp,
    Colour,
    Crop,
    Duotone,
    Ellipse,
    Enlarge,
    Exposure,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gamma,
    Gravity,
    Hue,
    Metadata,
    Offset,
    Operation,
    Pad,
    Pixelate,
    PixelateFaces,
    Remap,
    Resize,
    Rounded,
    Sharpen,
    Shifted,
    Smart,
    Tint,
    Tone,
    Transform,
    Trim,
    Turn,
    UnsharpMask,
    effective,
)
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.imgix.urls import parse
from proxy.core.url.parsed_url import VariantUrl
from tests.support.laid_out import size_of

READING = Reading(presets={})
RED = Colour(255, 0, 0)


def drawn(query: str) -> Transform:
    parsed = parse(f"/a.jpg?{query}", READING)
    assert isinstance(parsed, VariantUrl)
    return parsed.transform


def cover(
    width: Length, height: Length, gravity: Gravity = CENTER, enlarge: Enlarge = Enlarge.ALLOW
) -> Resize:
    return Resize(width=width, height=height, fit=Fit.COVER, enlarge=enlarge, gravity=gravity)


def along(width: Length | None, height: Length | None, enlarge: Enlarge = Enlarge.ALLOW) -> Resize:
    return Resize(width=width, height=height, enlarge=enlarge)


def area(of: Smart, percent: int, number: int | None = None) -> Resize:
    return Resize(
        width=9, height=7, fit=Fit.COVER, enlarge=Enlarge.ALLOW, gravity=CloseUp(of, percent, number)
    )


def part(text: str) -> Part:
    return Part(Fraction(text))


WIDE = Size(300, 200)

SIZES = [
    ("", WIDE, (300, 200)),
    ("w=100&h=100", WIDE, (100, 67)),
    ("fit=clip&w=100&h=100", WIDE, (100, 67)),
    ("w=250&h=250", WIDE, (250, 167)),
    ("w=600", WIDE, (600, 400)),
    ("w=600&h=600", WIDE, (600, 400)),
    ("h=100", WIDE, (150, 100)),
    ("w=0.5", WIDE, (150, 100)),
    ("h=0.5", WIDE, (150, 100)),
    ("w=1", WIDE, (300, 200)),
    ("w=0.5&h=0.25&fit=scale", WIDE, (150, 50)),
    ("w=0.5&h=0.5&fit=crop", WIDE, (150, 100)),
    ("w=150.5", WIDE, (151, 101)),
    ("fit=crop&w=300&h=100", WIDE, (300, 100)),
    ("fit=crop&w=200&h=200", WIDE, (200, 200)),
    ("fit=crop&w=400&h=400", WIDE, (400, 400)),
    ("fit=scale&w=100&h=100", WIDE, (100, 100)),
    ("fit=scale&w=600&h=100", WIDE, (600, 100)),
    ("fit=scale&w=100", WIDE, (100, 67)),
    ("fit=max&w=100&h=100", WIDE, (100, 67)),
    ("fit=max&w=400&h=400", WIDE, (300, 200)),
    ("fit=max&w=600", WIDE, (300, 200)),
    ("fit=min&w=100&h=100", WIDE, (100, 100)),
    ("fit=min&w=400&h=400", WIDE, (200, 200)),
    ("fit=min&w=600&h=300", WIDE, (300, 150)),
    ("fit=min&w=100", WIDE, (100, 67)),
    ("fit=min&w=600", WIDE, (300, 200)),
    ("fit=min", WIDE, (300, 200)),
    ("fit=fill&w=400&h=400", WIDE, (400, 400)),
    ("fit=clamp&w=400&h=400", WIDE, (400, 400)),
    ("fit=clamp&w=100&h=100&dpr=2", WIDE, (200, 200)),
    ("fit=clamp&w=600", WIDE, (600, 400)),
    ("fit=fill&w=100&h=100", WIDE, (100, 100)),
    ("fit=fill&w=600", WIDE, (600, 400)),
    ("fit=fillmax&w=400&h=400", WIDE, (400, 400)),
    ("fit=fillmax&w=400&h=150", WIDE, (400, 150)),
    ("fit=fillmax&w=800&h=800", Size(532, 800), (800, 800)),
    ("fit=fillmax&w=400&h=400", Size(4200, 2800), (400, 400)),
    ("fit=crop&h=200&max-w=1200", WIDE, (300, 200)),
    ("fit=crop&h=200&max-w=200", WIDE, (200, 200)),
    ("fit=crop&w=300&max-h=1200", Size(200, 300), (300, 450)),
    ("fit=crop&w=300&max-h=300", Size(200, 300), (300, 300)),
    ("fit=crop&h=200&min-w=500", WIDE, (500, 200)),
    ("fit=crop&w=300&min-h=250", WIDE, (300, 250)),
    ("fit=crop&w=300&min-h=100", WIDE, (300, 200)),
    ("fit=crop&w=300&h=100&max-w=200&min-h=150", WIDE, (200, 150)),
    ("fit=crop&min-w=450&max-h=100", WIDE, (300, 200)),
    ("fit=crop&h=200&max-w=200&dpr=2", WIDE, (400, 400)),
    ("fit=crop&h=200&min-w=500&dpr=1.5", WIDE, (750, 300)),
    ("max-w=100&h=200", WIDE, (300, 200)),
    ("fit=crop&w=160&ar=16:9", WIDE, (160, 90)),
    ("fit=crop&h=90&ar=16:9", WIDE, (160, 90)),
    ("fit=crop&ar=1:1", WIDE, (200, 200)),
    ("fit=crop&ar=1.5", WIDE, (300, 200)),
    ("fit=crop&w=100&h=100&ar=16:9", WIDE, (100, 100)),
    ("fit=crop&w=160&ar=16:9&max-h=80", WIDE, (160, 80)),
    ("fit=crop&w=0.5&ar=1:1", WIDE, (150, 150)),
    ("w=160&ar=16:9", WIDE, (160, 107)),
    ("w=500&h=300&fit=crop&dpr=1", WIDE, (500, 300)),
    ("w=500&h=300&fit=crop&dpr=2", WIDE, (1000, 600)),
    ("w=500&h=300&fit=crop&dpr=3", WIDE, (1500, 900)),
    ("w=100&dpr=0.75", WIDE, (75, 50)),
    ("w=100&dpr=5", WIDE, (500, 333)),
    ("w=100&dpr=1.333", WIDE, (133, 89)),
    ("w=0.5&dpr=2", WIDE, (300, 200)),
    ("fit=max&w=200&dpr=2", WIDE, (300, 200)),
    ("dpr=2", WIDE, (300, 200)),
    ("rect=0,0,100,50", WIDE, (100, 50)),
    ("rect=250,0,100,50", WIDE, (50, 50)),
    ("rect=0,0,100,50&w=50", WIDE, (50, 25)),
    ("rect=center,middle,100,50", WIDE, (100, 50)),
    ("orient=90", WIDE, (200, 300)),
    ("orient=3", WIDE, (300, 200)),
    ("orient=8&w=100", WIDE, (100, 150)),
    ("rot=180&w=100", WIDE, (100, 67)),
    ("rot=90&w=100&h=50&fit=crop", WIDE, (100, 50)),
    ("rot=270&w=100&h=50&fit=scale&dpr=2", WIDE, (200, 100)),
    ("pad=10", WIDE, (320, 220)),
    ("pad=10&w=100", WIDE, (100, 73)),
    ("pad=10&w=100&h=100&fit=crop", WIDE, (100, 100)),
    ("pad=10&pad-left=0&w=100&h=100&fit=fill", WIDE, (100, 100)),
    ("pad=10&w=101&h=51&dpr=1.25&fit=crop", WIDE, (126, 64)),
    ("pad=10&w=100&ar=1:1&fit=crop", WIDE, (100, 100)),
    ("pad=60&w=100&h=100&fit=crop", WIDE, (121, 121)),
    ("fit=crop&crop=focalpoint&fp-z=4&w=100&h=100", WIDE, (100, 100)),
]


@pytest.mark.parametrize(("query", "original", "size"), SIZES)
def test_sizes(query: str, original: Size, size: tuple[int, int]) -> None:
    assert size_of(drawn(query), original) == size


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("w=300&h=200&fit=crop", [cover(300, 200)]),
        ("w=300&h=200&fit=crop&crop=top,left", [cover(300, 200, FocalPoint(0.0, 0.0))]),
        ("w=300&h=200&fit=crop&crop=bottom", [cover(300, 200, FocalPoint(0.5, 1.0))]),
        ("w=300&h=200&fit=crop&crop=right", [cover(300, 200, FocalPoint(1.0, 0.5))]),
        ("w=300&h=200&fit=crop&crop=faces", [cover(300, 200, Smart.FACES)]),
        ("w=300&h=200&fit=crop&crop=faces,entropy", [cover(300, 200, Smart.FACES)]),
        ("w=300&h=200&fit=crop&crop=entropy", [cover(300, 200, Smart.ENTROPY)]),
        ("w=300&h=200&fit=crop&crop=edges", [cover(300, 200, Smart.ATTENTION)]),
        ("w=300&h=200&fit=crop&crop=focalpoint", [cover(300, 200)]),
        (
            "w=300&h=200&fit=crop&crop=focalpoint&fp-x=0.123456&fp-y=1",
            [cover(300, 200, FocalPoint(0.1235, 1.0))],
        ),
        ("w=300&h=200&fit=crop&fp-x=0.1", [cover(300, 200)]),
        ("w=300&h=200&crop=top", [along(300, 200)]),
        ("w=300&h=200&fit=min&crop=top", [cover(300, 200, FocalPoint(0.5, 0.0), Enlarge.RATIO)]),
        ("h=200&fit=crop&crop=left&max-w=90", [along(None, 200), Crop(width=90, at=FocalPoint(0.0, 0.5))]),
        ("fit=crop&ar=2:1&crop=top", [Crop(ratio=Fraction(2), at=FocalPoint(0.5, 0.0))]),
    ],
)  # fmt: skip
def test_crops(query: str, expected: list[Operation]) -> None:
    assert list(effective(drawn(query).ops)) == expected


@pytest.mark.parametrize(
    ("point", "zoom", "start", "inner"),
    [
        ((0.5, 0.5), "2", FocalPoint(0.5, 0.5), FocalPoint(0.5, 0.5)),
        ((0.1, 0.9), "2", FocalPoint(0.1, 0.9), FocalPoint(0.2, 0.8)),
        ((0.3, 0.5), "4", FocalPoint(0.3, 0.5), FocalPoint(0.5, 0.5)),
        ((0.0, 1.0), "10", FocalPoint(0.0, 1.0), FocalPoint(0.0, 1.0)),
    ],
)
def test_a_zoom_cuts_the_picture_first(
    point: tuple[float, float], zoom: str, start: FocalPoint, inner: FocalPoint
) -> None:
    x, y = point
    query = f"w=100&h=100&fit=crop&crop=focalpoint&fp-x={x}&fp-y={y}&fp-z={zoom}"
    share = Part(1 / Fraction(zoom))
    assert drawn(query).ops == (Crop(width=share, height=share, at=start), cover(100, 100, inner))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("rect=10,20,100,50", [Crop(width=100, height=50, at=Offset(10, 20))]),
        ("rect=0.25,0.5,100,50", [Crop(width=100, height=50, at=Offset(part("1/4"), part("1/2")))]),
        ("rect=left,top,100,50", [Crop(width=100, height=50, at=FocalPoint(0.0, 0.0))]),
        ("rect=right,10,100,50", [Crop(width=100, height=50, at=Shifted(FocalPoint(1.0, 0.0), 0, 10))]),
        ("rect=0.5,bottom,9,9", [Crop(width=9, height=9, at=Shifted(FocalPoint(0.0, 1.0), part("1/2"), 0))]),
        ("trim=auto", [Trim(threshold=11)]),
        ("trim=auto&trim-md=4.5", [Trim(threshold=4.5)]),
        ("trim=color", [Trim(threshold=0)]),
        ("trim=color&trim-color=f00&trim-tol=20", [Trim(threshold=20, colour=RED)]),
        ("trim=alpha", [Trim(threshold=0, colour=TRANSPARENT)]),
        ("trim=colorunlessalpha&trim-tol=5", [Trim(threshold=5)]),
        ("orient=0", [AsStored()]),
        ("orient=1", [AsStored()]),
        ("or=2", [AsStored(), Turn.HFLIP]),
        ("orient=4", [AsStored(), Turn.VFLIP]),
        ("orient=5", [AsStored(), Turn.TRANSPOSE]),
        ("orient=6", [AsStored(), Turn.R90]),
        ("orient=7", [AsStored(), Turn.TRANSVERSE]),
        ("orient=270", [AsStored(), Turn.R270]),
        ("flip=h", [Turn.HFLIP]),
        ("flip=v", [Turn.VFLIP]),
        ("flip=hv", [Turn.R180]),
        ("rot=0", []),
        ("rot=180", [Turn.R180]),
        ("rot=180&flip=h", [Turn.VFLIP]),
        ("rot=180&flip=hv", []),
        ("rot=90&w=9&h=5&fit=crop", [cover(9, 5), Turn.R270, cover(9, 5)]),
        (
            "flip=h&trim=auto&rect=0,0,9,9&orient=6&w=100",
            [AsStored(), Turn.R90, Crop(width=9, height=9, at=Offset(0, 0)), Trim(threshold=11), along(100, None), Turn.HFLIP],
        ),
    ],
)  # fmt: skip
def test_regions_and_turns(query: str, expected: list[Operation]) -> None:
    assert list(drawn(query).ops) == expected


def contain(enlarge: Enlarge, background: Colour = WHITE) -> Resize:
    return Resize(width=400, height=300, fit=Fit.CONTAIN, enlarge=enlarge, background=background)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fit=fill", [contain(Enlarge.ALLOW)]),
        ("fit=clamp", [Resize(width=400, height=300, enlarge=Enlarge.ALLOW), Extend(width_px=400, height_px=300, background=Backdrop.EDGES)]),
        ("fit=fill&fill=solid&fill-color=f00", [contain(Enlarge.ALLOW, RED)]),
        ("fit=fill&bg=f00", [contain(Enlarge.ALLOW, RED), Flatten(RED)]),
        ("fit=fill&bg=f00&fill-color=white", [contain(Enlarge.ALLOW), Flatten(RED)]),
        ("fit=fillmax&fill-color=f00", [contain(Enlarge.NEVER, RED)]),
        ("fit=fill&bg=80ff0000", [contain(Enlarge.ALLOW, Colour(255, 0, 0, 128))]),
        (
            "fit=fill&fill-color=f00&sat=20",
            [along(400, 300), Adjust(Tone.SATURATION, 20), Extend(width_px=400, height_px=300, background=RED)],
        ),
        (
            "fit=crop&pad=5&pad-top=0&bg=f00",
            [cover(390, 295), Pad(right_px=5, bottom_px=5, left_px=5, background=RED), Flatten(RED)],
        ),
        (
            "fit=crop&pad-left=7",
            [cover(393, 300), Pad(left_px=7)],
        ),
    ],
)  # fmt: skip
def test_padding(query: str, expected: list[Operation]) -> None:
    assert list(drawn(f"w=400&h=300&{query}").ops) == expected


def test_colours_of_a_relative_box_follow_its_padding() -> None:
    first, second = drawn("w=0.5&h=0.5&fit=fill&sat=20").ops
    assert isinstance(first, Resize)
    assert (first.fit, second) == (Fit.CONTAIN, Adjust(Tone.SATURATION, 20))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("bri=20", [Adjust(Tone.BRIGHTNESS, 20)]),
        ("con=-20.4", [Adjust(Tone.CONTRAST, -20)]),
        ("sat=-100", [Adjust(Tone.SATURATION, -100)]),
        ("gam=100", [Gamma(2.0)]),
        ("gam=-100", [Gamma(0.5)]),
        ("hue=90", [Hue(90)]),
        ("hue=360", []),
        ("invert=true", [Remap.NEGATE]),
        ("inv=false", []),
        ("sharp=20", [Sharpen(1.0)]),
        ("sharp=0", []),
        ("usm=20", [UnsharpMask(2.5, 20, 0)]),
        ("usm=20&usmrad=400", [UnsharpMask(10.0, 20, 0)]),
        ("usm=20&usmrad=0", [UnsharpMask(0.3, 20, 0)]),
        ("vib=-40", [Adjust(Tone.VIBRANCE, -40)]),
        ("high=-30&shad=20", [Adjust(Tone.HIGHLIGHTS, -30), Adjust(Tone.SHADOWS, 20)]),
        ("exp=50", [Exposure(1.0)]),
        ("exp=0", []),
        ("duotone=000080,fa8072", [Duotone(Colour(0, 0, 128), Colour(250, 128, 114))]),
        ("duotone=000080,fa8072&duotone-alpha=100", [Duotone(Colour(0, 0, 128), Colour(250, 128, 114))]),
        ("duotone=000080,fa8072&duotone-alpha=0", []),
        ("mask=ellipse&blur=20", [Blur(1.0), Ellipse()]),
        ("mask=corners&corner-radius=20", [Rounded((20, 20, 20, 20))]),
        ("mask=corners&corner-radius=1,2,3,4&bg=f00", [Rounded((1, 2, 3, 4)), Flatten(RED)]),
        ("sepia=60", [Adjust(Tone.SEPIA, 60)]),
        ("monochrome=f00", [Tint(RED)]),
        ("blur=200", [Blur(10.0)]),
        ("blur=1", [Blur(0.3)]),
        ("blur=0", []),
        ("px=8", [Pixelate(8)]),
        ("px=1", []),
        ("face-blur=200", [BlurFaces(10.0)]),
        ("face-blur=0", []),
        ("face-pixelate=8", [PixelateFaces(8)]),
        ("face-pixel=1", []),
        ("fit=facearea&w=9&h=7", [area(Smart.FACES, 100)]),
        ("fit=facearea&w=9&h=7&facepad=2.5", [area(Smart.FACES, 40)]),
        ("fit=facearea&w=9&h=7&faceindex=2&facepad=10", [area(Smart.FACE, 10, 2)]),
        ("fit=facearea&w=9", [Crop(at=CloseUp(Smart.FACES, 100)), along(9, None)]),
        ("fit=facearea", [Crop(at=CloseUp(Smart.FACES, 100))]),
        ("bg=f00", [Flatten(RED)]),
        ("bg=transparent", []),
        (
            "px=8&blur=20&bg=f00&sepia=60&w=9&bri=20",
            [along(9, None), Adjust(Tone.BRIGHTNESS, 20), Adjust(Tone.SEPIA, 60), Blur(1.0), Pixelate(8), Flatten(RED)],
        ),
    ],
)  # fmt: skip
def test_effects(query: str, expected: list[Operation]) -> None:
    assert list(drawn(query).ops) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fm=jpg", Transform(format=Format.JPEG)),
        ("fm=pjpg", Transform(format=Format.JPEG)),
        ("fm=png8", Transform(format=Format.PNG)),
        ("fm=png32", Transform(format=Format.PNG)),
        ("fm=webp&q=60", Transform(format=Format.WEBP, quality=60)),
        ("fm=avif&lossless=false&cs=srgb", Transform(format=Format.AVIF)),
        ("auto=format", Transform(format=Auto.AUTO)),
        ("auto=format&fm=jpg", Transform(format=Auto.AUTO)),
        ("auto=compress", Transform(format=Auto.JPEG_FOR_PNG, quality=45)),
        ("auto=compress&fm=png", Transform(format=Format.PNG, quality=45)),
        ("auto=compress,format", Transform(format=Auto.AUTO, quality=45)),
        ("auto=compress&auto=format&q=70", Transform(format=Auto.AUTO, quality=70)),
        ("frame=3", Transform(page=3)),
        ("iptc=allow", Transform(metadata=Metadata.COPYRIGHT)),
        ("iptc=block", Transform()),
        ("w=9&dpr=2", Transform(ops=(along(9, None),), dpr_percent=200)),
        ("w=9&dpr=4", Transform(ops=(along(9, None),), dpr_percent=400)),
        ("w=9&dpr=5", Transform(ops=(along(45, None),))),
    ],
)
def test_output(query: str, expected: Transform) -> None:
    assert drawn(query) == expected


def test_a_rotation_within_a_frame_of_unknown_size_is_refused() -> None:
    for query in ("rot=90", "rot=90&w=100", "rot=270&w=100&h=50", "rot=90&w=100&h=50&fit=fill"):
        with pytest.raises(BadTransform, match=r"^parameter rot is not supported in steps of 90 degrees"):
            drawn(query)


def test_effects_are_limited_as_in_native_urls() -> None:
    with pytest.raises(BadTransform, match="more than 8 effects"):
        drawn("bri=1&con=1&sat=1&gam=1&hue=1&invert=true&sharp=1&sepia=1&blur=20")
