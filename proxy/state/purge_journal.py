"""The purges a node knows of, in a file that outlives it: a line each, on disk before anybody is told.

A last line that is cut is of a purge that was never answered. Any other damage means that purges are lost: then
everything is purged here, which is the only answer that serves nothing old.
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
    """Satisfies Journal of the ports. Blocks; raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, into: Generations) -> bool:
        """All that is written; False where some of it is lost."""
        with self._locked():
            return self._read(into)

    def _read(self, into: Generations) -> bool:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return True
        *lines, last = content.split(b"\n")
        damaged = 0
        for line in lines:
            purge = _parsed(line)
            if purge is None:
                damaged += 1
            else:
                into.apply(purge)
        if last:
            # One that is whole but for its end was answered: it is the end that is damaged.
            for line in (last, last[:-1]):
                if (purge := _parsed(line)) is not None:
                    into.apply(purge)
            # Whatever comes next must not be glued to it.
            self._rewrite(into)
        elif len(lines) > _COMPACT_OVER and len(lines) > 2 * len(into):
            self._rewrite(into)
        return not damaged

    def append(self, purges: Iterable[Purge]) -> None:
        """On disk when this returns."""
        with self._locked(), self._path.open("ab") as file:
            end = file.tell()
            try:
                file.write(b"".join(map(_line, purges)))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(end)  # Half a line would glue itself to the next.
                raise
            if not end:
                self._sync_folder()

    def rewrite(self, purges: Iterable[Purge]) -> None:
        """These, and none of what was written before."""
        with self._locked():
            self._rewrite(purges)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """While no other start of this node, as in a restart, writes or reads it."""
        with self._path.with_suffix(".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _rewrite(self, purges: Iterable[Purge]) -> None:
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(b"".join(map(_line, purges)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
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
    source, reach, about, token = json.loads(text)
    return Purge(PurgeScope(source, ScopeKind(reach), about), token)
