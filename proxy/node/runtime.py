"""The runtime of every process of a node: event loop, garbage collector, version and exit."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import proxy

if TYPE_CHECKING:
    from proxy.telemetry.metrics import PrometheusMetrics


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop factory of uvloop, if it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def exit_process() -> NoReturn:
    """Ends this process without waiting for threads: one may hang in a file system."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def tune_garbage_collector() -> None:
    """Freezes the start-up objects and raises the collector's thresholds: requests create few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def watch_version(metrics: "PrometheusMetrics") -> None:
    metrics.watch("calotype_build_info", "The running version.", lambda: {proxy.__version__: 1}, "version")
