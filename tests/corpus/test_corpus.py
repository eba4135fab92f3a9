"""A node serves or refuses every picture of the extra corpus as the manifest expects.

Collected only where the corpus exists. The generated pictures of the other tests cover the same behaviour.
"""

import json
from pathlib import Path
from urllib.parse import quote

from tests.corpus.conftest import CORPUS
from tests.http.conftest import running

UNSUPPORTED = {".svg", ".svgz", ".tif", ".tiff", ".icc"}
# An AVIF sequence, of which libvips reads none, and a side of 10,328 pixels.
BEYOND = {"avif/animated.avif", "edge/over-limit-99mp.jpg"}
REFUSALS = {415, 422}


def expected(entry: dict[str, str]) -> set[int]:
    name = entry["file"]
    word = "reject" if Path(name).suffix in UNSUPPORTED or name in BEYOND else entry.get("expect", "decode")
    return {"decode": {200}, "either": {200, *REFUSALS}}.get(word, REFUSALS)


async def test_every_picture_is_served_or_refused_as_the_manifest_says(tmp_path: Path) -> None:
    wrong = []
    async with running(tmp_path, sources={"photos": {"path": str(CORPUS)}}, render={"workers": 2}) as node:
        for entry in json.loads((CORPUS / "manifest.json").read_text())["images"]:
            for tokens in ("w_64,h_64,f_gif", "w_200,h_100,c_fill,g_auto,f_auto"):
                answer = await node.get(f"/{tokens}/{quote(entry['file'])}")
                if answer.status not in expected(entry):
                    wrong.append((entry["file"], tokens, answer.status, answer.body[:200]))
        assert (await node.get("/w_64/photo/coffee.png")).status == 200
    assert wrong == []
