"""The operations API over HTTP conforms to its OpenAPI document; each call needs its scope."""

import asyncio
import json
import re
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import pytest_asyncio
from openapi_spec_validator import validate

from proxy.edge.admin import operations
from tests.http.conftest import ORIGINALS, Running, running, shares_node
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.fakes import temporary_file
from tests.support.waiting import LONGEST_S, eventually

TOKEN = "the token of everything"
SHOP, STORE = "a token of the shop", "a secret of the store"
TOKENS = {
    "shop": {"token": SHOP, "scopes": ["upload", "warm"]},
    "store": {"token": STORE, "scopes": ["events"]},
}


class Api:
    """Calls of a node, each answer checked against the document."""

    def __init__(self, node: Running, document: dict[str, Any]) -> None:
        self.node = node
        self.document = document

    @classmethod
    async def of(cls, node: Running, **headers: str) -> "Api":
        return cls(node, json.loads((await node.get("/v1/openapi.json", admin=True, **headers)).body))

    async def call(self, method: str, target: str, body: object = None, **headers: str) -> tuple[int, Any]:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        url = self.node.node.admin_url + target
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.node.client.request(method, url, data=content, headers=sent) as answer:
            reply = await answer.json(content_type=None)
            self.check(method, target, answer.status, answer.content_type, reply)
            return answer.status, reply

    def check(self, method: str, target: str, status: int, content_type: str, reply: object) -> None:
        path = re.sub(r"^(/v1/warm/)[^/]+$", r"\1{id}", target.partition("?")[0])
        specified = self.document["paths"][path][method.lower()]["responses"][str(status)]
        schema = specified["content"][content_type]["schema"]
        jsonschema.validate(reply, {**schema, "components": self.document["components"]})


@pytest.fixture
async def api(node: Running) -> Api:
    return await Api.of(node)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(shared_node: Running) -> Api:
    return await Api.of(shared_node)


async def ended(api: Api, job: str) -> dict[str, Any]:
    """The progress of a job once it is done."""

    async def done() -> dict[str, Any] | None:
        _, reply = await api.call("GET", f"/v1/warm/{job}")
        assert isinstance(reply, dict)
        return reply if reply["state"] == "done" else None

    reply = await eventually(done)
    assert reply is not None
    return reply


async def test_the_document_is_valid_openapi(api: Api) -> None:
    validate(api.document)
    assert api.document["openapi"].startswith("3.1")


async def test_an_upload_is_stored_with_its_eager_variants(tmp_path: Path) -> None:
    async with running(tmp_path, eager={"presets": ["card", "small"]}) as node:
        api = await Api.of(node)
        status, reply = await api.call(
            "POST", "/v1/originals?name=My%20photo.jpeg", pictures.photo_as("jpeg")
        )
        assert status == 201
        assert re.fullmatch(r"[0-9a-f-]{36}/My-photo\.jpeg", reply["key"])
        assert (reply["width"], reply["height"], reply["format"]) == (640, 480, "jpeg")
        assert (await ended(api, reply["warm"]))["done"] == 4
        for accept, kind in (("image/avif", "avif"), ("image/webp", "webp"), ("*/*", "jpeg")):
            answer = await node.get(reply["urls"]["card"], Accept=accept)
            assert (answer.status, answer.headers["Content-Type"]) == (200, f"image/{kind}")
            assert "hit" in answer.cache
        assert (node.originals / reply["key"]).read_bytes() == pictures.photo_as("jpeg")


async def test_an_upload_that_is_not_a_picture_is_refused_and_leaves_no_file(api: Api) -> None:
    before = sorted(api.node.originals.rglob("*"))
    for content, status in (
        (b"", 400),
        (b"no picture at all", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (pictures.photo_as("jpeg")[:-3000], 422),
        (pictures.png_of(20_000, 20_000), 422),
    ):
        assert (await api.call("POST", "/v1/originals?name=a.jpg", content))[0] == status
    assert sorted(api.node.originals.rglob("*")) == before


async def test_an_upload_beyond_the_limit_is_not_read_to_its_end(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"original_max_bytes": "100kB"}) as node:
        api = await Api.of(node)
        large = pictures.photo_as("png", 600, 400) + bytes(200_000)
        assert (await api.call("POST", "/v1/originals", large))[0] == 422

        async def endless() -> Any:
            while True:
                yield bytes(65_536)

        # Refused in the middle: it either hears why or finds the connection closed.
        with suppress(aiohttp.ClientError):
            async with node.client.post(node.node.admin_url + "/v1/originals", data=endless()) as answer:
                assert answer.status == 422
        assert list((tmp_path / "cache" / "uploads").iterdir()) == []


async def test_an_idempotency_key_makes_repeated_uploads_one(api: Api) -> None:
    content = pictures.quarters_as("png")
    tries = await asyncio.gather(
        *(api.call("POST", "/v1/originals?name=a.png", content, Idempotency_Key="k-1") for _ in range(8))
    )
    assert {status for status, _ in tries} == {201}
    assert len({reply["key"] for _, reply in tries}) == 1
    assert len(list(api.node.originals.glob("*/a.png"))) == 1
    status, reply = await api.call(
        "POST", "/v1/originals?name=a.png", pictures.photo_as("png"), Idempotency_Key="k-1"
    )
    assert (status, reply["type"]) == (409, "urn:calotype:error:conflict")
    assert (await api.call("POST", "/v1/originals", content, Idempotency_Key="k" * 300))[0] == 400


def form(*parts: tuple[str, bytes], boundary: str = "b0undary") -> tuple[bytes, dict[str, str]]:
    """A form as a browser sends it, each part with the parameters of its Content-Disposition; and its headers."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {of}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
        + content
        + b"\r\n"
        for of, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), {
        "Content-Type": f"multipart/form-data; boundary={boundary}"
    }


async def test_a_form_may_upload_one_file(api: Api) -> None:
    content = pictures.photo_as("jpeg")
    body, headers = form(('name="file"; filename="groß.jpg"', content))
    status, reply = await api.call("POST", "/v1/originals", body, **headers)
    assert (status, reply["bytes"]) == (201, len(content))
    assert reply["key"].endswith("/groß.jpg")
    assert (api.node.originals / reply["key"]).read_bytes() == content
    assert (await api.call("POST", "/v1/originals?name=b.jpg", body, **headers))[1]["key"].endswith("/b.jpg")
    status, reply = await api.call("POST", "/v1/originals?key=shoes/red.jpg", body, **headers)
    assert (status, reply["key"]) == (201, "shoes/red.jpg")
    # As aiohttp's own client, curl and requests send it: chunked too, and with the boundary in the picture.
    tricky = content + b"\r\n--b0undar-\r\n--b0\r\n"
    data = aiohttp.FormData()
    data.add_field("file", tricky, filename="c.jpg", content_type="image/jpeg")
    async with api.node.client.post(api.node.node.admin_url + "/v1/originals", data=data) as answer:
        reply = await answer.json()
        assert (answer.status, (api.node.originals / reply["key"]).read_bytes()) == (201, tricky)


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ([], "one file and no other field"),
        ([('name="file"; filename="a.jpg"', b"picture"), ('name="file"; filename="b.jpg"', b"picture")], "one file and no other field"),
        ([('name="key"', b"a.jpg"), ('name="file"; filename="a.jpg"', b"picture")], "one file and no other field"),
        ([('name="file"; filename="a.jpg"', b"picture"), ('name="key"', b"a.jpg")], "one file and no other field"),
        ([('name="file"', b"picture")], "one file and no other field"),
        ([('name="file"; filename="a.jpg"', b"")], "a picture, or a form with one file"),
    ],
)  # fmt: skip
@shares_node
async def test_a_form_with_other_than_one_file_is_refused(
    shared_api: Api, parts: list[tuple[str, bytes]], detail: str
) -> None:
    content = pictures.photo_as("jpeg")
    body, headers = form(*((of, content if part == b"picture" else part) for of, part in parts))
    before = sorted(shared_api.node.originals.rglob("*"))
    status, reply = await shared_api.call("POST", "/v1/originals", body, **headers)
    assert (status, detail in reply["detail"]) == (400, True), reply
    assert sorted(shared_api.node.originals.rglob("*")) == before


@shares_node
async def test_a_malformed_form_is_refused(shared_api: Api) -> None:
    body, headers = form(('name="file"; filename="a.jpg"', pictures.photo_as("jpeg")))
    nested = b"--b0undary\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b0undary--\r\n"
    for wrong in (
        b"",
        b"x",
        body[:500],
        body[:-15],
        body[2:],
        body.replace(b"\r\n\r\n", b"\r\n", 1),
        nested,
        b"\n" * 200_000,
    ):
        assert (await shared_api.call("POST", "/v1/originals", wrong, **headers))[0] == 400
    for content_type in (
        "multipart/form-data",
        "multipart/form-data; boundary=" + "b" * 71,
        "multipart/form-data; boundary=other",
    ):
        assert (await shared_api.call("POST", "/v1/originals", body, **{"Content-Type": content_type}))[
            0
        ] == 400


async def test_the_upload_limits_apply_to_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, limits={"original_max_bytes": "100kB"}) as node:
        api = await Api.of(node)
        small = pictures.photo_as("jpeg", 100, 100)
        fits, headers = form(('name="file"; filename="a.jpg"', small + bytes(100_000 - len(small))))
        assert len(fits) > 100_000
        assert (await api.call("POST", "/v1/originals", fits, **headers))[0] == 201
        large, headers = form(('name="file"; filename="a.jpg"', small + bytes(100_001 - len(small))))
        assert (await api.call("POST", "/v1/originals", large, **headers))[0] == 422

        async def endless() -> Any:
            yield large[:200]
            while True:
                yield bytes(65_536)

        with suppress(aiohttp.ClientError):
            async with node.client.post(
                node.node.admin_url + "/v1/originals", data=endless(), headers=headers
            ) as answer:
                assert answer.status == 422
        monkeypatch.setattr(operations, "SILENCE_TIMEOUT_S", 0.2)
        silent = asyncio.Event()

        async def dripping() -> Any:
            yield large[:200]
            await silent.wait()

        with suppress(aiohttp.ClientError):
            async with node.client.post(
                node.node.admin_url + "/v1/originals", data=dripping(), headers=headers
            ) as answer:
                assert (answer.status, "too slowly" in await answer.text()) == (400, True)
        silent.set()
        assert list((tmp_path / "cache" / "uploads").iterdir()) == []


async def test_a_key_is_overwritten_only_on_request(tmp_path: Path) -> None:
    async with running(tmp_path, eager={"presets": ["small"]}) as node:
        api = await Api.of(node)
        old, new = pictures.photo_as("png", seed=1), pictures.photo_as("png", seed=2)
        target = "/v1/originals?key=shoes/red.png"
        assert (await node.get("/w_40,f_png/shoes/red.png")).status == 404
        status, reply = await api.call("POST", target, old)
        assert (status, reply["key"], reply["urls"]) == (
            201,
            "shoes/red.png",
            {"small": "/t_small/shoes/red.png"},
        )
        first = await node.get("/w_40,f_png/shoes/red.png")
        assert first.status == 200, "its absence is forgotten"
        for content in (old, new):
            status, refused = await api.call("POST", target + "&overwrite=false", content)
            assert (status, "overwrite=true" in refused["detail"]) == (409, True)
        assert (await node.get("/original/shoes/red.png")).body == old
        status, reply = await api.call("POST", target + "&overwrite=true", new)
        assert status == 201
        assert re.fullmatch(r"/t_small,v_[0-9a-f]{24}/shoes/red\.png", reply["urls"]["small"])
        assert (await node.get(reply["urls"]["small"])).status == 200
        assert (await node.get("/w_40,f_png/shoes/red.png")).body != first.body
        assert (await node.get("/original/shoes/red.png")).body == new
        for wrong in (
            "overwrite=true",
            "overwrite=yes&key=a.jpg",
            "name=a.jpg&key=a.jpg",
            "key=../a.jpg",
            "key=a//b",
        ):
            assert (await api.call("POST", f"/v1/originals?{wrong}", new))[0] == 400, wrong


async def test_a_web_source_accepts_no_uploads(tmp_path: Path) -> None:
    sources = {"photos": {"kind": "http", "hosts": ["images.example"]}}
    async with running(tmp_path, sources=sources) as node:
        api = await Api.of(node)
        status, reply = await api.call("POST", "/v1/originals?name=a.jpg", pictures.photo_as("jpeg"))
        assert (status, "accepts no uploads" in reply["detail"]) == (405, True)


async def test_an_aborted_upload_leaves_no_file(api: Api) -> None:
    content = pictures.photo_as("png", 1600, 1200)
    before = sorted(api.node.originals.rglob("*"))
    host, port = api.node.node.admin_url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/originals?name=a.png HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    for share in (0.0, 0.5, 1.0):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + content[: int(share * len(content))])
        await writer.drain()
        writer.transport.abort()
    uploads = Path(api.node.node.settings.cache.disk.path) / "uploads"
    await eventually(lambda: not uploads.exists() or not list(uploads.iterdir()))
    assert sorted(api.node.originals.rglob("*")) == before


async def test_jobs_are_listed_and_can_be_repeated(api: Api) -> None:
    status, reply = await api.call(
        "POST", "/v1/warm", {"keys": ["photo.jpg", "nope.jpg"], "presets": ["card"]}
    )
    assert status == 202
    done = await ended(api, reply["id"])
    assert (done["total"], done["done"], done["failed"]) == (6, 3, 3)
    assert done["failures"][0] == {
        "key": "nope.jpg",
        "transform": "t_card",
        "slug": "original-not-found",
        "detail": "there is no original 'nope.jpg' in source photos",
        "format": "avif",
    }
    assert sorted(failure["format"] for failure in done["failures"]) == ["avif", "jpeg", "webp"]
    assert [job["id"] for job in (await api.call("GET", "/v1/warm"))[1]] == [reply["id"]]
    assert (await api.call("POST", f"/v1/warm/{reply['id']}"))[0] == 202
    assert (await ended(api, reply["id"]))["failed"] == 3
    assert (await api.call("GET", "/v1/warm/nope"))[0] == 404
    status, reply = await api.call("POST", "/v1/warm", {"prefix": "", "transforms": ["w_20,f_webp"]})
    listed = await ended(api, reply["id"])
    assert listed["total"] == len(ORIGINALS) - 1  # text.jpg is no picture.


async def test_a_cancelled_job_renders_nothing_more(api: Api) -> None:
    assert (await api.call("DELETE", "/v1/warm/nope"))[0] == 404
    effects = [f"w_{side},f_avif,e_blur:{sigma}" for side in (640, 600, 480) for sigma in range(30, 90)]
    status, reply = await api.call("POST", "/v1/warm", {"keys": ["photo.jpg"], "transforms": effects})
    assert status == 202
    status, cancelled = await api.call("DELETE", f"/v1/warm/{reply['id']}")
    assert (status, cancelled["state"], cancelled["total"]) == (200, "cancelled", len(effects))
    assert cancelled["done"] < len(effects)
    # A second word changes nothing, and what was cancelled is not run again.
    assert await api.call("DELETE", f"/v1/warm/{reply['id']}") == (200, cancelled)
    assert (await api.call("POST", f"/v1/warm/{reply['id']}"))[0] == 409
    # Others go on, and one that has ended stays as it is.
    _, other = await api.call("POST", "/v1/warm", {"keys": ["photo.jpg"], "transforms": ["w_20,f_png"]})
    done = await ended(api, other["id"])
    assert (done["state"], done["done"]) == ("done", 1)
    assert await api.call("DELETE", f"/v1/warm/{other['id']}") == (200, done)
    assert (await api.call("GET", f"/v1/warm/{reply['id']}"))[1] == cancelled


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/warm", b""),
        ("/v1/warm", b"\xff"),
        ("/v1/warm", b"[" * 200_000),
        ("/v1/warm", []),
        ("/v1/warm", {}),
        ("/v1/warm", {"keys": ["a"], "prefix": "b", "presets": ["card"]}),
        ("/v1/warm", {"keys": [], "presets": ["card"]}),
        ("/v1/warm", {"keys": "a", "presets": ["card"]}),
        ("/v1/warm", {"keys": [1], "presets": ["card"]}),
        ("/v1/warm", {"keys": ["a"]}),
        ("/v1/warm", {"keys": ["a"], "presets": ["nope"]}),
        ("/v1/warm", {"keys": ["a"], "transforms": ["w_0"]}),
        ("/v1/warm", {"keys": ["../a"], "presets": ["card"]}),
        ("/v1/warm", {"keys": ["a\u0000b"], "presets": ["card"]}),
        ("/v1/warm", {"keys": ["a"], "presets": ["card"], "colour": "CANARY"}),
        ("/v1/purge", {}),
        ("/v1/purge", {"all": False}),
        ("/v1/purge", {"all": "CANARY"}),
        ("/v1/purge", {"all": True, "prefix": "a"}),
        ("/v1/purge", {"prefix": ""}),
        ("/v1/purge", {"original": ""}),
        ("/v1/purge", {"preset": "<CANARY>"}),
        ("/v1/purge", {"url": "CANARY"}),
        ("/v1/purge?mount=all", {"all": True, "mount": "CANARY"}),
        ("/v1/purge", {"all": True, "original": ""}),
        ("/v1/purge", {"all": False, "original": "photo.jpg"}),
        ("/v1/events/s3", {"detail-type": 1, "detail": {}}),
        ("/v1/events/s3", {"detail-type": "x", "detail": "CANARY"}),
        ("/v1/events/s3", {}),
        ("/v1/events/s3", {"Records": [{}]}),
        ("/v1/events/s3", {"Records": "CANARY"}),
        ("/v1/events/s3", b""),
    ],
)
@shares_node
async def test_an_invalid_body_is_refused_without_repeating_its_values(
    shared_api: Api, path: str, body: object
) -> None:
    status, reply = await shared_api.call("POST", path, body)
    assert status == 400
    assert "CANARY" not in json.dumps(reply)
    assert (await shared_api.call("GET", "/v1/warm"))[1] == []


@pytest.mark.parametrize(
    ("method", "target", "detail"),
    [
        (
            "POST",
            "/v1/originals?nam=a.jpg",
            "parameter nam is unknown; known are name, mount, key, overwrite; is name meant?",
        ),
        ("POST", "/v1/warm?Mount=all", "parameter Mount is unknown; known are mount; is mount meant?"),
        ("GET", "/v1/warm?limit=3", "parameter limit is unknown; this call takes none"),
        ("DELETE", "/v1/warm/1?force=1", "parameter force is unknown; this call takes none"),
        ("POST", "/v1/purge?all=true", "parameter all is unknown; known are mount"),
        ("POST", "/v1/purge?mount=all&<b>=1", "parameter 2 is unknown; known are mount"),
        ("POST", "/v1/events/s3?" + "a" * 33, "parameter 1 is unknown; this call takes none"),
        (
            "GET",
            "/v1/explain?url=/w_5/photo.jpg&acept=x",
            "parameter acept is unknown; known are url, accept; is accept meant?",
        ),
        ("GET", "/v1/status?x=1", "parameter x is unknown; this call takes none"),
        ("GET", "/v1/openapi.json?x=1", "parameter x is unknown; this call takes none"),
    ],
)
@shares_node
async def test_an_unknown_parameter_is_named(shared_api: Api, method: str, target: str, detail: str) -> None:
    answer = await shared_api.node.get(target, method=method, admin=True)
    assert (answer.status, json.loads(answer.body)["detail"]) == (400, detail)


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        (
            "/v1/purge",
            {"originals": "a"},
            "originals is unknown; known are original, prefix, url, preset, all, mount",
        ),
        (
            "/v1/warm",
            {"keys": ["a"], "preset": ["card"]},
            "preset is unknown; known are keys, prefix, presets,",
        ),
        (
            "/v1/warm",
            {"keys": ["a"], "<script>": 1},
            "field 2 is unknown; known are keys, prefix, presets,",
        ),
    ],
)
@shares_node
async def test_an_unknown_field_is_named(shared_api: Api, path: str, body: object, detail: str) -> None:
    status, reply = await shared_api.call("POST", path, body)
    assert (status, detail in reply["detail"]) == (400, True), reply


@pytest.mark.parametrize("token", [TOKEN, SHOP, STORE])
async def test_an_unknown_path_is_reported_only_to_clients_with_a_token(tmp_path: Path, token: str) -> None:
    async with running(tmp_path, admin={"port": 0, "token": TOKEN, "tokens": TOKENS}) as node:
        for method, target, status in (
            ("POST", "/v1/purges", 404), ("GET", "/v2/warm", 404), ("GET", "/v1/purge", 405), ("PUT", "/v1/originals", 405),
            ("POST", "/metrics", 405), ("GET", "/v1/originals/", 404),
        ):  # fmt: skip
            answer = await node.get(target, method=method, admin=True, Authorization=f"Bearer {token}")
            assert answer.status == status, target
            for unknown in ({}, {"Authorization": "Bearer nobody's"}, {"Authorization": f"Bearer {token}x"}):
                assert (await node.get(target, method=method, admin=True, **unknown)).status == 401
        if token != TOKEN:
            answer = await node.get("/v1/status", admin=True, Authorization=f"Bearer {token}")
            assert answer.status == 401, "what is there is for whom it is for"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/purge", b'{"all":false,"all":true}'), ("/v1/purge", b'{"all":true,"all":true}'),
        ("/v1/purge", b'{"original":"photo.jpg","original":"CANARY"}'), ("/v1/purge", b'{"all":true,"\\u0061ll":true}'),
        ("/v1/purge", b'{"mount":"x","all":true,"mount":"all"}'), ("/v1/warm", b'{"keys":["a"],"presets":["card"],"keys":["photo.jpg"]}'),
        ("/v1/warm", b'{"prefix":"a","presets":[],"presets":["card"]}'), ("/v1/events/s3", b'{"Records":[],"Records":[]}'),
        ("/v1/events/s3", b'{"detail-type":"x","detail":{"a":1,"a":2}}'),
        ("/v1/purge?mount=all&mount=all", b'{"all":true}'), ("/v1/purge?mount=&mount=all", b'{"all":true}'),
        ("/v1/warm?mount=all&mount=b", b'{"keys":["a"],"presets":["card"]}'),
        ("/v1/originals?name=a&name=b", b"x"),
    ],
)  # fmt: skip
@shares_node
async def test_a_repeated_field_is_refused(shared_api: Api, path: str, body: bytes) -> None:
    await shared_api.node.get("/w_50/photo.jpg")
    status, reply = await shared_api.call("POST", path, body)
    assert (status, "twice" in reply["detail"], "CANARY" in reply["detail"]) == (400, True, False)
    assert (await shared_api.node.get("/w_50/photo.jpg")).cache == "calotype; hit; detail=memory"
    assert (await shared_api.call("GET", "/v1/warm"))[1] == []


@shares_node
async def test_a_repeated_query_parameter_is_refused(shared_api: Api) -> None:
    assert (await shared_api.call("GET", "/v1/explain?url=/w_50/photo.jpg&url=/w_60/photo.jpg"))[0] == 400
    assert (await shared_api.call("GET", "/v1/explain?url=/w_50/photo.jpg&accept=a&accept=b"))[0] == 400
    assert (await shared_api.call("GET", "/v1/explain?url=/w_50/photo.jpg&accept=a"))[0] == 200


async def raw_admin(node: Running, head: bytes, body: bytes = b"") -> bytes:
    """What the admin listener answers until it closes."""
    host, port = node.node.admin_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head + body)
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/v1/originals?name=a.jpg", b"Idempotency-Key: \xff\r\n"), (b"/v1/originals?name=a.jpg", b"Idempotency-Key: a\xc3\r\n"),
        (b"/v1/originals?name=a.jpg", b"Idempotency-Key: \xed\xa0\x80\r\n"), (b"/v1/originals?name=\xff", b""),
        (b"/v1/originals?name=a.jpg", b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n"),
        (b"/v1/originals?mount=\xff", b""), (b"/v1/originals?\xff=1", b""),
    ],
)  # fmt: skip
@shares_node
async def test_parameters_that_are_not_utf8_are_refused(
    shared_api: Api, target: bytes, headers: bytes
) -> None:
    picture = (shared_api.node.originals / "photo.jpg").read_bytes()
    head = b"POST " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers
    response = await raw_admin(shared_api.node, head + b"Content-Length: %d\r\n\r\n" % len(picture), picture)
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in response
    good = head.replace(headers, b"Idempotency-Key: \xc3\xa9\r\n") if headers else b""
    if good:
        response = await raw_admin(
            shared_api.node, good + b"Content-Length: %d\r\n\r\n" % len(picture), picture
        )
        assert response.startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/CANARY\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400), (b"CANARY\r\n\r\n", 400), (b"\x16\x03\x01CANARY\r\n", 400),
        (b"GET /v1/CANARY\r\n", 400), (b"GET /healthz HTTP/0.9\r\n\r\n", 400), (b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nCANARY\r\n\r\n", 400), (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + b"CANARY" * 4000 + b"\r\n\r\n", 400),
        (b"GET /" + b"CANARY" * 12_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"POST /v1/purge HTTP/1.1\r\nHost: x\r\nContent-Length: CANARY\r\n\r\n{}", 400),
        (b"POST /v1/purge HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: CANARY\r\n\r\n", 417), (b"POST /nothing HTTP/1.1\r\nHost: x\r\nExpect: CANARY\r\n\r\n", 417),
        (b"PUT /v1/purge HTTP/1.1\r\nHost: x\r\nExpect: 100-continue, CANARY\r\n\r\n", 417),
        (b"HEAD /CANARY\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
)  # fmt: skip
@shares_node
async def test_a_malformed_request_gets_a_problem_document_and_is_not_logged(
    shared_api: Api, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    response = await raw_admin(shared_api.node, sent)
    assert response.startswith(b"HTTP/1.1 %d " % status)
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    assert b"Access-Control-Allow-Origin" not in head, "no page of another origin reads it"
    assert b"CANARY" not in response
    assert (json.loads(body)["status"] == status) if not sent.startswith(b"HEAD") else not body
    assert not caplog.records


async def test_a_body_is_never_parsed_as_a_request(api: Api) -> None:
    """However the network cuts it: a body is judged by nothing that a head is judged by."""
    body = b'{"original":\n"a b.jpg"}\r\n\r\n'
    head = b"POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    host, port = api.node.node.admin_url.removeprefix("http://").split(":")
    for cut in (len(head), len(head) + 13, len(head) + len(body), len(head) + len(body) + 9):
        reader, writer = await asyncio.open_connection(host, int(port))
        for part in ((head + body + last)[:cut], (head + body + last)[cut:]):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        responses = await reader.read()
        writer.close()
        assert re.findall(rb"HTTP/1\.1 (\d{3}) ", responses) == [b"200", b"200"], cut


@pytest.mark.parametrize("name", ["original", "prefix", "url", "preset", "all", "mount"])
@shares_node
async def test_a_null_value_is_refused_and_named(shared_api: Api, name: str) -> None:
    await shared_api.node.get("/w_50/photo.jpg")
    for body in ({"all": True, name: None}, {name: None}, {"preset": "card", name: None}):
        status, reply = await shared_api.call("POST", "/v1/purge", body)
        assert status == 400
        assert "null" in reply["detail"]
        assert f"$.{name}" in reply["detail"]
    assert "hit" in (await shared_api.node.get("/w_50/photo.jpg")).cache, "nothing was purged"
    for body in ({"keys": ["a"], "prefix": None, "presets": ["card"]}, {"prefix": "a", "presets": None}):
        assert (await shared_api.call("POST", "/v1/warm", body))[0] == 400


JSONS: list[object] = [
    None,
    True,
    False,
    0,
    1.5,
    "",
    "0",
    "a",
    "/w_50/photo.jpg",
    [],
    [""],
    ["photo.jpg"],
    [None],
    {},
    {"x": 1},
]


async def test_a_body_that_the_openapi_document_forbids_is_refused(api: Api) -> None:
    """Bodies that are near to good ones: any value for any parameter, any two of them, and one that is not known."""
    good: dict[str, list[dict[str, object]]] = {
        "/v1/purge": [{"all": True}, {"original": "photo.jpg"}, {"prefix": "p"}, {"preset": "card"}, {"url": "/w_50/photo.jpg"}],
        "/v1/warm": [{"keys": ["photo.jpg"], "presets": ["card"]}, {"prefix": "p", "transforms": ["w_50"]}],
        "/v1/events/s3": [{"Records": []}, {"Event": "s3:TestEvent"}, {"detail-type": "x", "detail": {}}],
    }  # fmt: skip
    for path, bodies in good.items():
        schema = api.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        checker = jsonschema.Draft202012Validator({**schema, "components": api.document["components"]})
        known = {name for body in bodies for name in body} | {"mount", "colour"}
        near = [
            *({**body, name: value} for body in bodies for name in known for value in JSONS),
            *({**body, **other} for body in bodies for other in bodies),
            *({key: value for key, value in body.items() if key != name} for body in bodies for name in body),
            *JSONS,
        ]
        assert all(checker.is_valid(body) for body in bodies)
        for body in (*bodies, *near):
            status, _ = await api.call("POST", path, json.dumps(body).encode())
            assert checker.is_valid(body) or status == 400, (path, body)
            assert body not in bodies or status in (200, 202), (path, body)


@pytest.mark.parametrize("token", ["", TOKEN])
async def test_the_openapi_document_describes_this_node(tmp_path: Path, token: str) -> None:
    """Who needs a token, which methods there are, and what nobody may send without one."""
    async with running(tmp_path, admin={"port": 0, "token": token}) as node:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        api = await Api.of(node, **headers)
        validate(api.document)
        assert bool(api.document["security"]) == bool(token)
        for path, operations in api.document["paths"].items():
            target = path.replace("{id}", "none")
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
                sent = {} if method.lower() in operations else headers
                url = node.node.admin_url + target
                async with node.client.request(method, url, headers=sent) as answer:
                    reply = await answer.json(content_type=None)
                    if method.lower() not in operations:
                        assert (answer.status, answer.content_type) == (405, "application/problem+json")
                        allowed = answer.headers["Allow"].lower().split(", ")
                        assert {*allowed} - {"head"} == {*operations}
                    else:
                        api.check(method, target, answer.status, answer.content_type, reply)
                        assert (answer.status == 401) == bool(token)


async def test_a_purge_invalidates_variants_and_info(api: Api) -> None:
    node = api.node
    before = await node.get("/w_40,f_webp/photo.jpg")
    info = await node.get("/info/photo.jpg")
    tag = {"If-None-Match": before.headers["ETag"]}
    assert (await node.get("/w_40,f_webp/photo.jpg", **tag)).status == 304
    status, reply = await api.call("POST", "/v1/purge", {"original": "photo.jpg"})
    assert (status, reply["removed"] > 0, reply["open"]) == (200, True, [])
    after = await node.get("/w_40,f_webp/photo.jpg", **tag)
    assert (after.status, after.cache) == (200, "calotype; fwd=miss; stored")
    assert after.headers["ETag"] != before.headers["ETag"]
    assert (await node.get("/info/photo.jpg")).headers["ETag"] != info.headers["ETag"]
    assert "hit" in (await node.get("/w_40,f_webp/photo.jpg")).cache
    for what in ({"prefix": "pho"}, {"preset": "card"}, {"url": "/t_card/photo.jpg"}, {"all": True}):
        first = await node.get("/t_card/photo.jpg")
        assert (await api.call("POST", "/v1/purge", what))[0] == 200
        assert (await node.get("/t_card/photo.jpg")).headers["ETag"] != first.headers["ETag"]


async def test_a_purge_survives_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        temporary_file(node.originals, "a.png", pictures.quarters_as("png"))
        before = (await node.get("/w_40,f_webp/a.png")).headers["ETag"]
        api = await Api.of(node)
        await api.call("POST", "/v1/purge", {"all": True})
        after = (await node.get("/w_40,f_webp/a.png")).headers["ETag"]
    async with running(tmp_path) as node:
        assert (await node.get("/w_40,f_webp/a.png")).headers["ETag"] == after != before
    journal = tmp_path / "cache" / "records" / "purges"
    journal.write_bytes(journal.read_bytes()[:20] + b"?" + journal.read_bytes()[21:])
    async with running(tmp_path) as node:
        assert (await node.get("/w_40,f_webp/a.png")).headers["ETag"] not in (before, after)


async def test_a_purge_is_forwarded_to_the_cdn(tmp_path: Path) -> None:
    forwarded: list[tuple[str, str, str | None]] = []
    status = 200

    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        forwarded.append((request.method, request.raw_path, request.headers.get("Authorization")))
        return aiohttp.web.Response(status=status)

    app = aiohttp.web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    hook = {
        "hook": f"http://127.0.0.1:{port}/purge/{{kind}}?key={{key}}",
        "hook_header": "Authorization: Bearer cdn",
    }
    async with running(tmp_path, purge=hook) as node:
        api = await Api.of(node)
        assert (await api.call("POST", "/v1/purge", {"original": "a b/é.jpg"}))[0] == 200
        assert forwarded == [("POST", "/purge/original?key=a%20b/%C3%A9.jpg", "Bearer cdn")]
        status = 500
        code, refused = await api.call("POST", "/v1/purge", {"all": True})
        assert (code, refused["open"]) == (503, ["purge.hook: it answered 500"])
        await runner.cleanup()
        code, refused = await api.call("POST", "/v1/purge", {"all": True})
        assert (code, refused["open"]) == (503, ["purge.hook: it cannot be reached"])


async def test_a_purge_without_redis_reports_another_instance_on_its_cache_directory(tmp_path: Path) -> None:
    """As during a restart."""
    async with running(tmp_path) as node:
        api = await Api.of(node)
        async with running(tmp_path):
            code, refused = await api.call("POST", "/v1/purge", {"all": True})
            assert (code, refused["open"]) == (
                503,
                ["this node: 1 other instances share its cache, as in a restart, and are not purged"],
            )
        assert (await api.call("POST", "/v1/purge", {"all": True}))[0] == 200


async def test_each_token_allows_only_its_scopes(tmp_path: Path) -> None:
    async with running(tmp_path, admin={"port": 0, "token": TOKEN, "tokens": TOKENS}) as node:
        api = await Api.of(node, Authorization=f"Bearer {TOKEN}")
        calls = {
            "upload": ("POST", "/v1/originals", b"x"),
            "warm": ("POST", "/v1/warm", {"keys": ["a"], "presets": ["card"]}),
            "purge": ("POST", "/v1/purge", {"all": True}),
            "events": ("POST", "/v1/events/s3", {"Records": []}),
            "read": ("GET", "/v1/warm", None),
        }

        async def allowed(**headers: str) -> set[str]:
            answers = {name: (await api.call(*call, **headers))[0] for name, call in calls.items()}
            return {name for name, status in answers.items() if status != 401}

        assert await allowed(Authorization=f"Bearer {TOKEN}") == set(calls)
        assert await allowed(Authorization=f"bearer {SHOP}") == {"upload", "warm"}
        assert await allowed(Authorization=f"Bearer {STORE}") == {"events"}
        assert await allowed(Authorization=STORE) == set()
        assert await allowed(Authorization="Basic " + b64encode(f"x:{STORE}".encode()).decode()) == {"events"}
        for wrong in ("Bearer", "Bearer ", "Basic ?", "Bearer é", f"Bearer {TOKEN}x", ""):
            assert await allowed(Authorization=wrong) == set()
        assert (await node.get("/metrics", admin=True, Authorization=f"Bearer {SHOP}")).status == 401
        page = await node.client.post(
            node.node.admin_url + "/login", data={"token": TOKEN}, allow_redirects=False
        )
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        node.client.cookie_jar.clear()
        assert await allowed(Cookie=cookie) == {"read"}


async def test_without_a_token_writes_are_allowed_only_from_this_machine_and_no_page(api: Api) -> None:
    body = {"keys": ["photo.jpg"], "presets": ["card"]}
    assert (await api.call("POST", "/v1/warm", body))[0] == 202
    for headers in (
        {"Origin": "http://localhost"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
    ):
        assert (await api.call("POST", "/v1/warm", body, **headers))[0] == 401
    assert (await api.call("POST", "/v1/warm", body, Host="[::1]:8081"))[0] == 202


async def test_other_methods_and_paths_get_problem_documents(api: Api) -> None:
    async def ask(method: str, path: str) -> tuple[int, str | None, str]:
        async with api.node.client.request(method, api.node.node.admin_url + path) as answer:
            return answer.status, answer.headers.get("Allow"), answer.content_type

    assert await ask("GET", "/v1/purge") == (405, "POST", "application/problem+json")
    assert await ask("DELETE", "/v1/warm") == (405, "GET, POST", "application/problem+json")
    assert await ask("GET", "/v1/nope") == (404, None, "application/problem+json")


async def test_concurrent_operations_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxy.edge.admin import operations

    limits = []

    def limit(most: int) -> Any:
        limits.append(made(most))
        return limits[-1]

    made = operations._ConcurrencyLimit
    monkeypatch.setattr(operations, "_ConcurrencyLimit", limit)
    monkeypatch.setattr(operations, "MAX_WAITING", 4)
    monkeypatch.setattr(operations, "MAX_RECEIVED", 8)
    monkeypatch.setattr(operations, "SILENCE_TIMEOUT_S", LONGEST_S)
    async with running(tmp_path) as node:
        api = await Api.of(node)
        release = asyncio.Event()

        async def stuck() -> Any:
            yield b"\x89PNG"
            await release.wait()

        url = node.node.admin_url + "/v1/originals"
        held = [asyncio.create_task(node.client.post(url, data=stuck())) for _ in range(12)]
        await eventually(lambda: any(each._waiting == 4 for each in limits))
        status, reply = await api.call("POST", "/v1/originals", b"x")
        assert (status, reply["type"]) == (429, "urn:calotype:error:rate-limited")
        # Others are not behind them, and neither is the public.
        assert (await api.call("POST", "/v1/purge", {"all": True}))[0] == 200
        assert (await node.get("/healthz")).status == 200
        release.set()
        for answer in await asyncio.gather(*held):
            assert answer.status == 415
            answer.release()


async def test_slow_uploads_are_aborted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxy.edge.admin import operations

    monkeypatch.setattr(operations, "SILENCE_TIMEOUT_S", 0.1)
    async with running(tmp_path) as node:
        answered = asyncio.Event()

        async def stuck() -> Any:
            yield b"\x89PNG"
            await answered.wait()

        async with node.client.post(node.node.admin_url + "/v1/originals", data=stuck()) as answer:
            assert answer.status == 400
            answered.set()


async def info(node: Running, target: str) -> tuple[Answer, Any]:
    answer = await node.get(target)
    return answer, json.loads(answer.body)


async def test_info_describes_an_original_and_is_cached_like_a_variant(node: Running) -> None:
    temporary_file(node.originals, "exif.jpg", pictures.with_exif(6))
    answer, reply = await info(node, "/info/exif.jpg")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "miss" in answer.cache
    original = await node.get("/original/exif.jpg")
    assert reply["etag"] == original.headers["ETag"]
    assert reply["bytes"] == len(original.body)
    assert reply["orientation"] == 6
    assert reply["width"] < reply["height"]
    assert not [name for name in reply["exif"] if "GPS" in name]
    assert reply["exif"]
    for field in ("thumbhash", "blurhash", "dominant", "palette", "format", "pages", "alpha"):
        assert reply[field] not in (None, "", [])
    again = await node.get("/info/exif.jpg")
    assert "hit" in again.cache
    tag = {"If-None-Match": again.headers["ETag"]}
    assert (await node.get("/info/exif.jpg", **tag)).status == 304
    head = await node.get("/info/exif.jpg", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    chosen, some = await info(node, "/info/exif.jpg?fields=height,width")
    assert list(some) == ["width", "height"]
    assert chosen.headers["ETag"] != again.headers["ETag"]
    assert (await node.get("/info/exif.jpg?fields=height,width", **tag)).status == 200
    mine = {"If-None-Match": chosen.headers["ETag"]}
    assert (await node.get("/info/exif.jpg?fields=width,height", **mine)).status == 304
    _, film = await info(node, "/info/film.gif")
    assert (film["pages"], film["format"]) == (5, "gif")
    _, alpha = await info(node, "/info/cut-out.png?fields=alpha,profile")
    assert alpha == {"alpha": True, "profile": None}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/info/nope.jpg", 404),
        ("/info/text.jpg", 415),
        ("/info/broken.jpg", 422),
        ("/info/huge.png", 422),
        ("/info/", 400),
        ("/info", 404),
        ("/info/photo.jpg?fields=", 400),
        ("/info/photo.jpg?fields=width,width", 400),
        ("/info/photo.jpg?fields=width&fields=height", 400),
        ("/info/photo.jpg?w=1", 400),
        ("/info/../photo.jpg", 400),
    ],
)
@shares_node
async def test_info_refuses_the_same_urls_as_variants(shared_node: Running, target: str, status: int) -> None:
    answer = await shared_node.get(target)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_info_is_refused_where_originals_are(tmp_path: Path) -> None:
    mounts = {"all": {"source": "photos", "presets_only": True}}
    async with running(tmp_path, mounts=mounts) as node:
        temporary_file(node.originals, "a.png", pictures.quarters_as("png"))
        assert (await node.get("/info/a.png")).status == 404


async def test_info_has_gps_fields_only_if_the_settings_allow(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"info_gps": True}) as node:
        temporary_file(node.originals, "exif.jpg", pictures.with_exif(1))
        _, reply = await info(node, "/info/exif.jpg")
        assert [name for name in reply["exif"] if "GPS" in name]
