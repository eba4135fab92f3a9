"""The sockets of a node's listeners, bound to a port or a path. The caller closes them."""

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings

USER_TIMEOUT_MS = 30_000
_PORT_ERRNOS = (errno.EADDRINUSE, errno.EACCES, errno.EPERM)


def bound_sockets(host: str, port: int, *, section: str) -> list[socket.socket]:
    """Sockets bound to every address of `host`. Raises ConfigError if one cannot be bound."""
    sockets: list[socket.socket] = []
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(addresses):
            created = _tcp_socket(family, kind, protocol)
            sockets.append(created)
            created.bind((address[0], port or sockets[0].getsockname()[1], *address[2:]))
    except OSError as fault:
        for created in sockets:
            created.close()
        flags = "--port, " if section == "server" else ""
        raise ConfigError(
            f"{section}.port: cannot listen on {address_of(host, port)}: {fault.strerror or fault}; choose another with"
            f" {flags}CALOTYPE_{section.upper()}__PORT or {section}.port (0 takes a free one)"
            if fault.errno in _PORT_ERRNOS
            else f"{section}.host: cannot listen on {address_of(host, port)}: {fault.strerror or fault}"
        ) from None
    return sockets


def address_of(host: str, port: int) -> str:
    """Host and port as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reuse_port_sockets(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """Another set of sockets on the same addresses. The kernel distributes connections among the sets."""
    copies = []
    for listener in sockets:
        # Set after bind(2), so that a port in use by another node raises an error and is not shared with it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        created = _tcp_socket(listener.family, listener.type, listener.proto)
        copies.append(created)
        created.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        created.bind(listener.getsockname())
    return copies


def _tcp_socket(family: int, kind: int, protocol: int) -> socket.socket:
    created = socket.socket(family, kind, protocol)
    created.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    set_user_timeout(created)
    if family == socket.AF_INET6:
        created.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return created


def set_user_timeout(listener: socket.socket) -> None:
    """Sets TCP_USER_TIMEOUT (tcp(7)): the kernel drops a connection whose client acknowledges nothing for
    `USER_TIMEOUT_MS`, also after it was closed here. Accepted connections inherit the option."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def unix_socket(path: str) -> socket.socket:
    """A unix socket bound to `path`. Replaces the socket file of a node that was killed. Raises ConfigError."""
    created = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(ConnectionRefusedError):
                probe.connect(path)
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            Path(path).unlink()
        created.bind(path)
        os.chmod(path, 0o660)  # A peer that may connect is trusted about client addresses.
    except OSError as fault:
        created.close()
        raise ConfigError(f"server.socket: cannot listen on {path}: {fault.strerror or fault}") from None
    return created


def public_sockets(settings: Settings) -> list[socket.socket]:
    """The sockets of the public listener when systemd passes none."""
    server = settings.server
    if server.socket:
        return [unix_socket(server.socket)]
    return bound_sockets(server.host, server.port, section="server")


def admin_sockets(settings: Settings) -> list[socket.socket]:
    """The sockets of the admin listener when systemd passes none."""
    return bound_sockets(settings.admin.host, settings.admin.port, section="admin")


def url_of(sockets: Sequence[socket.socket]) -> str:
    """The URL of the first of `sockets`; `unix:PATH` for a unix socket."""
    if sockets[0].family == socket.AF_UNIX:
        return f"unix:{sockets[0].getsockname()}"
    host, port = sockets[0].getsockname()[:2]
    return f"http://{address_of(host, port)}"
