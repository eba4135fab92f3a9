"""Composition root: builds every component from the settings, and starts and stops them in order.

The room that knows all others. What may start before what, and who must outlive whom, is told here; a node of several
processes is put together of the same halves in `supervisor`.
"""

import asyncio
import gc
import os
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NoReturn

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from proxy import parts
from proxy.config import Settings
from proxy.edge.admin import admin_app
from proxy.edge.explain import Explanation, explained
from proxy.edge.public import Public
from proxy.edge.server import QuietServer
from proxy.ports import InstantTier, Metrics, Producer, Tier
from proxy.s3.bucket import S3Bucket
from proxy.sections import S3, Directory, Http
from proxy.service.chain import Chain
from proxy.service.deliver import Deliver
from proxy.service.originals import Originals
from proxy.service.produce import Produce
from proxy.service.quarantine import Quarantine
from proxy.service.singleflight import Flights
from proxy.sockets import bound, public_sockets, url_of
from proxy.telemetry import PrometheusMetrics, RequestLedger
from proxy.tiers.redis import NoRedis
from proxy.web.client import Web

KEEPALIVE_S = 15.0
LINGER_S = 1.0
MAX_HEADER_BYTES = 8190
BACKLOG = 1024


class Engine:
    """The miss path, all but HTTP: sources, tiers, workers and the use case. An async context, made in a running loop;
    leaving it closes everything. With `disk` None nothing is kept beyond memory, and no bucket is asked."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        disk: Path | None,
        workers: int | None = None,
        memory_share: int = 1,
    ) -> None:
        self.settings = settings
        self.clock = parts.clock
        self.stop_by: float | None = None
        self.mounts = parts.mounts(settings)
        self.presets = settings.parsed_presets()
        self.pool = parts.pool(settings, workers=workers)
        self.memory = parts.memory(settings, share=memory_share)
        self.redis = parts.redis(settings, metrics) if disk is not None else None
        self._buckets: dict[str, S3Bucket] = {}
        self._webs: list[Web] = []
        self._scratch = None if disk else tempfile.TemporaryDirectory(prefix="calotype-")
        kept_at = Path(self._scratch.name) if self._scratch else disk
        assert kept_at is not None
        self.keep = parts.originals(settings, kept_at, metrics)
        self.slow: list[Tier] = []
        bucket = None
        if disk is not None:
            self.slow.append(parts.disk(settings, disk, metrics))
            kind = settings.cache.bucket
            s3 = self._bucket("cache.bucket", kind.as_s3()) if kind.kind == "s3" else None
            bucket = parts.bucket(settings, s3, self.redis or NoRedis(), metrics)
        if bucket is not None:
            self.slow.append(bucket)
        self.chain = Chain(self.memory, self.slow, metrics, self.redis if bucket else None)
        self.flights = Flights()
        self.sources = {
            name: parts.source(
                name,
                source,
                self._reached(name, source),
                self.keep,
                settings,
            )
            for name, source in settings.sources.items()
        }
        renderer = Quarantine(self.pool, self.clock)
        self.originals = Originals(
            self.sources, self.chain, renderer, self.flights, self.clock, metrics, self.keep
        )
        self.produce = Produce(
            self.originals,
            self.chain,
            self.flights,
            renderer,
            parts.recipe(settings),
            settings.formats.auto,
            self.clock,
            metrics,
            bucket,
        )

    def _reached(self, name: str, source: Directory | S3 | Http) -> S3Bucket | Web | None:
        match source:
            case S3():
                return self._bucket(f"sources.{name}", source)
            case Http():
                self._webs.append(parts.web(self.settings, source))
                return self._webs[-1]
            case Directory():
                return None

    def _bucket(self, section: str, s3: S3) -> S3Bucket:
        self._buckets[section] = parts.s3_bucket(s3)
        return self._buckets[section]

    async def __aenter__(self) -> "Engine":
        try:
            for section, bucket in self._buckets.items():
                await parts.opened(section, bucket)
            for servers in self._webs:
                await servers.__aenter__()
            if self.redis is not None:
                await self.redis.__aenter__()
            self.hello = await self.pool.start()
            parts.check_worker(self.settings, self.hello)
        except BaseException:
            await self.close(self.clock())
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(self.stop_by or self.clock() + self.settings.server.drain)

    async def close(self, deadline: float) -> None:
        """Flights first, for they use the workers and fill the tiers; then the workers; then the tiers, which write
        to Redis and buckets until the end."""
        await self.flights.close()
        await self.pool.close()
        await self.chain.close(deadline)
        for source in self.sources.values():
            source.close()
        if self.redis is not None:
            await self.redis.__aexit__()
        for bucket in self._buckets.values():
            await bucket.__aexit__()
        for servers in self._webs:
            await servers.__aexit__()
        self.keep.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def watched_tiers(self) -> dict[str, Callable[[], tuple[int, int] | None]]:
        """The usage of every tier here, for metrics."""
        own = {self.memory.name: self.memory.usage, self.keep.name: self.keep.usage}
        return {**own, **{tier.name: tier.usage for tier in self.slow}}

    async def explain(self, url: str, accept: str) -> Explanation:
        return await explained(
            url,
            accept,
            mounts=self.mounts,
            presets=self.presets,
            produce=self.produce,
            originals=self.originals,
            url_max_bytes=self.settings.limits.url_max_bytes,
            now_s=parts.wall(),
            deadline=self.clock() + self.settings.server.request_timeout,
        )


def public_runner(
    settings: Settings,
    producer: Producer,
    memory: InstantTier,
    flights: Flights,
    ledger: RequestLedger,
    log: structlog.typing.FilteringBoundLogger,
) -> web.ServerRunner:
    """The public listener's half of a node, before whichever producer."""
    public = Public(
        Deliver(memory, producer, flights, parts.clock),
        mounts=parts.mounts(settings),
        presets=settings.parsed_presets(),
        redirects=settings.cache.bucket.delivery == "redirect",
        url_max_bytes=settings.limits.url_max_bytes,
        request_timeout_s=settings.server.request_timeout,
        session=settings.signing.session,
        me=parts.loop_token(settings),
        clock=parts.clock,
        wall=parts.wall,
        ledger=ledger,
        log=log,
    )
    server = QuietServer(
        public.handle,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        max_line_size=max(MAX_HEADER_BYTES, settings.limits.url_max_bytes + 64),
        max_field_size=MAX_HEADER_BYTES,
    )
    # The last fifth of the drain is for what is still to be written behind the answers.
    return web.ServerRunner(server, shutdown_timeout=settings.server.drain * 0.8)


def admin_runner(
    settings: Settings,
    registry: CollectorRegistry,
    gather: Callable[[], Awaitable[None]],
    is_ready: Callable[[], Awaitable[bool]],
    explain: Callable[[str, str], Awaitable[Explanation]],
    log: structlog.typing.FilteringBoundLogger,
) -> web.AppRunner:
    """The admin listener's half of a node."""
    app = admin_app(
        token=settings.admin.token.get_secret_value(),
        registry=registry,
        gather=gather,
        is_ready=is_ready,
        explain=explain,
        log=log,
    )
    return web.AppRunner(app, access_log=None, shutdown_timeout=1.0)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def leave() -> NoReturn:
    """Ends this process, all being done: a thread that hangs in a file system that hangs is not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def listen(runner: web.BaseRunner, sockets: Sequence[socket.socket]) -> None:
    """Sets `runner` up and has it accept on `sockets`, which it closes in the end."""
    await runner.setup()
    for one in sockets:
        await web.SockSite(runner, one, backlog=BACKLOG).start()


def settle_memory() -> None:
    """What is here now stays for good, and a request makes few cycles: the collector may look far less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def warn(engine: Engine, log: structlog.typing.FilteringBoundLogger) -> None:
    """Says once what this machine does not give."""
    if lacking := parts.unsandboxed(engine.hello):
        log.warning(lacking)


class Node:
    """A node in one process: the engine behind its two listeners."""

    def __init__(self, settings: Settings, log: structlog.typing.FilteringBoundLogger) -> None:
        self.settings = settings
        self.log = log
        self.metrics = PrometheusMetrics()
        self.ledger = RequestLedger(self.metrics.registry)
        self.ready = False
        self.public_url = ""
        self.admin_url = ""

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Serves until `stop`, then drains. Raises ConfigError where it cannot start."""
        engine = Engine(self.settings, self.metrics, disk=self.settings.disk_path())
        async with engine:
            warn(engine, self.log)
            self.metrics.watch(queue=lambda: engine.pool.waiting, tiers=engine.watched_tiers())
            public = public_runner(
                self.settings, engine.produce, engine.memory, engine.flights, self.ledger, self.log
            )
            admin = self._admin(engine)
            async with AsyncExitStack() as stack:
                admin_at = bound(self.settings.admin.host, self.settings.admin.port, section="admin")
                self.admin_url = url_of(admin_at)
                stack.push_async_callback(admin.cleanup)
                await listen(admin, admin_at)
                public_at = public_sockets(self.settings)
                self.public_url = url_of(public_at)
                stack.push_async_callback(public.cleanup)
                await listen(public, public_at)
                settle_memory()
                self.ready = True
                self.log.info("ready", public=self.public_url, admin=self.admin_url)
                on_ready()
                await stop.wait()
                self.ready = False
                engine.stop_by = engine.clock() + self.settings.server.drain
                self.log.info("draining", seconds=self.settings.server.drain)
        self.ledger.flush()
        self.log.info("stopped")

    def _admin(self, engine: Engine) -> web.AppRunner:
        async def is_ready() -> bool:
            return self.ready and engine.pool.alive > 0

        async def gather() -> None:
            """This process has its own registry."""

        return admin_runner(self.settings, self.metrics.registry, gather, is_ready, engine.explain, self.log)
