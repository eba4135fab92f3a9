"""Starts a worker process. Needs no event loop, so that the first one can start while the node is loading."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import proxy
from proxy.local.process import Process, start_interpreter


class Role(StrEnum):
    """What a worker does: renders pictures, finds faces, or draws texts."""

    RENDER = "render"
    FACES = "faces"
    TEXT = "text"


_PROGRAM = "from proxy.render.worker import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What a worker may use in its life: address space in bytes, processor time in seconds, and, if it draws texts, the folders
    of fonts."""

    memory_bytes: int
    cpu_s: int
    sandboxed: bool
    font_folders: tuple[str, ...] = ()


def spawn_worker(limits: WorkerLimits, role: Role = Role.RENDER) -> Process:
    """Starts a worker that sends its Hello and waits for jobs. Raises OSError."""
    folders = limits.font_folders if role is Role.TEXT else ()
    process = start_interpreter(
        _PROGRAM,
        *(str(int(number)) for number in (limits.memory_bytes, limits.cpu_s, limits.sandboxed)),
        role,
        *folders,
        environment=_environment(limits.memory_bytes),
        writes_stdout=False,
    )
    process.channel.setblocking(False)
    return process


def _environment(memory_bytes: int) -> dict[str, str]:
    """The environment of a worker: no secret of the node reaches a process that decodes untrusted pictures."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(proxy.__file__).parent.parent),
        "VIPS_CONCURRENCY": "1",
        "VIPS_WARNING": "0",
        # Above 100 MB libvips would decode to a file, which the sandbox forbids.
        "VIPS_DISC_THRESHOLD": str(memory_bytes),
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
    }
