"""Request smuggling: nginx and the node agree on the boundaries of ambiguous requests."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.cli import nginx_demo
from tests.stories.fleet import Node
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.servers import free_port
from tests.support.waiting import LONGEST_S, eventually_sync

SILENCE_S = 0.15
HIDDEN = b"GET /w_32/SMUGGLED-<n>.jpg HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9]) ")


class Payload(NamedTuple):
    """<t> is its target, <n> its number in three digits. `own` are requests that HIDDEN may be by RFC 9112, if the one before it was no error."""

    sent: bytes
    own: int = 0


def ask(*headers: bytes, suffix: bytes = HIDDEN, line: bytes = b"GET <t> HTTP/1.1", own: int = 0) -> Payload:
    return Payload(b"\r\n".join([line, b"Host: x", *headers, b"", b""]) + suffix, own)


POST = b"POST <t> HTTP/1.1"
HEAD = b"HEAD <t> HTTP/1.1"
LENGTH = b"Content-Length: %d" % len(HIDDEN)
CHUNKED = b"Transfer-Encoding: chunked"
ENDED = b"0\r\n\r\n" + HIDDEN
H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")

PAYLOADS: dict[str, Payload] = {
    # One says how long the body is, and so does the other.
    "CL.0": ask(LENGTH),
    "CL.0 of HEAD": ask(LENGTH, line=HEAD),
    "CL.0 of POST": ask(LENGTH, line=POST),
    "CL.TE": ask(b"Content-Length: %d" % len(ENDED), CHUNKED, suffix=ENDED),
    "CL.TE of POST": ask(b"Content-Length: %d" % len(ENDED), CHUNKED, suffix=ENDED, line=POST),
    "TE.CL": ask(b"Content-Length: 4", CHUNKED, suffix=CHUNK),
    "TE.CL of POST": ask(b"Content-Length: 4", CHUNKED, suffix=CHUNK, line=POST),
    "TE.CL, TE first": ask(CHUNKED, b"Content-Length: 4", suffix=CHUNK),
    "TE.0": ask(CHUNKED, suffix=CHUNK),
    "TE of HEAD": ask(CHUNKED, suffix=CHUNK, line=HEAD),
    "TE of HTTP/1.0": ask(CHUNKED, suffix=CHUNK, line=b"GET <t> HTTP/1.0"),
    "TE that ends": ask(CHUNKED, suffix=ENDED, own=1),
    "TE, an extension with LF": ask(CHUNKED, suffix=b"2;\nxx\r\n" + CHUNK),
    "TE, a size that overflows": ask(CHUNKED, suffix=b"10000000000000000\r\n" + HIDDEN),
    "TE, a negative size": ask(CHUNKED, suffix=b"-1\r\n" + HIDDEN),
    "TE, trailers": ask(CHUNKED, b"Trailer: Content-Length", suffix=b"0\r\n" + LENGTH + b"\r\n\r\n" + HIDDEN),
    **{
        f"TE.TE {header!r}": ask(LENGTH, header, suffix=ENDED)
        for header in (
            b"Transfer-Encoding : chunked", b"Transfer-Encoding:\tchunked", b"Transfer-Encoding: \tchunked",
            b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunkedx",
            b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: CHUNKED",
            b"Transfer-Encoding: \"chunked\"", b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding:",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding: identity\r\n" + CHUNKED,
            b"Transfer-Encoding: chunked\r\nTransfer-encoding: cow", b" Transfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked",
            b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"Transfer-Encoding\n: chunked",
            b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding\x00: chunked", b"Transfer-Encoding: chunked\xa0",
        )
    },
    **{
        f"CL {header!r}": ask(header)
        for header in (
            LENGTH + b"\r\nContent-Length: 0", b"Content-Length: 0\r\n" + LENGTH, LENGTH + b"\r\n" + LENGTH,
            LENGTH + b", 0", b"Content-Length: 0, %d" % len(HIDDEN), b"Content-Length: +%d" % len(HIDDEN), b"Content-Length: -1",
            b"Content-Length: -0", b"Content-Length: 4 5", b"Content-Length: 0 %d" % len(HIDDEN), b"Content-Length: 0x10",
            b"Content-Length: 1_0", b"Content-Length: 5.0", b"Content-Length: 99999999999999999999", b"Content-Length: \xd9\xa5",
            b"Content-Length:", b"Content-Length : %d" % len(HIDDEN), b"Content-Length:\r\n %d" % len(HIDDEN),
            b"Content-Length: 0\r\n %d" % len(HIDDEN), b"Content-Length: 0\x00%d" % len(HIDDEN), b"X: y\r" + LENGTH,
        )
    },
    # Heads that end elsewhere for others.
    "LF alone": Payload(b"GET <t> HTTP/1.1\nHost: x\n\n" + HIDDEN, own=1),
    "LF alone, with a body": Payload(b"GET <t> HTTP/1.1\nHost: x\n" + LENGTH + b"\n\n" + HIDDEN),
    "LF alone, once": Payload(b"GET <t> HTTP/1.1\r\nHost: x\n" + LENGTH + b"\r\n\r\n" + HIDDEN),
    "LF and CRLF end it": Payload(b"GET <t> HTTP/1.1\r\nHost: x\r\nX: y\n\r\n" + HIDDEN, own=1),
    "CR alone": Payload(b"GET <t> HTTP/1.1\rHost: x\r\r" + HIDDEN),
    "CR in the end": Payload(b"GET <t> HTTP/1.1\r\nHost: x\r\n\r" + HIDDEN),
    "CR CR LF": Payload(b"GET <t> HTTP/1.1\r\nHost: x\r\r\n" + LENGTH + b"\r\n\r\n" + HIDDEN),
    "folded": ask(b"X: y", b" GET /w_32/SMUGGLED-<n>.jpg HTTP/1.1", own=1),
    "folded at once": Payload(b"GET <t> HTTP/1.1\r\n Host: x\r\n\r\n" + HIDDEN),
    "NUL in a value": ask(b"X: y\x00z", LENGTH),
    "NUL in a name": ask(b"X\x00y: z", LENGTH),
    "NUL in the target": ask(line=b"GET <t>\x00 HTTP/1.1"),
    "a name with a space": ask(b"Content Length: 1", own=1),
    "a name that is empty": ask(b": x", own=1),
    "a line without a colon": ask(b"nothing", own=1),
    "a control in a name": ask(b"Content-Length\x01: 5", own=1),
    "a name of 17 kB": ask(b"X" * 17_000 + b": y"),
    "a value of 17 kB": ask(b"X: " + b"y" * 17_000),
    "heads of 40 kB": ask(*[b"X-%d: " % number + b"y" * 4000 for number in range(10)], own=1),
    "a thousand heads": ask(*[b"X-%d: y" % number for number in range(1000)], own=1),
    "a target of 17 kB": ask(line=b"GET <t>?" + b"x" * 17_000 + b" HTTP/1.1", own=1),
    "lines before it": Payload(b"\r\n\r\n" + ask().sent, own=1),
    # Request lines.
    "two spaces": ask(line=b"GET  <t> HTTP/1.1", own=1),
    "two spaces behind": ask(line=b"GET <t>  HTTP/1.1", own=1),
    "a tab": ask(line=b"GET\t<t> HTTP/1.1"),
    "a space at its end": ask(line=b"GET <t> HTTP/1.1 ", own=1),
    "a request line in it": ask(line=b"GET <t> HTTP/1.1 GET /w_32/SMUGGLED-<n>.jpg HTTP/1.1"),
    "encoded line ends": ask(line=b"GET <t>%0d%0a%0d%0aGET%20/x HTTP/1.1", own=1),
    "HTTP/2.0": ask(line=b"GET <t> HTTP/2.0"),
    "HTTP/1.2": ask(line=b"GET <t> HTTP/1.2", own=1),
    "HTTP/1.10": ask(line=b"GET <t> HTTP/1.10", own=1),
    "HTTP/0.9": ask(line=b"GET <t> HTTP/0.9"),
    "of 1991": Payload(b"GET <t>\r\n" + HIDDEN),
    "http/1.1": ask(line=b"GET <t> http/1.1"),
    "the preface of HTTP/2": Payload(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN),
    "absolute": ask(line=b"GET http://x<t> HTTP/1.1", own=1),
    "absolute, another host": ask(line=b"GET http://evil.example<t> HTTP/1.1", own=1),
    "absolute, a user": ask(line=b"GET http://x@evil.example<t> HTTP/1.1", own=1),
    "absolute, no path": ask(line=b"GET http://x?<t> HTTP/1.1", own=1),
    "absolute, another scheme": ask(line=b"GET gopher://x<t> HTTP/1.1", own=1),
    "no slash": ask(line=b"GET w_50/photo.jpg HTTP/1.1"),
    "CONNECT": ask(line=b"CONNECT x:80 HTTP/1.1", own=1),
    "OPTIONS": ask(line=b"OPTIONS * HTTP/1.1", own=1),
    "TRACE": ask(line=b"TRACE <t> HTTP/1.1", own=1),
    "a method of two words": ask(line=b"GET POST <t> HTTP/1.1"),
    # What changes the connection.
    "h2c": ask(*H2C, own=1),
    "h2c, and its preface": ask(*H2C, suffix=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, own=1),
    "a websocket": ask(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: eA==", own=1),
    "a websocket with a body": ask(b"Connection: Upgrade", b"Upgrade: websocket", LENGTH),
    "Connection takes headers away": ask(b"Connection: keep-alive, X-Forwarded-For, X-Request-Id, Host", own=1),
    "Connection takes the length away": ask(b"Connection: keep-alive, Content-Length", LENGTH),
    "Connection: close": ask(b"Connection: close"),
    "Expect": ask(b"Expect: 100-continue", own=1),
    "Expect, with a body": ask(b"Expect: 100-continue", LENGTH),
    "Expect, with a body of POST": ask(b"Expect: 100-continue", LENGTH, line=POST),
    "Expect nonsense": ask(b"Expect: 100-continue, 200-ok", LENGTH),
    # Who asks, and for which host.
    "underscores": ask(b"X_Forwarded_For: 6.6.6.6", b"Content_Length: 5", b"Transfer_Encoding: chunked", own=1),
    "forged": ask(b"X-Forwarded-For: 6.6.6.6", b"X-Request-Id: " + b"6" * 32, b"Forwarded: for=6.6.6.6", own=1),
    "two hosts": ask(b"Host: y"),
    "two hosts in one": ask(b"X: y", b"Host: x, y"),
    "no host": Payload(b"GET <t> HTTP/1.1\r\n\r\n" + HIDDEN),
    "no host, HTTP/1.0": Payload(b"GET <t> HTTP/1.0\r\n\r\n" + HIDDEN),
    # Nothing wrong with these.
    "one behind the other": ask(own=1),
    "one behind HEAD": ask(line=HEAD, own=1),
    "one behind an empty body": ask(b"Content-Length: 0", own=1),
    "one behind a body": ask(b"Content-Length: 3", suffix=b"a=b" + HIDDEN, line=POST, own=1),
}  # fmt: skip


class ProxyAndNode:
    """nginx before a node that listens on a unix socket."""

    def __init__(self, node: Node, public: Path, clear: int, folder: Path) -> None:
        self.node, self.public, self.clear, self.folder = node, public, clear, folder

    def connect_to_proxy(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.clear), timeout=LONGEST_S)

    def connect_to_node(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(LONGEST_S)
        made.connect(str(self.public))
        return made

    def requests(self) -> list[dict[str, str]]:
        """What the node has logged."""
        lines = [json.loads(line) for line in self.node.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "request"]

    def proxy_log(self) -> str:
        return (self.folder / "access.log").read_text()


@pytest.fixture(scope="module")
def proxy_and_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyAndNode]:
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("nginx or openssl is missing; as root: apt-get install nginx openssl")
    folder = tmp_path_factory.mktemp("desync")
    temporary_file(folder / "photos", "photo.jpg", pictures.photo_as("jpeg"))
    public = folder / "public.sock"
    node = Node(
        folder / "node",
        server={"socket": str(public)},
        sources={"photos": {"path": str(folder / "photos")}},
        render={"workers": 1},
    )
    ports = nginx_demo.Ports(free_port(), free_port(), free_port(), free_port())
    configuration = nginx_demo.arrange(folder / "front", folder / "hot", ports, [f"unix:{public}"])
    # One process, so that the request after a payload goes the way the payload went.
    machine = folder / "front/site/machine.conf"
    machine.write_text(machine.read_text().replace("worker_processes auto", "worker_processes 1"))
    cache = folder / "front/site/cache.conf"
    cache.write_text(re.sub(r"(?<=proxy_cache_path )\S+", str(folder / "hot"), cache.read_text()))
    with contextlib.ExitStack() as stack:
        stack.callback(node.kill)
        node.start()
        nginx = subprocess.Popen(nginx_demo.nginx(configuration))
        stack.callback(nginx.wait, 20)
        stack.callback(nginx.terminate)
        made = ProxyAndNode(node, public, ports.clear, folder / "front")
        eventually_sync(lambda: answers(made))
        yield made
        assert node.process is not None
        assert node.process.poll() is None, "the node is gone"
        assert nginx.poll() is None, "nginx is gone"


def answers(proxy_and_node: ProxyAndNode) -> bool:
    with contextlib.suppress(OSError), proxy_and_node.connect_to_proxy():
        return True
    return False


def response_to(connect: Callable[[], socket.socket], sent: bytes) -> bytes:
    """All that comes back, until the connection ends or is silent for a moment."""
    response = b""
    with connect() as connection, contextlib.suppress(TimeoutError, ConnectionError):
        connection.sendall(sent)
        connection.settimeout(2)
        while part := connection.recv(65536):
            response += part
            connection.settimeout(SILENCE_S)
    return response


def picture(connect: Callable[[], socket.socket], target: str) -> bytes:
    """The body of an ordinary answer."""
    response = response_to(connect, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = response.partition(b"\r\n\r\n")
    return body if head.startswith(b"HTTP/1.1 200 ") else head


def logged(proxy_and_node: ProxyAndNode, marks: list[str]) -> list[list[dict[str, str]]]:
    """The requests between each two of these targets."""

    def targets() -> list[str]:
        return [line["target"] for line in proxy_and_node.requests()]

    eventually_sync(lambda: marks[-1] in targets())
    positions = [targets().index(mark) for mark in marks]
    lines = proxy_and_node.requests()
    return [lines[start + 1 : end] for start, end in pairwise(positions)]


def faults(proxy_and_node: ProxyAndNode, connect: Callable[[], socket.socket], kind: str) -> list[str]:
    """What is wrong with the answers to the table, and with what the node understood."""
    found, responses = [], []
    plain = picture(connect, "/w_50/photo.jpg")
    assert plain.startswith(b"\xff\xd8")
    marks = [f"/w_50/photo.jpg?utm_source={kind}-first"]
    picture(connect, marks[0])
    for number, (name, payload) in enumerate(PAYLOADS.items()):
        # A path of its own, without a new version, which would wait for a revalidation.
        sent = payload.sent.replace(b"<t>", b"/w_50,g_0.%03d:0.5/photo.jpg" % number)
        responses.append(response_to(connect, sent.replace(b"<n>", b"%03d" % number)))
        marks.append(f"/w_50/photo.jpg?utm_source={kind}-{number}-after")
        if picture(connect, marks[-1]) != plain:
            found.append(f"{name}: the request after it got something else")
    understood = logged(proxy_and_node, marks)
    for (name, payload), response, lines in zip(PAYLOADS.items(), responses, understood, strict=True):
        statuses = [int(status) for status in STATUS.findall(response)]
        hidden = [line for line in lines if "SMUGGLED" in line["target"]]
        most = (
            1 + payload.own if (statuses and statuses[0] < 400) or name in PIPELINED_AFTER_ERRORS[kind] else 1
        )
        if len(statuses) > most:
            found.append(f"{name}: {len(statuses)} answers, {statuses}")
        if len(lines) - len(hidden) > 1 or len(hidden) > most - 1:
            found.append(
                f"{name}: the node saw {[line['target'] for line in lines]}, {statuses} were answered"
            )
        if kind == "proxy" and any(line.get("client") != "127.0.0.1" for line in lines):
            found.append(f"{name}: the client is {[line.get('client') for line in lines]}")
    return found


PIPELINED_AFTER_ERRORS = {
    "proxy": {"OPTIONS", "absolute, no path", "encoded line ends", "one behind a body"},
    "node": {
        *("absolute, no path", "encoded line ends", "a target of 17 kB"),
    },
}
"""Refused for what they ask, while anybody knows where they end: the connection goes on."""


def test_the_table_has_at_least_sixty_payloads() -> None:
    assert len(PAYLOADS) >= 60


def test_nginx_and_the_node_agree_on_every_payload(proxy_and_node: ProxyAndNode) -> None:
    assert faults(proxy_and_node, proxy_and_node.connect_to_proxy, "proxy") == []
    known = {line["id"] for line in proxy_and_node.requests()}

    def passed_on() -> set[str]:
        """The requests of nginx's log that went to the node. nginx writes the log once a second, and whole lines."""
        proxy_log = [json.loads(line) for line in proxy_and_node.proxy_log().splitlines()]
        return {line["id"] for line in proxy_log if line["node_status"]}

    assert eventually_sync(lambda: passed_on() >= known), "the node was asked what nginx does not know of"


def test_the_node_answers_every_payload_unambiguously(proxy_and_node: ProxyAndNode) -> None:
    assert faults(proxy_and_node, proxy_and_node.connect_to_node, "node") == []
