"""URLs of ImageKit over HTTP: one entry with native ones, signatures, presets, originals."""

import hmac
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.http.conftest import Running, running, shares_node
from tests.http.test_operations import Api
from tests.support import pictures
from tests.support.fakes import temporary_file

KEY = "private_key_test"
SETTINGS: dict[str, Any] = {
    "mounts": {
        "native": {"source": "photos", "dimensions": "any"},
        "demo": {"source": "photos", "prefix": "/demo/", "dialect": "imagekit", "dimensions": "any"},
        "ignores": {
            "source": "photos", "prefix": "/ig/", "dialect": "imagekit", "dimensions": "any", "unsupported": "ignore",
        },
        "listed": {"source": "photos", "prefix": "/li/", "dialect": "imagekit"},
        "presets": {"source": "photos", "prefix": "/pr/", "dialect": "imagekit", "presets_only": True},
        "signed": {
            "source": "photos", "prefix": "/si/", "dialect": "imagekit", "signing": "required", "keys": ["i"],
        },
    },
    "signing": {"keys": {"i": KEY}},
}  # fmt: skip


def signed(target: str, until: str = "") -> str:
    mac = hmac.digest(
        KEY.encode(), f"{target.removeprefix('/si/')}{until or '9999999999'}".encode(), "sha1"
    ).hex()
    parameters = [*([f"ik-t={until}"] if until else []), f"ik-s={mac}"]
    return f"{target}{'&' if '?' in target else '?'}{'&'.join(parameters)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("imagekit")
    async with running(folder, **SETTINGS) as started:
        temporary_file(started.originals, "photo.jpg", pictures.photo_as("jpeg"))
        yield started


EQUAL = [
    ["/w_300,h_200,c_fill,g_north,f_png/photo.jpg", "/demo/tr:w-300,h-200,fo-top,f-png/photo.jpg",
     "/demo/photo.jpg?tr=f-png%2Ch-200%2Cw-300%2Cfo-top", "/demo/tr:w-300,h-200,fo-top/photo.jpg?tr=f-png"],
    ["/w_320,f_auto,el_allow/photo.jpg", "/demo/tr:w-320/photo.jpg", "/li/photo.jpg?tr=w-320"],
    ["/w_300,h_200,c_fill,f_jpg~a_90/photo.jpg", "/demo/tr:w-300,h-200:rt-90,f-jpg/photo.jpg"],
    ["/c_crop,x_10,y_20,w_100,h_50,f_png/photo.jpg", "/demo/photo.jpg?tr=cm-extract,x-10,y-20,w-100,h-50,f-png"],
    ["/t_card/photo.jpg", "/demo/tr:n-card/photo.jpg", "/pr/photo.jpg?tr=n-card"],
    ["/w_300,h_300,c_pad,b_ff0000,f_jpg/photo.jpg", "/demo/tr:w-300,h-300,cm-pad_resize,bg-red,f-jpg/photo.jpg"],
]  # fmt: skip


@pytest.mark.parametrize("urls", EQUAL, ids=[urls[0] for urls in EQUAL])
@shares_node
async def test_equal_pictures_are_one_entry(node: Running, urls: list[str]) -> None:
    answers = [await node.get(url) for url in urls]
    assert [answer.status for answer in answers] == [200] * len(urls)
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    assert ["hit" in answer.cache for answer in answers[1:]] == [True] * (len(urls) - 1)


@pytest.mark.parametrize(
    "url",
    [
        "/demo/tr:w-310,h-210,fo-face,q-70:rt-N90,fl-h/photo.jpg",
        "/demo/tr:w-0.5,bl-10,e-sharpen,e-contrast,bg-AAFF0040/photo.jpg",
        "/demo/photo.jpg?tr=w-700,h-700,cm-pad_extract,bg-F3F3F3,f-webp",
        "/demo/photo.jpg?tr=n-card,e-grayscale:w-50,dpr-2:t-true&v=7",
        "/demo/tr:w-400,ar-4-3,c-at_least,dpr-1.5,f-orig/photo.jpg",
    ],
)
@shares_node
async def test_the_native_spelling_is_the_same_entry(node: Running, url: str) -> None:
    first = await node.get(url)
    assert first.status == 200, first.body
    explained = json.loads((await node.get(f"/v1/explain?url={quote(url)}", admin=True)).body)
    assert explained["dialect"] == "imagekit"
    second = await node.get(explained["native"])
    assert (second.status, "hit" in second.cache) == (200, True), explained["native"]
    assert second.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    ("steps", "size", "kind"),
    [
        ("w-100", (100, 75), "image/jpeg"),
        ("w-1280", (1280, 960), "image/jpeg"),
        ("w-100,h-100,c-at_least,f-png", (133, 100), "image/png"),
        ("w-100,h-100,cm-pad_resize,f-webp", (100, 100), "image/webp"),
        ("w-700,h-100,cm-pad_extract,f-avif", (700, 100), "image/avif"),
        ("w-400,h-300:rt-90,f-gif", (300, 400), "image/gif"),
    ],
)
@shares_node
async def test_sizes_and_formats(node: Running, steps: str, size: tuple[int, int], kind: str) -> None:
    answer = await node.get(f"/demo/tr:{steps}/photo.jpg")
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert pictures.size(answer.body) == size


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/demo/tr:w-x/photo.jpg", 400),
        ("/demo/tr:l-image,i-photo.jpg,w-9,l-end/photo.jpg", 200),
        ("/demo/tr:l-image,i-logo.png,l-end/photo.jpg", 404),
        ("/demo/tr:l-video,i-a.mp4,l-end/photo.jpg", 400),
        ("/demo/tr:f-mp4/photo.jpg", 415),
        ("/demo/tr:w-9/missing.jpg", 404),
        ("/demo/tr:w-9,di-no@@such.jpg/missing.jpg", 404),
        ("/demo/tr:w-9,di-photo.jpg/missing.jpg", 200),
        ("/demo/photo.jpg?x=1", 400),
        ("/demo/", 404),
        ("/li/tr:w-301/photo.jpg", 400),
        ("/pr/tr:w-300/photo.jpg", 400),
        ("/si/tr:w-301/photo.jpg", 401),
        (signed("/si/tr:w-301/photo.jpg"), 200),
        (signed("/si/tr:w-301/photo.jpg").replace("301", "302"), 401),
        (signed("/si/photo.jpg?tr=w-301", "99999999999"), 200),
        (signed("/si/photo.jpg?tr=w-301", "1"), 401),
        (signed("/si/photo.jpg"), 200),
        (signed("/si//photo.jpg") + "&fbclid=x", 200),
        (signed("/si/photo.jpg") + "&tr=w-9", 401),
    ],
)
@shares_node
async def test_statuses(node: Running, url: str, status: int) -> None:
    answer = await node.get(url)
    assert answer.status == status, answer.body


@shares_node
async def test_a_purge_of_a_url_purges_the_default_picture_that_it_shows(node: Running) -> None:
    url = "/demo/tr:w-57,di-photo.jpg/missing.jpg"
    await node.get(url)
    assert "hit" in (await node.get(url)).cache
    api = await Api.of(node)
    assert (await api.call("POST", "/v1/purge?mount=demo", {"url": url}))[0] == 200
    assert "hit" not in (await node.get(url)).cache


@shares_node
async def test_a_default_picture_that_is_there_itself_is_a_hit(node: Running) -> None:
    url = "/demo/tr:w-58,di-photo.jpg/photo.jpg"
    for _ in range(3):
        answer = await node.get(url)
    assert (answer.status, "hit; detail=memory" in answer.cache) == (200, True), answer.cache


@shares_node
async def test_the_original_itself(node: Running) -> None:
    answer = await node.get("/demo/tr:orig-true,w-9/photo.jpg?ik-attachment=true")
    assert (answer.status, answer.body) == (200, pictures.photo_as("jpeg"))
    assert answer.headers["Content-Disposition"] == "attachment"
    assert "Vary" not in answer.headers


@shares_node
async def test_a_format_is_negotiated_unless_it_is_given(node: Running) -> None:
    for accept, kind in (("image/avif", "image/avif"), ("image/webp", "image/webp"), ("*/*", "image/jpeg")):
        answer = await node.get("/demo/tr:w-120/photo.jpg", Accept=accept)
        assert (answer.headers["Content-Type"], answer.headers["Vary"]) == (kind, "Accept")
    assert (await node.get("/demo/tr:w-x/photo.jpg")).headers["Vary"] == "Accept"
    assert "Vary" not in (await node.get("/demo/tr:w-120,f-orig/photo.jpg")).headers


@shares_node
async def test_what_has_no_effect_is_named(node: Running) -> None:
    for _ in range(2):
        answer = await node.get("/ig/tr:w-50,dpr-auto,lo-true,q-500,pr-true/photo.jpg?foo=1")
        notices = "q;asked=500;made=100, foo;ignored, dpr;ignored, lo;ignored, pr;ignored"
        assert (answer.status, answer.headers["Calotype-Notice"]) == (200, notices)
