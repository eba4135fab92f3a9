"""No answer, log line, process or core dump of a node holds a secret."""

import asyncio
import re
import secrets
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest

from proxy.core.url.signing import sign
from tests.stories.fleet import Node, descendants, get_all, running, s3
from tests.support import pictures, servers
from tests.support.answers import Answer, opened
from tests.support.servers import Store
from tests.support.waiting import eventually

SECRETS = {name: secrets.token_hex(20) for name in ("key", "token", "s3", "redis", "session", "url", "user")}
SOURCES_OF_TEXT = ("answers", "admin", "processes", "log")


class Texts(NamedTuple):
    """Everything a node with secrets lets out while it is asked in every way, signed URLs among them."""

    statuses: set[int]
    limits: list[str]
    """/proc/PID/limits of each of its processes."""
    signed: list[str]
    by_source: dict[str, list[str]]


@pytest.fixture(scope="module", params=[1, 2], ids="processes={}".format)
def texts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Texts]:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "redis").mkdir()
    with servers.moto(folder) as store, servers.redis(folder / "redis", is_old=True) as redis:
        bucket = store.bucket("originals")
        store.put(bucket, "a.jpg", pictures.photo_as("jpeg"))
        store.put(bucket, "text.jpg", b"no picture")
        redis_url = f"{redis.url}?client_name={SECRETS['redis']}"
        node = node_with_secrets(folder, store, bucket, redis_url, request.param)
        with running(node):
            redis.kill()
            yield asyncio.run(everything_of(node, f"{store.endpoint_url}/{bucket}"))


def node_with_secrets(folder: Path, store: Store, bucket: str, redis_url: str, processes: int) -> Node:
    node = Node(
        folder / "node",
        processes=processes,
        sources={"photos": s3(store, bucket) | {"secret_key": SECRETS["s3"]}},
        mounts={"all": {"source": "photos", "signing": "optional", "dimensions": "any"}},
        admin={"token": SECRETS["token"], "port": servers.free_port()},
        signing={"keys": {"k": SECRETS["key"]}, "session": "cookie:sid"},
        cache={"bucket": s3(store, store.bucket("processed")) | {"secret_key": SECRETS["s3"]}},
        redis={"url": redis_url},
    )
    node.admin_port = int(node.environment["CALOTYPE_ADMIN"].partition('"port": ')[2].rstrip("}"))
    node.ready = lambda: "true" in admin(node, "/readyz")  # type: ignore[method-assign]
    return node


def signed_targets() -> list[str]:
    key = SECRETS["key"].encode()
    return [
        sign(
            "/w_50/a.jpg", key, until_s=int(time.time()) + 100, domain="d.example", session=SECRETS["session"]
        ),
        sign("/thumbnail?url=a.jpg&w=51", key),
        sign("/w_50/none.jpg", key),
        sign("/w_50/text.jpg", key),
        sign("/w_x/a.jpg", key),
        sign("/original/a.jpg", key, until_s=1),
    ]


def unsigned_targets(bucket_url: str) -> list[str]:
    """URLs that hold secrets in every place where one may stand."""
    secret = SECRETS["url"]
    presigned = quote(f"{bucket_url}/a.jpg?X-Amz-Signature={secret}", safe="")
    with_user = quote(f"http://me:{SECRETS['user']}@{bucket_url.removeprefix('http://')}/a.jpg", safe="")
    return [
        f"/thumbnail?url={presigned}&w=52",
        f"/thumbnail?url={with_user}&w=52",
        f"/w_52/{presigned}",
        f"/w_50/a.jpg?token={secret}",
        f"/w_50/a.jpg?s%69g={secret}&ses={SECRETS['session']}",
        f"/w_50/a.jpg?sig[]={secret}",
        f"/w_50/a.jpg?sig%5B0%5D={secret}",
        f"/w_50/a.jpg?sig%={secret}",
        f"/w_50/a.jpg?anything={secret}",
    ]


async def everything_of(node: Node, bucket_url: str) -> Texts:
    signed = signed_targets()
    targets = [*signed, *(raw.replace("w_5", "w_6") for raw in signed), *unsigned_targets(bucket_url)]
    answers: list[Answer] = await get_all(
        [node.url + target for target in targets],
        Cookie=f"sid={SECRETS['session']}",
        Referer="https://d.example/",
        Authorization=f"Bearer {SECRETS['token']}",
    )
    explanations = [admin(node, f"/v1/explain?url={quote(target, safe='')}") for target in targets]
    assert node.process is not None
    tree = [node.process.pid, *descendants(node.process.pid)]
    processes = [Path(f"/proc/{pid}/environ").read_text() for pid in tree if pid in node.workers()]
    await eventually(lambda: "w_52" in node.log())
    return Texts(
        statuses={answer.status for answer in answers},
        limits=[Path(f"/proc/{pid}/limits").read_text() for pid in tree],
        signed=signed,
        by_source={
            "answers": [answer.body.decode("latin-1") for answer in answers],
            "admin": [admin(node, "/metrics"), *explanations],
            "processes": processes + [Path(f"/proc/{pid}/cmdline").read_text() for pid in tree],
            "log": [node.log()],
        },
    )


def admin(node: Node, target: str) -> str:
    """The answer's text, whatever its status."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{node.admin_port}{target}", headers={"Authorization": f"Bearer {SECRETS['token']}"}
    )
    try:
        with opened(request) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_the_requests_have_answers_of_every_status(texts: Texts) -> None:
    assert texts.statuses >= {200, 400, 403, 404, 415}
    assert '"target":"/w_50/a.jpg"' in texts.by_source["log"][0]
    for source in SOURCES_OF_TEXT:
        assert all(texts.by_source[source]), source


@pytest.mark.parametrize("source", SOURCES_OF_TEXT)
def test_no_text_holds_a_secret(texts: Texts, source: str) -> None:
    for text in texts.by_source[source]:
        for name, secret in SECRETS.items():
            assert secret not in text, name


@pytest.mark.parametrize("source", SOURCES_OF_TEXT)
def test_no_text_holds_a_signature(texts: Texts, source: str) -> None:
    macs = [raw.rpartition("sig=")[2] for raw in texts.signed]
    for text in texts.by_source[source]:
        for mac in macs:
            assert mac not in text
            assert mac[:12] not in text


def test_no_process_writes_a_core_dump(texts: Texts) -> None:
    for limits in texts.limits:
        assert re.search(r"Max core file size +1 +1 ", limits)
