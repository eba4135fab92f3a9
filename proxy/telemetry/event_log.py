"""The event log: one JSON object per line, or readable text on a terminal."""

from typing import Any

import msgspec
import structlog

from proxy.telemetry.log_writer import LogWriter


def open_log(out: LogWriter, level: str = "info") -> Any:
    """The event log for `level` and above, written to `out` like the access log."""
    logger: Any
    if out.readable:
        logger = structlog.WriteLogger(out)  # type: ignore[arg-type]
        rendering: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(
                colors=out.is_terminal,
                timestamp_key="time",
                # The default formatter shows the variables of every frame, which may contain secrets.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    else:
        logger = structlog.BytesLogger(out)  # type: ignore[arg-type]
        as_json = structlog.processors.JSONRenderer(
            serializer=lambda event, **_: msgspec.json.encode(event, enc_hook=str)
        )
        rendering = [structlog.processors.format_exc_info, as_json]
    return structlog.wrap_logger(
        logger,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )


def silent_log() -> Any:
    """A log that discards events, for commands with output of their own."""
    return structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[structlog.processors.KeyValueRenderer()]
    )
