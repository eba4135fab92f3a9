"""`calotype warm`, `purge` and `gc` on the command line, and uploads and events over a real store."""

import asyncio
import json
import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.stories.fleet import LONGER_TIMEOUTS, AdminReply, Node, SharedServices, get_all, running
from tests.support import pictures
from tests.support.commands import calotype_text
from tests.support.fakes import temporary_file
from tests.support.waiting import eventually, eventually_sync


def calotype(node: Node, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command, with the settings of that node."""
    return calotype_text(*words, env=node.environment, given=given, python_path=LONGER_TIMEOUTS)


class Started:
    """The running command, with the settings of that node."""

    def __init__(self, node: Node, *words: str) -> None:
        self._output = node.folder / "output"
        with self._output.open("wb") as output:
            self._command = node.command(*words, output=output.fileno())

    def interrupt(self) -> None:
        self._command.send_signal(signal.SIGINT)

    def ended(self) -> tuple[int, str]:
        """The exit code and all output."""
        return self._command.wait(), self._output.read_text()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    for number in range(12):
        temporary_file(
            tmp_path / "in",
            f"{'deep/' * (number % 2)}{number}.jpg",
            pictures.photo_as("jpeg", 200, 150, number),
        )
    temporary_file(tmp_path / "in", "notes.txt", b"no picture")
    os.symlink("/etc", tmp_path / "in" / "etc")
    return Node(
        tmp_path / "node",
        sources={"photos": {"path": str(tmp_path / "in")}},
        presets={"card": "w_64,f_auto", "small": "w_32,f_webp"},
        render={"workers": 2},
    )


def test_warm_without_a_node_stores_variants_that_a_node_serves(node: Node, tmp_path: Path) -> None:
    done = calotype(node, "warm", "--source", "photos", "--preset", "card", "--preset", "small")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "48 rendered, 0 already cached, 0 failed")
    again = calotype(node, "warm", "--source", "photos", "--prefix", "deep/", "--preset", "small")
    assert again.stderr.splitlines()[-1] == "0 rendered, 6 already cached, 0 failed"
    keys = tmp_path / "keys"
    keys.write_text(
        "\ufeff0.jpg\r\n\n# those of today\n  # and of tomorrow\n \nnope.jpg\n2.jpg\n", newline=""
    )
    failed = calotype(node, "warm", "--file", str(keys), "--transform", "w_48,f_png")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == "2 rendered, 0 already cached, 1 failed"
    assert (
        "nope.jpg w_48,f_png: original-not-found: there is no original 'nope.jpg' in source photos"
        in failed.stderr
    )
    given = calotype(node, "warm", "--stdin", "--transform", "w_48,f_png", given="4.jpg\n0.jpg\n")
    assert given.stderr.splitlines()[-1] == "1 rendered, 1 already cached, 0 failed"
    commented = calotype(node, "warm", "--stdin", "--transform", "w_48,f_png", given="# none\n4.jpg\n")
    assert commented.stderr.splitlines()[-1] == "0 rendered, 1 already cached, 0 failed"
    named = calotype(node, "warm", "nope.jpg", "--preset", "card", "--preset", "small")
    for transform in ("t_card (avif)", "t_card (webp)", "t_card (jpeg)", "t_small (webp)"):
        assert f"nope.jpg {transform}: original-not-found: " in named.stderr
    with running(node):
        answers = asyncio.run(
            get_all([f"{node.url}/t_card/0.jpg", f"{node.url}/t_small/deep/1.jpg"], Accept="image/webp")
        )
        assert [answer.cache for answer in answers] == ["calotype; hit; detail=disk"] * 2
        refused = calotype(node, "warm", "0.jpg", "--preset", "card")
        assert refused.returncode == 1
        assert "a running node uses" in refused.stderr
        assert "--node" in refused.stderr


def test_warm_at_a_node_stores_variants_and_purge_deletes_them(node: Node, tmp_path: Path) -> None:
    with running(node):
        at = f"http://127.0.0.1:{node.admin_port}"
        done = calotype(node, "warm", "--source", "photos", "--preset", "card", "--node", at)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            0,
            "36 rendered, 0 already cached, 0 failed",
        )
        log = tmp_path / "access.log"
        line = '192.0.2.1 - - [21/Nov/2026:10:00:00 +0000] "GET {} HTTP/1.1" 200 9 "-" "-"\n'
        log.write_text(
            "".join(map(line.format, ["/w_20,f_gif/0.jpg", "/t_card/0.jpg", "/w_20,f_gif/nope.jpg"]))
        )
        from_log = calotype(node, "warm", "--access-log", str(log), "--node", at)
        assert (from_log.returncode, from_log.stderr.splitlines()[-1]) == (
            1,
            "1 rendered, 3 already cached, 1 failed",
        )
        asyncio.run(get_all([f"{node.url}/w_40,f_png/2.jpg"]))
        eventually_sync(lambda: "/w_40,f_png/2.jpg" in node.log())
        ours = calotype(node, "warm", "--access-log", str(node.folder / "log"), "--node", at)
        assert ours.stderr.splitlines()[-1] == "0 rendered, 1 already cached, 0 failed"
        purged = calotype(node, "purge", "--prefix", "0")
        assert (purged.returncode, purged.stdout) == (0, "purged: 6 entries removed (memory 1, disk 5)\n")
        assert calotype(node, "purge", "--all", "--node", at).stdout.startswith("purged: ")
        assert json.loads(calotype(node, "purge", "--all", "--json").stdout)["open"] == []
        for words, says in (
            ((), "give one of --original, --prefix, --url, --preset and --all"),
            (("--all", "--prefix", "a"), "give one of --original, --prefix, --url, --preset and --all"),
            (("--prefix", ""), "--prefix is empty"),
            (("--preset", "nope"), "--preset"),
            (("--all", "--mount", "nope"), "--mount names no mount"),
        ):
            wrong = calotype(node, "purge", *words)
            assert wrong.returncode == 1
            assert says in wrong.stderr
            assert "parameter" not in wrong.stderr
        document = json.loads(
            calotype(node, "warm", "nope.jpg", "--preset", "small", "--node", at, "--json").stdout
        )
        assert (document["done"], document["failed"], document["failures"][0]["format"]) == (0, 1, "webp")
        again = calotype(node, "warm", "0.jpg", "--preset", "card", "--node", at)
        assert again.stderr.splitlines()[-1] == "3 rendered, 0 already cached, 0 failed"
    gone = calotype(node, "purge", "--all")
    assert (gone.returncode, "no node answers" in gone.stderr) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ("warm",),
        ("warm", "a", "--stdin"),
        ("warm", "a", "--prefix", "x", "--preset", "card"),
        ("warm", "a"),
        ("warm", "a", "--preset", "nope"),
        ("warm", "a", "--transform", "w_x"),
        ("warm", "--source", "nope", "--preset", "card"),
        ("warm", "a", "--preset", "card", "--mount", "nope"),
        ("warm", "a", "--preset", "card", "--node", "http://127.0.0.1:1"),
        ("purge", "--original", "a", "--prefix", "b", "--node", "http://127.0.0.1:1"),
        ("gc",),
        ("gc", "--gone"),
        ("gc", "--unused-since", "yesterday"),
    ],
)
def test_an_error_is_reported_in_one_line(node: Node, words: tuple[str, ...]) -> None:
    done = calotype(node, *words)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error")]) == 1


def test_a_repeated_job_continues_and_renders_no_variant_twice(node: Node, tmp_path: Path) -> None:
    count = 60
    for number in range(12, count):  # So many that they are not all done before anybody looks.
        temporary_file(tmp_path / "in", f"{number}.jpg", pictures.photo_as("jpeg", 200, 150, number))
    words = ("warm", "--source", "photos", "--transform", "w_190,f_avif,e_blur:40")
    broken = Started(node, *words)
    asyncio.run(eventually(lambda: node.disk_entries() >= 3))
    broken.interrupt()
    code, error_output = broken.ended()
    assert code == 130
    assert "Traceback" not in error_output
    made = node.disk_entries()
    assert 3 <= made < count
    done = calotype(node, *words)
    summary = f"{count - made} rendered, {made} already cached, 0 failed"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, summary)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("words", [("--source", "photos"), ("0.jpg", "2.jpg", "4.jpg", "6.jpg")])
def test_ctrl_c_cancels_the_job_at_the_node(node: Node, words: tuple[str, ...], processes: int) -> None:
    node.environment["CALOTYPE_SERVER__PROCESSES"] = str(processes)
    with running(node):
        at = f"http://127.0.0.1:{node.admin_port}"
        many = [f"--transform=w_190,f_avif,e_blur:{sigma}" for sigma in range(40, 90)]
        broken = Started(node, "warm", *words, *many, "--node", at)
        jobs = eventually_sync(
            lambda: (jobs := node.call("GET", "/v1/warm").body) and jobs[0]["done"] and jobs
        )
        assert jobs[0]["state"] == "running"
        broken.interrupt()
        code, error_output = broken.ended()
        assert (code, "Traceback" in error_output) == (130, False)
        assert "interrupted: " in error_output
        (cancelled,) = node.call("GET", "/v1/warm").body
        assert cancelled["state"] == "cancelled"
        # What is asked for now waits for nothing of it.
        done = calotype(node, "warm", "8.jpg", "--transform", "w_48,f_png", "--node", at)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            0,
            "1 rendered, 0 already cached, 0 failed",
        )
        assert node.call("GET", f"/v1/warm/{cancelled['id']}").body["done"] == cancelled["done"]


def test_a_job_cancelled_by_another_client_is_a_failure(node: Node) -> None:
    with running(node):
        at = f"http://127.0.0.1:{node.admin_port}"
        many = [f"--transform=w_190,f_avif,e_blur:{sigma}" for sigma in range(40, 90)]
        started = Started(node, "warm", "0.jpg", *many, "--node", at)
        jobs = eventually_sync(lambda: node.call("GET", "/v1/warm").body)
        assert node.call("DELETE", f"/v1/warm/{jobs[0]['id']}").body["state"] == "cancelled"
        code, error_output = started.ended()
        assert (code, f"job {jobs[0]['id']} was cancelled" in error_output) == (1, True)


def test_a_wrong_token_is_reported(node: Node) -> None:
    token = "the token of that node"
    node.override("admin", token=token)
    with running(node):
        at = f"http://127.0.0.1:{node.admin_port}"
        node.override("admin", token="the token of this node")
        for words in (("purge", "--all"), ("warm", "0.jpg", "--preset", "small")):
            refused = calotype(node, *words, "--node", at)
            assert (refused.returncode, "Error: --token: the node refuses it" in refused.stderr) == (
                1,
                True,
            )
            assert calotype(node, *words, "--node", at, "--token", token).returncode == 0
        none = calotype(node, "purge", "--all", "--node", at, "--token", "")
        assert "Error: --token: a token with the scope purge must be sent" in none.stderr
        assert "must be printable" in calotype(node, "purge", "--all", "--node", at, "--token", "a\nb").stderr
    assert "--token requires --node" in calotype(node, "warm", "a", "--preset", "card", "--token", "x").stderr


async def test_an_upload_is_stored_once_with_its_eager_variants(services: SharedServices) -> None:
    node = services.node(
        "a",
        processes=2,
        presets={"card": "w_64,f_auto"},
        eager={"presets": ["card"]},
    )

    async def upload(content: bytes) -> AdminReply:
        headers = {"Idempotency-Key": "one"}
        return await asyncio.to_thread(node.call, "POST", "/v1/originals?name=a.jpg", content, **headers)

    with running(node):
        content = pictures.photo_as("jpeg")
        status, reply = await upload(content)
        assert status == 201
        again = await upload(content)
        assert again.body["key"] == reply["key"]
        assert services.direct.keys(services.originals) == [reply["key"]]
        assert services.direct.get(services.originals, reply["key"]) == content
        other = await upload(pictures.photo_as("png"))
        assert other.status == 409 or other.body["key"] != reply["key"]
        assert (await asyncio.to_thread(node.finished_job, reply["warm"]))["failed"] == 0
        assert services.gets(reply["key"]) == 0  # The node still has the bytes of the upload.
        (hit,) = await get_all([node.url + reply["urls"]["card"]], Accept="image/avif")
        assert "hit" in hit.cache


async def test_events_of_a_store_purge_originals(services: SharedServices) -> None:
    node = services.node("a", processes=2, presets={"card": "w_64,f_auto"})

    async def send_event(name: str, sequencer: str) -> AdminReply:
        stored = {"key": "b.jpg", "eTag": "1", "sequencer": sequencer}
        record = {"eventName": name, "s3": {"bucket": {"name": services.originals}, "object": stored}}
        return await asyncio.to_thread(node.call, "POST", "/v1/events/s3", {"Records": [record]})

    services.put("b.jpg", pictures.photo_as("jpeg", seed=1))
    with running(node):
        (missed,) = await get_all([f"{node.url}/t_card/b.jpg"])
        services.put("b.jpg", pictures.photo_as("jpeg", seed=2))
        heard = await send_event("ObjectCreated:Put", "1")
        assert (heard.status, heard.body) == (200, {"created": 1, "removed": 0, "ignored": 0})
        (after,) = await get_all([f"{node.url}/t_card/b.jpg"])
        assert after.body != missed.body
        services.direct.delete(services.originals, "b.jpg")
        heard = await send_event("ObjectRemoved:Delete", "2")
        assert heard.body["removed"] == 1
        (gone,) = await get_all([f"{node.url}/t_card/b.jpg"])
        assert gone.status == 404


async def test_gc_removes_unused_variants_from_a_bucket(services: SharedServices) -> None:
    node = services.node("a", redis=False)
    for key in ("a.jpg", "b.jpg"):
        services.put(key, pictures.photo_as("jpeg"))
    with running(node):
        await get_all([f"{node.url}/w_64,f_webp/{key}" for key in ("a.jpg", "b.jpg")])
        await get_all([f"{node.url}/w_64/a.jpg"])

        def entries() -> list[str]:
            return [key for key in services.direct.keys(services.processed) if "/asked/" not in key]

        # Variants, the facts of one original, and the entity tags of both.
        await eventually(lambda: len(entries()) == 6)
    today = datetime.now(UTC).date()
    (noted,) = [key for key in services.direct.keys(services.processed) if "/asked/" in key]
    assert f"/asked/{today}/" in noted
    body = services.direct.get(services.processed, noted)
    assert body is not None
    assert len(body) == 3 * 32

    services.direct.delete(services.originals, "b.jpg")
    listed = calotype(node, "gc", "--gone")
    assert listed.returncode == 0
    assert [line.endswith("its original is gone") for line in listed.stdout.splitlines()] == [True, True]
    document = json.loads(calotype(node, "gc", "--gone", "--json").stdout)
    assert (document["examined"], [found["reason"] for found in document["found"]]) == (
        6,
        ["its original is gone"] * 2,
    )
    assert "2 of 6 entries are unneeded; add --delete" in listed.stderr
    assert len(entries()) == 6
    removed = calotype(node, "gc", "--gone", "--delete")
    assert removed.stdout.startswith("removed ")
    assert len(entries()) == 4

    tomorrow = str(today + timedelta(days=1))
    assert calotype(node, "gc", "--unused-since", str(today)).stdout == ""
    unused = calotype(node, "gc", "--unused-since", tomorrow)
    assert len(unused.stdout.splitlines()) == 2  # Facts and entity tags stay.
    early = calotype(node, "gc", "--unused-since", "2020-01-01")
    assert (early.returncode, f"usage is recorded since {today}" in early.stderr) == (1, True)
