"""Other vendors' URLs beside native ones: one entry for equal pictures, and each vendor's signatures and statuses."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from proxy.core.url.signing import sign
from tests.http.conftest import Running, running, shares_node
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.waiting import eventually

KEY, SALT, THUMBOR, NATIVE = "aa11", "bb22", "thumbor secret", "0123456789abcdef0123456789abcdef"
SETTINGS: dict[str, Any] = {
    "mounts": {
        "native": {"source": "photos", "dimensions": "any"},
        "imgproxy": {"source": "photos", "prefix": "/img/", "dialect": "imgproxy", "dimensions": "any"},
        "thumbor": {"source": "photos", "prefix": "/th/", "dialect": "thumbor", "dimensions": "any"},
        "next": {"source": "photos", "prefix": "/nx/", "dialect": "next", "dimensions": "any"},
        "listed": {"source": "photos", "prefix": "/li/", "dialect": "imgproxy"},
        "ignores": {
            "source": "photos",
            "prefix": "/im/",
            "dialect": "imgproxy",
            "dimensions": "any",
            "unsupported": "ignore",
        },
        "mixed": {"source": "photos", "prefix": "/mix/", "dialect": ["imgproxy", "thumbor", "native"],
                  "dimensions": "any"},
        "locked": {"source": "photos", "prefix": "/lo/", "dialect": ["imgproxy", "thumbor", "native"],
                   "signing": "required", "keys": {"imgproxy": ["i"], "thumbor": ["t"]}},
        "signed": {"source": "photos", "prefix": "/si/", "dialect": "imgproxy", "signing": "required", "keys": ["i"]},
        "hashed": {"source": "photos", "prefix": "/sh/", "dialect": "thumbor", "signing": "required", "keys": ["t"]},
    },
    "signing": {"keys": {"i": f"{KEY}:{SALT}", "t": THUMBOR, "n": NATIVE}},
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("dialects")
    async with running(folder, log_to=str(folder / "log"), **SETTINGS) as started:
        temporary_file(started.originals, "photo.jpg", pictures.photo_as("jpeg"))
        yield started


@pytest.fixture
def log(node: Running) -> Callable[[], list[dict[str, str]]]:
    return lambda: [
        json.loads(line)
        for line in (node.originals.parent / "log").read_text().splitlines()
        if line.startswith("{")
    ]


def imgproxy(path: str) -> str:
    mac = hmac.digest(bytes.fromhex(KEY), bytes.fromhex(SALT) + path.encode(), hashlib.sha256)
    return f"/si/{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}{path}"


def thumbor(path: str) -> str:
    mac = hmac.digest(THUMBOR.encode(), path.encode(), hashlib.sha1)
    return f"/sh/{base64.urlsafe_b64encode(mac).decode()}/{path}"


EQUAL = [
    ["/w_300,h_200,c_fill,f_png/photo.jpg", "/img/_/rs:fill:300:200:1/f:png/plain/local:///photo.jpg",
     "/th/unsafe/300x200/filters:format(png)/photo.jpg", "/nx/_ipx/s_300x200,enlarge,f_png/photo.jpg"],
    ["/w_300,h_200,f_jpg/photo.jpg", "/img/_/rs:fit:300:200/f:jpg/plain/photo.jpg",
     "/th/unsafe/fit-in/300x200/filters:format(jpeg)/photo.jpg"],
    ["/w_320,f_auto,q_75/photo.jpg", "/nx/_next/image?url=%2Fphoto.jpg&w=320&q=75"],
    ["/w_300,h_200,c_pad,el_never,b_ff0000,e_flatten:ff0000,f_png/photo.jpg",
     "/img/_/rs:fit:300:200:0:1/bg:ff0000/f:png/plain/photo.jpg",
     "/th/unsafe/fit-in/300x200/filters:fill(ff0000,1):format(png)/photo.jpg"],
    ["/w_300,h_200,c_pad,el_never,b_ff0000,f_jpg/photo.jpg",
     "/img/_/rs:fit:300:200:0:1/bg:ff0000/plain/photo.jpg@jpg",
     "/th/unsafe/fit-in/300x200/filters:fill(ff0000):format(jpeg)/photo.jpg"],
    ["/w_90,pad_5:6:7:8,b_ff0000,f_jpg/photo.jpg", "/img/_/w:90/pd:5:6:7:8/bg:255:0:0/f:jpg/plain/photo.jpg"],
    ["/a_180,f_png/photo.jpg", "/img/_/fl:1:1/f:png/plain/photo.jpg", "/li/_/fl:1:1/f:png/plain/photo.jpg",
     "/li/_/rot:90/fl:1/rot:270/fl:0:0/rot:180/f:png/plain/photo.jpg"],
    ["/c_crop,x_10,y_20,w_100,h_50~a_270~f_png/photo.jpg",
     "/th/unsafe/10x20:110x70/filters:rotate(90):format(png)/photo.jpg"],
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
        "/img/_/rs:fill:310:210/g:no:0:5/bl:2/pd:5:6/plain/photo.jpg@webp",
        "/img/_/w:100/mh:200/c:300:0.5:nowe/rot:90/fl:1:0/q:70/cGhvdG8uanBn",
        "/img/_/rs:auto:200:100/ex:1/t:10/pix:8/mb:90000/plain/photo.jpg",
        "/th/unsafe/trim/10x10:200x200/-120x80/top/filters:quality(70):sharpen(1,1,true)/photo.jpg",
        "/th/unsafe/fit-in/120x90/filters:fill(ff0000):rotate(90)/photo.jpg",
        "/nx/_ipx/w_200&rotate_90&flip&blur_3/photo.jpg",
        "/nx/_ipx/s_100x80&gamma_3_1&median_3&threshold_90&negate/photo.jpg",
        "/nx/_ipx/w_100&normalize&tint_teal&sharpen_true&blur_true/photo.jpg",
        "/th/unsafe/trim:bottom-right/100x80/filters:rgb(10,-5,0):equalize():noise(9):orient(90)/photo.jpg",
        "/th/unsafe/100x/filters:colorize(9,9,9,f80):hue(45):convolution(1;2;1,3):autojpg()/photo.jpg",
    ],
)
@shares_node
async def test_the_native_spelling_of_a_url_is_the_same_entry(node: Running, url: str) -> None:
    first = await node.get(url)
    assert first.status == 200, first.body
    explained = json.loads((await node.get(f"/v1/explain?url={url.replace('&', '%26')}", admin=True)).body)
    second = await node.get(explained["native"])
    assert (second.status, "hit" in second.cache) == (200, True), explained["native"]
    assert second.headers["ETag"] == first.headers["ETag"]


IN_EACH_FORM = [
    ("imgproxy", "_/rs:fill:300:200:1/f:png/plain/photo.jpg"),
    ("thumbor", "unsafe/300x200/filters:format(png)/photo.jpg"),
    ("native", "w_300,h_200,c_fill,f_png/photo.jpg"),
]


@pytest.mark.parametrize(("dialect", "target"), IN_EACH_FORM)
@shares_node
async def test_a_mount_answers_in_several_dialects(node: Running, dialect: str, target: str) -> None:
    answer, other = await node.get(f"/mix/{target}"), await node.get(f"/mix/{IN_EACH_FORM[0][1]}")
    assert (answer.status, answer.headers["ETag"]) == (200, other.headers["ETag"])
    explained = json.loads((await node.get(f"/v1/explain?url=/mix/{target}", admin=True)).body)
    assert explained["dialect"] == dialect
    assert explained["native"] == f"/mix/{IN_EACH_FORM[2][1]}"


@pytest.mark.parametrize(("dialect", "target"), IN_EACH_FORM)
@shares_node
async def test_no_form_is_a_way_around_the_signature(node: Running, dialect: str, target: str) -> None:
    assert (await node.get(f"/lo/{target}")).status == (400 if dialect == "thumbor" else 403)
    path = f"/{target.partition('/')[2]}"
    signed = {
        "imgproxy": imgproxy(path).replace("/si/", "/lo/"),
        "thumbor": thumbor(path[1:]).replace("/sh/", "/lo/"),
        "native": sign(f"/lo/{target}", NATIVE.encode()),
    }
    assert (await node.get(signed[dialect])).status == 200


@pytest.mark.parametrize(
    "options",
    [
        "pd:10",
        "rs:fill:800:600:0:1",
        "rs:fit:800:600:0:1",
        "rs:fill:800:600:0:1/bl:1",
        "rs:fit:800:480/exar:1",
        "rs:fit:9999:480:0:1",
    ],
)
@pytest.mark.parametrize("suffix", ["", "@jpg", "@png", "@webp"])
@shares_node
async def test_padding_has_the_background(node: Running, options: str, suffix: str) -> None:
    answer = await node.get(f"/img/_/{options}/bg:ff0000/plain/photo.jpg{suffix}")
    assert answer.status == 200, answer.body
    _, height = pictures.size(answer.body)
    assert pictures.is_near(pictures.pixel(answer.body, 1, height // 2), (255, 0, 0))


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/img/_/rs:fill:x/plain/photo.jpg", 404),
        ("/img/_/nosuch:1/plain/photo.jpg", 404),
        ("/img/_/exp:1/plain/photo.jpg", 404),
        ("/img/_/raw:1/exp:1/plain/photo.jpg", 404),
        ("/img/_/skp:jpg/exp:1/plain/photo.jpg", 404),
        ("/img/_/msr:50/plain/photo.jpg", 403),
        ("/img/_/rs:fit:9:9/plain/missing.jpg", 404),
        ("/li/_/rs:fit:301:0/plain/photo.jpg", 404),
        ("/li/_/rs:fit:320:0/plain/photo.jpg", 200),
        ("/si/_/rs:fit:301:0/plain/photo.jpg", 403),
        ("/si/AAAA/rs:fit:301:0/plain/photo.jpg", 403),
        (imgproxy("/rs:fit:301:0/plain/photo.jpg"), 200),
        ("/sh/unsafe/301x0/photo.jpg", 400),
        (thumbor("301x0/photo.jpg"), 200),
        (thumbor("301x0/photo.jpg").replace("301", "302"), 400),
        ("/th/unsafe/0x0/missing.jpg", 404),
        ("/nx/_next/image?url=%2Fphoto.jpg&w=0&q=75", 400),
        ("/img/health", 200),
        ("/th/healthcheck", 200),
    ],
)
@shares_node
async def test_each_dialect_has_its_statuses(node: Running, url: str, status: int) -> None:
    answer = await node.get(url)
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("url", "status", "text"),
    [
        ("/nx/_next/image?w=320&q=75", 400, '"url" parameter is required'),
        ("/nx/_vercel/image?url=%2Fphoto.jpg&q=75", 400, '"w" parameter (width) is required'),
        ("/nx/.netlify/images?url=photo.jpg&w=x", 400, "parameter w must be"),
        ("/nx/_next/image?url=%2Fmissing.jpg&w=320&q=75", 404, "missing.jpg"),
    ],
)
@shares_node
async def test_an_error_of_next_is_plain_text(node: Running, url: str, status: int, text: str) -> None:
    answer = await node.get(url)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/plain; charset=utf-8")
    assert text in answer.body.decode()
    assert "{" not in answer.body.decode()
    assert answer.headers["Vary"] == "Accept"
    assert answer.headers["Cache-Control"].startswith("no-store" if status == 400 else "public, max-age")
    assert int(answer.headers["Content-Length"]) == len(answer.body)


@shares_node
async def test_an_error_of_ipx_is_a_problem(node: Running) -> None:
    answer = await node.get("/nx/_ipx/w_0/photo.jpg")
    assert answer.headers["Content-Type"] == "application/problem+json"


@shares_node
async def test_a_url_has_a_file_name_and_an_expiry_of_its_own(node: Running) -> None:
    answer = await node.get("/img/_/w:50/fn:kitten/att:1/exp:99999999999/f:png/plain/photo.jpg")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="kitten.png"'
    assert answer.headers["X-Accel-Expires"] == "0", "nginx does not know the expiry"
    for url in (
        "/img/_/raw:1/fn:cat/exp:99999999999/plain/photo.jpg",
        "/img/_/skp:jpg/fn:cat/plain/photo.jpg",
    ):
        answer = await node.get(url)
        assert answer.body == pictures.photo_as("jpeg")
        assert answer.headers["Content-Disposition"] == 'inline; filename="cat.jpg"'
    answer = await node.get("/w_400,f_png,dl_r%C3%A9d.png/photo.jpg")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''r%C3%A9d.png"
    plain = await node.get("/w_400,f_png/photo.jpg")
    assert "Content-Disposition" not in plain.headers
    assert plain.headers["ETag"] == answer.headers["ETag"]
    answer = await node.get("/th/unsafe/50x0/filters:max_age(7)/photo.jpg")
    assert answer.headers["Cache-Control"].startswith("public, max-age=7")


@shares_node
async def test_explain_knows_reduced_values_and_the_expiry_of_a_url(node: Running) -> None:
    url = "/img/_/bl:2000/bg:f00/exp:1/plain/photo.jpg@png"
    explained = json.loads((await node.get(f"/v1/explain?url={url}", admin=True)).body)
    assert (explained["ignored"], explained["clamped"]) == ([], ["blur: 100"])
    assert [line.partition(":")[0] for line in explained["refused"]] == ["signature-expired"]


@shares_node
async def test_the_log_warns_of_short_secrets_without_them(node: Running) -> None:
    text = (node.originals.parent / "log").read_text()
    lines = [line for line in text.splitlines() if "can be guessed" in line]
    assert [line.partition("signing.keys.")[2][0] for line in lines] == ["i", "t"]
    assert not any(secret in line for line in lines for secret in (KEY, SALT, THUMBOR))


@pytest.mark.parametrize(
    ("url", "notice"),
    [
        ("/nx/_ipx/w_50,kernel_nearest,foo_1/photo.jpg", "foo;ignored, kernel;ignored"),
        ("/th/unsafe/50x0/filters:made_up(1)/photo.jpg", "made_up;ignored"),
        ("/im/_/w:50/ra:cubic/dpi:72/plain/photo.jpg", "ra;ignored, dpi;ignored"),
        ("/nx/_ipx/w_50/photo.jpg?utm_source=x", None),
    ],
)
@shares_node
async def test_ignored_options_are_named_in_cached_answers_too(
    node: Running, url: str, notice: str | None
) -> None:
    for _ in range(2):
        assert (await node.get(url)).headers.get("Calotype-Notice") == notice


@shares_node
async def test_the_log_does_not_show_a_signature_in_the_path(
    node: Running, log: Callable[[], list[dict[str, str]]]
) -> None:
    url = imgproxy("/rs:fit:303:0/plain/photo.jpg")
    for _ in range(2):
        assert (await node.get(url)).status == 200

    def shown() -> list[str]:
        return [line["target"] for line in log() if "rs:fit:303" in line.get("target", "")]

    await eventually(lambda: len(shown()) == 2)
    assert set(shown()) == {"/si/unsafe/rs:fit:303:0/plain/photo.jpg"}
