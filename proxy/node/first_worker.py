"""The limits of workers by the settings, and the first worker, which starts while the node is loading.

Imports little, for the same reason.
"""

import math

from proxy.config.settings import Settings
from proxy.local.process import Process
from proxy.render.spawn import WorkerLimits, spawn_worker


def worker_limits(settings: Settings) -> WorkerLimits:
    render = settings.render
    return WorkerLimits(
        memory_bytes=int(render.memory),
        # Covers all jobs of a worker, in case the pool is gone and cannot end one.
        cpu_s=math.ceil((render.timeout + 1) * render.recycle_after),
        sandboxed=render.sandbox != "off",
        font_folders=render.fonts,
    )


def start_first_worker(settings: Settings) -> Process | None:
    """The first worker of the pool. None if it cannot be started: the pool tries again, and reports the failure."""
    try:
        return spawn_worker(worker_limits(settings))
    except OSError:
        return None
