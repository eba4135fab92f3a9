"""The rivals: thumbor and ipx from environments that `./run test` sets up, imgproxy and imagor where the environment names
a program or the URL of one that runs. A rival that is missing is None."""

import contextlib
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from proxy.config.sections import MountSection
from tests.support.servers import ROOT, Program, free_port, http_ok

MAX_MEMORY_BYTES = 6 << 30
"""Address space of a rival: some of them try whatever size is asked for."""

THUMBOR = ROOT / ".venv-thumbor" / "bin" / "thumbor"
NODE_MODULES = ROOT / ".node-rivals" / "node_modules"
NODE = shutil.which("node")
IMGPROXY = os.environ.get("CALOTYPE_IMGPROXY")
IMAGOR = os.environ.get("CALOTYPE_IMAGOR")

THUMBOR_SETTINGS = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {folder!r}
STORAGE = "thumbor.storages.no_storage"
SECURITY_KEY = "thumbor's key"
"""


DIALECTS = {
    "thumbor": "thumbor",
    "imagor": "thumbor",
    "ipx": "next",
    "imgproxy": "imgproxy",
    "imgproxy_rules": "imgproxy",
}
"""The dialect that answers each rival's URLs."""


def takes(dialect: str) -> bool:
    """Whether a mount can have the dialect."""
    with contextlib.suppress(ValidationError):
        MountSection.model_validate({"source": "pictures", "dialect": dialect})
        return True
    return False


def available() -> set[str]:
    """The rivals that can be asked here."""
    found = {
        "thumbor": THUMBOR.exists(),
        "ipx": NODE is not None and (NODE_MODULES / "ipx").is_dir(),
        "imgproxy": bool(IMGPROXY),
        "imagor": bool(IMAGOR),
        "imgproxy_rules": True,
    }
    return {name for name, is_there in found.items() if is_there}


@contextlib.contextmanager
def running(*command: str, port: int, health: str, log: Path, env: dict[str, str]) -> Iterator[str]:
    """The URL of a program that listens on the port of this machine; it ends with the block."""
    program = Program(*command, log=log, answers=lambda: http_ok(port, health), env=env)
    program.launch()
    try:
        program.wait()
        yield f"http://127.0.0.1:{port}"
    finally:
        program.kill()


def limited(*command: str) -> tuple[str, ...]:
    """The command with an address space of at most MAX_MEMORY_BYTES, where the machine has prlimit."""
    prlimit = shutil.which("prlimit")
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if prlimit is None or hard not in (resource.RLIM_INFINITY, MAX_MEMORY_BYTES):
        return command
    return (prlimit, f"--as={MAX_MEMORY_BYTES}", *command)


@contextlib.contextmanager
def thumbor(pictures: Path, folder: Path) -> Iterator[str]:
    port = free_port()
    settings = folder / "thumbor.conf"
    settings.write_text(THUMBOR_SETTINGS.format(folder=str(pictures)))
    command = limited(str(THUMBOR), "-i", "127.0.0.1", "-p", str(port), "-c", str(settings), "-l", "error")
    env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    with running(*command, port=port, health="/healthcheck", log=folder / "thumbor.log", env=env) as url:
        yield url


@contextlib.contextmanager
def ipx(pictures: Path, folder: Path) -> Iterator[str]:
    port = free_port()
    script = str(Path(__file__).with_name("ipx_server.cjs"))
    # V8 reserves more address space than it uses, so that a limit would end it.
    command = (NODE or "node", script, str(pictures), str(port))
    env = {"PATH": os.defpath, "NODE_PATH": str(NODE_MODULES)}
    with running(*command, port=port, health="/_ipx/_/dot.png", log=folder / "ipx.log", env=env) as url:
        yield url


@contextlib.contextmanager
def imgproxy(pictures: Path, folder: Path) -> Iterator[str]:
    """One that runs elsewhere must have the gallery as its local files: CALOTYPE_RIVALS_GALLERY says where it lies."""
    assert IMGPROXY is not None
    if "://" in IMGPROXY:
        yield IMGPROXY
        return
    port = free_port()
    env = {
        "PATH": os.defpath,
        "IMGPROXY_BIND": f"127.0.0.1:{port}",
        "IMGPROXY_LOCAL_FILESYSTEM_ROOT": str(pictures),
    }
    with running(IMGPROXY, port=port, health="/health", log=folder / "imgproxy.log", env=env) as url:
        yield url


@contextlib.contextmanager
def imagor(pictures: Path, folder: Path) -> Iterator[str]:
    """As `imgproxy`."""
    assert IMAGOR is not None
    if "://" in IMAGOR:
        yield IMAGOR
        return
    port = free_port()
    command = (IMAGOR, "-imagor-unsafe", "-file-loader-base-dir", str(pictures), "-port", str(port))
    env = {"PATH": os.defpath}
    with running(*command, port=port, health="/healthcheck", log=folder / "imagor.log", env=env) as url:
        yield url
