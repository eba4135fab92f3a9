"""Composition root: builds every component from the settings, and starts and stops them in order.

The only room that knows all others. What may start before what, and who must outlive whom, is told here.
"""

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from aiohttp import web

from proxy.config import ConfigError, Settings
from proxy.core.errors import WorkerDied
from proxy.core.formats import Format
from proxy.core.limits import Limits
from proxy.core.mounts import Mount
from proxy.core.plan import Recipe
from proxy.edge.admin import admin_app
from proxy.edge.explain import Explanation, explained
from proxy.edge.public import Public
from proxy.edge.server import QuietServer
from proxy.ports import Metrics, Tier
from proxy.render.pool import Pool
from proxy.render.wire import Hello
from proxy.service.chain import Chain
from proxy.service.deliver import Deliver
from proxy.service.originals import Originals
from proxy.service.quarantine import Quarantine
from proxy.service.singleflight import Flights
from proxy.sources.directory import DirectorySource
from proxy.telemetry import PrometheusMetrics, RequestLedger
from proxy.tiers.disk import DiskTier
from proxy.tiers.memory import MemoryTier

OLDEST_LIBVIPS = (8, 16, 0)
KEEPALIVE_S = 75.0
MAX_HEADER_BYTES = 8190


def input_limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(
        max_bytes=int(limits.original_max_bytes),
        max_side_px=limits.original_max_side,
        max_pixels=limits.original_max_pixels,
        max_pixels_heif=limits.original_max_pixels_heif,
        max_frames=limits.original_max_frames,
    )


def recipe(settings: Settings) -> Recipe:
    formats = settings.formats
    return Recipe(
        quality=formats.quality,
        effort={
            Format.AVIF: formats.avif_effort,
            Format.WEBP: formats.webp_effort,
            Format.PNG: formats.png_compression,
            Format.GIF: formats.gif_effort,
        },
        max_side_px=settings.limits.output_max_side,
    )


def mounts(settings: Settings) -> list[Mount]:
    return [
        Mount(
            name=name,
            host=mount.host,
            prefix=mount.prefix,
            source=mount.source,
            dimensions=mount.dimensions,
            allowed_px=tuple(sorted(set(settings.dimensions.allowed))),
            presets_only=mount.presets_only,
            max_age_s=settings.max_age_s(mount),
        )
        for name, mount in settings.named_mounts().items()
    ]


def make_pool(settings: Settings, *, workers: int | None = None) -> Pool:
    render = settings.render
    return Pool(
        workers=workers or settings.workers(),
        queue=render.queue,
        timeout_s=render.timeout,
        memory_bytes=int(render.memory),
        recycle_after=render.recycle_after,
        limits=input_limits(settings),
        clock=time.monotonic,
    )


def make_sources(settings: Settings) -> dict[str, DirectorySource]:
    return {
        name: DirectorySource(name, source.path, max_bytes=int(settings.limits.original_max_bytes))
        for name, source in settings.sources.items()
    }


def check_libvips(hello: Hello) -> None:
    """Raises ConfigError for a libvips that is too old to be trusted with strangers' pictures."""
    if tuple(hello.libvips) < OLDEST_LIBVIPS:
        found, oldest = (".".join(map(str, version)) for version in (hello.libvips, OLDEST_LIBVIPS))
        raise ConfigError(
            f"libvips {found} is older than {oldest}; get the bundled one with:"
            " pip install --force-reinstall --no-deps pyvips-binary"
        )


class Engine:
    """All but HTTP: sources, tiers, workers and the use case. An async context; leaving it closes everything."""

    def __init__(
        self, settings: Settings, metrics: Metrics, *, disk: Path | None, workers: int | None = None
    ) -> None:
        self.settings = settings
        self.clock = time.monotonic
        self.stop_by: float | None = None
        self.mounts = mounts(settings)
        self.presets = settings.parsed_presets()
        self.pool = make_pool(settings, workers=workers)
        self.memory = MemoryTier(
            max_bytes=int(settings.cache.memory.max_bytes),
            max_entry_bytes=int(settings.cache.memory.max_entry_bytes),
        )
        self.slow: list[Tier] = []
        if disk is not None:
            try:
                self.slow.append(
                    DiskTier(disk, max_bytes=int(settings.cache.disk.max_bytes), metrics=metrics)
                )
            except OSError as fault:
                raise ConfigError(f"cache.disk.path: {disk} cannot be used: {fault.strerror}") from None
        self.chain = Chain(self.memory, self.slow, metrics)
        self.flights = Flights()
        self.sources = make_sources(settings)
        renderer = Quarantine(self.pool, self.clock)
        self.originals = Originals(self.sources, self.chain, renderer, self.flights, self.clock, metrics)
        self.deliver = Deliver(
            self.originals,
            self.chain,
            self.flights,
            renderer,
            recipe(settings),
            settings.formats.auto,
            self.clock,
            metrics,
        )

    async def __aenter__(self) -> "Engine":
        try:
            self.hello = await self.pool.start()
            check_libvips(self.hello)
        except BaseException:
            await self.close(self.clock())
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(self.stop_by or self.clock() + self.settings.server.drain)

    async def close(self, deadline: float) -> None:
        """Flights first, for they use the workers and fill the tiers; then the workers; the tiers last."""
        await self.flights.close()
        await self.pool.close()
        await self.chain.close(deadline)
        for source in self.sources.values():
            source.close()

    async def explain(self, url: str, accept: str) -> Explanation:
        return await explained(
            url,
            accept,
            mounts=self.mounts,
            presets=self.presets,
            deliver=self.deliver,
            originals=self.originals,
            deadline=self.clock() + self.settings.server.request_timeout,
        )


class Node:
    """The engine behind its two listeners."""

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
            tiers = {engine.memory.name: engine.memory.usage} | {
                tier.name: tier.usage for tier in engine.slow
            }
            self.metrics.watch(queue=lambda: engine.pool.waiting, tiers=tiers)
            public = self._public(engine)
            admin = self._admin(engine)
            async with AsyncExitStack() as stack:
                for runner in (admin, public):
                    await runner.setup()
                    stack.push_async_callback(runner.cleanup)
                await self._listen(public, admin)
                _settle_memory()
                self.ready = True
                self.log.info("ready", public=self.public_url, admin=self.admin_url)
                on_ready()
                await stop.wait()
                self.ready = False
                engine.stop_by = engine.clock() + self.settings.server.drain
                self.log.info("draining", seconds=self.settings.server.drain)
        self.ledger.flush()
        self.log.info("stopped")

    def _public(self, engine: Engine) -> web.ServerRunner:
        public = Public(
            engine.deliver,
            engine.originals,
            mounts=engine.mounts,
            presets=engine.presets,
            url_max_bytes=self.settings.limits.url_max_bytes,
            request_timeout_s=self.settings.server.request_timeout,
            clock=engine.clock,
            ledger=self.ledger,
            log=self.log,
        )
        server = QuietServer(
            public.handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            max_line_size=max(MAX_HEADER_BYTES, self.settings.limits.url_max_bytes + 64),
            max_field_size=MAX_HEADER_BYTES,
        )
        # The last fifth of the drain is for what is still to be written behind the answers.
        return web.ServerRunner(server, shutdown_timeout=self.settings.server.drain * 0.8)

    def _admin(self, engine: Engine) -> web.AppRunner:
        app = admin_app(
            token=self.settings.admin.token.get_secret_value(),
            registry=self.metrics.registry,
            is_ready=lambda: self.ready and engine.pool.alive > 0,
            explain=engine.explain,
            log=self.log,
        )
        return web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def _listen(self, public: web.ServerRunner, admin: web.AppRunner) -> None:
        server, admin_settings = self.settings.server, self.settings.admin
        site: web.BaseSite
        if server.socket:
            site = web.UnixSite(public, server.socket)
            self.public_url = f"unix:{server.socket}"
        else:
            site = web.TCPSite(public, server.host, server.port)
        await _started(site, "server")
        await _started(web.TCPSite(admin, admin_settings.host, admin_settings.port), "admin")
        if not server.socket:
            self.public_url = _url(public)
        self.admin_url = _url(admin)


def _settle_memory() -> None:
    """What is here now stays for good, and a request makes few cycles: the collector may look far less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


async def _started(site: web.BaseSite, section: str) -> None:
    try:
        await site.start()
    except OSError as fault:
        raise ConfigError(f"{section}.port: cannot listen: {fault.strerror or fault}") from None


def _url(runner: web.BaseRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve_until_signal(
    settings: Settings,
    log: structlog.typing.FilteringBoundLogger,
    *,
    announce: Callable[["Node"], None] | None = None,
) -> None:
    """Runs a node until SIGTERM or SIGINT; a second one ends the drain at once. Raises ConfigError."""
    if not settings.sources:
        raise ConfigError(
            "sources: there is nothing to serve; give --originals DIR or a [sources.NAME] table"
        )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    node = Node(settings, log)
    try:
        await node.run(stop, (lambda: announce(node)) if announce else lambda: None)
    except asyncio.CancelledError:
        log.warning("stopped before everything was finished")
    except WorkerDied as failure:
        raise ConfigError(f"render: {failure.detail}") from None
