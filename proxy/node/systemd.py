"""systemd: the listening sockets that it passes on (sd_listen_fds(3)) and the notifications that it expects
(sd_notify(3)). Without systemd every method does nothing.
"""

import asyncio
import socket
from contextlib import suppress

from proxy.config.environment import SystemdEnvironment
from proxy.config.errors import ConfigError
from proxy.node.sockets import set_user_timeout

NAMES = frozenset({"public", "admin"})


class Systemd:
    """The service manager that started this process. Raises ConfigError for a passed socket that cannot be used."""

    def __init__(self, environment: SystemdEnvironment) -> None:
        if unknown := environment.descriptors.keys() - NAMES:
            raise ConfigError(f"FileDescriptorName={min(unknown)}: must be public or admin")
        self._environment = environment
        self._timer: asyncio.TimerHandle | None = None
        self._notify_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notify_socket.setblocking(False)

    def sockets(self, name: str) -> list[socket.socket]:
        """The listening sockets of that name. The caller closes them."""
        sockets = [
            socket.socket(fileno=descriptor) for descriptor in self._environment.descriptors.get(name, ())
        ]
        for listener in sockets:
            listener.set_inheritable(False)
            listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listener.type != socket.SOCK_STREAM or not listens:
                raise ConfigError(f"the socket passed on as {name} must be a listening stream socket")
            if listener.family != socket.AF_UNIX:
                set_user_timeout(listener)
        return sockets

    def notify(self, *states: str) -> None:
        """Sends states such as `READY=1`."""
        path = self._environment.notify_path
        if path:
            with suppress(OSError):
                self._notify_socket.sendto(
                    "\n".join(states).encode(), path.replace("@", "\0", 1) if path[0] == "@" else path
                )

    def start_watchdog(self) -> None:
        """Notifies systemd twice in each watchdog interval, from the event loop."""
        if self._environment.watchdog_s:
            self.notify("WATCHDOG=1")
            self._timer = asyncio.get_running_loop().call_later(
                self._environment.watchdog_s / 2, self.start_watchdog
            )

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._notify_socket.close()
