"""The cookbook's pictures are those that the node makes of its URLs."""

import re
from pathlib import Path

from config.cookbook import PAGE, ROOT, make, pictures
from tests.support.pictures import size


def test_the_pictures_are_up_to_date(tmp_path: Path) -> None:
    make(tmp_path)
    for _, _, path in pictures():
        drawn, shown = (tmp_path / path).read_bytes(), (ROOT / "docs" / path).read_bytes()
        # Encoders of another processor may differ in a few bytes.
        assert size(drawn) == size(shown), f"{path}: ./run docs"
        assert abs(len(drawn) - len(shown)) <= 0.02 * len(shown), f"{path}: ./run docs"


def test_every_picture_of_the_page_has_a_url_and_no_other_exists() -> None:
    paths = {path for _, _, path in pictures()}
    assert paths == set(re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGE.read_text()))
    folder = ROOT / "docs/images/cookbook"
    assert {f"images/cookbook/{path.name}" for path in folder.iterdir()} == paths
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000
