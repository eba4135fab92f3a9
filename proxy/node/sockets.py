"""What a node listens on: sockets bound to a port or a path, before anybody accepts. Whoever gets them closes them."""

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings

SILENT_MS = 30_000
_OF_PORT = (errno.EADDRINUSE, errno.EACCES, errno.EPERM)


def bound(host: str, port: int, *, section: str) -> list[socket.socket]:
    """Sockets bound to every address of `host`; raises ConfigError, where the port is taken too."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            made = socket.socket(family, kind, protocol)
            sockets.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            give_up_on_the_silent(made)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address[0], port or sockets[0].getsockname()[1], *address[2:]))
    except OSError as fault:
        for made in sockets:
            made.close()
        flags = "--port, " if section == "server" else ""
        raise ConfigError(
            f"{section}.port: cannot listen on {address_of(host, port)}: {fault.strerror or fault}; choose another with"
            f" {flags}CALOTYPE_{section.upper()}__PORT or {section}.port (0 takes a free one)"
            if fault.errno in _OF_PORT
            else f"{section}.host: cannot listen on {address_of(host, port)}: {fault.strerror or fault}"
        ) from None
    return sockets


def address_of(host: str, port: int) -> str:
    """As URLs have it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def beside(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """As many more, bound to the same addresses: the kernel divides connections among those that listen."""
    more = []
    for one in sockets:
        # Only now, when it is bound: a port that another node has taken must not be shared with it.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made = socket.socket(one.family, one.type, one.proto)
        more.append(made)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        give_up_on_the_silent(made)
        if one.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(one.getsockname())
    return more


def give_up_on_the_silent(listener: socket.socket) -> None:
    """Has the kernel drop a connection whose client takes nothing for so long, even one we have closed (tcp(7)); those
    that are accepted inherit it."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_MS)


def unix_socket(path: str) -> socket.socket:
    """A unix socket bound to `path`, in place of one that a killed node left; raises ConfigError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(ConnectionRefusedError):
                probe.connect(path)
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            Path(path).unlink()
        made.bind(path)
        os.chmod(path, 0o660)  # Whoever may connect is believed about clients.
    except OSError as fault:
        made.close()
        raise ConfigError(f"server.socket: cannot listen on {path}: {fault.strerror or fault}") from None
    return made


def public_sockets(settings: Settings) -> list[socket.socket]:
    """What the public listener of this node's only process listens on, where nobody has opened it for us."""
    server = settings.server
    if server.socket:
        return [unix_socket(server.socket)]
    return bound(server.host, server.port, section="server")


def admin_sockets(settings: Settings) -> list[socket.socket]:
    """What the admin listener listens on."""
    return bound(settings.admin.host, settings.admin.port, section="admin")


def url_of(sockets: Sequence[socket.socket]) -> str:
    """Where a browser finds what listens on `sockets`."""
    if sockets[0].family == socket.AF_UNIX:
        return f"unix:{sockets[0].getsockname()}"
    host, port = sockets[0].getsockname()[:2]
    return f"http://{address_of(host, port)}"
