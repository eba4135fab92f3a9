"""`calotype serve`: runs a node of one or several processes until a signal."""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from proxy.config.environment import systemd_environment
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.errors import WorkerDied
from proxy.local.process import Process
from proxy.node import welcome
from proxy.node.forked import fork
from proxy.node.reload import reload_settings
from proxy.node.single import SingleProcessNode
from proxy.node.supervisor import Supervisor
from proxy.node.systemd import Systemd
from proxy.ports.operations import CommandDispatcher
from proxy.render.sandbox import forbid_dumps
from proxy.telemetry.event_log import open_log
from proxy.telemetry.log_writer import LogWriter


def prepare(settings: Settings) -> list[Process]:
    """Raises the limit of file descriptors, disables core dumps, and forks the processes of a node with several.
    Must be called before there is an event loop or a thread. Raises ConfigError without a source."""
    if not settings.sources:
        raise ConfigError("sources: none is configured; give --originals DIR or a [sources.NAME] table")
    with suppress(ValueError, OSError):
        # Each client, store and process needs a descriptor; the usual soft limit of 1024 is too low.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A core dump would contain every secret of the configuration.
    forbid_dumps()
    processes = settings.server.processes
    gc.freeze()  # Spares collections these objects. Pages that no collection writes to stay shared.
    return fork(processes + 1) if processes > 1 else []


async def serve_until_signal(
    settings: Settings,
    out: LogWriter,
    children: list[Process],
    first_worker: Process | None,
    *,
    read: Callable[[], Settings],
    announce: Callable[[str, str], str] | None = None,
) -> None:
    """Runs a node until SIGTERM or SIGINT; a second signal ends the drain at once. With `children` the node has
    several processes. `first_worker` was started beforehand. Raises ConfigError.

    SIGHUP calls `read` and applies the settings that can change at run time. `announce` gets the public and the
    admin URL when the node is ready, and returns the text to write.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        systemd.notify("STOPPING=1")
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    systemd = Systemd(systemd_environment())
    log = open_log(out, settings.log.level)
    node = (
        Supervisor(settings, log, systemd, children, first_worker)
        if children
        else SingleProcessNode(settings, log, out, systemd, first_worker)
    )
    # Closing the terminal stops the node.
    on_hangup = on_signal if sys.stdout.isatty() else lambda: reload_settings(node, read, log, systemd)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)

    async def on_ready(dispatcher: CommandDispatcher) -> None:
        urls = await welcome.example_urls(node.settings, node.public_url, dispatcher)
        fields: dict[str, object] = {"processes": settings.server.processes} if children else {}
        # A readable log gets the URLs as `terminal_text` instead.
        fields |= {"open": urls} if urls and not out.readable else {}
        log.info("ready", public=node.public_url, admin=node.admin_url, **fields)
        systemd.notify("READY=1")
        systemd.start_watchdog()
        # Written in one piece by the thread of the log, so that no log line comes in between.
        if announce:
            out.write(announce(node.public_url, node.admin_url))
        elif urls and out.readable:
            out.write(welcome.terminal_text(urls))

    try:
        await node.run(stop, on_ready)
    except asyncio.CancelledError:
        log.warning("stopped before the drain was finished")
    except WorkerDied as failure:
        raise ConfigError(f"render: {failure.detail}") from None
    finally:
        systemd.close()
