"""Reload of the settings while the node runs: either every setting that can change is applied, or none."""

import time
from collections.abc import Callable
from typing import Protocol

import structlog

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.node.systemd import Systemd
from proxy.telemetry.metrics import PrometheusMetrics

RELOADED = ("signing", "mounts", "dimensions", "limits", "presets")
"""The sections that are reloaded."""
RESTRICTING = ("signing", "mounts", "dimensions")
"""The sections whose defaults allow more than a configuration does. An emptied file must not restore them."""


def merged(running: Settings, read: Settings) -> tuple[Settings, list[str]]:
    """`running` with the reloaded sections of `read`, and the names of the other sections that differ: they need a
    restart. Raises ConfigError if the sources differ, because mounts belong to the sources they were written for, or
    if a restricting section is missing."""
    if read.sources != running.sources:
        raise ConfigError("sources: changed, which needs a restart; no setting is reloaded before")
    for name in RESTRICTING:
        default = Settings.model_fields[name].default
        if getattr(running, name) != default == getattr(read, name):
            raise ConfigError(f"{name}: was removed, which needs a restart")
    combined = running.model_copy(update={name: getattr(read, name) for name in RELOADED})
    restart_sections = [
        name
        for name in Settings.model_fields
        if name not in RELOADED and getattr(read, name) != getattr(running, name)
    ]
    try:
        combined.combine()
    except ValueError as problem:
        restart = f" (changes of {', '.join(restart_sections)} need a restart)" if restart_sections else ""
        raise ConfigError(f"{problem}{restart}") from None
    return combined, restart_sections


class Reloadable(Protocol):
    """A node of one or several processes."""

    settings: Settings
    metrics: PrometheusMetrics

    def reload(self, settings: Settings) -> None:
        """Applies those of `settings` that can change at run time."""
        ...


def reload_settings(
    node: Reloadable,
    read: Callable[[], Settings],
    log: structlog.typing.FilteringBoundLogger,
    systemd: Systemd,
) -> None:
    """Reloads the settings of `node` and logs the result. An invalid configuration changes nothing."""
    systemd.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        settings, restart_sections = merged(node.settings, read())
        node.reload(settings)
    except Exception as problem:
        # After any failure, an unreadable file or no free descriptor, the node continues with its present settings.
        reason = (
            str(problem)
            if isinstance(problem, ConfigError)
            else f"it cannot be read: {type(problem).__name__}"
        )
        node.metrics.reloaded("refused")
        log.error("the new configuration is invalid; the previous one stays in use", reason=reason)
    else:
        node.metrics.reloaded("ok")
        log.info("the configuration was reloaded", sections=RELOADED)
        if restart_sections:
            log.warning("other changes need a restart", sections=restart_sections)
    systemd.notify("READY=1")
