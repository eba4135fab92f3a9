"""Settings read anew while the node runs: all of what may change, or nothing, and a word about it."""

import time
from collections.abc import Callable
from typing import Protocol

import structlog

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.node.systemd import Systemd
from proxy.telemetry.metrics import PrometheusMetrics

RELOADED = ("signing", "mounts", "dimensions", "limits", "presets")
"""The sections that are read anew while the node runs."""
CLOSING = ("signing", "mounts", "dimensions")
"""Those whose defaults are more open than what an owner sets: a file that was just emptied must not bring them back."""


def merged(running: Settings, read: Settings) -> tuple[Settings, list[str]]:
    """`running` with what may change of what was `read` now, and the sections that differ but need a restart. Raises
    ConfigError where the two do not go together: mounts belong to the sources they were written for, and a file that
    somebody has just emptied must not open what it closed."""
    if read.sources != running.sources:
        raise ConfigError("sources: have changed, which needs a restart; nothing is taken over before")
    for name in CLOSING:
        usual = Settings.model_fields[name].default
        if getattr(running, name) != usual == getattr(read, name):
            raise ConfigError(f"{name}: is gone, which needs a restart")
    together = running.model_copy(update={name: getattr(read, name) for name in RELOADED})
    waiting = [
        name
        for name in Settings.model_fields
        if name not in RELOADED and getattr(read, name) != getattr(running, name)
    ]
    try:
        together.combine()
    except ValueError as problem:
        restart = f" (changes of {', '.join(waiting)} need a restart)" if waiting else ""
        raise ConfigError(f"{problem}{restart}") from None
    return together, waiting


class Reloadable(Protocol):
    """A node, of one process or of several."""

    settings: Settings
    metrics: PrometheusMetrics

    def reload(self, settings: Settings) -> None:
        """Goes on with what of these `settings` may change while it runs."""
        ...


def read_anew(
    node: Reloadable,
    read: Callable[[], Settings],
    log: structlog.typing.FilteringBoundLogger,
    systemd: Systemd,
) -> None:
    """All of what may change, or nothing, and a word about it."""
    systemd.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        settings, waiting = merged(node.settings, read())
        node.reload(settings)
    except Exception as problem:
        # Whatever it is, a file that cannot be read or no descriptor to read it with: the node goes on as it was.
        reason = (
            str(problem)
            if isinstance(problem, ConfigError)
            else f"it cannot be read: {type(problem).__name__}"
        )
        node.metrics.reloaded("refused")
        log.error("the configuration is not used, the old one stays", reason=reason)
    else:
        node.metrics.reloaded("ok")
        log.info("the configuration was read anew", sections=RELOADED)
        if waiting:
            log.warning("what else has changed needs a restart", sections=waiting)
    systemd.tell("READY=1")
