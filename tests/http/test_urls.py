"""Unusual spellings of URLs are accepted; a refusal names the error."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.core.url.signing import sign
from tests.http.conftest import Running, raw, running, shares_node
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.fakes import temporary_file

ODD = 'a|b{c}^d`e"f<g>.jpg'


async def test_raw_and_percent_encoded_characters_share_an_entry(
    node: Running,
) -> None:
    temporary_file(node.originals, ODD, pictures.photo_as("jpeg"))
    encoded = await node.get(f"/w_50/{quote(ODD)}")
    assert encoded.status == 200
    for target in (f"/w_50/{ODD}", f"/thumbnail?url={ODD}&w=50", f"/original/{ODD}", f"/info/{ODD}"):
        response = await raw(node, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert response.startswith(b"HTTP/1.1 200 "), target
    assert await node.metric("calotype_renders_total") == 2, "the picture and what is told of it"


def detail(answer: Answer) -> str:
    return str(json.loads(answer.body)["detail"])


TRACKERS = "utm_source=a&fbclid=b&gclid=c&msclkid=d&_ga=e&mc_cid=f&mc_eid=g&ver=6.4"


@pytest.mark.parametrize(
    "target",
    [
        "/w_50,f_auto/photo.jpg",
        "/thumbnail?url=photo.jpg&w=50&format=auto",
        "/info/photo.jpg",
        "/original/photo.jpg",
    ],
)
@shares_node
async def test_tracking_parameters_do_not_change_the_answer(shared_node: Running, target: str) -> None:
    joint = "&" if "?" in target else "?"
    plain = await shared_node.get(target, Accept="image/webp")
    renders = await shared_node.metric("calotype_renders_total")
    for query in (TRACKERS, "utm_campaign=x", "ver=1"):
        tracked = await shared_node.get(f"{target}{joint}{query}", Accept="image/webp")
        assert (tracked.status, tracked.body) == (200, plain.body)
        for name in ("ETag", "Vary", "Cache-Control", "Content-Type"):
            assert tracked.headers.get(name) == plain.headers.get(name), name
    assert await shared_node.metric("calotype_renders_total") == renders
    failed = await shared_node.get(f"{target.replace('photo', 'none')}{joint}{TRACKERS}")
    assert (failed.status, failed.headers.get("Vary")) == (404, plain.headers.get("Vary"))


async def test_a_version_may_stand_in_the_query(node: Running) -> None:
    for _ in range(2):
        answer = await node.get("/w_50/photo.jpg?v=7&utm_source=x")
        assert answer.status == 200
    assert (await node.get("/w_50,v_8/photo.jpg")).headers["ETag"] == answer.headers["ETag"]
    assert await node.metric("calotype_renders_total") == 1
    twice = await node.get("/w_50,v_7/photo.jpg?v=7")
    assert (twice.status, detail(twice)) == (400, "parameter v is given twice: in the path and in the query")


KEY = "k" * 32


@pytest.fixture
async def lenient(tmp_path: Path) -> AsyncIterator[Running]:
    mount = {"source": "photos", "query": "ignore", "signing": "optional"}
    mounts = {"all": mount, "strict": {**mount, "query": "strict", "prefix": "/strict/"}}
    async with running(tmp_path, mounts=mounts, signing={"keys": {"k": KEY}}) as started:
        temporary_file(started.originals, "photo.jpg", pictures.photo_as("jpeg"))
        yield started


async def test_a_mount_may_ignore_unknown_parameters(lenient: Running) -> None:
    for target in ("/w_100/photo.jpg", "/info/photo.jpg", "/original/photo.jpg"):
        for query in ("x=1", "cb=9&w=5", "&", "<>=1"):
            plain = await lenient.get(target)
            answer = await lenient.get(f"{target}?{query}")
            assert (answer.status, answer.headers["ETag"]) == (200, plain.headers["ETag"])
            assert (await lenient.get(f"/strict{target}?{query}")).status == 400
    refused = await lenient.get("/thumbnail?url=photo.jpg&w=100&z=1")
    assert (refused.status, "parameter z is unknown" in detail(refused)) == (400, True)


async def test_only_tracking_parameters_may_follow_a_signature(lenient: Running) -> None:
    for prefix in ("", "/strict"):
        signed = sign(f"{prefix}/w_77/photo.jpg", KEY.encode())
        for suffix in ("", f"&{TRACKERS}", "&ver=1"):
            answer = await lenient.get(signed + suffix)
            assert answer.status == 200
            assert "signed" not in answer.headers.get("Calotype-Notice", "")
        for suffix, says in {
            "&x=1": "parameter x follows",
            "?utm_source=a": "of length 13 follows",
        }.items():
            refused = await lenient.get(signed + suffix)
            assert (refused.status, json.loads(refused.body)["type"]) == (
                403,
                "urn:calotype:error:bad-signature",
            )
            assert says in detail(refused)
            assert signed.rpartition("sig=")[2] not in refused.body.decode()
    assert await lenient.metric("calotype_renders_total") == 1


@pytest.mark.parametrize(
    ("target", "status", "says"),
    [
        ("/W_400/photo.jpg", 404, "parameter W_400 is unknown; is w_400 meant?"),
        ("/W_400,h_300/photo.jpg", 400, "parameter W_400 is unknown; is w_400 meant?"),
        ("/f_jpg,width_400/photo.jpg", 400, "parameter width_400 is unknown; is w_400 meant?"),
        ("/w_400,k_20/photo.jpg", 400, "parameter k_20 is unknown; known are orient, trim, w, h, "),
        ("/thumbnail?url=photo.jpg&width=400", 400, "parameter width is unknown; is w meant?"),
        (
            "/w_400,c_limt/photo.jpg",
            400,
            "parameter c must be one of fill, pad, fit, outside, scale, limit, crop, adaptive; is limit meant?",
        ),
        ("/w_400/photo.jpg?w=3", 400, "parameter w is not supported: the query of this URL may have v; "),
    ],
)
@shares_node
async def test_an_unknown_parameter_is_named_and_the_nearest_known_one_suggested(
    shared_node: Running, target: str, status: int, says: str
) -> None:
    answer = await shared_node.get(target)
    assert answer.status == status
    assert says in detail(answer)


@pytest.mark.parametrize("target", ["/w_50,f_jpg/text.jpg", "/info/text.jpg", "/original/text.jpg"])
@shares_node
async def test_an_unsupported_original_names_the_supported_formats(shared_node: Running, target: str) -> None:
    answer = await shared_node.get(target)
    assert answer.status == 415
    assert detail(answer) == "the original is not a JPEG, PNG, WebP, GIF or AVIF picture"


async def test_limit_and_fit_share_an_entry(node: Running) -> None:
    fit = await node.get("/w_50,h_50,c_fit/photo.jpg")
    assert (await node.get("/w_50,h_50,c_limit/photo.jpg")).headers["ETag"] == fit.headers["ETag"]
    assert await node.metric("calotype_renders_total") == 1
