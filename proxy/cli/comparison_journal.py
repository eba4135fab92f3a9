"""The journal of a comparison: what was compared so far, beside the report, so that a stopped command can go on.

A folder with a line of JSON for each URL, and with the pictures that the report may show: those of the URLs that differ
most, up to `MAX_PICTURE_BYTES` in all.
"""

import heapq
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from proxy.config.errors import ConfigError
from proxy.core.comparing.comparison import Compared
from proxy.service.admin.compare import Pair

MAX_PICTURE_BYTES = 256 * 2**20
_LINES = "journal.jsonl"

Severity = tuple[int, float]


class ComparisonHead(msgspec.Struct, frozen=True):
    """The first line: what distinguishes one comparison from another."""

    node: str
    vendor: str
    accept: str


class _Line(msgspec.Struct, frozen=True):
    number: int
    compared: Compared


class ComparisonJournal:
    """`severity` sorts the worst first. Raises ConfigError for a folder of another comparison, and for one that cannot be
    used."""

    def __init__(self, folder: Path, head: ComparisonHead, severity: Callable[[Compared], Severity]) -> None:
        self._folder = folder
        self._severity = severity
        self._next = 0
        self._numbers: dict[str, int] = {}
        self._stored: list[tuple[int, float, int, int]] = []
        """A heap of the stored pairs of pictures, the mildest first: severity negated, number, bytes."""
        self._stored_bytes = 0
        self.earlier: dict[str, Compared] = {}
        """What an earlier run has compared, by target, without the URLs that were not answered."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._read(head)
            self._file = (folder / _LINES).open("ab")
            if self._next:
                self._file.write(b"\n")  # Ends a line that a crash cut.
            else:
                self._file.truncate(0)
                self._file.write(msgspec.json.encode(head) + b"\n")
        except OSError as fault:
            raise ConfigError(f"--report: {folder} cannot be used: {fault.strerror}") from None

    def add(self, pair: Pair) -> None:
        """Adds a URL. Raises OSError."""
        number, target = self._next, pair.compared.target
        self._next += 1
        self._numbers[target] = number
        for path, body in zip(self._paths(number), (pair.ours, pair.theirs), strict=True):
            path.write_bytes(body)
        self._file.write(msgspec.json.encode(_Line(number, pair.compared)) + b"\n")
        self._file.flush()
        self._count_pictures(pair.compared, number, len(pair.ours) + len(pair.theirs))

    def pictures(self, target: str) -> tuple[bytes, bytes]:
        """The bodies of both responses, empty if they were dropped."""
        ours, theirs = (_content(path) for path in self._paths(self._numbers[target]))
        return ours, theirs

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """Removes the folder, after `close`."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _paths(self, number: int) -> tuple[Path, Path]:
        return self._folder / f"{number}.node", self._folder / f"{number}.vendor"

    def _read(self, head: ComparisonHead) -> None:
        """Reads the lines of an earlier run; a line that a crash cut is ignored."""
        first, _, lines = _content(self._folder / _LINES).partition(b"\n")
        if not lines:
            return
        with suppress(msgspec.MsgspecError):
            if msgspec.json.decode(first, type=ComparisonHead) == head:
                first = b""
        if first:
            raise ConfigError(
                f"--report: {self._folder} belongs to another comparison; remove it, or name another report"
            )
        for text in lines.splitlines():
            with suppress(msgspec.MsgspecError):
                line = msgspec.json.decode(text, type=_Line)
                self._next = max(self._next, line.number + 1)
                if not line.compared.ours.fault and not line.compared.theirs.fault:
                    self.earlier[line.compared.target] = line.compared
                    self._numbers[line.compared.target] = line.number
        for target, compared in self.earlier.items():
            number = self._numbers[target]
            stored = sum(path.stat().st_size for path in self._paths(number) if path.exists())
            self._count_pictures(compared, number, stored)

    def _count_pictures(self, compared: Compared, number: int, size_bytes: int) -> None:
        """Counts stored pictures; drops the mildest beyond `MAX_PICTURE_BYTES`."""
        group, difference = self._severity(compared)
        heapq.heappush(self._stored, (-group, -difference, number, size_bytes))
        self._stored_bytes += size_bytes
        while self._stored_bytes > MAX_PICTURE_BYTES:
            *_, mildest, dropped = heapq.heappop(self._stored)
            self._stored_bytes -= dropped
            for path in self._paths(mildest):
                path.unlink(missing_ok=True)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
