"""The journal of a comparison: what a later run takes over, and which pictures it stores."""

from pathlib import Path

import pytest

from proxy.cli import comparison_journal
from proxy.cli.comparison_journal import ComparisonHead, ComparisonJournal
from proxy.config.errors import ConfigError
from proxy.core.comparing.comparison import Compared, Side, Tolerance, differences, severity
from proxy.service.admin.compare import Pair

HEAD = ComparisonHead("node", "vendor", "*/*")
OK = Side(status=200, format="png", size_bytes=9, width_px=3, height_px=3, frames=1)


def opened(folder: Path, head: ComparisonHead = HEAD) -> ComparisonJournal:
    return ComparisonJournal(folder, head, lambda each: severity(each, differences(each, Tolerance())))


def pair(target: str, difference: float = 0.0, ours: Side = OK) -> Pair:
    compared = Compared(target=target, ours=ours, theirs=OK, difference=difference)
    return Pair(compared, f"our {target}".encode(), f"their {target}".encode())


def test_a_later_run_has_what_was_compared(tmp_path: Path) -> None:
    first = opened(tmp_path / "j")
    for each in (pair("/a"), pair("/b", 7.0), pair("/c", ours=Side(fault="it refuses connections"))):
        first.add(each)
    first.close()
    with (tmp_path / "j" / "journal.jsonl").open("ab") as file:
        file.write(b'{"number":3,"compared":{"target":"/cut"')
    second = opened(tmp_path / "j")
    assert list(second.earlier) == ["/a", "/b"]
    assert second.earlier["/b"] == pair("/b", 7.0).compared
    second.add(pair("/c"))
    for target in ("/a", "/b", "/c"):
        assert second.pictures(target) == (f"our {target}".encode(), f"their {target}".encode())
    second.close()
    third = opened(tmp_path / "j")
    third.close()
    assert list(third.earlier) == ["/a", "/b", "/c"]
    third.remove()
    assert not (tmp_path / "j").exists()


def test_the_journal_of_another_comparison_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.add(pair("/a"))
    journal.close()
    with pytest.raises(ConfigError, match="belongs to another comparison; remove it, or name another report"):
        opened(tmp_path, ComparisonHead("node", "vendor", "image/webp"))


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="--report: .*file/j cannot be used: Not a directory"):
        opened(tmp_path / "file" / "j")


def test_pictures_of_the_urls_that_differ_least_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_journal, "MAX_PICTURE_BYTES", 3 * len(b"our /atheir /a"))
    journal = opened(tmp_path)
    for target, difference in (("/a", 20.0), ("/b", 1.0), ("/c", 90.0), ("/d", 3.0), ("/e", 30.0)):
        journal.add(pair(target, difference))
    journal.close()
    later = opened(tmp_path)
    later.add(pair("/f", 50.0))
    stored = [
        target for target in ("/a", "/b", "/c", "/d", "/e", "/f") if later.pictures(target) != (b"", b"")
    ]
    assert stored == ["/c", "/e", "/f"]
    later.close()
