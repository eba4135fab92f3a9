"""Virtual time for telemetry."""

import asyncio
from collections.abc import Callable, Mapping

from tests.support.virtual_time import loop_factories


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories()
