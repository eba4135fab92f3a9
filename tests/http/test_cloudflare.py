"""The URLs of Cloudflare Images over HTTP: sizes, entries, headers, signatures, and redirects after errors."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.http.conftest import Running, running, shares_node
from tests.support import pictures
from tests.support.fakes import temporary_file

SECRET = "the key of Cloudflare"
HASH = "cheeW4oKsx5ljh8e8BoL2A"
SETTINGS: dict[str, Any] = {
    "mounts": {
        "native": {"source": "photos", "dimensions": "any"},
        "cloudflare": {"source": "photos", "host": "cf.test", "dialect": "cloudflare", "dimensions": "any"},
        "listed": {"source": "photos", "prefix": "/li/", "dialect": "cloudflare"},
        "signed": {
            "source": "photos",
            "host": "signed.test",
            "dialect": "cloudflare",
            "signing": "required",
            "keys": ["c"],
        },
        "presets": {
            "source": "photos",
            "prefix": "/pr/",
            "dialect": "cloudflare",
            "presets_only": True,
        },
    },
    "signing": {"keys": {"c": SECRET}},
    "presets": {"card": "w_120,h_90,c_fill,f_auto"},
}
CF = {"Host": "cf.test"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("cloudflare"), **SETTINGS) as started:
        temporary_file(started.originals, "deep/photo.jpg", pictures.photo_as("jpeg"))
        temporary_file(started.originals, "text.jpg", b"no picture at all")
        temporary_file(started.originals, "broken.jpg", pictures.photo_as("jpeg")[:-3000])
        temporary_file(started.originals, "2cdc28f0", pictures.photo_as("jpeg"))
        yield started


def signed(path: str, *, until_s: int | None = None, secret: str = SECRET) -> str:
    query = "" if until_s is None else f"exp={until_s}"
    mac = hmac.new(secret.encode(), f"{path}?{query}".encode(), hashlib.sha256).hexdigest()
    return f"{path}?{query}{'&' if query else ''}sig={mac}"


@pytest.mark.parametrize(
    ("url", "size", "kind"),
    [
        ("/cdn-cgi/image/width=200/deep/photo.jpg", (200, 150), "jpeg"),
        ("/cdn-cgi/image/fit=cover,w=500,h=500,f=webp//deep/photo.jpg", (500, 500), "webp"),
        ("/cdn-cgi/image/fit=crop,w=1296,h=1296/deep/photo.jpg", (640, 480), "jpeg"),
        ("/cdn-cgi/image/fit=aspect-crop,w=600,h=600,f=png/deep/photo.jpg", (480, 480), "png"),
        ("/cdn-cgi/image/trim=10;20;30;40,rotate=90,w=130/deep/photo.jpg", (130, 171), "jpeg"),
        ("/cdn-cgi/image/w=100,h=100,dpr=2,fit=pad,background=red/deep/photo.jpg", (200, 200), "jpeg"),
        (f"/{HASH}/2cdc28f0/w=100", (100, 75), "jpeg"),
        (f"/cdn-cgi/imagedelivery/{HASH}/2cdc28f0/card", (120, 90), "jpeg"),
    ],
)
@shares_node
async def test_sizes(node: Running, url: str, size: tuple[int, int], kind: str) -> None:
    answer = await node.get(url, **CF)
    assert (answer.status, answer.headers["Content-Type"]) == (200, f"image/{kind}"), answer.body
    assert pictures.size(answer.body) == size
    assert answer.headers["Cf-Resized"] == "internal=ok/-"


EQUAL = [
    ["/w_300,h_200,c_fill,f_png/deep/photo.jpg", "/cdn-cgi/image/w=300,h=200,fit=cover,f=png/deep/photo.jpg"],
    ["/w_300,f_auto,q_75/deep/photo.jpg", "/cdn-cgi/image/width=300,quality=75,format=auto/deep/photo.jpg"],
    [
        "/w_300,h_300,c_pad,b_ff0000,f_jpg/deep/photo.jpg",
        "/cdn-cgi/image/w=300,h=300,fit=pad,background=%23f00,f=jpeg/deep/photo.jpg",
    ],
    ["/a_180,f_png/deep/photo.jpg", "/cdn-cgi/image/flip=hv,f=png/deep/photo.jpg"],
    [
        "/c_crop,x_20,y_10~w_90,f_png/deep/photo.jpg",
        "/cdn-cgi/image/trim=10;0;0;20,w=90,f=png/deep/photo.jpg",
    ],
    ["/t_card/2cdc28f0", f"/{HASH}/2cdc28f0/card"],
]


@pytest.mark.parametrize(("native", "url"), EQUAL)
@shares_node
async def test_equal_pictures_are_one_entry(node: Running, native: str, url: str) -> None:
    first, second = await node.get(native), await node.get(url, **CF)
    assert (first.status, second.status) == (200, 200), second.body
    assert first.headers["ETag"] == second.headers["ETag"]
    assert "hit" in second.cache
    assert "Cf-Resized" not in first.headers


@pytest.mark.parametrize(
    "url",
    [
        "/cdn-cgi/image/trim=1;2;3;4,flip=h,rotate=90,w=77,sharpen=1,brightness=3,gamma=0.5/deep/photo.jpg",
        "/cdn-cgi/image/w=90,h=40,fit=crop,g=0.2x0.8,contrast=1.5,saturation=0,blur=3/deep/photo.jpg",
        "/cdn-cgi/image/w=900,h=700,fit=aspect-crop,g=auto,metadata=keep,dpr=1.5/deep/photo.jpg",
        "/cdn-cgi/image/w=90,h=90,fit=pad,background=rgb%281%2C2%2C3%29,anim=false,q=low/deep/photo.jpg",
        f"/{HASH}/2cdc28f0/fit=scale-up,w=500,h=500",
    ],
)
@shares_node
async def test_the_native_spelling_of_a_url_is_the_same_entry(node: Running, url: str) -> None:
    first = await node.get(url, **CF)
    assert first.status == 200, first.body
    explained_url = f"http://cf.test{url}".replace("%", "%25").replace("&", "%26")
    explained = json.loads((await node.get(f"/v1/explain?url={explained_url}", admin=True)).body)
    assert explained["dialect"] == "cloudflare"
    # Mounts of a host take precedence over those of any host, so that no native one answers this host.
    target = "/" + explained["transform"] + "/" + explained["original"].partition(":")[2]
    second = await node.get(target)
    assert (second.status, "hit" in second.cache) == (200, True), target
    assert second.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    ("url", "status", "number"),
    [
        ("/cdn-cgi/image/w=x/deep/photo.jpg", 400, 9401),
        ("/cdn-cgi/image/segment=foreground/deep/photo.jpg", 400, 9401),
        ("/cdn-cgi/image/w=80/https://elsewhere.example/a.jpg", 403, 9401),
        ("/cdn-cgi/image/w=80/missing.jpg", 404, 9404),
        ("/cdn-cgi/image/w=80/text.jpg", 415, 9412),
        ("/cdn-cgi/image/w=80/broken.jpg", 422, 9516),
        ("/w_80/deep/photo.jpg", 404, 9431),
        (f"/{HASH}/2cdc28f0/unknown", 400, 9401),
    ],
)
@shares_node
async def test_errors_have_the_vendors_statuses_and_numbers(
    node: Running, url: str, status: int, number: int
) -> None:
    answer = await node.get(url, **CF)
    assert (answer.status, answer.headers["Cf-Resized"]) == (status, f"err={number}")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body.decode().startswith(f"ERROR {number}: ")


@pytest.mark.parametrize(
    ("url", "location"),
    [
        (
            "/cdn-cgi/image/w=80,onerror=redirect/missing%20a.jpg?utm_source=x",
            "/missing%20a.jpg?utm_source=x",
        ),
        ("/cdn-cgi/image/w=80,onerror=redirect/text.jpg", "/text.jpg"),
        ("/cdn-cgi/image/w=80,onerror=redirect/broken.jpg", "/broken.jpg"),
    ],
)
@shares_node
async def test_a_failed_transformation_redirects_to_the_source(
    node: Running, url: str, location: str
) -> None:
    target = node.node.public_url + url
    async with node.client.get(target, headers={**CF}, allow_redirects=False) as answer:
        headers = answer.headers
        assert (answer.status, headers["Location"], headers["Cache-Control"]) == (302, location, "no-store")
        assert headers["Cf-Resized"].startswith("err=")


@shares_node
async def test_a_refused_url_is_not_redirected(node: Running) -> None:
    url = "/cdn-cgi/image/w=80,onerror=redirect/missing.jpg"
    answer = await node.get(url, Host="signed.test")
    assert (answer.status, answer.headers["Cf-Resized"]) == (403, "err=9425")
    assert "Location" not in answer.headers


@shares_node
async def test_hosted_urls_are_signed(node: Running) -> None:
    path, host = f"/{HASH}/2cdc28f0/w=301,f=png", {"Host": "signed.test"}
    soon = int(time.time()) + 600
    for url, status in (
        (signed(path), 200),
        (signed(path, until_s=soon), 200),
        (signed(path, until_s=1), 403),
        (signed(path, secret="another"), 403),
        (signed(path).replace("301", "302"), 403),
        (path, 403),
        (f"{path}?exp={soon}", 403),
    ):
        answer = await node.get(url, **host)
        assert answer.status == status, url
    limited = await node.get(signed(path, until_s=soon), **host)
    assert 0 < int(limited.headers["Cache-Control"].partition("max-age=")[2]) <= 600


@shares_node
async def test_the_policy_applies_to_unsigned_urls(node: Running) -> None:
    assert (await node.get("/li/cdn-cgi/image/w=301/deep/photo.jpg")).status == 400
    assert (await node.get("/li/cdn-cgi/image/w=320/deep/photo.jpg")).status == 200
    answer = await node.get("/li/cdn-cgi/image/w=auto/deep/photo.jpg")
    assert (answer.status, answer.headers["Calotype-Notice"]) == (200, "width;asked=auto;made=1200")
    assert (await node.get(f"/pr/{HASH}/2cdc28f0/card")).status == 200
    assert (await node.get("/pr/cdn-cgi/image/w=320/deep/photo.jpg")).status == 400


@shares_node
async def test_json_describes_the_original(node: Running) -> None:
    answer = await node.get("/cdn-cgi/image/w=80,format=json/deep/photo.jpg", **CF)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    described = json.loads(answer.body)
    size = len(pictures.photo_as("jpeg"))
    original = {"file_size": size, "width": 640, "height": 480, "format": "image/jpeg"}
    assert described == {"width": 80, "height": 60, "original": original}
    other = await node.get("/cdn-cgi/image/w=81,format=json/deep/photo.jpg", **CF)
    assert other.headers["ETag"] != answer.headers["ETag"]


@shares_node
async def test_auto_negotiates(node: Running) -> None:
    for url in (f"/{HASH}/2cdc28f0/w=100", "/cdn-cgi/image/w=100,f=auto/deep/photo.jpg"):
        answer = await node.get(url, Accept="image/webp", **CF)
        assert (answer.headers["Content-Type"], answer.headers["Vary"]) == ("image/webp", "Accept")
    answer = await node.get("/cdn-cgi/image/w=100,f=auto/missing.jpg", **CF)
    assert answer.headers["Vary"] == "Accept"
