"""Signed URLs over HTTP: their verification, and the Cache-Control of their responses."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from proxy.core.url.signing import sign
from proxy.node import factory
from tests.http.conftest import ORIGINALS, Running, running, shares_node
from tests.support.answers import Answer
from tests.support.fakes import temporary_file

OLD, NEW = "o" * 32, "n" * 32
STRICT = {
    "signing": {"keys": {"old": OLD, "new": NEW}, "session": "cookie:sid"},
    "mounts": {
        "open": {"source": "photos", "prefix": "/open/"},
        "both": {"source": "photos", "prefix": "/both/", "signing": "optional"},
        "snap": {"source": "photos", "prefix": "/snap/", "signing": "optional", "dimensions": "snap"},
        "strict": {"source": "photos", "signing": "required", "keys": ["new"], "dimensions": "any"},
        "few": {"source": "photos", "prefix": "/few/", "signing": "required", "presets_only": True},
        "short": {"source": "photos", "prefix": "/short/", "signing": "required", "max_age": "60s"},
    },
}


class Wall:
    """The time of day, if a test sets it."""

    now_s: float | None = None

    def __call__(self) -> float:
        return time.time() if self.now_s is None else self.now_s


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    made = Wall()
    monkeypatch.setattr(factory, "wall", made)
    return made


@asynccontextmanager
async def running_strict(folder: Path) -> AsyncIterator[Running]:
    async with running(folder, **STRICT) as started:
        for name in ("photo.jpg", "quarters.png"):
            temporary_file(started.originals, name, ORIGINALS[name]())
        yield started


@pytest.fixture
async def strict(tmp_path: Path, wall: Wall) -> AsyncIterator[Running]:
    async with running_strict(tmp_path) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running_strict(tmp_path_factory.mktemp("strict")) as started:
        yield started


def signed_by(secret: str, raw: str, **how: Any) -> str:
    return sign(raw, secret.encode(), **how)


def slug(answer: Answer) -> str:
    return str(json.loads(answer.body)["type"]).removeprefix("urn:calotype:error:")


WRONG: list[tuple[str, int, str]] = [
    ("/w_100/photo.jpg", 403, "signature-required"),
    ("/thumbnail?url=photo.jpg&w=100", 403, "signature-required"),
    ("/original/photo.jpg", 403, "signature-required"),
    ("/nonsense", 403, "signature-required"),
    ("/w_x/photo.jpg", 403, "signature-required"),
    ("/w_100/photo.jpg?sig=", 403, "bad-signature"),
    ("/w_100/photo.jpg?sig=%FF", 403, "bad-signature"),
    (signed_by(OLD, "/w_100/photo.jpg"), 403, "bad-signature"),
    (signed_by(NEW, "/w_100/photo.jpg").replace("w_100", "w_101"), 403, "bad-signature"),
    (signed_by(NEW, "/w_100/photo.jpg").replace("photo", "%70hoto"), 403, "bad-signature"),
    (signed_by(NEW, "/w_100/photo.jpg") + "&sig=", 403, "bad-signature"),
    (signed_by(NEW, "/w_100/photo.jpg") + "&w=1", 403, "bad-signature"),
    (signed_by(NEW, "/w_100/photo.jpg", key_id="old"), 403, "bad-signature"),
    (signed_by(NEW, "/w_100/photo.jpg", until_s=1), 403, "signature-expired"),
    (signed_by(NEW, "/w_100/photo.jpg", domain="shop.example"), 403, "bad-signature"),
    (signed_by(NEW, "/w_100/photo.jpg", session="a"), 403, "bad-signature"),
    (signed_by(NEW, "/w_x/photo.jpg"), 400, "bad-transform"),
    (signed_by(NEW, "/w_100/photo.jpg?w=1"), 400, "bad-url"),
    (signed_by(NEW, "/w_100/gone.jpg"), 404, "original-not-found"),
    (signed_by(NEW, "/nonsense"), 404, "unknown-route"),
    (signed_by(NEW, "/few/w_100/photo.jpg"), 400, "bad-transform"),
    (signed_by(NEW, "/few/original/photo.jpg"), 404, "unknown-route"),
    ("/few/t_card/photo.jpg", 403, "signature-required"),
    (signed_by(OLD, "/both/w_101/photo.jpg").replace("both", "open"), 400, "bad-url"),
    ("/both/w_101/photo.jpg", 400, "dimension-not-allowed"),
    ("/both/w_100/photo.jpg?sig=A", 403, "bad-signature"),
    ("/both/thumbnail?url=photo.jpg&sig=A&w=100", 403, "bad-signature"),
]


@pytest.mark.parametrize(("target", "status", "what"), WRONG)
@shares_node
async def test_urls_without_a_valid_signature_are_refused(
    shared_strict: Running, target: str, status: int, what: str
) -> None:
    renders = await shared_strict.metric("calotype_renders_total")
    answer = await shared_strict.get(target)
    assert (answer.status, slug(answer)) == (status, what)
    if status != 404:
        assert answer.headers["Cache-Control"] == "no-store"
    assert await shared_strict.metric("calotype_renders_total") == renders


async def test_a_signed_url_may_request_any_size_and_quality(strict: Running) -> None:
    for target in (
        signed_by(NEW, "/both/w_101,q_83,f_jpg/photo.jpg"),
        signed_by(OLD, "/snap/thumbnail?url=photo.jpg&w=101&q=83&format=jpg"),
        signed_by(NEW, "/w_101,q_83,f_jpg/photo.jpg", until_s=int(time.time()) + 99, key_id="new"),
        signed_by(OLD, "/both/t_small,w_101,q_83,f_jpg/photo.jpg"),
    ):
        answer = await strict.get(target)
        assert answer.status == 200, target
        assert (
            answer.headers["ETag"]
            == (await strict.get(signed_by(NEW, "/w_101,q_83,f_jpg/photo.jpg"))).headers["ETag"]
        )
    assert await strict.metric("calotype_renders_total") == 1, "no signature enters the key"
    assert (await strict.get("/snap/w_101/photo.jpg")).status == 200
    assert (await strict.get("/both/w_100/photo.jpg")).status == 200
    assert (await strict.get(signed_by(NEW, "/few/t_card/photo.jpg"))).status == 200
    assert (await strict.get(signed_by(NEW, "/original/photo.jpg"))).body == ORIGINALS["photo.jpg"]()


async def test_start_page_health_and_robots_need_no_signature(strict: Running) -> None:
    for target in ("/", "/healthz", "/robots.txt"):
        assert (await strict.get(target)).status == 200


@pytest.mark.parametrize("target", ["/w_100/photo.jpg", "/original/photo.jpg"])
async def test_max_age_ends_with_the_signature(strict: Running, wall: Wall, target: str) -> None:
    wall.now_s = 1_700_000_000.5
    raw = signed_by(NEW, target, until_s=1_700_000_100)
    assert (await strict.get(raw)).headers["Cache-Control"] == "public, max-age=99"
    assert (await strict.get(raw)).headers["Cache-Control"] == "public, max-age=99"
    wall.now_s += 60
    late = await strict.get(raw)
    assert late.headers["Cache-Control"] == "public, max-age=39"
    unchanged = await strict.get(raw, If_None_Match=late.headers["ETag"])
    assert (unchanged.status, unchanged.headers["Cache-Control"]) == (304, "public, max-age=39")
    wall.now_s += 39.4
    assert (await strict.get(raw)).headers["Cache-Control"] == "public, max-age=0"
    wall.now_s += 0.1
    expired = await strict.get(raw, If_None_Match=late.headers["ETag"])
    assert (expired.status, slug(expired)) == (403, "signature-expired"), "a hit as well"
    long = signed_by(NEW, target, until_s=int(wall.now_s) + 10 * 365 * 86_400)
    assert (await strict.get(long)).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    short = signed_by(NEW, "/short/w_100/photo.jpg", until_s=int(wall.now_s) + 3600)
    assert (await strict.get(short)).headers["Cache-Control"] == "public, max-age=60"


async def test_the_404_of_a_signed_url_is_not_cached_longer_than_its_signature(strict: Running) -> None:
    gone = "/w_100/gone.jpg"
    expiry_s = int(time.time()) + 5
    assert (await strict.get(signed_by(NEW, gone))).headers["Cache-Control"] == "public, max-age=1"
    for how in ({"until_s": expiry_s}, {"session": "a"}):
        answer = await strict.get(signed_by(NEW, gone, **how), Cookie="sid=a")
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")


@pytest.mark.parametrize(
    "target", ["/w_100,f_auto/photo.jpg", "/w_100,f_png/photo.jpg", "/original/photo.jpg"]
)
async def test_a_domain_restriction_varies_by_origin_and_referer(strict: Running, target: str) -> None:
    raw = signed_by(NEW, target, domain="shop.example")
    for _ in range(2):
        answer = await strict.get(raw, Referer="https://www.shop.example/page")
        assert answer.status == 200
        vary = "Accept, Origin, Referer" if "auto" in target else "Origin, Referer"
        assert answer.headers["Vary"] == vary
        assert answer.headers["Cache-Control"].startswith("public")
        assert (await strict.get(raw, Referer="https://evil.example/")).status == 403
        assert (await strict.get(raw, Origin="https://evil.example")).status == 403
        assert (await strict.get(raw)).status == 403


@pytest.mark.parametrize("target", ["/w_100/photo.jpg", "/original/photo.jpg"])
async def test_an_answer_for_a_session_is_private(strict: Running, target: str) -> None:
    raw = signed_by(NEW, target, session="a=1;b")
    raw_plain = signed_by(NEW, target, session="abc")
    for _ in range(2):
        answer = await strict.get(raw_plain, Cookie="x=y; sid=abc; z=sid")
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        for cookie in ("", "sid=abd", "sid=abc; sid=abc", "SID=abc", "x=abc", "sid"):
            assert (await strict.get(raw_plain, Cookie=cookie)).status == 403, cookie
        assert (await strict.get(raw_plain)).status == 403
    assert (await strict.get(raw, Cookie="sid=a=1")).status == 403


@pytest.mark.parametrize("session", ["header:X-Session", ""])
async def test_a_session_may_be_read_from_a_header_or_disabled(tmp_path: Path, session: str) -> None:
    changes = {**STRICT, "signing": {**STRICT["signing"], "session": session}}
    async with running(tmp_path, **changes) as node:
        temporary_file(node.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        raw = signed_by(NEW, "/w_100/photo.jpg", session="abc")
        assert (await node.get(raw, X_Session="abc")).status == (200 if session else 403)
        assert (await node.get(raw, X_Session="abd")).status == 403
        assert (await node.get(raw, Cookie="sid=abc")).status == 403


async def test_an_answer_for_a_session_with_expiry_is_private(strict: Running, wall: Wall) -> None:
    wall.now_s = 1_700_000_000.0
    for target in ("/w_100/photo.jpg", "/original/photo.jpg"):
        raw = signed_by(NEW, target, session="abc", domain="d.example", until_s=1_700_000_100)
        for seconds in (100, 60):
            wall.now_s = 1_700_000_100.0 - seconds
            answer = await strict.get(raw, Cookie="sid=abc", Referer="https://d.example/")
            assert answer.headers["Cache-Control"] == f"private, max-age={seconds}"
            assert answer.headers["Vary"] == "Origin, Referer"


async def test_unknown_hosts_are_not_remembered(tmp_path: Path) -> None:
    mounts = {
        "all": {"source": "photos", "dimensions": "any"},
        "own": {"source": "photos", "host": "own.example", "dimensions": "any"},
    }
    async with running(tmp_path, mounts=mounts) as node:
        temporary_file(node.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        await node.get("/w_50/photo.jpg")
        for number in range(50):
            answer = await node.get("/w_50/photo.jpg", Host=f"{number}.example")
            assert answer.cache == "calotype; hit; detail=memory"


async def test_explain_reports_the_state_of_the_signature(strict: Running) -> None:
    async def explain(raw: str) -> dict[str, Any]:
        answer = await strict.get(f"/v1/explain?url={quote(raw, safe='')}", admin=True)
        assert answer.status == 200, answer.body
        explanation: dict[str, Any] = json.loads(answer.body)
        return explanation

    valid = await explain(
        signed_by(NEW, "/w_123,f_png/photo.jpg", until_s=4_000_000_000, domain="a.b", session="s3cret")
    )
    assert (valid["signature"], valid["signed_by"]) == ("valid", "new")
    assert valid["scope"] == ["exp=4000000000", "dom=a.b", "ses=..."]
    assert (valid["url"], valid["transform"]) == ("/w_123,f_png/photo.jpg", "w_123,f_png")
    unsigned = await explain("/w_123,f_png/photo.jpg")
    assert (unsigned["signature"], unsigned["key"]) == ("signature-required", valid["key"])
    assert (await explain("/both/w_100/photo.jpg"))["signature"] == "unsigned"
    assert (await explain("/both/w_100/photo.jpg?sig=A"))["signature"] == "bad-signature"
    assert (await explain(signed_by(NEW, "/original/photo.jpg", until_s=1)))[
        "signature"
    ] == "signature-expired"
    assert "sig=" not in json.dumps([valid, unsigned])
    assert "s3cret" not in json.dumps(valid)


@pytest.mark.parametrize(
    ("raw", "signature", "refused", "known"),
    [
        (signed_by(NEW, "/w_123,f_png/photo.jpg"), "valid", [], "key"),
        (signed_by(NEW, "/w_123,f_png/photo.jpg") + "&ver=1", "valid", [], "key"),
        ("/w_123,f_png/photo.jpg", "signature-required", ["signature-required: this mount answers signed URLs only"], "key"),
        (signed_by(OLD, "/w_123,f_png/photo.jpg"), "bad-signature", ["bad-signature: the signature does not match the URL"], "key"),
        (signed_by(NEW, "/w_123,f_png/photo.jpg") + "&w=2", "bad-signature", ["bad-signature: parameter w follows ", "bad-url: "], "mount"),
        (signed_by(NEW, "/w_123,f_png/photo.jpg", until_s=1), "signature-expired", ["signature-expired: the signed URL has expired"], "key"),
        ("/w_123,f_png/photo.jpg?exp=x&sig=A", "bad-signature", ["bad-signature: the signature "], "key"),
        (signed_by(NEW, "/w_x/photo.jpg", until_s=1), "signature-expired", ["signature-expired: ", "bad-transform: parameter w "], "mount"),
        (signed_by(NEW, "/w_123,f_png/gone.jpg"), "valid", ["original-not-found: "], "plan"),
        (signed_by(NEW, "/w_123/gone.jpg"), "valid", ["original-not-found: "], "transform"),
        ("/both/w_101,f_png/photo.jpg", "unsigned", ["dimension-not-allowed: parameter w must be one of 16, "], "key"),
        ("/both/w_101,f_png/gone.jpg", "unsigned", ["dimension-not-allowed: ", "original-not-found: "], "plan"),
        ("/both/w_101,f_png/photo.jpg?sig=A", "bad-signature", ["bad-signature: "], "key"),
        ("/open/w_100,f_png/photo.jpg?sig=A", "unsigned", ["bad-url: parameter sig is not supported: "], "mount"),
        ("/few/w_100,f_png/photo.jpg", "signature-required", ["signature-required: ", "bad-transform: this mount serves presets "], "key"),
        ("/few/original/photo.jpg", "signature-required", ["signature-required: ", "unknown-route: this mount serves presets "], "native"),
        ("/few/info/photo.jpg", "signature-required", ["signature-required: ", "unknown-route: "], "key"),
        ("/open/w_100,f_png/http:%2F%2Fa.b%2Fc.jpg", "unsigned", ["source-not-allowed: "], "transform"),
        ("/open/original/photo.jpg", "unsigned", [], "native"),
        ("/open/w_100/" + "a" * 9000, "unsigned", ["url-too-long: ", "original-not-found: "], "transform"),
        ("/open/w_50/é.jpg", "", ["bad-url: the URL holds a character "], ""),
        ("/open/W_100/photo.jpg", "unsigned", ["unknown-route: no such route: "], "mount"),
    ],
)  # fmt: skip
@shares_node
async def test_explain_reports_refusals_and_known_facts_of_a_refused_url(
    shared_strict: Running, raw: str, signature: str, refused: list[str], known: str
) -> None:
    answer = await shared_strict.get(f"/v1/explain?url={quote(raw, safe='')}", admin=True)
    explanation = json.loads(answer.body)
    assert (answer.status, explanation["signature"]) == (200, signature)
    assert len(explanation["refused"]) == len(refused)
    for line, begins in zip(explanation["refused"], refused, strict=True):
        assert line.startswith(begins)
    assert not known or explanation[known], known
    if "dimension" in str(refused):
        assert "(dimensions.allowed, mounts.both.dimensions, " in explanation["refused"][0]
    if raw.isascii():
        served = await shared_strict.get(raw)
        assert (served.status >= 400) is bool(refused)


@pytest.mark.parametrize(
    "target",
    [
        "/snap/w_101,h_77,c_fill,q_83,f_webp,v_3/photo.jpg", "/open/t_card,f_png/photo.jpg", "/open/thumbnail?url=photo.jpg",
        "/open/thumbnail?url=photo.jpg&w=100&fit=cover&format=jpg&utm_source=x", "/open/w_100,c_limit/photo.jpg?v=4",
        "/open/info/photo.jpg?fields=width,format", "/open/original/photo.jpg",
    ],
)  # fmt: skip
@shares_node
async def test_explain_reports_a_native_url_with_the_same_key(shared_strict: Running, target: str) -> None:
    async def explain(url: str) -> dict[str, Any]:
        answer = await shared_strict.get(f"/v1/explain?url={quote(url, safe='')}", admin=True)
        explanation: dict[str, Any] = json.loads(answer.body)
        return explanation

    first = await explain(target)
    again = await explain(first["native"])
    assert (again["key"], again["native"], again["original"]) == (
        first["key"],
        first["native"],
        first["original"],
    )


async def test_originals_of_one_mount_are_not_served_by_another(tmp_path: Path) -> None:
    """An original of one is not to be had under another, however it is asked for."""
    folders = {name: tmp_path / name for name in ("ann", "bob")}
    for name, folder in folders.items():
        temporary_file(folder, f"{name}.jpg", ORIGINALS["photo.jpg"]())
    mounts = {
        "ann": {"source": "ann", "prefix": "/ann/", "dimensions": "any"},
        "bob": {"source": "bob", "host": "bob.example", "dimensions": "any"},
    }
    sources = {name: {"path": str(folder)} for name, folder in folders.items()}
    async with running(tmp_path, sources=sources, mounts=mounts) as node:
        assert (await node.get("/ann/w_50/ann.jpg")).status == 200
        assert (await node.get("/w_50/bob.jpg", Host="bob.example")).status == 200
        for target, host in (
            ("/ann/w_50/bob.jpg", "any"), ("/w_50/bob.jpg", "any"), ("/ann/w_50/ann.jpg", "bob.example"),
            ("/w_50/ann.jpg", "bob.example"), ("/ann/w_50/..%2Fbob%2Fbob.jpg", "any"),
            ("/ann/thumbnail?url=../bob/bob.jpg&w=50", "any"), ("/ann/original/bob.jpg", "any"),
            ("/ann//w_50/ann.jpg", "any"), ("/ANN/w_50/ann.jpg", "any"), ("/%61nn/w_50/ann.jpg", "any"),
        ):  # fmt: skip
            answer = await node.get(target, Host=host)
            assert answer.status in (400, 403, 404), (target, host)
