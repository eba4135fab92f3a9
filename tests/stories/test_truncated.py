"""A truncated picture is refused from every kind of source, and not cached."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from proxy.node.readiness import Phase
from tests.http.conftest import running
from tests.support import pictures, servers
from tests.support.fakes import temporary_file

SHARES = (1, 25, 50, 75, 99)
WHOLE = {
    **{kind: pictures.photo_as(kind) for kind in ("jpeg", "png", "webp", "avif")},
    "gif": pictures.film_as("gif"),
    "film.webp": pictures.film_as("webp"),
}
CUT = {
    f"{share}.{kind}": content[: len(content) * share // 100]
    for kind, content in WHOLE.items()
    for share in SHARES
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Store]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as started:
        yield started


async def test_truncated_pictures_are_refused_from_every_source(store: servers.Store, tmp_path: Path) -> None:
    bucket = store.bucket("cut")
    for name, content in (CUT | WHOLE).items():
        store.put(bucket, name, content)
        temporary_file(tmp_path / "files", name, content)

    async def serve(request: web.BaseRequest) -> web.Response:
        return web.Response(body=(CUT | WHOLE)[request.path[1:]])

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    sources = {
        "files": {"path": str(tmp_path / "files")},
        "s3": {"kind": "s3", "bucket": bucket, "endpoint_url": store.endpoint_url, "access_key": store.access_key, "secret_key": store.secret_key},
        "web": {"kind": "http", "hosts": [host], "allow_private": True},
    }  # fmt: skip
    mounts = {name: {"source": name, "prefix": f"/{name}/", "dimensions": "any"} for name in sources}
    async with running(tmp_path, sources=sources, mounts=mounts) as node:
        for mount in sources:
            before = quote(f"http://{host}/", safe="") if mount == "web" else ""
            for name in CUT:
                for tokens in ("w_60,f_webp", "w_60,h_10,c_fill,g_north,f_jpg", "f_auto"):
                    for _ in range(2):
                        answer = await node.get(f"/{mount}/{tokens}/{before}{name}")
                        assert answer.status in (415, 422), (mount, tokens, name, answer.body)
                        assert answer.headers["Cache-Control"] == "no-store"
            for name in WHOLE:
                assert (await node.get(f"/{mount}/w_60,f_webp/{before}{name}")).status == 200
        assert await node.metric("calotype_renders_total") == len(sources) * len(WHOLE)
        assert node.node.phase is Phase.SERVING
        health = await node.get("/readyz", admin=True)
        assert json.loads(health.body)["ready"]
    await runner.cleanup()
