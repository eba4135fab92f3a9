"""The purge journal: a file with one line for each purge, written to disk before the purge is acknowledged.

A truncated last line belongs to a purge that was not acknowledged. Any other damage means that purges are lost; the
caller then purges everything, which is the only way to serve nothing old.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from proxy.core.cache.generations import Generations, Purge, PurgeScope, ScopeKind

_COMPACT_OVER = 1000


class PurgeJournalFile:
    """Satisfies PurgeJournal. Blocks; raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, into: Generations) -> bool:
        """Applies all lines to `into`; False if a line is damaged."""
        with self._locked():
            try:
                content = self._path.read_bytes()
            except FileNotFoundError:
                return True
            *lines, last = content.split(b"\n")
            purges = [_parsed(line) for line in lines]
            # A complete line without its newline was acknowledged; only the newline is damaged.
            for purge in (*purges, _parsed(last), _parsed(last[:-1])):
                if purge is not None:
                    into.apply(purge)
            # The next line must not be appended to a truncated one.
            if last or (len(lines) > _COMPACT_OVER and len(lines) > 2 * len(into)):
                self._rewrite(into)
            return None not in purges

    def append(self, purges: Iterable[Purge]) -> None:
        """The purges are on disk when this returns."""
        with self._locked(), self._path.open("ab") as file:
            end = file.tell()
            try:
                file.write(b"".join(map(_line, purges)))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(end)  # The next line must not be appended to half a line.
                raise
            if not end:
                self._sync_folder()

    def rewrite(self, purges: Iterable[Purge]) -> None:
        """Replaces the content of the journal with `purges`."""
        with self._locked():
            self._rewrite(purges)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Excludes the other instance of this node during a restart."""
        with self._path.with_suffix(".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _rewrite(self, purges: Iterable[Purge]) -> None:
        temporary = self._path.with_suffix(".part")
        with temporary.open("wb") as file:
            file.write(b"".join(map(_line, purges)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _line(purge: Purge) -> bytes:
    text = json.dumps([*purge.scope, purge.token]).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> Purge | None:
    check, _, text = line.partition(b" ")
    if check != b"%08x" % zlib.crc32(text):
        return None
    source, kind, key, token = json.loads(text)
    return Purge(PurgeScope(source, ScopeKind(kind), key), token)
