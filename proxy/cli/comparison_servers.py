"""The two servers of `calotype compare`: the node, and the vendor or its saved responses."""

from contextlib import AsyncExitStack
from pathlib import Path

import proxy
from proxy.cli.options import listener_url
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.url.mounts import Mount
from proxy.local.saved_responses import SavedResponses, SavingResponder
from proxy.node import factory
from proxy.ports.comparing import Responder
from proxy.remote.comparison_client import ComparisonClient, Server


def node_server(settings: Settings, node: str | None, mount: Mount | None) -> Server:
    """Where to ask the node: at `node`, else at the public listener of the configuration. Raises ConfigError."""
    prefix = mount.prefix.removesuffix("/") if mount is not None else ""
    host = mount.host if mount is not None and mount.host != "*" else ""
    listener = settings.server
    if node is not None:
        return Server(_base_url("--node", node) + prefix, host, is_trusted=True)
    if listener.socket:
        return Server(f"http://localhost{prefix}", host, listener.socket, is_trusted=True)
    if not listener.port:
        raise ConfigError("--node: must be given, because server.port is 0")
    return Server(listener_url(listener.host, listener.port) + prefix, host, is_trusted=True)


def server_name(server: Server) -> str:
    """Its URL or socket, and the host that is asked for."""
    at = server.socket_path or server.url
    return f"{at} as {server.host}" if server.host else at


def is_url(vendor: str) -> bool:
    """Whether the vendor is a server and not a folder."""
    return "://" in vendor


async def open_responders(
    stack: AsyncExitStack,
    settings: Settings,
    server: Server,
    vendor: str,
    *,
    save: Path | None,
    accept: str,
    timeout_s: float,
) -> tuple[Responder, Responder]:
    """The node and the vendor, until `stack` ends; servers are known to answer. With `save` the vendor's responses are
    saved in that folder. Raises ConfigError."""
    headers = {"User-Agent": f"calotype-compare/{proxy.__version__}", "Accept": accept}
    max_bytes = int(settings.limits.original_max_bytes)

    async def opened(option: str, of: Server) -> ComparisonClient:
        client = ComparisonClient(
            of, headers=headers, timeout_s=timeout_s, max_bytes=max_bytes, clock=factory.clock
        )
        await stack.enter_async_context(client)
        if fault := await client.check():
            raise ConfigError(f"{option}: {server_name(of)}: {fault}; start the server, or give its URL")
        return client

    node = await opened("--node", server)
    if not is_url(vendor):
        return node, SavedResponses(Path(vendor), max_bytes=max_bytes)
    client = await opened("--vendor", Server(_base_url("--vendor", vendor)))
    if save is None:
        return node, client
    return node, SavingResponder(client, SavedResponses(save, max_bytes=max_bytes))


def _base_url(option: str, url: str) -> str:
    if not url.startswith(("http://", "https://")) or any(mark in url for mark in "?#@"):
        raise ConfigError(f"{option}: must be an http or https URL without user, query and fragment")
    return url.rstrip("/")
