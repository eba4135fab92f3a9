"""Cloudinary's URLs over HTTP: one entry for equal pictures, its statuses and headers, signatures, tokens and fetch."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from cloudinary.auth_token import generate

from tests.http.conftest import Running, running, shares_node
from tests.http.test_web import origin
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.waiting import eventually

SECRET, HEX_KEY = "a secret of Cloudinary", "00ff" * 8
MOUNT: dict[str, Any] = {"source": "photos", "dialect": "cloudinary"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("cloudinary")
    mounts = {
        "native": {"source": "photos", "dimensions": "any"},
        "any": MOUNT | {"prefix": "/cl/", "dimensions": "any"},
        "listed": MOUNT | {"prefix": "/li/"},
        "ignores": MOUNT | {"prefix": "/ig/", "dimensions": "any", "unsupported": "ignore"},
        "optional": MOUNT | {"prefix": "/op/", "signing": "optional", "keys": ["c", "t"]},
        "signed": MOUNT | {"prefix": "/si/", "signing": "required", "keys": ["c"]},
        "presets": MOUNT | {"prefix": "/pr/", "presets_only": True},
        "both": MOUNT | {"prefix": "/bo/", "dimensions": "any", "dialect": ["native", "next", "cloudinary"]},
    }
    keys = {"c": SECRET, "t": f"token:{HEX_KEY}"}
    async with running(folder, log_to=str(folder / "log"), mounts=mounts, signing={"keys": keys}) as started:
        temporary_file(started.originals, "photo.jpg", pictures.photo_as("jpeg"))
        temporary_file(started.originals, "photo", pictures.photo_as("jpeg"))
        yield started


def signed(path: str) -> str:
    digest = hashlib.sha1(f"{path}{SECRET}".encode()).digest()
    return f"/demo/image/upload/s--{base64.urlsafe_b64encode(digest)[:8].decode()}--/{path}"


def token(path: str, **options: Any) -> str:
    return f"{path}?{generate(**{'key': HEX_KEY, 'url': path, 'duration': 300} | options)}"


EQUAL = [
    ("/w_300,h_200,c_fill,f_jpg/photo.jpg", "/cl/demo/image/upload/c_fill,w_300,h_200/v1/photo.jpg"),
    ("/w_300,h_200,c_fill,f_auto,q_auto/photo.jpg", "/cl/image/upload/h_200,w_300,c_fill/f_auto/q_auto/v7/photo.jpg?_a=BAA"),
    ("/w_320,f_webp/photo.jpg", "/li/demo/image/upload/c_limit,w_320,f_webp/photo.jpg"),
    ("/w_300,h_300,c_pad,b_ff0000,f_jpg/photo.jpg", "/cl/demo/iu/c_pad,b_red,w_300,h_300/photo.jpg"),
    ("/c_crop,x_10,y_20,w_100,h_50~a_270~f_png/photo.jpg", "/cl/demo/c_crop,w_100,h_50,x_10,y_20/a_-90/f_png/photo.jpg"),
    ("/t_card/photo.jpg", "/pr/demo/image/upload/t_card/photo.jpg"),
    ("/w_90,e_sepia,f_jpg/photo.jpg", "/cl/demo/images/c_limit,w_90,e_sepia/photo/a-name.jpg"),
]  # fmt: skip


@pytest.mark.parametrize(("native", "url"), EQUAL)
@shares_node
async def test_equal_pictures_are_one_entry(node: Running, native: str, url: str) -> None:
    first, second = await node.get(native), await node.get(url)
    assert (first.status, second.status) == (200, 200), second.body
    assert "hit" in second.cache
    assert first.headers["ETag"] == second.headers["ETag"]


@pytest.mark.parametrize(
    ("transformation", "size"),
    [
        ("c_scale,w_150", (150, 113)),
        ("c_scale,w_0.5", (320, 240)),
        ("c_fit,w_800,h_800", (800, 600)),
        ("c_limit,w_800,h_800", (640, 480)),
        ("c_mfit,w_100,h_100", (640, 480)),
        ("c_fill,w_100,h_300,g_north_west", (100, 300)),
        ("c_lfill,w_900,h_900", (640, 480)),
        ("c_pad,w_100,h_100,b_rgb:00ff00", (100, 100)),
        ("c_mpad,w_700,h_400", (700, 480)),
        ("a_auto_right,c_fill,w_200,h_100", (200, 100)),
        ("a_auto_left,c_fit,w_100,h_200", (100, 133)),
        ("c_crop,w_100,h_90,g_south_east,x_5,y_5", (100, 90)),
        ("c_thumb,g_face,w_90,h_90,z_1.2", (90, 90)),
        ("c_fill,ar_2:1,w_200,dpr_1.5", (300, 150)),
        ("c_fill,g_auto,w_100,h_80/a_90/e_blur:200/b_black", (80, 100)),
        ("$w_80,c_fill,w_$w,h_$w_div_2/if_w_gt_50/e_grayscale/c_scale,w_0.5/if_end", (40, 20)),
        ("if_w_gt_600,c_limit,w_120", (120, 90)),
        ("if_iw_gt_640/c_limit,w_120/if_else/c_fill,w_50,h_60/if_end/e_sepia", (50, 60)),
        ("c_limit,w_200/if_iar_gt_1_and_h_lte_150,c_crop,h_100", (200, 100)),
    ],
)
@shares_node
async def test_sizes_and_the_native_spelling(
    node: Running, transformation: str, size: tuple[int, int]
) -> None:
    url = f"/cl/demo/image/upload/{transformation}/photo.jpg"
    answer = await node.get(url)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg"), answer.body
    assert pictures.size(answer.body) == size
    explained = json.loads((await node.get(f"/v1/explain?url={url}", admin=True)).body)
    assert explained["dialect"] == "cloudinary"
    again = await node.get(explained["native"])
    assert (again.status, "hit" in again.cache) == (200, True), explained["native"]
    assert again.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "w_90,f_png/photo.jpg",
            "_ipx/w_90,f_png/photo.jpg",
            "demo/image/upload/c_limit,w_90,f_png/photo.jpg",
        ),
        "demo/c_limit,w_90/f_png/v1/photo.jpg",
    ],
)
@shares_node
async def test_one_mount_answers_several_dialects(node: Running, path: str) -> None:
    answer = await node.get(f"/bo/{path}")
    assert (answer.headers["Content-Type"], pictures.size(answer.body)) == ("image/png", (90, 68)), (
        answer.body
    )


@shares_node
async def test_a_public_id_stands_for_several_names(node: Running) -> None:
    temporary_file(node.originals, "shoes/red.jpg", pictures.photo_as("jpeg"))
    for name, kind in (("red", "image/jpeg"), ("red.png", "image/png"), ("red.jpg", "image/jpeg")):
        answer = await node.get(f"/cl/demo/image/upload/c_limit,w_64/v1/shoes/{name}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind), answer.body


@shares_node
async def test_the_extension_is_the_format(node: Running) -> None:
    answer = await node.get("/cl/demo/image/upload/c_limit,w_64/photo")
    assert answer.headers["Content-Type"] == "image/jpeg"
    answer = await node.get("/cl/demo/image/upload/c_limit,w_64,f_png/photo.jpg")
    assert answer.headers["Content-Type"] == "image/png"
    answer = await node.get("/cl/demo/image/upload/c_limit,w_64,f_auto/photo.jpg", Accept="image/webp")
    assert (answer.headers["Content-Type"], answer.headers["Vary"]) == ("image/webp", "Accept")


@pytest.mark.parametrize(
    ("url", "status", "reason"),
    [
        ("/cl/demo/image/upload/w_x/photo.jpg", 400, "parameter w must"),
        ("/cl/demo/image/upload/l_video:dog/photo.jpg", 400, "parameter l is not supported"),
        ("/cl/demo/video/upload/a.mp4", 400, "assets of type video are not supported"),
        ("/cl/demo/image/nonsense/photo.jpg", 400, "the delivery type"),
        ("/cl/demo/image/upload/w_9/missing%C3%A4.jpg", 404, "missing?.jpg"),
        ("/cl/demo/image/fetch/https://example.org/a.jpg", 401, "absolute URLs"),
        ("/li/demo/image/upload/c_limit,w_321/photo.jpg", 401, "parameter w must be one of"),
        ("/si/demo/image/upload/w_320/photo.jpg", 401, "signed URLs only"),
        ("/si/demo/image/upload/s--AAAAAAAA--/w_320/photo.jpg", 401, "does not match"),
        ("/cl/demo/image/authenticated/w_9/photo.jpg", 401, "requires a signature"),
        ("/cl/demo/image/private/photo.jpg", 401, "requires a signature"),
        ("/op/demo/image/authenticated/w_320/photo.jpg", 401, "requires a signature"),
        ("/pr/demo/image/upload/w_320/photo.jpg", 400, "presets only"),
    ],
)
@shares_node
async def test_errors_have_the_statuses_of_cloudinary_and_their_reason(
    node: Running, url: str, status: int, reason: str
) -> None:
    answer = await node.get(url)
    assert (answer.status, reason in answer.headers["X-Cld-Error"]) == (status, True), answer.headers


@shares_node
async def test_a_signature_lifts_the_limits(node: Running) -> None:
    for prefix in ("/si", "/op"):
        answer = await node.get(prefix + signed("c_fill,w_301,h_7/photo.jpg"))
        assert pictures.size(answer.body) == (301, 7)
        assert (await node.get(prefix + signed("w_9/photo.jpg").replace("w_9", "w_8"))).status == 401
    answer = await node.get("/op" + signed("w_33/photo.jpg").replace("upload", "authenticated"))
    assert answer.status == 200
    assert (await node.get("/cl/demo/image/private/w_33/photo.jpg")).status == 200, "a derived one"


@shares_node
async def test_a_token_has_a_start_and_an_end(node: Running) -> None:
    path = "/op/demo/image/authenticated/c_limit,w_301/photo.jpg"
    answer = await node.get(token(path))
    assert answer.status == 200, answer.body
    assert 0 < int(answer.headers["Cache-Control"].partition("max-age=")[2].partition(",")[0]) <= 300
    now_s = int(time.time())
    for times, reason in (
        ({"start_time": now_s + 900}, "not valid yet"),
        ({"expiration": now_s - 1}, "expired"),
        ({"key": "11" * 16}, "does not match"),
    ):
        answer = await node.get(token(path, **times))
        assert (answer.status, reason in answer.headers["X-Cld-Error"]) == (401, True), answer.headers
    assert (await node.get(token(path, acl="/op/demo/*"))).status == 200
    assert (await node.get(token(path, acl="/op/other/*"))).status == 401


@shares_node
async def test_the_log_shows_no_signature_and_no_token(node: Running) -> None:
    path = "/op/demo/image/authenticated/c_limit,w_303/photo.jpg"
    for url in ("/si" + signed("c_limit,w_303/photo.jpg"), token(path)):
        assert (await node.get(url)).status == 200

    def targets() -> set[str]:
        lines = (node.originals.parent / "log").read_text().splitlines()
        found = [json.loads(line).get("target", "") for line in lines if line.startswith("{")]
        return {target for target in found if "w_303" in target}

    await eventually(lambda: len(targets()) == 2)
    assert targets() == {"/si/demo/image/upload/c_limit,w_303/photo.jpg", path}


@shares_node
async def test_notices_and_file_names(node: Running) -> None:
    answer = await node.get("/ig/demo/image/upload/c_limit,w_64,e_redeye,fl_attachment:my%20photo/photo.jpg")
    assert answer.headers["Calotype-Notice"] == "redeye;ignored"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my photo.jpg"'


@shares_node
async def test_a_default_picture_replaces_a_missing_original(node: Running) -> None:
    url = "/cl/demo/image/upload/c_limit,w_66,d_folder:avatar/"
    assert (await node.get("/cl/demo/image/upload/c_limit,w_66,d_missing/missing.jpg")).status == 404
    temporary_file(node.originals, "folder/avatar.png", pictures.photo_as("png"))
    answer = await node.get(f"{url}missing.jpg")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg"), answer.body
    assert pictures.size(answer.body) == (66, 50)
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    native = await node.get("/w_66,f_jpg/folder/avatar.png")
    assert native.headers["ETag"] == answer.headers["ETag"]
    present = await node.get(f"{url}photo.jpg")
    assert present.headers["ETag"] != answer.headers["ETag"]


async def test_fetch_is_of_the_remote_source(tmp_path: Any) -> None:
    async with origin() as web:
        sources = {"web": {"kind": "http", "hosts": [web.host], "allow_private": True}}
        mounts = {"all": MOUNT | {"source": "web", "dimensions": "any"}}
        async with running(tmp_path, sources=sources, mounts=mounts) as node:
            for source in (f"{web.url}/a.jpg", f"{web.url}/a.jpg".replace(":", "%3A").replace("/", "%2F")):
                answer = await node.get(f"/demo/image/fetch/c_limit,w_64/{source}?_a=BAA")
                assert (answer.status, pictures.size(answer.body)) == (200, (64, 48)), answer.body
            assert len(web.requests) == 1
            answer = await node.get("/demo/image/fetch/w_64/https://elsewhere.example/a.jpg")
            assert (answer.status, "X-Cld-Error" in answer.headers) == (401, True)
