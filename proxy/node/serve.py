"""`calotype serve`: a node of one process or of several, from its start to a signal."""

import asyncio
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from proxy.config.environment import systemd_environment
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.errors import WorkerDied
from proxy.node import welcome
from proxy.node.forked import Forked, fork
from proxy.node.reload import read_anew
from proxy.node.single import SingleProcessNode
from proxy.node.supervisor import Supervisor
from proxy.node.systemd import Systemd
from proxy.render.sandbox import forbid_dumps
from proxy.telemetry.event_log import open_log
from proxy.telemetry.log_writer import LogWriter


def prepare(settings: Settings) -> list[Forked]:
    """Raises this process's limit of descriptors, forbids core dumps, and forks the processes that a node of several begins
    with. Must be called before there is an event loop or a thread. Raises ConfigError where there is nothing to serve."""
    if not settings.sources:
        raise ConfigError(
            "sources: there is nothing to serve; give --originals DIR or a [sources.NAME] table"
        )
    with suppress(ValueError, OSError):
        # A connection each for clients, stores and processes: the soft limit of old is soon reached.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A dump would hold every key of the configuration.
    forbid_dumps()
    processes = settings.server.processes
    return fork(processes + 1) if processes > 1 else []


async def serve_until_signal(
    settings: Settings,
    out: LogWriter,
    children: list[Forked],
    *,
    read: Callable[[], Settings],
    announce: Callable[[str, str], str] | None = None,
) -> None:
    """Runs a node, of these `children` where it is one of several processes, until SIGTERM or SIGINT; a second one ends
    the drain at once. Raises ConfigError.

    SIGHUP has it `read` the settings again, and go on with what of them may change. `announce` is told the public and
    the admin URL once the node is ready, and says what is written then.
    """
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
    systemd = Systemd(systemd_environment())
    log = open_log(out, settings.log.level)
    node = (
        Supervisor(settings, log, out, systemd, children)
        if children
        else SingleProcessNode(settings, log, out, systemd)
    )
    # Who closes a terminal means the end.
    on_hangup = on_signal if sys.stdout.isatty() else lambda: read_anew(node, read, log, systemd)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)

    def on_ready() -> None:
        systemd.tell("READY=1")
        systemd.keep_telling()
        # In one piece, by the thread that writes the log: no line of it comes in between.
        if announce:
            out.write(announce(node.public_url, node.admin_url))
        elif node.urls and out.readable:
            out.write(welcome.text(node.urls))

    try:
        await node.run(stop, on_ready)
    except asyncio.CancelledError:
        log.warning("stopped before everything was finished")
    except WorkerDied as failure:
        raise ConfigError(f"render: {failure.detail}") from None
    finally:
        systemd.close()
