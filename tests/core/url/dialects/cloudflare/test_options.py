"""The options of Cloudflare Images: every one as operations, and the sizes of the vendor's documentation."""

import pytest

from proxy.core.errors import BadTransform, CalotypeError
from proxy.core.image.formats import Format
from proxy.core.image.size import Size
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    TRANSPARENT,
    WHITE,
    Adjust,
    Auto,
    Blur,
    CloseUp,
    Colour,
    Crop,
    Enlarge,
    Fit,
    Flatten,
    FocalPoint,
    Gamma,
    Gravity,
    Metadata,
    Offset,
    Operation,
    Resize,
    Sharpen,
    Smart,
    Tone,
    Transform,
    Turn,
    without_no_ops,
)
from proxy.core.transform.plan import resolve
from proxy.core.url.dialects.cloudflare.options import BY_NAME, DOCUMENTED
from proxy.core.url.dialects.cloudflare.urls import parse
from proxy.core.url.dialects.dialect import Reading, Support, Unsupported
from proxy.core.url.dialects.native import urls as native
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import VariantUrl
from tests.core.transform.test_layout import DEFAULTS, laid, size_after

READING = Reading(presets={})
RED = Colour(255, 0, 0)


def variant(options: str, reading: Reading = READING) -> VariantUrl:
    parsed = parse(f"/cdn-cgi/image/{options}/a.jpg", reading)
    assert isinstance(parsed, VariantUrl)
    return parsed


def size_of(options: str, original: Size) -> Size:
    """The size of the variant of an opaque original."""
    transform = variant(options).transform
    kind = transform.format if isinstance(transform.format, Format) else Format.JPEG
    return size_after(laid(resolve(transform, kind, DEFAULTS).ops, original))


@pytest.mark.parametrize(
    ("options", "original", "size"),
    [
        # The examples of the vendor's documentation.
        ("fit=scale-down,w=500,h=500", (1080, 720), (500, 333)),
        ("fit=scale-down,w=2000,h=2000", (1080, 720), (1080, 720)),
        ("fit=cover,w=500,h=500", (1080, 720), (500, 500)),
        ("fit=crop,w=1296,h=1296", (1080, 720), (1080, 720)),
        ("fit=aspect-crop,w=1920,h=1120", (612, 613), (612, 357)),
        ("fit=pad,w=1080,h=1080", (1080, 720), (1080, 1080)),
        ("fit=squeeze,w=1080,h=540", (1080, 720), (1080, 540)),
        ("fit=squeeze,w=1080,h=540", (1080, 1080), (1080, 540)),
        ("width=300,height=200,dpr=2", (1200, 800), (600, 400)),
        ("fit=scale-down,width=1920", (1080, 720), (1080, 720)),
        ("width=200", (1080, 720), (200, 133)),
        # What its words say.
        ("w=500,h=500", (1080, 720), (500, 333)),
        ("h=360", (1080, 720), (540, 360)),
        ("fit=contain,w=2160", (1080, 720), (2160, 1440)),
        ("fit=contain,w=2160,h=2160", (1080, 720), (2160, 1440)),
        ("fit=cover,w=2000,h=1000", (1080, 720), (2000, 1000)),
        ("fit=cover,w=2160", (1080, 720), (2160, 1440)),
        ("fit=crop,w=500,h=500", (1080, 720), (500, 500)),
        ("fit=crop,w=900,h=900", (1080, 720), (900, 720)),
        ("fit=crop,w=2160", (1080, 720), (1080, 720)),
        ("fit=aspect-crop,w=500,h=500", (1080, 720), (500, 500)),
        ("fit=aspect-crop,w=900,h=900", (1080, 720), (720, 720)),
        ("fit=aspect-crop,w=2160", (1080, 720), (1080, 720)),
        ("fit=scale-up,w=2160,h=2160", (1080, 720), (2160, 1440)),
        ("fit=scale-up,w=108,h=108", (1080, 720), (1080, 720)),
        ("fit=squeeze,w=540", (1080, 720), (540, 360)),
        ("w=1000,dpr=2", (1080, 720), (1080, 720)),
        ("w=100,h=100,fit=cover,dpr=0.5", (1080, 720), (50, 50)),
        ("w=100,h=100,fit=cover,dpr=1.5", (1080, 720), (150, 150)),
        ("rotate=90", (1080, 720), (720, 1080)),
        ("rotate=90,w=360", (1080, 720), (360, 540)),
        ("rotate=180,w=540", (1080, 720), (540, 360)),
        ("trim=20;30;40;50", (1080, 720), (1000, 660)),
        ("trim=20;30;40;50,dpr=2", (1080, 720), (920, 600)),
        ("trim=20;30;40;50,dpr=0.5", (1080, 720), (1040, 690)),
        ("trim.width=678,trim.height=600,trim.left=30,trim.top=40", (1080, 720), (678, 600)),
        ("trim.right=80", (1080, 720), (1000, 720)),
        ("trim=0;500;0;0,trim.width=678", (1080, 720), (678, 720)),
        ("trim=0;0;0;0", (1080, 720), (1080, 720)),
        ("trim=0;540;0;0,w=270", (1080, 720), (270, 360)),
        ("trim=2000;0;0;0", (1080, 720), (1080, 720)),
        ("trim=0;580;0;0,rotate=90,w=72", (1080, 720), (72, 50)),
    ],
)
def test_sizes(options: str, original: tuple[int, int], size: tuple[int, int]) -> None:
    assert size_of(options, Size(*original)) == size


def box(fit: Fit, enlarge: Enlarge, gravity: Gravity = CENTER, background: Colour = WHITE) -> Resize:
    return Resize(width=30, height=20, fit=fit, enlarge=enlarge, gravity=gravity, background=background)


COVER = Fit.COVER, Enlarge.ALLOW


@pytest.mark.parametrize(
    ("options", "ops"),
    [
        ("w=30,h=20", (Resize(width=30, height=20),)),
        ("width=30,height=20,fit=contain", (box(Fit.INSIDE, Enlarge.ALLOW),)),
        ("w=30,h=20,fit=cover", (box(*COVER),)),
        ("w=30,h=20,fit=crop", (box(Fit.COVER, Enlarge.NEVER),)),
        ("w=30,h=20,fit=aspect-crop", (box(Fit.COVER, Enlarge.RATIO),)),
        ("w=30,h=20,fit=pad", (box(Fit.CONTAIN, Enlarge.ALLOW),)),
        ("w=30,h=20,fit=pad,background=red", (box(Fit.CONTAIN, Enlarge.ALLOW, background=RED), Flatten(RED))),
        (
            "w=30,h=20,fit=pad,background=transparent",
            (box(Fit.CONTAIN, Enlarge.ALLOW, background=TRANSPARENT),),
        ),
        ("w=30,h=20,fit=squeeze", (box(Fit.FILL, Enlarge.ALLOW),)),
        ("w=30,h=20,fit=scale-up", (box(Fit.INSIDE, Enlarge.ONLY),)),
        ("w=30,h=20,fit=cover,gravity=auto", (box(*COVER, Smart.ATTENTION),)),
        ("w=30,h=20,fit=cover,g=face", (box(*COVER, Smart.FACES),)),
        ("w=30,h=20,fit=cover,g=face,zoom=0", (box(*COVER, Smart.FACES),)),
        ("w=30,h=20,fit=cover,g=face,zoom=0.5", (box(*COVER, CloseUp(Smart.FACES, 50)),)),
        ("w=30,h=20,fit=cover,g=face,zoom=1", (box(*COVER, CloseUp(Smart.FACES, 100)),)),
        ("w=30,h=20,fit=cover,g=auto,zoom=1", (box(*COVER, Smart.ATTENTION),)),
        ("w=30,h=20,fit=cover,g=left", (box(*COVER, FocalPoint(0, 0.5)),)),
        ("w=30,h=20,fit=cover,g=bottom", (box(*COVER, FocalPoint(0.5, 1)),)),
        ("w=30,h=20,fit=crop,g=0x1", (box(Fit.COVER, Enlarge.NEVER, FocalPoint(0, 1)),)),
        ("w=30,h=20,fit=cover,g=.5x0.333333", (box(*COVER, FocalPoint(0.5, 0.3333)),)),
        ("background=%23ff0000", (Flatten(RED),)),
        ("background=%23f00", (Flatten(RED),)),
        ("background=rgb%28255%2C0%2C0%29", (Flatten(RED),)),
        ("background=rgba(255%200%200%20%2F%2050%25)", ()),
        ("background=black", (Flatten(BLACK),)),
        ("flip=h", (Turn.HFLIP,)),
        ("flip=v", (Turn.VFLIP,)),
        ("flip=hv", (Turn.R180,)),
        ("rotate=90", (Turn.R90,)),
        ("rotate=90,flip=h,w=30", (Turn.TRANSVERSE, Resize(width=30))),
        ("rotate=180,flip=hv", ()),
        ("rotate=0", ()),
        ("blur=1", (Blur(0.5),)),
        ("blur=50", (Blur(25),)),
        ("blur=0", ()),
        ("sharpen=2", (Sharpen(2),)),
        ("sharpen=0.1", (Sharpen(0.3),)),
        ("sharpen=0", ()),
        ("brightness=0.5", (Adjust(Tone.BRIGHTNESS, -50),)),
        ("brightness=2", (Adjust(Tone.BRIGHTNESS, 100),)),
        ("brightness=3", (Adjust(Tone.BRIGHTNESS, 100), Adjust(Tone.BRIGHTNESS, 50))),
        ("brightness=0", ()),
        ("brightness=1", ()),
        ("contrast=1.2", (Adjust(Tone.CONTRAST, 20),)),
        ("contrast=0", ()),
        ("saturation=0", (Adjust(Tone.SATURATION, -100),)),
        ("saturation=0.5", (Adjust(Tone.SATURATION, -50),)),
        ("gamma=0.5", (Gamma(0.5),)),
        ("gamma=0.01", (Gamma(0.1),)),
        ("gamma=0", ()),
        ("gamma=1", ()),
        (
            "sharpen=1,blur=2,saturation=2,gamma=2,contrast=2,brightness=2,w=30",
            (
                Resize(width=30),
                *(Adjust(tone, 100) for tone in (Tone.BRIGHTNESS, Tone.CONTRAST, Tone.SATURATION)),
                *(Gamma(2), Blur(1), Sharpen(1)),
            ),
        ),
        ("trim.left=3,trim.top=4", (Crop(at=Offset(3, 4)),)),
        ("trim=0;1;2;0", (Turn.R180, Crop(at=Offset(1, 2)), Turn.R180)),
        ("compression=fast,upscale=interpolate,scq=50,onerror=redirect,metadata=none,anim=true,dpr=1", ()),
    ],
)
def test_operations(options: str, ops: tuple[Operation, ...]) -> None:
    transform = without_no_ops(variant(options).transform)
    assert transform.ops == ops
    if ops:
        assert native.parse_transform(native.spell(native.components_of(transform)), {}).ops == ops


@pytest.mark.parametrize(
    ("options", "output"),
    [
        ("f=auto", Transform(format=Auto.AUTO)),
        ("format=avif", Transform(format=Format.AVIF)),
        ("format=webp,quality=100", Transform(format=Format.WEBP, quality=100)),
        ("format=jpeg", Transform(format=Format.JPEG)),
        ("format=baseline-jpeg", Transform(format=Format.JPEG)),
        ("format=png,q=50", Transform(format=Format.PNG, quality=50)),
        ("quality=high", Transform(quality=90)),
        ("quality=medium-high", Transform(quality=80)),
        ("quality=medium-low", Transform(quality=65)),
        ("q=low", Transform(quality=50)),
        ("anim=false", Transform(page=1)),
        ("metadata=copyright", Transform(metadata=Metadata.COPYRIGHT)),
        ("metadata=keep", Transform(metadata=Metadata.COPYRIGHT)),
        ("dpr=2.004", Transform(dpr_percent=200)),
        ("w=1,w=2,width=3", Transform(ops=(Resize(width=3),))),
    ],
)
def test_output(options: str, output: Transform) -> None:
    assert variant(options).transform == output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("w=0", "option w must be a whole number"),
        ("w=-5", "option w must"),
        ("w=1.5", "option w must"),
        ("w=\u0661", "percent-encoded"),
        ("h=auto", "option h must"),
        ("w", "option w has no value"),
        ("w=", "option w has no value"),
        ("widht=5", "option widht is unknown; is width meant"),
        (",w=5", "option 1 is unknown"),
        ("fit=fill", "option fit must be one of scale-down"),
        ("g=center", "option g must be one of auto"),
        ("g=0.5x1.5", "option g must be a number from 0 to 1"),
        ("q=0", "option q must"),
        ("q=101", "option q must"),
        ("q=best", "option q must"),
        ("scq=101", "option scq must"),
        ("f=gif", "option f must be one of auto"),
        ("dpr=0", "option dpr must"),
        ("dpr=5", "option dpr must"),
        ("dpr=nan", "option dpr must"),
        ("trim=1;2;3", "option trim must be TOP;RIGHT;BOTTOM;LEFT"),
        ("trim=1;2;3;x", "option trim must"),
        ("trim.width=0", "option trim.width must"),
        ("rotate=45", "option rotate must be one of"),
        ("flip=x", "option flip must"),
        ("blur=251", "option blur must"),
        ("sharpen=11", "option sharpen must"),
        ("brightness=17", "option brightness must"),
        ("gamma=11", "option gamma must"),
        ("background=redish", "option background must"),
        ("anim=no", "option anim must"),
        ("metadata=all", "option metadata must"),
        ("compression=slow", "option compression must"),
        ("onerror=ignore", "option onerror must"),
        ("upscale=more", "option upscale must"),
        ("upscale=generate", "option upscale does not support generate"),
        ("segment=foreground", "option segment is not supported"),
        ("border=1", "option border is not supported"),
        ("draw=1", "option draw is not supported"),
        ("zoom=2", "option zoom must"),
        ("brightness=16,contrast=16,saturation=16", "8 steps at most"),
    ],
)
def test_invalid_options_name_the_option(options: str, says: str) -> None:
    with pytest.raises(CalotypeError, match=says):
        variant(options)


def test_options_that_only_polish_may_be_ignored() -> None:
    parsed = variant("upscale=generate,w=30", Reading(presets={}, unsupported=Unsupported.IGNORE))
    assert [(each.parameter, each.is_option) for each in parsed.unused] == [("upscale", True)]
    with pytest.raises(BadTransform, match="segment"):
        variant("segment=foreground", Reading(presets={}, unsupported=Unsupported.IGNORE))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("w=30,g=face", ["gravity"]),
        ("w=30,h=20,fit=pad,g=left", ["gravity"]),
        ("w=30,h=20,fit=cover,zoom=0.5", ["zoom"]),
        ("w=30,g=face,zoom=0.5", ["gravity", "zoom"]),
        ("compression=fast,scq=50", ["compression", "scq"]),
        ("w=30,h=20,fit=cover,g=face", []),
    ],
)
def test_options_without_an_effect_are_listed(options: str, names: list[str]) -> None:
    assert sorted(each.parameter for each in variant(options).unused) == names


def test_reduced_values_are_reported() -> None:
    parsed = variant("width=auto,blur=250,metadata=keep")
    assert parsed.transform.ops == (Resize(width=1200), Blur(100))
    assert parsed.reduced == (
        Notice("width", "auto", "1200"),
        Notice("blur", "250", "200"),
        Notice("metadata", "keep", "copyright"),
    )


def test_every_option_is_documented() -> None:
    names = [name for option in DOCUMENTED for name in option.names]
    assert len(names) == len(set(names)) == len(BY_NAME)
    for option in DOCUMENTED:
        assert option.note or option.support in (Support.DONE, Support.REFUSED)
