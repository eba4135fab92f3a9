"""The admin listener: readiness, the data of the status page, and its authentication."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.edge.admin.app import COOKIE
from proxy.node.readiness import Phase
from tests.http.conftest import Running, running, shares_node
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.fakes import temporary_file

TOKEN = "t" * 32


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("guarded"), admin={"port": 0, "token": TOKEN}) as started:
        yield started


async def post(node: Running, target: str, form: str) -> Answer:
    url = node.node.admin_url + target
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with node.client.post(url, data=form, headers=headers, allow_redirects=False) as response:
        return Answer(response.status, response.headers, await response.read())


async def test_readiness_names_the_missing_part(node: Running) -> None:
    answer = await node.get("/readyz", admin=True)
    assert (answer.status, json.loads(answer.body)) == (200, {"ready": True, "lacking": []})
    node.node.phase = Phase.STOPPING
    answer = await node.get("/readyz", admin=True)
    assert (answer.status, json.loads(answer.body)) == (503, {"ready": False, "lacking": ["it is stopping"]})


async def test_the_status_document_has_the_values_of_the_metrics(node: Running) -> None:
    for _ in range(3):
        await node.get("/w_50/photo.jpg")
    status_document = json.loads((await node.get("/v1/status", admin=True)).body)
    assert status_document["lacking"] == []
    assert status_document["uptime_s"] >= 0
    samples = {(name, *sorted(labels.values())): value for name, labels, value in status_document["metrics"]}
    assert samples["calotype_requests_total", "200", "all", "hit", "memory"] == 2
    assert samples["calotype_workers", "idle"] == 1
    assert samples["calotype_tier_max_bytes", "disk"] == 64 * 2**20
    assert samples["calotype_build_info", status_document["version"]] == 1
    assert not any("_bucket" in name for name, *_ in samples)
    [slow] = status_document["slowest"]
    assert (slow["source"], slow["original"], slow["format"]) == ("photos", "photo.jpg", "jpeg")
    assert slow["seconds"] == pytest.approx(slow["fetch_s"] + slow["render_s"])


async def test_metrics_have_a_series_for_each_mount_from_the_start(tmp_path: Path) -> None:
    mounts = {
        "shop": {"source": "photos", "prefix": "/shop/", "dimensions": "any"},
        "news": {"source": "photos", "prefix": "/news/", "signing": "required"},
    }
    signing = {"keys": {"k": "s" * 32}}
    async with running(tmp_path, mounts=mounts, signing=signing) as node:
        text = (await node.get("/metrics", admin=True)).body.decode()
        for series in (
            *(f'requests_total{{mount="{mount}",outcome="hit",status="200",tier="memory"}}' for mount in mounts),
            *(f'requests_total{{mount="{mount}",outcome="failed",status="502",tier="none"}}' for mount in mounts),
            *(f'sent_bytes_total{{format="avif",mount="{mount}"}}' for mount in mounts),
            'requests_total{mount="none",outcome="failed",status="404",tier="none"}',
            'render_seconds_count{format="webp"}', 'source_fetches_total{outcome="source-timeout",source="photos"}',
            'tier_errors_total{kind="damaged",tier="disk"}', 'tier_errors_total{kind="io",tier="originals"}',
        ):  # fmt: skip
            assert f"calotype_{series} 0.0\n" in text
        temporary_file(node.originals, "a.png", pictures.quarters_as("png"))
        answers = [await node.get(f"/shop/w_{side},f_webp/a.png") for side in (10, 20, 20)]
        part = await node.get("/shop/w_20,f_webp/a.png", Range="bytes=0-9")
        original = await node.get("/shop/original/a.png")
        head = await node.get("/shop/w_20,f_webp/a.png", method="HEAD")
        assert int(head.headers["Content-Length"]) == len(answers[1].body)
        refused = [await node.get("/news/w_20/a.png"), await node.get("/elsewhere/w_20/a.png")]
        assert [answer.status for answer in refused] == [403, 404]

        async def sent(mount: str, kind: str) -> float:
            return await node.metric("calotype_sent_bytes_total", mount=mount, format=kind)

        assert await sent("shop", "webp") == sum(len(answer.body) for answer in (*answers, part))
        assert await sent("shop", "png") == len(original.body)
        assert await sent("news", "none") == len(refused[0].body)
        assert await sent("none", "none") == len(refused[1].body)
        assert await node.metric("calotype_requests_total", mount="shop") == 6
        assert await node.metric("calotype_requests_total", mount="shop", outcome="hit", tier="memory") == 3
        assert await node.metric("calotype_requests_total", mount="news", status="403") == 1
        assert await node.metric("calotype_requests_total", mount="none", status="404") == 1


async def test_pages_load_nothing_from_other_origins(node: Running) -> None:
    for target in ("/", "/login", "/page.css", "/status.js"):
        answer = await node.get(target, admin=True)
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert b"//" not in re.sub(rb"^\s*//.*$", b"", answer.body, flags=re.M), "no asset of another place"


async def test_pages_and_api_need_the_token(tmp_path: Path) -> None:
    async with running(tmp_path, admin={"port": 0, "token": TOKEN}) as node:
        for target in ("/v1/status", "/status.js", "/metrics", "/v1/explain?url=/a"):
            assert (await node.get(target, admin=True)).status == 401, target
        async with node.client.get(node.node.admin_url + "/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        for wrong in ("token=", "token=x", "", "token=%ff%00", f"Token={TOKEN}", "token=" + "a" * 9000):
            refused = await post(node, "/login", wrong)
            assert refused.status == 401
            assert "Set-Cookie" not in refused.headers
            assert b"Invalid token" in refused.body
        entered = await post(node, "/login", f"token={TOKEN}")
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        cookie = entered.headers["Set-Cookie"]
        assert re.search(r"; HttpOnly; Max-Age=43200; Path=/; SameSite=Strict$", cookie)
        assert TOKEN not in cookie
        value = cookie.partition(";")[0]
        assert (await node.get("/v1/status", admin=True, Cookie=value)).status == 200
        assert (await node.get("/", admin=True, Cookie=value)).status == 200
        assert (await node.get("/metrics", admin=True, Authorization=f"Bearer {TOKEN}")).status == 200


@pytest.mark.parametrize(
    "forged", ["", ".", "1.", "9999999999.", "9999999999." + "0" * 64, "x.y", "9" * 5000, "²." + "0" * 64]
)
@shares_node
async def test_a_forged_cookie_is_refused(guarded: Running, forged: str) -> None:
    headers = {"Cookie": f"{COOKIE}={forged}"}
    assert (await guarded.get("/v1/status", admin=True, **headers)).status == 401


async def test_an_expired_cookie_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxy.edge.admin import auth

    monkeypatch.setattr(auth, "LOGIN_S", -1)
    async with running(tmp_path, admin={"port": 0, "token": TOKEN}) as node:
        entered = await post(node, "/login", f"token={TOKEN}")
        value = entered.headers["Set-Cookie"].partition(";")[0]
        assert (await node.get("/v1/status", admin=True, Cookie=value)).status == 401
