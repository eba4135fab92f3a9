"""The pictures of a report: the worst as they are, then thumbnails, then none."""

from pathlib import Path

import pytest

from proxy.cli import comparison_report
from proxy.cli.comparison_report import write_report
from proxy.config.errors import ConfigError
from proxy.core.comparing.comparison import Tolerance, differences, summary
from proxy.core.comparing.report import Heading
from proxy.core.errors import Undecodable
from proxy.service.admin.compare import Pair
from tests.cli.test_comparison_journal import opened, pair
from tests.support import pictures

PICTURE = pictures.quarters_as("png", 40, 30)
THUMBNAIL = pictures.quarters_as("webp", 8, 6)
HEADING = Heading("n", "v", "", "today")


class Judge:
    """Makes the same thumbnail of every picture."""

    async def thumbnail(self, body: bytes) -> bytes:
        if body != PICTURE:
            raise Undecodable("the original is damaged")
        return THUMBNAIL


async def report(folder: Path, pairs: list[Pair], path: Path | None = None) -> str:
    journal = opened(folder / "journal")
    for each in pairs:
        journal.add(each)
    found = [(each.compared, differences(each.compared, Tolerance())) for each in pairs]
    path = path or folder / "out.html"
    summed = summary([each.compared for each in pairs], Tolerance())
    try:
        await write_report(path, HEADING, summed, found, journal, Judge())  # type: ignore[arg-type]
    finally:
        journal.close()
    return path.read_text()


def shown(text: str) -> list[str]:
    """The formats of the pictures of each URL."""
    return [
        "".join(name for name in ("png", "webp") if f"data:image/{name}" in part)
        for part in text.split("<article")[1:]
    ]


async def test_the_worst_are_whole_then_come_thumbnails_then_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_report, "MAX_INLINE_BYTES", 4 * len(PICTURE))
    few = -(-4 * len(PICTURE) // (2 * len(THUMBNAIL)))
    pairs = [pair(f"/{number}", 50.0)._replace(ours=PICTURE, theirs=PICTURE) for number in range(2 + few + 2)]
    assert shown(await report(tmp_path, pairs)) == ["png"] * 2 + ["webp"] * few + [""] * 2


async def test_a_large_pair_is_shown_as_thumbnails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_report, "MAX_PAIR_BYTES", 2 * len(PICTURE))
    large = pair("/a", 50.0)._replace(ours=PICTURE, theirs=PICTURE + b"more")
    small = pair("/b", 50.0)._replace(ours=PICTURE, theirs=PICTURE)
    text = await report(tmp_path, [large, small])
    assert shown(text) == ["webp", "png"]
    assert text.count("<img") == 3


async def test_the_report_has_a_limited_number_of_urls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_report, "MAX_LISTED", 2)
    text = await report(tmp_path, [pair(f"/{number}") for number in range(5)])
    assert text.count("<article") == 2
    assert "3 more URLs differ less and are not listed." in text


async def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--report: cannot be written: No such file or directory"):
        await report(tmp_path, [], tmp_path / "none" / "out.html")
