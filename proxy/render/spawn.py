"""Starts a worker process. Needs no event loop, so that the first one can start while the node is loading."""

import os
from dataclasses import dataclass
from pathlib import Path

import proxy
from proxy.local.process import Process, start_interpreter

_PROGRAM = "from proxy.render.worker import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What a worker may use in its life: address space in bytes and processor time in seconds."""

    memory_bytes: int
    cpu_s: int
    sandboxed: bool


def spawn_worker(limits: WorkerLimits, *, finds_faces: bool = False) -> Process:
    """Starts a worker that sends its Hello and waits for jobs. With `finds_faces` it only finds faces. Raises OSError."""
    numbers = limits.memory_bytes, limits.cpu_s, limits.sandboxed, finds_faces
    process = start_interpreter(
        _PROGRAM,
        *(str(int(number)) for number in numbers),
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
