"""`calotype check` over real parts: a failing part has one line that names the remedy."""

import json
import os
import secrets
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.stories.fleet import PATIENT, s3
from tests.support.commands import calotype_text
from tests.support.servers import Redis, Store, free_port


@pytest.fixture(scope="module")
def buckets(swift_store: Store) -> tuple[str, str]:
    name = secrets.token_hex(4)
    return swift_store.bucket(f"in-{name}"), swift_store.bucket(f"out-{name}")


def check(folder: Path, **sections: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """The exit code, and what was said of each part, FAIL in front where it is not well."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALOTYPE_")}
    sections.setdefault("cache", {})["disk"] = {"path": str(folder / "cache")}
    overrides = {f"CALOTYPE_{section.upper()}": json.dumps(values) for section, values in sections.items()}
    done = calotype_text("check", env=inherited | overrides)
    assert done.stderr == ""
    assert "testing" not in done.stdout.replace("test:tester", ""), "no secret is said"
    messages = {}
    for line in done.stdout.splitlines():
        well, message = line[:4], line[6:]
        part, _, what = message.partition(": ")
        messages[part] = what if well == "ok  " else f"FAIL {what}"
    return done.returncode, messages


def test_check_reports_working_parts(
    swift_store: Store, redis: Redis, buckets: tuple[str, str], tmp_path: Path
) -> None:
    originals, processed = buckets
    code, messages = check(
        tmp_path,
        sources={"photos": s3(swift_store, originals)},
        cache={"bucket": s3(swift_store, processed, delivery="redirect")},
        redis={"url": redis.url, **PATIENT["redis"]},
    )
    assert code == 0, messages
    assert messages["sources.photos"] == f"bucket {originals} at {swift_store.endpoint_url}: reached"
    assert messages["cache.bucket"] == f"bucket {processed} at {swift_store.endpoint_url}: written and read"
    assert messages["redis"] == "written and read"
    assert swift_store.keys(processed) == [], "nothing is left behind"
    with redis.client() as client:
        assert client.keys() == ["calotype:purges"]  # As it was.


def test_check_reports_a_directory_as_bucket(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    sections = {"sources": {"photos": {"path": str(tmp_path / "in")}}}
    code, messages = check(
        tmp_path, **sections, cache={"bucket": {"kind": "directory", "path": str(tmp_path / "out")}}
    )
    assert code == 0
    assert messages["cache.bucket"].endswith("out: written and read")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
    code, messages = check(
        tmp_path, **sections, cache={"bucket": {"kind": "directory", "path": "/nonexistent"}}
    )
    assert code == 1
    assert messages["cache.bucket"] == (
        "FAIL /nonexistent is not a directory; create it or change cache.bucket.path"
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"secret_key": "not the one"}, "correct access_key and secret_key"),
        ({"access_key": "test:nobody"}, "correct access_key and secret_key"),
        ({"bucket": "no-such-bucket"}, "the bucket does not exist: create it, or correct its name"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "endpoint_url and the store"),
        ({"endpoint_url": "http://no-such-host.invalid"}, "endpoint_url and the store"),
    ],
)
def test_check_reports_a_failing_store(
    swift_store: Store, buckets: tuple[str, str], tmp_path: Path, wrong: dict[str, str], says: str
) -> None:
    originals, processed = buckets
    code, messages = check(
        tmp_path,
        sources={"photos": s3(swift_store, originals) | wrong},
        cache={"bucket": s3(swift_store, processed) | wrong},
    )
    assert code == 1
    assert messages["sources.photos"].startswith("FAIL")
    assert says in messages["sources.photos"]
    assert messages["cache.bucket"].startswith("FAIL")
    assert says in messages["cache.bucket"]


def test_check_reports_a_wrong_public_url(
    swift_store: Store, redis: Redis, buckets: tuple[str, str], tmp_path: Path
) -> None:
    originals, processed = buckets
    public_url = f"{swift_store.endpoint_url}/elsewhere"
    code, messages = check(
        tmp_path,
        sources={"photos": s3(swift_store, originals)},
        cache={"bucket": s3(swift_store, processed, delivery="redirect", public_url=public_url)},
        redis={"url": redis.url},
    )
    assert code == 1
    assert messages["cache.bucket"].endswith(
        "a redirected client does not get the object; correct public_url"
    )


@pytest.mark.parametrize("how", ["down", "full", "read-only", "password", "slow"])
def test_check_reports_a_failing_redis(redis: Redis, tmp_path: Path, how: str) -> None:
    (tmp_path / "in").mkdir()
    settings: dict[str, Any] = {"url": redis.url}
    with redis.client() as client:
        match how:
            case "down":
                settings["url"] = f"redis://:testing@127.0.0.1:{free_port()}"
            case "full":
                client.config_set("maxmemory", "1")
            case "read-only":
                client.execute_command("REPLICAOF", "127.0.0.1", "1")
            case "password":
                client.config_set("requirepass", "testing")
            case "slow":
                settings["timeout"] = "0.001ms"
    code, messages = check(tmp_path, sources={"photos": {"path": str(tmp_path / "in")}}, redis=settings)
    assert code == 1
    assert messages["redis"].startswith("FAIL ")
    expected = {
        "down": "start it, or correct redis.url", "full": "raise its maxmemory",
        "read-only": "name the primary", "password": "correct redis.url", "slow": "longer than redis.timeout",
    }  # fmt: skip
    assert expected[how] in messages["redis"]


def test_check_reaches_the_upstream_of_a_mount(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()

    def checked(port: int, **more: bool) -> tuple[int, str]:
        upstream = {"share": 0.5, "upstream": f"http://127.0.0.1:{port}/old", **more}
        sources = {"photos": {"path": str(tmp_path / "in")}}
        code, messages = check(tmp_path, sources=sources, mounts={"shop": {"source": "photos", **upstream}})
        return code, messages["mounts.shop.upstream"]

    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()[:2]
        refused = f"FAIL {host}:{port}: its address is not public; set mounts.shop.upstream_allow_private to allow it"
        assert checked(port) == (1, refused)
    unreachable = f"FAIL {host}:{port}: it refuses connections"
    assert checked(port, upstream_allow_private=True) == (1, unreachable)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as answering:
        thread = Thread(target=answering.serve_forever, daemon=True)
        thread.start()
        port = answering.server_address[1]
        assert checked(port, upstream_allow_private=True) == (0, f"{host}:{port}: reached")
        answering.shutdown()
        thread.join()
