"""Real servers for tests: OpenStack Swift, moto and redis-server, on free ports, ended with SIGKILL.

What is missing skips the test and says what to do. Only loopback; nothing outlives the `with` block.
"""

import contextlib
import http.client
import json
import os
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from redis import Redis as RedisClient

from tests.support.waiting import eventually_sync

ROOT = Path(__file__).parents[2]

SWIFT_SERVERS = {
    "account": "account-server",
    "container": "container-server",
    "object": "object-server",
    "proxy": (
        "catch_errors gatekeeper healthcheck proxy-logging listing_formats bulk s3api tempauth copy"
        " slo dlo versioned_writes symlink proxy-logging proxy-server"
    ),
}
SWIFT_FILTERS = {
    "s3api": "s3api\nlocation = us-east-1\ns3_acl = false",
    "tempauth": "tempauth\nuser_test_tester = testing .admin",
}
SWIFT_RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(("account", "container", "object"), sys.argv[2:]):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1))
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{name}.ring.gz")
"""


def documented_rights() -> list[str]:
    """What docs/scaling.md has a Redis user allowed, as words of ACL SETUSER."""
    page = (ROOT / "docs" / "scaling.md").read_text()
    _, found, rest = page.partition("ACL SETUSER calotype on '>PASSWORD' ")
    assert found
    return shlex.split(rest.partition("```")[0].replace("\\\n", " "))


_GIVEN: deque[int] = deque(maxlen=1000)
"""The last ports that `free_port` returned: their servers may not listen yet."""


def free_port() -> int:
    """Below the ephemeral range: there no outgoing connection takes it while its server is away, and a connect
    to it is refused instead of meeting itself. Each of four parallel runners of tests has a range of its own."""
    runner = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    while True:
        port = 10_000 + 5_500 * runner + secrets.randbelow(5_500)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _GIVEN:
                _GIVEN.append(port)
                return port


class Program:
    """A server process. `launch`, then `wait` until it answers; what it wrote to stderr is told if it does not."""

    def __init__(
        self, *command: str, log: Path, answers: Callable[[], bool], env: Mapping[str, str] | None = None
    ) -> None:
        self.command, self.log, self.answers, self.env = command, log, answers, env
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env
            )

    def wait(self) -> None:
        assert self.process is not None
        process = self.process
        eventually_sync(lambda: process.poll() is not None or self.answers(), pause_s=0.01)
        if process.poll() is not None:
            self.kill()
            log_text = self.log.read_text(errors="replace")[-4000:]
            raise RuntimeError(
                f"{' '.join(self.command)} is not up (exit code {process.returncode}):\n{log_text}"
            )

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def http_ok(port: int, target: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", target)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Store:
    """An S3 store: how to reach it, and a plain client that asks once and never retries."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str
    programs: list[Program] = field(default_factory=list, repr=False)
    others: list["Store"] = field(default_factory=list, repr=False)

    def start(self) -> None:
        for program in self.programs:
            program.launch()
        for program in self.programs:
            program.wait()

    def stop(self) -> None:
        for program in self.programs:
            program.kill()

    def via(self, endpoint_url: str) -> "Store":
        """The same store at another address, such as that of a FaultyProxy."""
        other = Store(endpoint_url, self.access_key, self.secret_key, self.region)
        self.others.append(other)
        return other

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()
        for other in self.others:
            other.close()

    @property
    def port(self) -> int:
        return int(self.endpoint_url.rsplit(":", 1)[1])

    @cached_property
    def client(self) -> Any:
        return botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                proxies={},
                connect_timeout=5,
                read_timeout=30,
            ),
        )

    def bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return name

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.client.put_object(
            Bucket=bucket, Key=key, Body=body, ContentType=content_type, Metadata=dict(metadata or {})
        )

    def get(self, bucket: str, key: str) -> bytes | None:
        try:
            content: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return content

    def delete(self, bucket: str, key: str) -> None:
        self.client.delete_object(Bucket=bucket, Key=key)

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def metadata(self, bucket: str, key: str) -> dict[str, str]:
        """What was put as metadata: x-amz-meta-*, without that prefix."""
        stored: dict[str, str] = self.client.head_object(Bucket=bucket, Key=key)["Metadata"]
        return stored

    def headers(self, bucket: str, key: str) -> dict[str, str]:
        """Every header of a HEAD answer, names in lower case."""
        received: dict[str, str] = self.client.head_object(Bucket=bucket, Key=key)["ResponseMetadata"][
            "HTTPHeaders"
        ]
        return received


@contextlib.contextmanager
def running(store: Store) -> Iterator[Store]:
    try:
        store.start()
        yield store
    finally:
        store.close()
        store.stop()


def swift_python() -> Path:
    python = Path(os.environ.get("CALOTYPE_SWIFT_VENV") or ROOT / ".venv-swift") / "bin/python"
    if not python.exists():
        pytest.skip("OpenStack Swift is missing: ./run test sets it up")
    return python


def need_xattrs(folder: Path) -> None:
    """Swift keeps what it knows about an object in extended attributes; a tmpfs before Linux 6.6 has none."""
    probe = folder / "xattrs"
    probe.touch()
    try:
        os.setxattr(probe, "user.calotype", bytes(1000))
    except OSError as error:
        pytest.skip(
            f"OpenStack Swift needs extended attributes in {folder}: {error.strerror}; set TMPDIR to a disk"
        )


def swift_config(folder: Path, name: str, port: int) -> str:
    pipeline = SWIFT_SERVERS[name] if name == "proxy" else f"healthcheck {SWIFT_SERVERS[name]}"
    sections = [
        f"""[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
bind_timeout = 5
workers = 0
user = {pwd.getpwuid(os.getuid()).pw_name}
swift_dir = {folder}/conf
devices = {folder}/srv
mount_check = false
disable_fallocate = true
log_level = WARNING
log_udp_host = 127.0.0.1
log_udp_port = 9

[pipeline:main]
pipeline = {pipeline}

[app:{name}-server]
use = egg:swift#{name}"""
    ]
    if name == "proxy":
        sections[0] += "\naccount_autocreate = true\nconn_timeout = 5\nnode_timeout = 20"
    for word in dict.fromkeys(pipeline.split()[:-1]):
        sections.append(f"[filter:{word}]\nuse = egg:swift#{SWIFT_FILTERS.get(word, word.replace('-', '_'))}")
    return "\n\n".join(sections) + "\n"


def swift_set_up(folder: Path, python: Path) -> dict[str, int]:
    """The servers' ports; configuration and rings are made the first time."""
    known = folder / "ports.json"
    if known.exists():
        ports: dict[str, int] = json.loads(known.read_text())
        return ports
    need_xattrs(folder)
    (folder / "conf").mkdir()
    (folder / "srv/d1").mkdir(parents=True)
    ports = {name: free_port() for name in SWIFT_SERVERS}
    (folder / "conf/swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n\n"
        "[storage-policy:0]\nname = Policy-0\ndefault = yes\n"
    )
    for name, port in ports.items():
        (folder / f"conf/{name}-server.conf").write_text(swift_config(folder, name, port))
    where = [str(folder / "conf"), *(str(ports[name]) for name in ("account", "container", "object"))]
    subprocess.run([str(python), "-W", "ignore", "-c", SWIFT_RINGS, *where], check=True, env=swift_env())
    known.write_text(json.dumps(ports))
    return ports


def swift_env() -> dict[str, str]:
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore", "EVENTLET_NO_GREENDNS": "yes"}


@contextlib.contextmanager
def swift(folder: Path) -> Iterator[Store]:
    """OpenStack Swift with its S3 API; signatures are checked. Its data stays in `folder` over stop and start."""
    python = swift_python()
    ports = swift_set_up(folder, python)
    programs = [
        Program(
            *(
                str(python),
                str(python.parent / f"swift-{name}-server"),
                f"{folder}/conf/{name}-server.conf",
                "-v",
            ),
            log=folder / f"{name}.log",
            answers=lambda port=port: http_ok(port, "/healthcheck"),  # type: ignore[misc]
            env=swift_env(),
        )
        for name, port in ports.items()
    ]
    url = f"http://127.0.0.1:{ports['proxy']}"
    with running(Store(url, "test:tester", "testing", "us-east-1", programs)) as store:
        yield store


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Store]:
    """moto's S3: quick, accepts any signature, forgets everything when it stops."""
    port = free_port()
    program = Program(
        *(sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        log=folder / "moto.log",
        answers=lambda: http_ok(port, "/moto-api/"),
    )
    with running(Store(f"http://127.0.0.1:{port}", "testing", "testing", "us-east-1", [program])) as store:
        yield store


class Redis:
    """A redis-server that can be frozen, shot and started again, empty, on the same port."""

    def __init__(self, folder: Path, command: str, *, is_old: bool) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = Program(
            *(command, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder)),
            *("--save", "", "--appendonly", "no"),
            *(("--rename-command", "INFO", "") if is_old else ()),
            log=folder / "redis.log",
            answers=self._answers,
        )

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False

    def start(self) -> None:
        self._program.launch()
        self._program.wait()

    def pause(self) -> None:
        self._program.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._program.signal(signal.SIGCONT)

    def kill(self) -> None:
        self._program.kill()

    def client(self) -> RedisClient:
        return RedisClient(host="127.0.0.1", port=self.port, decode_responses=True, socket_timeout=5)


@contextlib.contextmanager
def redis(folder: Path, *, is_old: bool = False) -> Iterator[Redis]:
    """One that `is_old` has been the meeting point for long: nodes believe at once what it knows."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("redis-server is missing; as root: apt-get install redis-server")
    server = Redis(folder, command, is_old=is_old)
    try:
        server.start()
        if is_old:
            with contextlib.closing(server.client()) as client:
                client.hset("calotype:purges", "", "long ago 0")
        yield server
    finally:
        server.kill()
