"""The event log: one JSON object per line, or readable text on a terminal."""

from typing import Any

import msgspec
import structlog

from proxy.telemetry.log_writer import LogWriter


def json_bytes(event: dict[str, Any], **_: Any) -> bytes:
    """The serializer for structlog."""
    return msgspec.json.encode(event, enc_hook=str)


def open_log(out: LogWriter, level: str = "info") -> Any:
    """The event log for `level` and above, written to `out` like the access log."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if out.readable:
        return structlog.wrap_logger(
            structlog.WriteLogger(out),  # type: ignore[arg-type]
            processors=[
                *shared,
                structlog.dev.ConsoleRenderer(
                    colors=out.is_terminal,
                    timestamp_key="time",
                    # The default formatter shows the variables of every frame, which may contain secrets.
                    exception_formatter=structlog.dev.plain_traceback,
                ),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(level),
        )
    return structlog.wrap_logger(
        structlog.BytesLogger(out),  # type: ignore[arg-type]
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=json_bytes),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )


def silent_log() -> Any:
    """A log that discards events, for commands with output of their own."""
    return structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[structlog.processors.KeyValueRenderer()]
    )
