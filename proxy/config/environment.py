"""The environment of the node: what its processes inherit, and the variables of a service manager (sd_listen_fds(3),
sd_notify(3)).
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from proxy.config.errors import ConfigError

_FIRST_PASSED = 3


class SystemdEnvironment(NamedTuple):
    """The notification socket, the watchdog interval in seconds, and the passed descriptors by name."""

    notify_path: str = ""
    watchdog_s: float = 0.0
    descriptors: Mapping[str, tuple[int, ...]] = MappingProxyType({})


def inherited_environment() -> Mapping[str, str]:
    """The environment of a process that replaces one of the node."""
    return os.environ


def systemd_environment() -> SystemdEnvironment:
    """Reads the variables and removes them, so that child processes do not inherit them. Raises ConfigError for
    invalid values."""
    taken = {
        name: os.environ.pop(name, "")
        for name in (
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "WATCHDOG_PID",
            "LISTEN_PID",
            "LISTEN_FDS",
            "LISTEN_FDNAMES",
        )
    }
    own_pids = ("", str(os.getpid()))
    descriptors: dict[str, tuple[int, ...]] = {}
    try:
        watchdog_s = int(taken["WATCHDOG_USEC"] or 0) / 1e6 if taken["WATCHDOG_PID"] in own_pids else 0.0
        count = int(taken["LISTEN_FDS"] or 0) if taken["LISTEN_PID"] in own_pids[1:] else 0
    except ValueError:
        raise ConfigError("environment: WATCHDOG_USEC and LISTEN_FDS must be numbers") from None
    names = [name for name in taken["LISTEN_FDNAMES"].split(":") if name]
    names += ["public"] * (count - len(names))
    for descriptor, name in enumerate(names[:count], start=_FIRST_PASSED):
        descriptors[name] = (*descriptors.get(name, ()), descriptor)
    return SystemdEnvironment(taken["NOTIFY_SOCKET"], watchdog_s, descriptors)
