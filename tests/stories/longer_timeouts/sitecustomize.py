"""Lengthens constants of a node in a story twentyfold; Python imports this module at the start of each process.

A busy machine is not a broken store. `fleet` sets what has a setting. Stories of a part that hangs do not use it
(`has_longer_timeouts=False`), or exclude one constant, named in STORY_BRIEF.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType

FACTOR = 20.0
NAMES = {
    "proxy.edge.public.server": ["HEAD_S", "PROGRESS_CHECK_S"],
    "proxy.node.sockets": ["USER_TIMEOUT_MS"],
    "proxy.tiers.disk": ["LOOKUP_TIMEOUT_S"],
    "proxy.tiers.hardened_diskcache": ["LOCK_TIMEOUT_S"],
    "proxy.tiers.object_stores": ["LOOKUP_TIMEOUT_S", "STORE_TIMEOUT_S"],
    "proxy.fleet.presence": ["CONNECT_TIMEOUT_S", "LEASE_TTL_S"],
    "proxy.remote.s3": ["CONNECT_TIMEOUT_S", "READ_TIMEOUT_S"],
    "proxy.remote.guard": ["MIN_RATE_AFTER_S"],
    "proxy.fleet.purge_log": ["REDIS_TIMEOUT_S", "CONFIRM_TIMEOUT_S"],
    "proxy.render.pool": ["START_TIMEOUT_S"],
    "proxy.service.admin.purge_subscribers": ["ACKNOWLEDGE_TIMEOUT_S"],
    "proxy.service.admin.purges": ["DELETE_WAIT_S"],
    "proxy.node.slot": ["START_TIMEOUT_S"],
}


class _Loader(importlib.abc.Loader):
    """Loads a module with another loader, then sets its constants before any other module imports it."""

    def __init__(self, real: importlib.abc.Loader) -> None:
        self._real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        for name in {*NAMES[module.__name__]} - {os.environ.get("STORY_BRIEF")}:
            value = getattr(module, name)
            setattr(module, name, type(value)(FACTOR * value))


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in NAMES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
# Libraries of the node import these where they are installed, as tools and tests have them: a tenth of a start.
sys.modules |= dict.fromkeys(("rich", "django"))
