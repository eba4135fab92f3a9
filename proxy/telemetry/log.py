"""The log of events: one JSON object a line on a pipe or in a file, readable on a terminal."""

import sys
from contextlib import suppress
from typing import Any, TextIO

import msgspec
import structlog


def json_bytes(event: dict[str, Any], **_: Any) -> bytes:
    """structlog's serializer."""
    return msgspec.json.encode(event, enc_hook=str)


def open_log(stream: TextIO | None = None) -> Any:
    """The log of events on `stream`, standard output if None."""
    out = stream or sys.stdout
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if out.isatty():
        return structlog.wrap_logger(
            structlog.PrintLogger(out),
            processors=[
                *shared,
                structlog.dev.ConsoleRenderer(
                    timestamp_key="time",
                    # Not the pretty one: it shows the variables of every frame, and what is secret in them.
                    exception_formatter=structlog.dev.plain_traceback,
                ),
            ],
            wrapper_class=structlog.make_filtering_bound_logger("INFO"),
        )
    return structlog.wrap_logger(
        structlog.BytesLogger(_Patient(out)),  # type: ignore[arg-type]
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=json_bytes),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("INFO"),
    )


class _Patient:
    """The part of a binary stream that structlog uses; a stream that is gone or full costs its lines only."""

    def __init__(self, stream: TextIO) -> None:
        self._buffer = stream.buffer

    def write(self, line: bytes) -> None:
        with suppress(OSError, ValueError):
            self._buffer.write(line)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._buffer.flush()
