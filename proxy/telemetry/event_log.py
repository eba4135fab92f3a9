"""The log of events: one JSON object a line on a pipe or in a file, readable on a terminal."""

from typing import Any

import msgspec
import structlog

from proxy.telemetry.log_writer import LogWriter


def json_bytes(event: dict[str, Any], **_: Any) -> bytes:
    """structlog's serializer."""
    return msgspec.json.encode(event, enc_hook=str)


def open_log(out: LogWriter, level: str = "info") -> Any:
    """The log of events of that level and above, beside the requests."""
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
                    # Not the pretty one: it shows the variables of every frame, and what is secret in them.
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
    """A log that nobody reads, for commands that tell what they do themselves."""
    return structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[structlog.processors.KeyValueRenderer()]
    )
