"""Cache tags of answers, and a CDN that is purged by them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from tests.http.conftest import Running, running
from tests.http.test_operations import Api
from tests.support import dialects, pictures
from tests.support.answers import Answer
from tests.support.fakes import temporary_file

MOUNTS = {
    "shop": {"source": "photos", "dimensions": "any", "cache_tags": True},
    "plain": {"source": "photos", "prefix": "/plain/", "dimensions": "any"},
    "ids": {
        "source": "photos",
        "prefix": "/ids/",
        "dialect": dialects.NAME,
        "cache_tags": True,
        "dimensions": "any",
    },
}


@asynccontextmanager
async def cdn() -> AsyncIterator[SimpleNamespace]:
    """Records the calls of its purge API: target, the body if any, and a header."""
    made = SimpleNamespace(calls=[])

    async def handle(request: web.BaseRequest) -> web.Response:
        made.calls.append(
            (
                request.raw_path,
                await request.text(),
                request.headers.get("Content-Type"),
                request.headers.get("Key"),
            )
        )
        return web.Response()

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


@asynccontextmanager
async def node_with(folder: Path, monkeypatch: pytest.MonkeyPatch, **purge: Any) -> AsyncIterator[Running]:
    dialects.register(monkeypatch)
    async with running(folder, mounts=MOUNTS, purge=purge) as started:
        for name in ("photo.jpg", "other.jpg"):
            temporary_file(started.originals, name, pictures.photo_as("jpeg"))
        yield started


def tags(answer: Answer) -> set[str]:
    listed = answer.headers["Cache-Tag"].split(",")
    assert answer.headers["Surrogate-Key"].split(" ") == listed
    return set(listed)


async def test_every_answer_of_the_mount_has_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with node_with(tmp_path, monkeypatch) as node:
        first = await node.get("/w_40/photo.jpg")
        hit = await node.get("/w_40/photo.jpg")
        assert "hit; detail=memory" in hit.cache
        same = await node.get("/w_40/photo.jpg", If_None_Match=first.headers["ETag"])
        part = await node.get("/w_40/photo.jpg", Range="bytes=0-9")
        assert (same.status, part.status) == (304, 206)
        others = [
            await node.get(target)
            for target in ("/w_50,f_auto/photo.jpg", "/original/photo.jpg", "/info/photo.jpg")
        ]
        assert {frozenset(tags(answer)) for answer in (first, hit, same, part, *others)} == {
            frozenset(tags(first))
        }
        [of_mount] = tags(first) & tags(await node.get("/w_40/other.jpg"))
        assert tags(first) != {of_mount}
        assert "photo" not in first.headers["Cache-Tag"]
        plain = await node.get("/plain/w_40/photo.jpg")
        assert not {"Cache-Tag", "Surrogate-Key"} & set(plain.headers)
        assert len(tags(await node.get("/ids/w_40/photo"))) == 1 + 6


async def test_a_purge_names_the_tag_to_the_cdn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        cdn() as made,
        node_with(
            tmp_path,
            monkeypatch,
            hook=f"{made.url}/purge",
            hook_body='{"tags":["{tag}"]}',
            hook_header="Key: secret",
        ) as node,
    ):
        api = await Api.of(node)
        photo, by_id = tags(await node.get("/w_40/photo.jpg")), tags(await node.get("/ids/w_40/photo"))
        assert (await api.call("POST", "/v1/purge?mount=shop", {"original": "photo.jpg"}))[0] == 200
        named = {tag for _, body, _, _ in made.calls for tag in json.loads(body)["tags"]}
        assert len(made.calls) == len(named) == 2
        assert (len(named & photo), len(named & by_id)) == (1, 1)
        assert {call[0] for call in made.calls} == {"/purge"}
        assert {call[2:] for call in made.calls} == {("application/json", "secret")}
        made.calls.clear()
        assert (await api.call("POST", "/v1/purge?mount=ids", {"original": "photo"}))[0] == 200
        of_names = {tag for _, body, _, _ in made.calls for tag in json.loads(body)["tags"]}
        assert (len(of_names & by_id), len(by_id - of_names)) == (6, 1)
        made.calls.clear()
        assert (await api.call("POST", "/v1/purge?mount=shop", {"prefix": "pho"}))[0] == 200
        of_mounts = {tag for _, body, _, _ in made.calls for tag in json.loads(body)["tags"]}
        assert (len(of_mounts), len(of_mounts & photo), len(of_mounts & by_id)) == (2, 1, 1)


async def test_a_tag_may_be_in_the_url_or_in_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        cdn() as made,
        node_with(
            tmp_path, monkeypatch, hook=f"{made.url}/service/purge/{{tag}}", hook_header="Key: {tag}"
        ) as node,
    ):
        photo = tags(await node.get("/w_40/photo.jpg"))
        await (await Api.of(node)).call("POST", "/v1/purge?mount=shop", {"url": "/w_40/photo.jpg"})
        targets = {target.removeprefix("/service/purge/"): key for target, _, _, key in made.calls}
        assert len(set(targets) & photo) == 1
        assert all(key == tag for tag, key in targets.items())
