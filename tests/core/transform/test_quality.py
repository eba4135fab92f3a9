"""One scale of quality for all encoders, and the effort of AVIF, by the size that is requested."""

from dataclasses import replace

import pytest

from proxy.core.image.formats import Format
from proxy.core.transform.operations import Transform
from proxy.core.transform.plan import Encode, RenderDefaults, resolve
from proxy.core.transform.quality import ANCHORS_Q, SIDES_PX, avif_effort, encoder_quality
from proxy.core.url.dialects.native.urls import parse_transform

LOSSY = (Format.JPEG, Format.WEBP, Format.AVIF)


@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("side_px", [1, 320, 401, 640, 900, 1280, 16_000])
def test_a_higher_quality_is_one_of_every_encoder(kind: Format, side_px: int) -> None:
    mapped = [encoder_quality(kind, quality, side_px) or 0 for quality in range(1, 101)]
    assert mapped == sorted(mapped)
    assert mapped[0] == 1
    assert mapped[-1] == 100


@pytest.mark.parametrize("kind", [Format.WEBP, Format.AVIF])
@pytest.mark.parametrize("quality", [*ANCHORS_Q, 77])
def test_between_the_sizes_of_the_table_the_quality_lies_between_theirs(kind: Format, quality: int) -> None:
    small, middle, large = (encoder_quality(kind, quality, side_px) or 0 for side_px in SIDES_PX)
    for side_px, one, other in ((480, small, middle), (960, middle, large)):
        between = encoder_quality(kind, quality, side_px)
        assert between is not None
        assert abs(between - (one + other) / 2) <= 1
    assert encoder_quality(kind, quality, 10) == small
    assert encoder_quality(kind, quality, 9999) == large


def test_jpeg_is_the_scale_itself_and_others_have_none() -> None:
    assert [encoder_quality(Format.JPEG, quality, 320) for quality in (1, 80, 100)] == [1, 80, 100]
    assert encoder_quality(Format.PNG, 80, 320) is None
    assert encoder_quality(Format.GIF, 80, 320) is None


def test_small_avifs_have_more_effort() -> None:
    assert [avif_effort(side_px) for side_px in (1, 450, 451, 900, 901, 4000)] == [2, 2, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("tokens", "side_px"),
    [
        ("", 4000),
        ("w_320", 320),
        ("h_700", 700),
        ("w_320,dpr_2", 640),
        ("w_400,h_100", 100),
        ("w_200,h_800,c_fill", 400),
        ("w_450,h_4000,c_fill", 1341),
        ("w_450,h_3999,c_fill", 1341),
        ("w_100,minw_2000", 2000),
        ("w_100,ext_700x300", 700),
        ("w_100,pad_900", 1800),
        ("w_400~rw_7.5,el_allow", 4000),
        ("w_400~c_crop,rw_0.5,rh_0.5", 400),
        ("if_w_gt_300~w_300~if_end", 4000),
        ("c_crop,w_300,h_300", 300),
        ("w_900~c_crop,w_300,h_300", 300),
        ("w_300,a_90,e_blur:2", 300),
        ("rw_0.5", 4000),
        ("w_5000,h_300", 300),
        ("w_9000", 4000),
    ],
)
def test_the_size_is_that_of_the_last_box(tokens: str, side_px: int) -> None:
    defaults = RenderDefaults(quality=80, effort={}, max_side_px=4000)
    transform = parse_transform(tokens, {}) if tokens else Transform()
    output = resolve(transform, Format.AVIF, defaults).output
    assert isinstance(output, Encode)
    assert output.quality == encoder_quality(Format.AVIF, 80, side_px)
    assert output.effort == avif_effort(side_px)
    fixed = RenderDefaults(quality=80, effort={Format.AVIF: 5}, max_side_px=4000)
    output = resolve(transform, Format.AVIF, fixed).output
    assert isinstance(output, Encode)
    assert output.effort == 5


@pytest.mark.parametrize(
    ("kind", "tokens", "drawing_effort"),
    [
        (Format.AVIF, "w_901", 1),
        (Format.AVIF, "w_1280", 1),
        (Format.AVIF, "w_1281", None),
        (Format.AVIF, "q_80", None),
        (Format.AVIF, "w_900", None),
        (Format.AVIF, "w_300", None),
        (Format.WEBP, "w_901", None),
        (Format.PNG, "w_901", None),
    ],
)
def test_large_avifs_of_drawings_have_more_effort(
    kind: Format, tokens: str, drawing_effort: int | None
) -> None:
    transform = parse_transform(tokens, {})
    defaults = RenderDefaults(quality=80, effort={}, max_side_px=4000)
    output = resolve(transform, kind, defaults).output
    assert isinstance(output, Encode)
    assert output.drawing_effort == drawing_effort
    fixed = resolve(transform, kind, replace(defaults, effort={kind: 0})).output
    assert isinstance(fixed, Encode)
    assert fixed.drawing_effort is None, "the configuration has set the effort"


def test_the_default_is_no_quality_of_its_own() -> None:
    defaults = RenderDefaults(quality=80, effort={}, max_side_px=4000)
    for tokens, is_own in (
        ("w_320", False),
        ("w_320,q_80", False),
        ("w_320,q_79", True),
        ("w_320,eq_40", True),
    ):
        output = resolve(parse_transform(tokens, {}), Format.WEBP, defaults).output
        assert isinstance(output, Encode)
        assert output.has_other_quality is is_own
