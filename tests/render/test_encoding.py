"""Encoding: levels of quality by the score that they reach, and palettes."""

import pytest
import pyvips

from proxy.core.image.formats import Format
from proxy.core.transform.plan import Encode
from proxy.core.transform.quality_level import SCORES, QualityLevel, quality_for
from proxy.render.encoding import encoded
from proxy.render.score import scales_of, score
from tests.render.conftest import draw
from tests.support import pictures

LOSSY = (Format.JPEG, Format.WEBP, Format.AVIF)


def loaded(content: bytes) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(content, "")


def of(kind: Format, quality: int | QualityLevel | None, **more: int) -> Encode:
    return Encode(format=kind, quality=quality, effort=0, flatten=None, **more)


@pytest.mark.parametrize(
    ("kind", "size"),
    [*((kind, (320, 240)) for kind in LOSSY), (Format.WEBP, (320, 180)), (Format.AVIF, (320, 180))],
)
def test_a_level_reaches_its_score(kind: Format, size: tuple[int, int]) -> None:
    """But for small JPEGs: from 89 to 90 their score rises by eleven points, because the colours get full size."""
    image = pictures.photo(*size)
    for level in (QualityLevel.GOOD, QualityLevel.ECO, QualityLevel.LOW):
        found = score(image, loaded(encoded([image], of(kind, level))), kind)
        of_mean = encoded([image], of(kind, quality_for(kind, SCORES[level], scales_of(image))))
        before = score(image, loaded(of_mean), kind)
        assert found is not None
        assert before is not None
        assert abs(found - SCORES[level]) <= max(4, abs(before - SCORES[level]))


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (32, 32), (64, 64), (100, 100), (728, 90)])
@pytest.mark.parametrize("kind", LOSSY)
def test_a_higher_level_has_no_fewer_bytes(kind: Format, size: tuple[int, int]) -> None:
    """Below 113 px there is no score that means anything, and the quality of the mean stands."""
    image = pictures.photo(*size)
    lengths = [len(encoded([image], of(kind, level))) for level in reversed(QualityLevel)]
    assert lengths == sorted(lengths)
    assert lengths[-1] < 3 * len(encoded([image], of(kind, 90)))


@pytest.mark.parametrize("level", QualityLevel)
def test_a_picture_too_small_for_a_score_has_the_quality_of_the_mean(level: QualityLevel) -> None:
    image = pictures.photo(60, 60)
    expected = of(Format.JPEG, quality_for(Format.JPEG, SCORES[level], 4))
    assert encoded([image], of(Format.JPEG, level)) == encoded([image], expected)


def translucent() -> bytes:
    return pictures.encoded(
        pictures.photo(200, 150).bandjoin(pyvips.Image.xyz(200, 150)[0].cast("uchar")), "png"
    )


@pytest.mark.parametrize("original", [translucent(), pictures.film_as("gif")])
def test_levels_are_for_transparent_pictures_and_animations_too(original: bytes) -> None:
    """Transparent pixels are scored on grey, animations by their first frame."""
    drawn = [draw(original, f"f_webp,q_auto:{level}") for level in ("best", "low")]
    assert len(drawn[0]) > len(drawn[1])


def test_a_level_and_a_limit_of_bytes() -> None:
    original = pictures.photo_as("png")
    whole = draw(original, "w_300,f_webp,q_auto:best")
    assert draw(original, f"w_300,f_webp,q_auto:best,mb_{len(whole)}") == whole
    assert len(draw(original, f"w_300,f_webp,q_auto:best,mb_{len(whole) // 2}")) <= len(whole) // 2


def with_palette(*, alpha: bool = False) -> bytes:
    """Nine colours in a pattern that no filter predicts."""
    at = pyvips.Image.xyz(90, 70)
    pattern = ((at[0] * 7 + at[1] * 13 + at[0] * at[1] * 3) % 3 * 90).cast("uchar")
    image = pattern.bandjoin([(255 - pattern).cast("uchar"), (at[1] % 3 * 80).cast("uchar")])
    image = image.bandjoin((at[0] % 2 * 255).cast("uchar")) if alpha else image
    return bytes(image.copy(interpretation="srgb").pngsave_buffer(palette=True))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("tokens", ["q_80", "a_90", "c_crop,w_50,h_40", "ext_200x90,b_fff"])
def test_a_palette_picture_stays_one(tokens: str, *, alpha: bool) -> None:
    original = with_palette(alpha=alpha)
    drawn = draw(original, f"f_png,{tokens}")
    assert "palette" in loaded(drawn).get_fields()
    in_colour = pyvips.Image.new_from_buffer(draw(original, f"f_webp,eq_100,{tokens}"), "")
    assert (loaded(drawn).width, loaded(drawn).height) == (in_colour.width, in_colour.height)
    plain = encoded([loaded(drawn)], of(Format.PNG, None))
    assert (loaded(plain) != loaded(drawn)).max() == 0
    assert len(drawn) < len(plain)


def test_an_opaque_gif_becomes_a_png_with_few_bits() -> None:
    original = pictures.encoded(pyvips.Image.black(60, 60).draw_rect(255, 9, 9, 30, 30, fill=True), "gif")
    drawn = loaded(draw(original, "f_png"))
    assert "palette" in drawn.get_fields() or drawn.get("bits-per-sample") < 8
    assert not drawn.hasalpha()


@pytest.mark.parametrize("tokens", ["w_60", "e_blur:3"])
def test_more_colours_than_a_palette_has_stay_exact(tokens: str) -> None:
    drawn = loaded(draw(pictures.encoded(pictures.photo(), "png", palette=True), f"f_png,{tokens}"))
    assert "palette" not in drawn.get_fields()


def test_a_photograph_gets_no_palette() -> None:
    drawn = draw(pictures.photo_as("png"), "f_png,a_90")
    assert "palette" not in loaded(drawn).get_fields()
