"""The worker finds faces in every kind of original, as it is shown: upright, its first page, transparency on white."""

import functools

import pytest
import pyvips

from proxy.core.errors import OriginalTooLarge, Undecodable, UnsupportedFormat
from proxy.core.image.faces import Face, Faces
from proxy.render.checked_original import CheckedOriginal
from proxy.render.faces import FaceFinder
from proxy.render.libfacedetection import version
from tests.render.conftest import LIMITS
from tests.support import pictures

pytestmark = pytest.mark.skipif(not version(), reason="the extra faces is not installed")

WIDTH, HEIGHT = 1200, 800
DRAWN = [(100, 200, 90, 120), (500, 150, 180, 240), (900, 300, 45, 60)]


@functools.cache
def people() -> pyvips.Image:
    return pictures.people(WIDTH, HEIGHT, *DRAWN).copy_memory()


def find(content: bytes) -> Faces:
    return FaceFinder().find(CheckedOriginal.of(content, LIMITS), LIMITS)


def assert_found(faces: Faces, drawn: list[tuple[int, int, int, int]] = DRAWN) -> None:
    """The faces are where they were drawn, to a fifth of their width."""
    assert len(faces.boxes) == len(drawn)
    for face, (left, top, width, height) in zip(
        sorted(faces.boxes, key=lambda face: face.left), drawn, strict=True
    ):
        x, y = face.centre
        assert x * WIDTH == pytest.approx(left + width / 2, abs=width / 5)
        assert y * HEIGHT == pytest.approx(top + height / 2, abs=height / 5)
        assert face.width * WIDTH / 10_000 == pytest.approx(width, rel=0.4)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif", "gif"])
def test_faces_are_found_in_every_format(kind: str) -> None:
    assert_found(find(pictures.encoded(people(), kind)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_faces_are_where_the_upright_picture_shows_them(orientation: int) -> None:
    lying = {
        1: people, 2: people().fliphor, 3: people().rot180, 4: people().flipver,
        5: people().rot90().fliphor, 6: people().rot270, 7: people().rot270().fliphor, 8: people().rot90,
    }[orientation]().copy()  # fmt: skip
    lying.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    assert_found(find(bytes(lying.jpegsave_buffer())))


def test_faces_are_found_in_grey_cut_out_and_moving_pictures() -> None:
    grey = people().colourspace("b-w")
    assert_found(find(pictures.encoded(grey, "jpeg")))
    assert_found(find(pictures.encoded(grey.colourspace("srgb").bandjoin(255), "png")))
    strip = people().join(pictures.quarters(WIDTH, HEIGHT), "vertical").copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", HEIGHT)
    assert_found(find(bytes(strip.gifsave_buffer())))


def test_a_face_has_one_position_at_every_size_of_the_original() -> None:
    found = [find(pictures.encoded(people().resize(scale), "png")).boxes[0] for scale in (0.5, 1, 3)]
    for face in found:
        assert face == Face(*(pytest.approx(side, abs=120) for side in found[0]))


def test_no_face_is_no_error_and_a_bad_original_is() -> None:
    assert find(pictures.photo_as("jpeg")) == Faces()
    with pytest.raises(UnsupportedFormat):
        find(b"<html>")
    with pytest.raises(Undecodable):
        find(pictures.photo_as("jpeg")[:-500])
    with pytest.raises(OriginalTooLarge):
        find(pictures.png_of(20_000, 10))
