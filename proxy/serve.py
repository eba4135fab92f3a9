"""`calotype serve`: a node of one process or of several, from its start to a signal."""

import asyncio
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from proxy.app import Node
from proxy.config import RELOADED, ConfigError, Settings, reloaded, told_by_systemd
from proxy.core.errors import WorkerDied
from proxy.supervisor import Supervisor
from proxy.systemd import Systemd


async def serve_until_signal(
    settings: Settings,
    log: structlog.typing.FilteringBoundLogger,
    *,
    read: Callable[[], Settings],
    announce: Callable[[str, str], None] | None = None,
) -> None:
    """Runs a node until SIGTERM or SIGINT; a second one ends the drain at once. Raises ConfigError.

    SIGHUP has it `read` the settings again, and go on with what of them may change. `announce` is told the public and
    the admin URL once the node is ready.
    """
    if not settings.sources:
        raise ConfigError(
            "sources: there is nothing to serve; give --originals DIR or a [sources.NAME] table"
        )
    with suppress(ValueError, OSError):
        # A connection each for clients, stores and processes: the soft limit of old is soon reached.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A dump would hold every key of the configuration; with 0 one is still piped to a handler (core(5)).
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        systemd.tell("STOPPING=1")
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    systemd = Systemd(told_by_systemd())
    kind = Node if settings.server.processes == 1 else Supervisor
    node = kind(settings, log, systemd)
    # Who closes a terminal means the end.
    on_hangup = on_signal if sys.stdout.isatty() else lambda: _reload(node, read, log, systemd)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)

    def on_ready() -> None:
        systemd.tell("READY=1")
        systemd.keep_telling()
        if announce:
            announce(node.public_url, node.admin_url)

    try:
        await node.run(stop, on_ready)
    except asyncio.CancelledError:
        log.warning("stopped before everything was finished")
    except WorkerDied as failure:
        raise ConfigError(f"render: {failure.detail}") from None
    finally:
        systemd.close()


def _reload(
    node: Node | Supervisor,
    read: Callable[[], Settings],
    log: structlog.typing.FilteringBoundLogger,
    systemd: Systemd,
) -> None:
    """All of what may change, or nothing, and a word about it."""
    systemd.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        settings, waiting = reloaded(node.settings, read())
        node.reload(settings)
    except Exception as problem:
        # Whatever it is, a file that cannot be read or no descriptor to read it with: the node goes on as it was.
        reason = (
            str(problem)
            if isinstance(problem, ConfigError)
            else f"it cannot be read: {type(problem).__name__}"
        )
        node.metrics.reloaded("refused")
        log.error("the configuration is not used, the old one stays", reason=reason)
    else:
        node.metrics.reloaded("ok")
        log.info("the configuration was read anew", sections=RELOADED)
        if waiting:
            log.warning("what else has changed needs a restart", sections=waiting)
    systemd.tell("READY=1")
