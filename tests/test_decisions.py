"""The decision records are complete: the index lists each of them, and their links resolve."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "decisions"
FILES = sorted(FOLDER.glob("[0-9]*.md"))
INDEX = "README.md"
SECTIONS = ["Context", "Decision", "Alternatives", "Consequences"]
INVERSE = {"amends": "amended by", "supersedes": "superseded by"}


def field(name: str, path: Path) -> str:
    found = re.search(rf"^{name}: (.+)$", path.read_text(), re.MULTILINE)
    assert found is not None, f"{path.name} has no {name}"
    return found[1]


def title(path: Path) -> str:
    found = re.match(r"# ([0-9]{4})\. (.+)\n", path.read_text())
    assert found is not None, f"{path.name} does not begin with its number and title"
    assert found[1] == path.name[:4]
    return found[2]


def related(path: Path, relation: str) -> set[str]:
    """The numbers of the decisions that the status names in this relation."""
    found = re.search(rf"{relation} ((?:(?:, | and )?\[[0-9]{{4}}\]\([^)]+\))+)", field("Status", path))
    return set(re.findall(r"\[([0-9]{4})\]", found[1])) if found else set()


def test_numbers_have_no_gap() -> None:
    assert [path.name[:4] for path in FILES] == [f"{number:04}" for number in range(1, len(FILES) + 1)]


def test_the_index_lists_every_decision_with_its_title_and_status() -> None:
    listed = [line for line in (FOLDER / INDEX).read_text().splitlines() if line.startswith("- ")]
    assert listed == [
        f"- [{path.name[:4]}]({path.name}) {title(path)} ({field('Status', path)})" for path in FILES
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:4])
def test_a_decision_has_a_status_a_date_and_its_sections_in_order(path: Path) -> None:
    assert re.match(r"(?:accepted|superseded by)\b", field("Status", path))
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", field("Date", path))
    sections = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
    assert sections == [section for section in SECTIONS if section in sections]
    assert {"Context", "Decision"} <= set(sections)


@pytest.mark.parametrize("path", [FOLDER / INDEX, *FILES], ids=lambda path: path.name[:4])
def test_links_between_decisions_resolve(path: Path) -> None:
    for number, target in re.findall(r"\[([0-9]{4})\]\(([^)]+)\)", path.read_text()):
        assert (FOLDER / target).is_file(), target
        assert target.startswith(f"{number}-"), target


def test_a_decision_that_changes_another_is_named_by_the_other() -> None:
    for there, back in INVERSE.items():
        pairs = {(path.name[:4], other) for path in FILES for other in related(path, there)}
        assert pairs == {(other, path.name[:4]) for path in FILES for other in related(path, back)}
