"""Writes log lines to standard output from a thread, so that a reader that stops reading costs lines, not time."""

import os
import queue
import select
import stat
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

MAX_BYTES = 4 * 2**20
CLOSE_TIMEOUT_S = 1.0


class LogWriter:
    """Accepts whole lines from any thread without blocking. Lines beyond `MAX_BYTES` of backlog are dropped and
    counted. Has the methods of a stream that structlog uses."""

    def __init__(self, stream: TextIO | None = None, *, form: str = "auto") -> None:
        """Lines are readable text if `form` is `text`, or `auto` on a terminal; JSON otherwise."""
        out = stream or sys.stdout
        self.readable = form == "text" or (form == "auto" and out.isatty())
        self.is_terminal = out.isatty()
        self.dropped = 0
        self._descriptor = out.fileno()
        mode = os.fstat(self._descriptor).st_mode
        self._is_shared = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._room = threading.Lock()
        self._held_bytes = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def write(self, lines: bytes | str) -> None:
        if isinstance(lines, str):
            lines = lines.encode("utf-8", "backslashreplace")
        with self._room:
            if self._held_bytes + len(lines) > MAX_BYTES:
                self.dropped += lines.count(b"\n")
                return
            self._held_bytes += len(lines)
        self._lines.put(lines)

    def flush(self) -> None:
        """Does nothing: lines are written by the thread."""

    def close(self) -> None:
        """Waits for queued lines, `CLOSE_TIMEOUT_S` at most."""
        self._lines.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)

    def _write(self) -> None:
        while (lines := self._lines.get()) is not None:
            for piece in _atomic(lines) if self._is_shared else (lines,):
                self._write_all(piece)
            with self._room:
                self._held_bytes -= len(lines)

    def _write_all(self, piece: bytes) -> None:
        while piece:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except BlockingIOError:
                # The descriptor was made non-blocking by another process; this thread may wait.
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError:
                # A closed pipe or a full disk drops the lines.
                self.dropped += piece.count(b"\n")
                return


def _atomic(lines: bytes) -> Iterator[bytes]:
    """Whole lines in pieces of PIPE_BUF bytes at most, which are atomic: other processes write there too."""
    at = 0
    while at < len(lines):
        end = lines.rfind(b"\n", at, at + select.PIPE_BUF) + 1 or lines.find(b"\n", at) + 1 or len(lines)
        yield lines[at:end]
        at = end
