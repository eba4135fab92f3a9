"""The service manager above, if there is one: sockets it has opened for us, and what it wants to hear (sd_listen_fds(3),
sd_notify(3)). Without one nothing here does anything.
"""

import asyncio
import socket
from contextlib import suppress

from proxy.config.environment import SystemdEnvironment
from proxy.config.errors import ConfigError
from proxy.node.sockets import give_up_on_the_silent

NAMES = frozenset({"public", "admin"})


class Systemd:
    """Speaks to whoever started us. Raises ConfigError for a socket it cannot make use of."""

    def __init__(self, environment: SystemdEnvironment) -> None:
        if unknown := environment.descriptors.keys() - NAMES:
            raise ConfigError(f"FileDescriptorName={min(unknown)}: must be public or admin")
        self._told = environment
        self._timer: asyncio.TimerHandle | None = None
        self._talk = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._talk.setblocking(False)

    def sockets(self, name: str) -> list[socket.socket]:
        """The listening sockets of that name; whoever gets them closes them."""
        sockets = [socket.socket(fileno=descriptor) for descriptor in self._told.descriptors.get(name, ())]
        for one in sockets:
            one.set_inheritable(False)
            listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if one.type != socket.SOCK_STREAM or not listens:
                raise ConfigError(f"the socket passed on as {name} must be a listening stream socket")
            if one.family != socket.AF_UNIX:
                give_up_on_the_silent(one)
        return sockets

    def tell(self, *states: str) -> None:
        """As in READY=1."""
        path = self._told.notify_path
        if path:
            with suppress(OSError):
                self._talk.sendto(
                    "\n".join(states).encode(), path.replace("@", "\0", 1) if path[0] == "@" else path
                )

    def keep_telling(self) -> None:
        """From now on says twice in every watchdog interval that the event loop turns."""
        if self._told.watchdog_s:
            self.tell("WATCHDOG=1")
            self._timer = asyncio.get_running_loop().call_later(self._told.watchdog_s / 2, self.keep_telling)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._talk.close()
