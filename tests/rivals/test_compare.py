"""`calotype compare` between a node and thumbor or ipx, and then with their saved responses."""

import json
from itertools import islice
from pathlib import Path

import pytest

from tests.rivals import ipx_urls, servers, thumbor_urls
from tests.rivals.comparison import WRONG
from tests.rivals.conftest import COMPARED, StartNode
from tests.support.commands import calotype_text

RIVALS = {"thumbor": (servers.thumbor, thumbor_urls.urls), "ipx": (servers.ipx, ipx_urls.urls)}
URLS = 60


@pytest.mark.parametrize("name", sorted(COMPARED & RIVALS.keys()))
def test_the_command_compares_with_a_rival(
    name: str, pictures: Path, tmp_path: Path, node: StartNode
) -> None:
    start, urls = RIVALS[name]
    log = tmp_path / "access.log"
    lines = (
        f'"GET {case.target} HTTP/1.1" 200 1\n' for case in islice(urls(), URLS) if WRONG not in case.parts
    )
    log.write_text("".join(lines))
    report, saved = tmp_path / "out.html", tmp_path / "saved"
    command = ("compare", "--access-log", str(log), "--node", node(servers.DIALECTS[name]), "--json")
    with start(pictures, tmp_path) as url:
        words = ("--vendor", url, "--save", str(saved), "--report", str(report))
        done = calotype_text(*command, *words, env={})
    document = json.loads(done.stdout)
    assert done.returncode == (1 if document["differ"] else 0), done.stderr
    assert (document["kinds"]["unanswered"], document["kinds"]["status"]) == (0, 0), done.stderr
    assert document["pictures"] > URLS / 2
    assert document["median"] < 2, done.stderr
    assert document["differ"] < document["urls"] / 3, done.stderr
    assert report.read_text().count("<article") == document["urls"]
    assert json.loads(calotype_text(*command, "--vendor", str(saved), env={}).stdout) == document
