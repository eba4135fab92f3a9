"""The policy of unsigned URLs over HTTP: notices and errors for clients, settings in the log."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.core.url.signing import sign
from tests.http.conftest import Running, running
from tests.support import pictures
from tests.support.fakes import temporary_file

KEY = "k" * 32


@asynccontextmanager
async def serving(folder: Path, **mount: Any) -> AsyncIterator[Running]:
    """A node whose mount has these settings."""
    async with running(
        folder,
        log_to=str(folder / "log"),
        mounts={"photos": {"source": "photos", **mount}},
        dimensions={"allowed": [80, 160, 320], "colours": ["123456"]},
        limits={"output_max_side": 1000},
        signing={"keys": {"k": KEY}},
    ) as node:
        temporary_file(node.originals, "photo.jpg", pictures.photo_as("jpeg"))
        yield node


async def status_and_notice(node: Running, target: str) -> tuple[int, str]:
    answer = await node.get(target)
    return answer.status, str(answer.headers.get("Calotype-Notice", ""))


async def test_snapped_sizes_are_in_the_notice_of_hits_and_misses(tmp_path: Path) -> None:
    async with serving(tmp_path, dimensions="snap") as node:
        for target in ("/w_150,h_100,c_fill/photo.jpg", "/thumbnail?url=photo.jpg&w=150&h=100&fit=cover"):
            for _ in range(2):
                answer = await node.get(target)
                assert pictures.size(answer.body) == (160, 107)
                assert answer.headers["Calotype-Notice"] == "w;asked=150;made=160, h;asked=100;made=107"
            tag = answer.headers["ETag"]
            current = await node.get(target, If_None_Match=tag)
            assert current.status == 304
            assert current.headers["Calotype-Notice"] == answer.headers["Calotype-Notice"]
        assert await node.metric("calotype_renders_total") == 1
        assert "Calotype-Notice" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    ("tokens", "notice"),
    [
        ("w_80,h_160,c_fill", ""),
        ("w_79", "w;asked=79;made=80"),
        ("h_9999", "h;asked=9999;made=320"),
        ("w_80,q_81,dpr_1.1", "q;asked=81;made=80, dpr;asked=1.1;made=1.25"),
        ("w_80,h_80,c_fill,g_0.33:0.5", 'gravity;asked="0.33:0.5";made="0.3:0.5"'),
        ("w_80,e_blur:1.3", "e;asked=blur:1.3;made=blur:1.5"),
        ("w_79,h_79,c_fill,g_face", "w;asked=79;made=80, h;asked=79;made=80, gravity;asked=face;made=auto"),
        ("w_80,b_123456", ""),
        ("w_80,v_1", ""),
        ("w_80,c_fill", "fit;asked=fill;made=fit"),
        ("c_pad", "fit;asked=pad;made=fit"),
        ("w_320,h_320,q_1000,dpr_4", "w;asked=1280;made=1000, h;asked=1280;made=1000, q;asked=1000;made=100"),
    ],
)
async def test_each_changed_value_is_in_the_notice(tmp_path: Path, tokens: str, notice: str) -> None:
    async with serving(tmp_path, dimensions="snap") as node:
        for _ in range(2):
            assert await status_and_notice(node, f"/{tokens}/photo.jpg") == (200, notice)
        assert await node.metric("calotype_renders_total") == 1


@pytest.mark.parametrize(
    ("tokens", "slug", "allowed", "setting"),
    [
        ("w_81", "dimension-not-allowed", "80, 160, 320", "dimensions.allowed"),
        ("h_81", "dimension-not-allowed", "80, 160, 320", "dimensions.allowed"),
        ("b_ff0000", "colour-not-allowed", "white, black, transparent, 123456", "dimensions.colours"),
        ("e_sepia,e_blur:1", "bad-transform", "one effect", "mounts.photos.transforms"),
    ],
)
async def test_a_refusal_lists_the_allowed_sizes_and_logs_the_setting(
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    tokens: str,
    slug: str,
    allowed: str,
    setting: str,
) -> None:
    async with serving(tmp_path, signing="optional") as node:
        answer = await node.get(f"/{tokens}/photo.jpg")
        problem = json.loads(answer.body)
        assert (answer.status, problem["type"]) == (400, f"urn:calotype:error:{slug}")
        assert allowed in problem["detail"]
        assert setting not in answer.body.decode()
        signed = await node.get(sign(f"/{tokens}/photo.jpg", KEY.encode()))
        assert signed.status == 200
        assert "Calotype-Notice" not in signed.headers
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    [line] = [line for line in lines if line.get("status") == 400]
    assert setting in line["settings"]
    assert not any("settings" in line for line in lines if line.get("status") == 200)


async def test_transforms_of_the_mount_are_served_exactly(tmp_path: Path) -> None:
    async with serving(tmp_path, transforms=["w_77,e_sepia,e_blur:1.2,b_f00"]) as node:
        for target in (
            "/b_ff0000,w_77,e_sepia:80,e_blur:1.20,v_3/photo.jpg",
            "/thumbnail?bg=f00&e=sepia&e=blur:1.2&w=77&url=photo.jpg",
        ):
            answer = await node.get(target)
            assert (answer.status, pictures.size(answer.body)[0]) == (200, 77)
            assert "Calotype-Notice" not in answer.headers
        assert (await node.get("/w_77,e_sepia,b_f00/photo.jpg")).status == 400
