"""What counts as the same answer."""

import pytest
import pyvips

from tests.rivals.comparison import WRONG, Case, Comparison, Reply
from tests.rivals.gallery import scene

CASE = Case("/a", (400, 300), ("size",))
PICTURE = scene(200, 150, 5)


def reply(image: pyvips.Image = PICTURE, status: int = 200, kind: str = "png", **options: object) -> Reply:
    return Reply(status, f"image/{kind}", bytes(image.write_to_buffer(f".{kind}", **options)))


def kinds(our: Reply, their: Reply, case: Case = CASE, name: str = "rival") -> list[str]:
    comparison = Comparison(name)
    comparison.add(case, our, their)
    return [difference.kind for difference in comparison.differences]


def moved(image: pyvips.Image, pixels: int) -> pyvips.Image:
    return image.embed(pixels, 0, image.width, image.height, extend="copy")


def test_the_same_picture_in_another_encoding_is_the_same() -> None:
    assert kinds(reply(), reply(effort=1)) == []
    assert kinds(reply(kind="jpeg", Q=80), reply(kind="jpeg", Q=75)) == []


@pytest.mark.parametrize("change", ["moved", "mirrored", "brighter", "blurred", "transparent"])
def test_a_changed_picture_differs(change: str) -> None:
    changed = {
        "moved": lambda: moved(PICTURE, 1),
        "mirrored": PICTURE.fliphor,
        "brighter": lambda: (PICTURE + 4).cast("uchar"),
        "blurred": lambda: PICTURE.gaussblur(1.5),
        "transparent": lambda: PICTURE.bandjoin(200),
    }[change]()
    assert kinds(reply(changed.copy(interpretation="srgb")), reply()) == ["picture"]


def test_an_enlarged_picture_may_be_moved_by_a_pixel() -> None:
    small = Case("/a", (100, 75), ("size",))
    assert kinds(reply(moved(PICTURE, 1)), reply(), small) == []
    assert kinds(reply(moved(PICTURE, 3)), reply(), small) == ["picture"]


def test_a_coarse_rival_may_cut_a_pixel_of_the_original_elsewhere() -> None:
    small = Case("/a", (50, 38), ("size",))
    for pixels, case in ((1, CASE), (4, small)):
        assert kinds(reply(moved(PICTURE, pixels)), reply(), case, "thumbor") == []
        assert kinds(reply(moved(PICTURE, 3 * pixels)), reply(), case, "thumbor") == ["picture"]
    assert kinds(reply((PICTURE + 40).cast("uchar")), reply(), CASE, "thumbor") == ["picture"]


def test_sizes_types_and_statuses_differ() -> None:
    assert kinds(reply(PICTURE.crop(0, 0, 200, 149)), reply()) == ["size"]
    assert kinds(reply(kind="jpeg", Q=95), reply()) == ["type"]
    assert kinds(Reply(404, "", b""), reply()) == ["status"]
    assert kinds(Reply(404, "", b""), Reply(400, "", b"")) == ["code"]
    assert kinds(Reply(500, "", b""), Reply(400, "", b"")) == ["status"]


def test_a_rival_that_fails_has_refused_a_wrong_argument_and_says_nothing_of_others() -> None:
    wrong = Case("/a", (400, 300), (WRONG,))
    assert kinds(Reply(400, "", b""), Reply(500, "", b""), wrong) == ["code"]
    assert kinds(reply(), Reply(500, "", b""), wrong) == ["status"]
    assert kinds(reply(), Reply(500, "", b"")) == []
    assert kinds(Reply(500, "", b""), Reply(500, "", b"")) == ["status"]


def test_the_report_has_the_shares_and_the_parts_of_the_urls() -> None:
    comparison = Comparison("rival")
    for _ in range(3):
        comparison.add(CASE, reply(), reply())
    comparison.add(CASE, reply(moved(PICTURE, 4)), reply())
    assert comparison.share("picture") == 0.75
    first, *others = comparison.lines()
    assert "4 URLs" in first
    assert "75.0%" in first
    assert "picture differs 1 times (size 1)" in others[0]
