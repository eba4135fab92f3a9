"""Writes the report of a comparison, and decides which pictures are in it: the worst as they are, then thumbnails."""

from collections.abc import Sequence
from pathlib import Path

from proxy.cli.comparison_journal import ComparisonJournal
from proxy.config.errors import ConfigError
from proxy.core.comparing.comparison import Compared, Differing, Summary
from proxy.core.comparing.report import Heading, Row, page
from proxy.core.errors import CalotypeError
from proxy.local.files import replacing
from proxy.node.picture_judge import WorkerJudge

MAX_LISTED = 2000
"""URLs in the report."""
MAX_INLINE_BYTES = 12 * 2**20
"""Of the pictures that are shown as they are, and again of the thumbnails."""
MAX_PAIR_BYTES = 2 * 2**20
"""A larger pair of pictures is shown as thumbnails."""

_STYLE = Path(__file__).with_name("compare.css")


async def write_report(
    path: Path,
    heading: Heading,
    summary: Summary,
    found: Sequence[tuple[Compared, Sequence[Differing]]],
    journal: ComparisonJournal,
    judge: WorkerJudge,
) -> None:
    """`found` has the worst first. Raises ConfigError."""
    rows = []
    whole_bytes = thumbnail_bytes = MAX_INLINE_BYTES
    for compared, differences in found[:MAX_LISTED]:
        ours, theirs = journal.pictures(compared.target)
        size_bytes = len(ours) + len(theirs)
        if size_bytes <= min(whole_bytes, MAX_PAIR_BYTES):
            whole_bytes -= size_bytes
        else:
            ours, theirs = [
                await _thumbnail(body, judge) if thumbnail_bytes > 0 else b"" for body in (ours, theirs)
            ]
            thumbnail_bytes -= len(ours) + len(theirs)
        rows.append(Row(compared, differences, ours, theirs))
    try:
        with replacing(path, path.parent) as file:
            file.write(page(heading, summary, rows, _STYLE.read_text()).encode())
    except OSError as fault:
        raise ConfigError(f"--report: cannot be written: {fault.strerror}") from None


async def _thumbnail(body: bytes, judge: WorkerJudge) -> bytes:
    """Empty if `body` is no picture that workers decode."""
    try:
        return await judge.thumbnail(body) if body else b""
    except CalotypeError:
        return b""
