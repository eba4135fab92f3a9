"""The public and the admin listener of a node: limits, timeouts and connections."""

import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.errors import BadRequest
from proxy.core.net.trusted_proxies import TrustedProxies
from proxy.edge.admin.app import admin_app
from proxy.edge.public.handler import PublicHandler
from proxy.edge.public.server import AdminAppRunner, ConnectionRunner, ConnectionServer
from proxy.local.tasks import Tasks
from proxy.node import factory
from proxy.node.pages import AdminPages
from proxy.node.signed_urls import SignOptions, signed_urls
from proxy.node.sockets import admin_sockets, url_of
from proxy.node.systemd import Systemd
from proxy.ports.operations import CommandDispatcher
from proxy.telemetry.history import History
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.recent import Recent

KEEPALIVE_S = 15.0
LINGER_S = 1.0
CLOSE_GRACE_S = 1.0
SPARE_DESCRIPTORS = 1024
MAX_HEADER_BYTES = 8190
MAX_LINE_BYTES = 65_536
BACKLOG = 1024


def public_runner(settings: Settings, public: PublicHandler, metrics: PrometheusMetrics) -> ConnectionRunner:
    """The runner of the public listener, which passes its requests to `public`."""
    drain_s = settings.server.drain
    server = ConnectionServer(
        public.handle,
        refuse=public.refused,
        trusted_proxies=TrustedProxies(settings.server.trusted_proxies),
        most_connections=max_connections(),
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )
    metrics.watch("calotype_connections", "Clients connected.", lambda: {"": len(server.connections)})
    metrics.watch_count(
        "calotype_connections_turned_away",
        "Clients rejected because of the limit of file descriptors.",
        lambda: server.rejected,
    )
    # The last fifth of the drain is left for pending writes to the tiers.
    close_grace_s = min(CLOSE_GRACE_S, drain_s / 10)
    return ConnectionRunner(
        server, public.stop, close_grace_s=close_grace_s, shutdown_timeout=drain_s * 0.8 - close_grace_s
    )


@asynccontextmanager
async def admin_listener(
    settings: Callable[[], Settings],
    systemd: Systemd,
    registry: CollectorRegistry,
    gather: Callable[[], Awaitable[Recent]],
    not_ready: Callable[[], Awaitable[list[str]]],
    dispatcher: CommandDispatcher,
    log: structlog.typing.FilteringBoundLogger,
) -> AsyncIterator[str]:
    """The admin listener, by its URL; on the sockets that `systemd` passes, if any. `settings` are the present ones."""
    sockets = systemd.sockets("admin") or admin_sockets(settings())

    def pages() -> AdminPages:
        return AdminPages(factory.rules(settings()), dispatcher)

    def sign(urls: Sequence[str], seconds: float | None) -> list[str]:
        try:
            return signed_urls(settings(), urls, mount=None, signing=SignOptions(seconds=seconds))
        except ConfigError as reason:
            raise BadRequest(str(reason)) from None

    history = History(registry, factory.wall)

    async def remembered() -> dict[str, object]:
        return {**(await gather())._asdict(), "history": list(history.totals)}

    tasks = Tasks()
    app = admin_app(
        auth=factory.auth(settings()),
        spool=settings().disk_path() / "uploads",
        max_bytes=lambda: int(settings().limits.original_max_bytes),
        registry=registry,
        gather=remembered,
        not_ready=not_ready,
        pages=pages,
        sign=sign,
        public_port=lambda: 0 if settings().server.socket else settings().server.port,
        clock=factory.clock,
        dispatcher=dispatcher,
        log=log,
    )
    runner = AdminAppRunner(
        app,
        most_connections=max_connections(),
        access_log=None,
        shutdown_timeout=1.0,
        handler_cancellation=True,
        keepalive_timeout=KEEPALIVE_S,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )
    url = url_of(sockets)
    try:
        await listen(runner, sockets)
        tasks.start(history.watch(gather), "history")
        yield url
    finally:
        await tasks.close()
        await runner.cleanup()


def max_connections() -> int:
    """How many clients a process accepts. The rest of its file descriptors are left for its own work."""
    max_descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, max_descriptors - min(SPARE_DESCRIPTORS, max_descriptors // 2))


async def listen(runner: web.BaseRunner, sockets: Sequence[socket.socket]) -> None:
    """Sets up `runner` and accepts on `sockets`. The runner closes the sockets."""
    await runner.setup()
    for one in sockets:
        await web.SockSite(runner, one, backlog=BACKLOG).start()
