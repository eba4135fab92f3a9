"""URLs of imgix over HTTP: one entry with native ones, signatures, expiry, documents, and a web proxy."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.http.conftest import Running, running, shares_node
from tests.http.test_web import origin
from tests.http.test_web import settings as web_settings
from tests.support import pictures
from tests.support.fakes import temporary_file

TOKEN = "FOO123bar"
SETTINGS: dict[str, Any] = {
    "mounts": {
        "native": {"source": "photos", "dimensions": "any"},
        "imgix": {"source": "photos", "prefix": "/ix/", "dialect": "imgix", "dimensions": "any"},
        "ignores": {
            "source": "photos", "prefix": "/ig/", "dialect": "imgix", "dimensions": "any", "unsupported": "ignore",
        },
        "listed": {"source": "photos", "prefix": "/li/", "dialect": "imgix"},
        "signed": {
            "source": "photos", "prefix": "/si/", "dialect": "imgix", "signing": "required", "keys": ["i"],
        },
    },
    "signing": {"keys": {"i": TOKEN}},
}  # fmt: skip


def signed(target: str) -> str:
    """The target with a signature of the part below `/si/`."""
    digest = hashlib.md5((TOKEN + target.removeprefix("/si")).encode()).hexdigest()
    return f"{target}{'&' if '?' in target else '?'}s={digest}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("imgix")
    async with running(folder, **SETTINGS) as started:
        temporary_file(started.originals, "photo.jpg", pictures.photo_as("jpeg"))
        yield started


EQUAL = [
    ("/w_300,h_200,c_fill,g_north,f_png/photo.jpg", "/ix/photo.jpg?w=300&h=200&fit=crop&crop=top&fm=png"),
    ("/w_320,f_auto,q_75,el_allow/photo.jpg", "/ix/photo.jpg?auto=format&q=75&width=320"),
    ("/w_300,h_200,f_jpg/photo.jpg", "/ix/photo.jpg?fit=max&w=300&h=200&fm=pjpg"),
    (
        "/w_300,h_300,c_pad,b_ff0000,f_jpg/photo.jpg",
        "/ix/photo.jpg?fit=fill&bg=f00&w=300&h=300&fm=jpg",
    ),
    ("/w_300,c_fill,ar_16:9,f_jpg/photo.jpg", "/li/photo.jpg?w=300&ar=16:9&fit=crop&fm=jpg"),
    ("/w_300,el_allow,e_sepia:60,f_webp,dpr_2/photo.jpg", "/ix/photo.jpg?w=300&sepia=60&fm=webp&dpr=2"),
    ("/c_crop,x_10,y_20,w_100,h_50,f_png/photo.jpg", "/ix/photo.jpg?rect=10,20,100,50&fm=png"),
    ("/a_180,f_png/photo.jpg", "/ix/photo.jpg?rot=180&fm=png"),
]


@pytest.mark.parametrize(("native", "imgix"), EQUAL)
@shares_node
async def test_equal_pictures_are_one_entry(node: Running, native: str, imgix: str) -> None:
    first, second = await node.get(native), await node.get(imgix)
    assert (first.status, second.status) == (200, 200), second.body
    assert first.headers["ETag"] == second.headers["ETag"]
    assert "hit" in second.cache


@pytest.mark.parametrize(
    "query",
    [
        "w=310&h=210&fit=crop&crop=focalpoint&fp-x=.1&fp-y=.8&fp-z=1.7&q=70",
        "h=200&fit=crop&max-w=150&crop=left&dpr=1.5&fm=webp",
        "w=300&h=300&fit=fill&fill-color=f00&sat=30&blur=40&bg=00f",
        "rect=right,0.1,200,200&trim=auto&orient=6&flip=hv&w=0.5",
        "w=200&h=150&fit=min&pad=10&pad-left=0&bg=80ff0000&dpr=1.25",
        "auto=compress&w=200&gam=30&hue=90&invert=true&sharp=20&usm=10&monochrome=f00",
        "rot=90&w=100&h=60&fit=crop&fm=png&px=4",
        "dl=cat.jpg&frame=1&trim=alpha&w=90",
    ],
)
@shares_node
async def test_the_native_spelling_is_the_same_entry(node: Running, query: str) -> None:
    first = await node.get(f"/ix/photo.jpg?{query}")
    assert first.status == 200, first.body
    explained = json.loads(
        (await node.get(f"/v1/explain?url={quote(f'/ix/photo.jpg?{query}')}", admin=True)).body
    )
    assert explained["dialect"] == "imgix"
    second = await node.get(explained["native"])
    assert (second.status, "hit" in second.cache) == (200, True), explained["native"]
    assert second.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    ("query", "size", "kind"),
    [
        ("w=100&h=100", (100, 75), "image/jpeg"),
        ("w=1280", (1280, 960), "image/jpeg"),
        ("w=800&h=800&fit=min&fm=png", (480, 480), "image/png"),
        ("w=0.5&fm=webp", (320, 240), "image/webp"),
        ("fit=crop&w=100&h=100&dpr=3&fm=avif", (300, 300), "image/avif"),
        ("fit=fillmax&w=700&h=700&fm=gif", (700, 700), "image/gif"),
        ("pad=20&w=200&h=200&fit=crop", (200, 200), "image/jpeg"),
    ],
)
@shares_node
async def test_sizes_and_formats(node: Running, query: str, size: tuple[int, int], kind: str) -> None:
    answer = await node.get(f"/ix/photo.jpg?{query}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert pictures.size(answer.body) == size


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/ix/photo.jpg?w=x", 400),
        ("/ix/photo.jpg?mark=logo.png", 404),
        ("/ix/photo.jpg?fm=jp2", 415),
        ("/ix/missing.jpg?w=9", 404),
        ("/ix/photo.jpg?w=300&expires=1", 404),
        ("/ix/photo.jpg?fm=json&expires=1", 404),
        ("/ix/https%3A%2F%2Fo.test%2Fa.jpg?w=9", 403),
        ("/ix/", 404),
        ("/li/photo.jpg?w=301", 400),
        ("/si/photo.jpg?w=301", 403),
        (signed("/si/photo.jpg?w=301"), 200),
        (signed("/si/photo.jpg?w=302").replace("302", "303"), 403),
        (signed("/si/photo.jpg?w=301") + "&fbclid=x", 200),
        (signed("/si/photo.jpg?w=301") + "&h=9", 403),
        (signed("/si/photo.jpg?w=301&expires=1"), 404),
        (signed("/si/photo.jpg"), 200),
    ],
)
@shares_node
async def test_statuses(node: Running, url: str, status: int) -> None:
    answer = await node.get(url)
    assert answer.status == status, answer.body


@shares_node
async def test_an_answer_ends_with_its_url(node: Running) -> None:
    for query in ("w=90&expires=99999999999", "fm=json&expires=99999999999"):
        answer = await node.get(f"/ix/photo.jpg?{query}")
        assert answer.status == 200
        assert answer.headers["X-Accel-Expires"] == "0", "nginx does not know the expiry"


@shares_node
async def test_negotiation(node: Running) -> None:
    for accept, kind in (
        ("image/avif,image/webp", "image/avif"),
        ("image/webp", "image/webp"),
        ("*/*", "image/jpeg"),
    ):
        answer = await node.get("/ix/photo.jpg?w=120&auto=format,compress&fm=jpg", Accept=accept)
        assert (answer.headers["Content-Type"], answer.headers["Vary"]) == (kind, "Accept")
    assert (await node.get("/ix/photo.jpg?w=x&auto=format")).headers["Vary"] == "Accept"
    assert "Vary" not in (await node.get("/ix/photo.jpg?w=120&auto=compress")).headers


@shares_node
async def test_unknown_parameters_are_named_where_the_mount_ignores_them(node: Running) -> None:
    for _ in range(2):
        answer = await node.get("/ig/photo.jpg?w=50&foo=1&auto=enhance&q=500&ch=DPR&ixlib=js-3.8.0")
        notices = 'q;asked=500;made=100, foo;ignored, "auto=enhance";ignored, ch;ignored'
        assert (answer.status, answer.headers["Calotype-Notice"]) == (200, notices)
    refused = await node.get("/ix/photo.jpg?w=50&widht=1")
    assert (refused.status, "is width meant?" in refused.body.decode()) == (400, True)


@pytest.mark.parametrize(
    ("query", "kind", "begins"),
    [
        ("fm=json", "application/json", b'{"Content-Type": "image/jpeg", "Content-Length": "'),
        ("fm=blurhash", "text/plain", b""),
        ("palette=json&colors=2", "application/json", b'{"colors": [{"red": '),
        ("palette=css&prefix=shop", "text/css", b".shop-fg-1 { color:#"),
        ("palette=css", "text/css", b".image-fg-1 { color:#"),
    ],
)
@shares_node
async def test_documents(node: Running, query: str, kind: str, begins: bytes) -> None:
    info = await node.get("/info/photo.jpg")
    url = f"/ix/photo.jpg?{query}&auto=format"
    first, second = await node.get(url), await node.get(url)
    assert (first.status, first.headers["Content-Type"]) == (200, kind)
    assert first.body.startswith(begins)
    assert first.body == second.body
    assert "hit" in first.cache, "the description of /info/ is the same entry"
    assert first.headers["ETag"] == second.headers["ETag"] != info.headers["ETag"]
    assert "Vary" not in first.headers
    assert (await node.get(url, If_None_Match=first.headers["ETag"])).status == 304
    head = await node.get(url, method="HEAD")
    assert (head.headers["Content-Type"], int(head.headers["Content-Length"])) == (kind, len(first.body))
    if query == "fm=blurhash":
        assert first.body.decode() == json.loads(info.body)["blurhash"]
    explained = json.loads((await node.get(f"/v1/explain?url={quote(url)}", admin=True)).body)
    assert explained["native"] == "/info/photo.jpg"


async def test_a_web_proxy_is_always_signed(tmp_path: Path) -> None:
    async with origin() as made:
        sources = {"photos": {"path": str(tmp_path / "originals")}, **web_settings(made)["sources"]}
        mount = {
            "source": "photos", "remote": "web", "dialect": "imgix", "dimensions": "any", "signing": "optional",
            "keys": ["i"],
        }  # fmt: skip
        changes = {"sources": sources, "mounts": {"all": mount}, "signing": SETTINGS["signing"]}
        async with running(tmp_path, **changes) as node:
            temporary_file(node.originals, "photo.jpg", pictures.photo_as("jpeg"))
            assert (await node.get("/photo.jpg?w=90")).status == 200
            target = f"/{quote(f'{made.url}/a.jpg', safe='')}?w=100"
            refused = await node.get(target)
            assert (refused.status, json.loads(refused.body)["type"]) == (
                403,
                "urn:calotype:error:signature-required",
            )
            answer = await node.get(signed(target))
            assert (answer.status, pictures.size(answer.body)) == (200, (100, 75))
