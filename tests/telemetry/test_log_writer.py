"""Log lines are written by a thread: whole, in order, and without blocking if they are not read."""

import os
import time
from collections.abc import Iterator

import pytest

from proxy.telemetry import log_writer
from proxy.telemetry.event_log import open_log
from proxy.telemetry.log_writer import LogWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, LogWriter]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        yield reading, LogWriter(stream)
        os.close(reading)


def test_lines_are_written_whole_and_in_order(pipe: tuple[int, LogWriter]) -> None:
    reading, out = pipe
    for number in range(100):
        out.write(b"line %d\n" % number)
    open_log(out).info("an event", of="some kind")
    out.close()
    lines = os.read(reading, 65536).splitlines()
    assert lines[:100] == [b"line %d" % number for number in range(100)]
    assert b'"event":"an event"' in lines[100]


def test_if_the_log_is_not_read_lines_are_dropped_without_blocking(
    pipe: tuple[int, LogWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "MAX_BYTES", 200_000)
    monkeypatch.setattr(log_writer, "CLOSE_TIMEOUT_S", 0.01)
    reading, out = pipe
    line = b"x" * 999 + b"\n"
    began_s = time.monotonic()
    for _ in range(1000):
        out.write(line)
    out.close()
    assert time.monotonic() - began_s < 5
    assert 700 <= out.dropped <= 800
    received = b""
    while received.count(b"\n") < 1000 - out.dropped:
        received += os.read(reading, 65536)
    assert received == line * (1000 - out.dropped), "what there was room for is whole"


def test_lines_are_dropped_after_the_reader_has_closed(pipe: tuple[int, LogWriter]) -> None:
    reading, out = pipe
    os.close(os.dup(reading))
    other = os.open("/dev/null", os.O_RDONLY)
    os.dup2(other, reading)  # The pipe has no reader any more.
    os.close(other)
    for _ in range(10):
        out.write(b"line\n")
    out.close()
    assert out.dropped == 10


def test_a_non_blocking_stream_receives_every_line(pipe: tuple[int, LogWriter]) -> None:
    reading, out = pipe
    os.set_blocking(out._descriptor, False)
    line = b"x" * 999 + b"\n"
    for _ in range(500):
        out.write(line)
    received = b""
    while received.count(b"\n") < 500:
        received += os.read(reading, 65536)
    assert received == line * 500
    assert out.dropped == 0
