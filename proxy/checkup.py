"""`calotype check`: reaches every part the configuration names, and says what is wrong and how to mend it."""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from proxy import parts
from proxy.config import ConfigError, Directory, Settings
from proxy.core.errors import WorkerDied
from proxy.core.formats import OUTPUTS


class Finding(NamedTuple):
    """One part, whether it works, and what there is to say of it."""

    part: str
    well: bool
    said: str


async def examine(settings: Settings) -> list[Finding]:
    """Every part once, the configuration first: it has been read, or this would not run."""
    return [
        Finding("configuration", True, "valid"),
        *await _rendering(settings),
        *(
            _source(name, source.path)
            for name, source in settings.sources.items()
            if isinstance(source, Directory)
        ),
        *([] if settings.sources else [Finding("sources", False, "none; add a [sources.NAME] table")]),
        _disk(settings),
    ]


async def _rendering(settings: Settings) -> list[Finding]:
    pool = parts.pool(settings, workers=1)
    try:
        hello = await pool.start()
        parts.check_libvips(hello)
    except (WorkerDied, ConfigError) as failure:
        return [Finding("render", False, str(failure))]
    finally:
        await pool.close()
    missing = sorted(OUTPUTS - set(hello.formats))
    formats = f"libvips {'.'.join(map(str, hello.libvips))}: {' '.join(hello.formats)}"
    if missing:
        return [Finding("formats", False, f"{formats}; not {' '.join(missing)}: install pyvips-binary")]
    return [Finding("formats", True, formats)]


def _source(name: str, path: Path) -> Finding:
    part = f"sources.{name}"
    if not path.is_dir():
        return Finding(part, False, f"{path} is not a directory; create it or change sources.{name}.path")
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding(part, False, f"{path} cannot be read by this user; change its permissions")
    return Finding(part, True, str(path))


def _disk(settings: Settings) -> Finding:
    part = "cache.disk"
    try:
        path = settings.disk_path()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (ConfigError, OSError) as failure:
        return Finding(part, False, f"{failure}; change cache.disk.path")
    return Finding(part, True, f"{path} is writable")
