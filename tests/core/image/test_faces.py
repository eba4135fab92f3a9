"""Which faces a crop centres on, by tables and for generated faces."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from proxy.core.image.faces import MAX_FACES, PARTS, Face, Faces, faces_of, largest_face, most_faces
from proxy.core.image.size import Size

SMALL, LARGE, MEDIUM = Face(500, 1000, 500, 500), Face(4000, 3000, 2000, 2000), Face(8000, 4000, 1000, 1000)
"""From left to right."""
GROUP = Faces((SMALL, LARGE, MEDIUM))


@pytest.mark.parametrize(
    ("boxes", "faces"),
    [
        ([], ()),
        ([(100, 50, 200, 100)], (Face(1000, 1000, 2000, 2000),)),
        ([(-50, -10, 100, 60)], (Face(0, 0, 500, 1000),)),
        ([(950, 450, 100, 100)], (Face(9500, 9000, 500, 1000),)),
        ([(1000, 0, 10, 10), (-10, 0, 10, 10), (0, 500, 10, 10)], ()),
        ([(0, 0, 1000, 500)], (Face(0, 0, PARTS, PARTS),)),
        ([(500, 50, 10, 10), (0, 100, 10, 10), (0, 50, 10, 10)],
         (Face(0, 1000, 100, 200), Face(5000, 1000, 100, 200), Face(0, 2000, 100, 200))),
    ],
)  # fmt: skip
def test_faces_are_parts_of_the_picture_in_reading_order(
    boxes: list[tuple[int, int, int, int]], faces: tuple[Face, ...]
) -> None:
    assert faces_of(boxes, Size(1000, 500)).boxes == faces


def test_a_head_is_a_face_and_what_is_above_it() -> None:
    assert LARGE.head == Face(4000, 2334, 2000, 2666)
    assert Face(0, 100, 500, 600).head == Face(0, 0, 500, 700)
    assert Face(0, 0, 500, 600).head == Face(0, 0, 500, 600)


def test_only_the_largest_faces_are_stored() -> None:
    boxes = [(number * 20, 0, 2 + number % 10, 10) for number in range(45)]
    stored = faces_of(boxes, Size(1000, 1000)).boxes
    assert len(stored) == MAX_FACES
    assert min(face.width for face in stored) == 40
    assert sum(face.width == 110 for face in stored) == 4


@pytest.mark.parametrize(
    ("faces", "valid"),
    [
        (Faces(), True),
        (GROUP, True),
        (Faces((Face(0, 0, PARTS, PARTS),)), True),
        (Faces((Face(-1, 0, 10, 10),)), False),
        (Faces((Face(0, 1, 10, PARTS),)), False),
        (Faces((SMALL, Face(5, 5, 0, 5))), False),
        (Faces((Face(5, 5, 5, -5),)), False),
        (Faces((SMALL,) * MAX_FACES), True),
        (Faces((SMALL,) * (MAX_FACES + 1)), False),
    ],
)
def test_faces_of_a_worker_are_checked(faces: Faces, valid: bool) -> None:
    assert faces.is_valid is valid


@pytest.mark.parametrize(
    ("faces", "centre"),
    [
        (Faces(), None),
        (Faces((SMALL,)), (0.075, 0.125)),
        (GROUP, (0.5, 0.4)),
        (Faces((SMALL, SMALL._replace(left=7000))), (0.075, 0.125)),
    ],
)
def test_a_crop_around_a_face_centres_on_the_largest(
    faces: Faces, centre: tuple[float, float] | None
) -> None:
    face = largest_face(faces)
    assert (face and face.centre) == centre


@pytest.mark.parametrize(
    ("faces", "window", "box"),
    [
        (Faces(), Size(100, 100), None),
        (GROUP, Size(1000, 1000), Face(500, 1000, 8500, 4000)),
        # Around all of them, exactly.
        (GROUP, Size(850, 1000), Face(500, 1000, 8500, 4000)),
        # Without the smallest.
        (GROUP, Size(849, 1000), Face(4000, 3000, 5000, 2000)),
        (GROUP, Size(499, 1000), LARGE),
        (GROUP, Size(1000, 399), Face(4000, 3000, 5000, 2000)),
        # A face larger than the window is cut around its middle.
        (GROUP, Size(100, 1000), Face(4500, 3000, 1000, 2000)),
        (GROUP, Size(1, 1), Face(4995, 3995, 10, 10)),
        # Three medium faces are more than a large one far away.
        (Faces((Face(0, 0, 2000, 2000), Face(6000, 0, 1300, 1300), Face(7400, 0, 1300, 1300), Face(8700, 0, 1300, 1300))),
         Size(450, 1000), Face(6000, 0, 4000, 1300)),
    ],
)  # fmt: skip
def test_a_crop_around_faces_holds_as_much_of_them_as_it_can(
    faces: Faces, window: Size, box: Face | None
) -> None:
    assert most_faces(faces, window, Size(1000, 1000)) == box


def faces_within() -> some.SearchStrategy[Faces]:
    sides = some.integers(0, 999), some.integers(0, 499), some.integers(1, 400), some.integers(1, 400)
    return some.lists(some.tuples(*sides), max_size=12).map(lambda boxes: faces_of(boxes, Size(1000, 500)))


@given(faces_within(), some.integers(1, 1000), some.integers(1, 500))
def test_the_box_lies_in_the_picture_and_fits_the_window(faces: Faces, width: int, height: int) -> None:
    box = most_faces(faces, Size(width, height), Size(1000, 500))
    assert (box is None) == (not faces.boxes)
    assert faces.is_valid
    assert box is None or Faces((box,)).is_valid
    if box is not None:
        assert box.width <= max(1, width * PARTS // 1000)
        assert box.height <= max(1, height * PARTS // 500)
    if (width, height) == (1000, 500) and box is not None:
        assert all(face.left >= box.left and face.top >= box.top for face in faces.boxes)
