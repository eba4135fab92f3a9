"""`./run front`: a demo node behind nginx, with the configuration of nginx/ and a certificate of its own.

The files of nginx/site/ are written for one machine and unprivileged ports; all other files are used unchanged.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import click

from proxy.config.shipped import nginx_folder

NGINX = nginx_folder()
STOP_S = 20.0
_ENDED = "front: nginx or the node has ended; see its message above"
_EXAMPLES = ("t_card/lake.jpg", "w_1280,h_320,c_fill,g_0.7:0.4/lake.jpg", "w_200,f_auto/orbit.gif")


class Ports(NamedTuple):
    """Loopback ports of nginx; `clear` serves pictures without TLS, 0 disables it."""

    https: int = 8443
    http: int = 8088
    status: int = 8089
    clear: int = 0


def arrange(
    folder: Path, hot: Path, ports: Ports, nodes: Sequence[str], more: Mapping[str, str] | None = None
) -> Path:
    """Writes a complete configuration below `folder`, with the micro-cache at `hot`. `nodes` are servers in nginx's
    notation; `more` replaces files of site/ by name. Returns the file to start nginx with."""
    shutil.copytree(NGINX, folder, dirs_exist_ok=True)
    site = folder / "site"
    clear = f"listen 127.0.0.1:{ports.clear} backlog=4096 sndbuf=256k;\n" if ports.clear else ""
    # nginx started by root would switch to a user without access to this folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    written = {
        "machine": f"{user}worker_processes auto;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log alert;\n",
        "nodes": "".join(f"server {node} max_fails=0;\n" for node in nodes),
        "listen": f"listen 127.0.0.1:{ports.https} ssl http2 backlog=4096 sndbuf=256k;\n{clear}server_name _;\n"
        "ssl_certificate site/certificate.pem;\nssl_certificate_key site/certificate.key;\n"
        f"access_log {folder}/access.log calotype buffer=32k flush=1s;\n",
        "redirect": f"listen 127.0.0.1:{ports.http};\nserver_name _;\nset $https_port :{ports.https};\naccess_log off;\n",
        "status": f"listen 127.0.0.1:{ports.status};\n",
        "cache": (site / "cache.conf").read_text().replace("/dev/shm/calotype-front", str(hot))  # noqa: S108
        + "".join(
            f"{kind}_temp_path {folder}/temp/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
        **(more or {}),
    }
    for name, text in written.items():
        (site / f"{name}.conf").write_text(text)
    (folder / "temp").mkdir(exist_ok=True)
    _certify(site)
    return folder / "nginx.conf"


_CERTIFICATE = """\
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = localhost
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
subjectKeyIdentifier = hash
"""


def _certify(site: Path) -> None:
    """Writes a self-signed certificate for localhost that cannot sign others."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "30", "-config", "/dev/stdin"),
            *("-keyout", str(site / "certificate.key"), "-out", str(site / "certificate.pem")),
        ],
        input=_CERTIFICATE.encode(),
        check=True,
        capture_output=True,
    )


def nginx(configuration: Path, *more: str) -> list[str]:
    """The command that runs nginx in the foreground."""
    return ["nginx", "-p", str(configuration.parent), "-c", str(configuration), "-g", "daemon off;", *more]


@contextmanager
def _running(command: Sequence[str], number: signal.Signals) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` until the block ends, then stops it with the signal `number`."""
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        process.kill()


def _await(process: subprocess.Popen[bytes], local: str, stopped: Callable[[], bool]) -> None:
    """Waits until `local`, a port and a path, answers successfully. Raises SystemExit if `process` ends first."""
    while process.poll() is None and not stopped():
        with suppress(OSError), urlopen(f"http://127.0.0.1:{local}", timeout=2):
            return
        time.sleep(0.1)
    if not stopped():
        raise SystemExit(_ENDED)


def _free(given: Mapping[str, int]) -> dict[str, int]:
    """The given ports by the names of their options, a free port for each 0. Raises SystemExit if one is in use."""
    found: dict[str, int] = {}
    with ExitStack() as stack:
        for option, port in given.items():
            made = stack.enter_context(socket.socket())
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                made.bind(("127.0.0.1", port))
                made.listen()
            except OSError as fault:
                raise SystemExit(
                    f"front: cannot listen on port {port}: {fault.strerror}; use {option}, where 0 takes a free port"
                ) from None
            found[option] = made.getsockname()[1]
    return found


_PORT = click.IntRange(0, 65535)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExample:\n  ./run front --https-port 9443 --admin-port 0",
)
@click.option("--https-port", default=Ports().https, type=_PORT, help="HTTPS port of the pictures (8443).")
@click.option("--http-port", default=Ports().http, type=_PORT, help="Port that redirects to HTTPS (8088).")
@click.option("--status-port", default=Ports().status, type=_PORT, help="Port of nginx's status page (8089).")
@click.option(
    "--admin-port",
    default=8081,
    type=_PORT,
    envvar="CALOTYPE_ADMIN__PORT",
    help="Port of the node's admin listener (8081).",
)
def main(https_port: int, http_port: int, status_port: int, admin_port: int) -> None:
    """Run the demo behind nginx on loopback ports; 0 takes a free port."""
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        raise SystemExit("front: nginx and openssl are needed; as root: apt-get install nginx openssl")
    given = {"--https-port": https_port, "--http-port": http_port, "--status-port": status_port}
    *of_nginx, admin_port = _free({**given, "--admin-port": admin_port}).values()
    ports = Ports(*of_nginx)
    stopped = _stopping()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (a temporary directory)
    with (
        tempfile.TemporaryDirectory(prefix="calotype-") as made,
        tempfile.TemporaryDirectory(prefix="calotype-", dir=memory) as hot,
    ):
        folder = Path(made)
        configuration = arrange(folder, Path(hot), ports, [f"unix:{folder}/public.sock"])
        node_command = [
            *("env", f"CALOTYPE_SERVER__SOCKET={folder}/public.sock"),
            *("CALOTYPE_ADMIN__HOST=127.0.0.1", f"CALOTYPE_ADMIN__PORT={admin_port}"),
            *(sys.executable, "-m", "proxy", "serve", "--demo"),
        ]
        with _running(node_command, signal.SIGTERM) as node:
            _await(node, f"{admin_port}/readyz", stopped)
            with _running(nginx(configuration), signal.SIGQUIT) as front:
                _await(front, f"{ports.status}/nginx_status", stopped)
                if not stopped():
                    _announce(folder, ports)
                while not stopped() and node.poll() is None and front.poll() is None:
                    time.sleep(0.2)
            if not stopped():
                raise SystemExit(_ENDED)


def _announce(folder: Path, ports: Ports) -> None:
    print("\nThe demo through nginx, with a self-signed certificate (curl -k):\n")
    for below in _EXAMPLES:
        print(f"  https://localhost:{ports.https}/{below}")
    print(f"\n  http://localhost:{ports.http}/  redirects to HTTPS")
    print(f"  http://localhost:{ports.status}/nginx_status")
    print(f"\nConfiguration and log: {folder}    Stop: Ctrl-C\n", flush=True)


def _stopping() -> Callable[[], bool]:
    """A function that tells whether a stop signal has arrived."""
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: signals.append(number))
    return lambda: bool(signals)


if __name__ == "__main__":
    main(prog_name="./run front")
