"""The face detector finds drawn faces of every size, and none where none are."""

from importlib.metadata import PackageNotFoundError

import pytest
import pyvips

from proxy.render import libfacedetection
from proxy.render.libfacedetection import Library, version
from tests.support import pictures

pytestmark = pytest.mark.skipif(not version(), reason="the extra faces is not installed")


def found(image: pyvips.Image) -> list[tuple[int, int, int, int]]:
    bgr = image[2].bandjoin([image[1], image[0]])
    return sorted(Library().detect(bytes(bgr.write_to_memory()), image.width, image.height))


@pytest.mark.parametrize("height", [20, 40, 120, 240])
def test_a_face_is_found_where_it_is(height: int) -> None:
    width = height * 3 // 4
    [(left, top, found_width, found_height)] = found(pictures.people(900, 700, (250, 100, width, height)))
    assert (left, top) == (pytest.approx(250, abs=0.2 * width + 2), pytest.approx(100, abs=0.2 * height + 2))
    assert found_width == pytest.approx(width, rel=0.3)
    assert found_height == pytest.approx(height, rel=0.3)


@pytest.mark.parametrize(
    "image",
    [pictures.photo(900, 600), pictures.quarters(900, 600), pictures.quarters(2, 2), pictures.photo(1, 960)],
    ids=["noise", "colours", "tiny", "line"],
)
def test_other_pictures_have_no_face(image: pyvips.Image) -> None:
    assert found(image) == []


def test_the_version_names_what_decides_the_result() -> None:
    assert version().split()[0] == "libfacedetection"
    assert version().split()[2:] == ["960", "70"]


def test_without_the_extra_the_version_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(libfacedetection, "distribution", missing)
    assert version.__wrapped__() == ""
