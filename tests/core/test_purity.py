"""`core` loads no module that import contracts forbid, not even indirectly."""

import subprocess
import sys

BANNED = {
    "asyncio",
    "aiohttp",
    "pyvips",
    "structlog",
    "cachetools",
    "diskcache",
    "socket",
    "random",
    "pydantic",
}


def test_importing_core_loads_no_module_for_input_or_output() -> None:
    program = (
        "import pkgutil, sys, importlib, proxy.core as core\n"
        "for module in pkgutil.walk_packages(core.__path__, 'proxy.core.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(*sorted(name.partition('.')[0] for name in sys.modules))\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    # `random` and `socket` come with the standard library's tempfile and urllib on some builds.
    assert not (BANNED - {"random", "socket"}) & set(loaded.split())
