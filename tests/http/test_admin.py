"""The admin listener: readiness, the data of the status page, and its authentication."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from proxy.edge.admin.auth import COOKIE, CSRF_HEADER
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
    for target in ("/", "/login", "/page.css", "/page.js", "/status.css", "/status.js"):
        answer = await node.get(target, admin=True)
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert b"//" not in re.sub(rb"(^|  )//.*$", b"", answer.body, flags=re.M), "no asset of another place"


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


READER, PURGER = "r" * 20, "p" * 20
SCOPED = {
    "reader": {"token": READER, "scopes": ["read"]},
    "purger": {"token": PURGER, "scopes": ["read", "purge"]},
    "hook": {"token": "h" * 20, "scopes": ["events"]},
}


async def log_in(node: Running, token: str) -> tuple[str, dict[str, Any]]:
    """The cookie of a session, and what its page learns of it."""
    entered = await post(node, "/login", f"token={token}")
    cookie = entered.headers["Set-Cookie"].partition(";")[0]
    return cookie, json.loads((await node.get("/session.json", admin=True, Cookie=cookie)).body)


async def purge(node: Running, **headers: str) -> int:
    url = node.node.admin_url + "/v1/purge"
    async with node.client.post(url, json={"original": "a.jpg"}, headers=headers) as response:
        return response.status


async def test_a_session_has_the_scopes_of_its_token(tmp_path: Path) -> None:
    async with running(tmp_path, admin={"port": 0, "token": TOKEN, "tokens": SCOPED}) as node:
        own = {"Origin": node.node.admin_url}
        for token, scopes, status in (
            (TOKEN, ["events", "purge", "read", "sign", "upload", "warm"], 200),
            (PURGER, ["purge", "read"], 200),
            (READER, ["read"], 401),
        ):
            cookie, session = await log_in(node, token)
            assert session["scopes"] == scopes
            assert await purge(node, Cookie=cookie, **own, **{CSRF_HEADER: session["csrf"]}) == status
        refused = await post(node, "/login", f"token={'h' * 20}")
        assert (refused.status, "Set-Cookie" in refused.headers) == (401, False)
        assert b"does not have the scope read" in refused.body


async def test_a_write_with_the_cookie_needs_its_origin_and_its_csrf_token(tmp_path: Path) -> None:
    async with running(tmp_path, admin={"port": 0, "token": TOKEN, "tokens": SCOPED}) as node:
        (cookie, session), (_, other) = await log_in(node, TOKEN), await log_in(node, PURGER)
        own, csrf = node.node.admin_url, session["csrf"]
        for origin, header in (
            (None, csrf), ("null", csrf), ("https://shop.example", csrf), (f"{own}0", csrf), (f"{own}.shop.example", csrf),
            (own, None), (own, ""), (own, other["csrf"]), (own, csrf[:-1]), (own, "é"),
        ):  # fmt: skip
            given = {"Origin": origin, CSRF_HEADER: header}
            headers = {name: value for name, value in given.items() if value is not None}
            assert await purge(node, Cookie=cookie, **headers) == 401, given
        assert await purge(node, Cookie=cookie, Origin=own, **{CSRF_HEADER: csrf}) == 200
        # A token that is sent decides by itself.
        assert (
            await purge(
                node, Cookie=cookie, Authorization=f"Bearer {READER}", Origin=own, **{CSRF_HEADER: csrf}
            )
            == 401
        )


async def test_without_a_token_pages_of_this_listener_may_write(node: Running) -> None:
    assert json.loads((await node.get("/session.json", admin=True)).body)["csrf"] == ""
    assert await purge(node, Origin=node.node.admin_url) == 200
    assert await purge(node, Origin="https://shop.example") == 401
    assert await purge(node, Origin="http://rebound.example", Host="rebound.example") == 401


async def test_urls_are_signed_with_the_scope_sign_only(tmp_path: Path) -> None:
    signer = {"token": "s" * 20, "scopes": ["sign"]}
    mounts = {
        "closed": {"source": "photos", "prefix": "/closed/", "signing": "required"},
        "open": {"source": "photos", "dimensions": "any"},
    }
    changes: dict[str, Any] = {
        "admin": {"port": 0, "token": TOKEN, "tokens": {**SCOPED, "signer": signer}},
        "mounts": mounts,
        "signing": {"keys": {"k": "k" * 32}},
    }
    async with running(tmp_path, **changes) as node:
        temporary_file(node.originals, "a.png", pictures.quarters_as("png"))

        async def sign(token: str, body: dict[str, object]) -> tuple[int, dict[str, Any]]:
            headers = {"Authorization": f"Bearer {token}"}
            url = node.node.admin_url + "/v1/sign"
            async with node.client.post(url, json=body, headers=headers) as response:
                return response.status, await response.json()

        targets = ["/closed/w_20/a.png", "/closed/w_1234/a.png"]
        status, found = await sign("s" * 20, {"urls": targets, "expires_s": 60})
        assert status == 200
        for signed, target in zip(found["urls"], targets, strict=True):
            assert signed.startswith(f"{target}?exp=")
            assert (await node.get(signed)).status == 200
        assert (await sign(PURGER, {"urls": targets}))[0] == 401
        for body, says in (
            ({"urls": []}, "parameter urls must have 1 to 100 entries"),
            ({"urls": targets, "expires_s": 0}, "expires_s"),
            ({"urls": targets, "expires_s": 10**400}, ""),
            ({"urls": ["/w_20/a.png"]}, "mounts.open.signing: is off"),
            ({"urls": ["nowhere"]}, ""),
        ):
            status, problem = await sign("s" * 20, body)
            assert status in (400, 404)
            assert says in problem["detail"]


async def test_saved_bytes_are_those_that_whole_pictures_had_less_than_their_originals(node: Running) -> None:
    original = (await node.get("/original/photo.jpg")).body
    answers = [await node.get("/w_50,f_webp/photo.jpg") for _ in range(3)]
    await node.get("/w_50,f_webp/photo.jpg", Range="bytes=0-9")
    await node.get("/w_50,f_webp/photo.jpg", method="HEAD")
    await node.get("/info/photo.jpg")
    assert (await node.get("/w_2000,c_scale,f_png/photo.jpg")).status == 200, "more bytes than it"
    saved = sum(len(original) - len(answer.body) for answer in answers)
    assert await node.metric("calotype_saved_bytes_total", mount="all") == saved


async def test_the_status_document_has_the_last_errors_and_the_history(node: Running) -> None:
    for _ in range(2):
        await node.get("/w_50/missing.jpg")
    document = json.loads((await node.get("/v1/status", admin=True)).body)
    [error] = document["errors"]
    assert (error["status"], error["error"], error["mount"], error["count"]) == (
        404,
        "original-not-found",
        "all",
        2,
    )
    assert "missing.jpg" in error["detail"]
    [totals, *_] = document["history"]
    assert len(totals) == 7
