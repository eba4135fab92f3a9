"""The documents are true: links resolve, examples run and verify, tables match the code.

A block marked `sh run` is run, in the order of its page, in a folder with pictures and `shop.toml`, the file of
docs/configuration.md. Every example asks a node at http://127.0.0.1:8080 with its admin listener at
http://127.0.0.1:8081; both are mapped to the ports of a node of the test's own. A block marked `text` right behind it is
what comes out, where `...` stands for any text.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.core import errors
from proxy.core.url.signing import verify
from proxy.edge.problems import PROBLEMS
from tests.core.url.test_entries import DEFAULT_ENTRIES
from tests.stories.fleet import Node, running
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.servers import ROOT
from tests.support.waiting import LONGEST_S

DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "SECURITY", "CONTRIBUTING", "CHANGELOG")),
    *sorted(DOCS.rglob("*.md")),
]
MOST_LINES = 150
TOKEN = SECRET = "0123456789abcdef0123456789abcdef"
TARGETS = [
    "/w_400/a.jpg",
    "/thumbnail?url=a%20b.jpg&w=400",
    "/w_400/%C3%A9/a.jpg?exp=4000000000&dom=shop.example",
]


class Block(NamedTuple):
    """A fenced block; `output`, if not None, is the block of expected text right behind it."""

    info: str
    text: str
    output: str | None


_FENCE = re.compile(r"^([ ]*)```([^\n`]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = list(_FENCE.finditer(text))
    listed = []
    for match, following in zip_longest(found, found[1:]):
        is_output = (
            following is not None
            and following[2] == "text"
            and not text[match.end() : following.start()].strip()
        )
        listed.append(Block(match[2], match[3], following[3] if is_output else None))
    return listed


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """What links may name of a page, as GitHub makes it of the headings."""
    made: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        numbered = (slug if not number else f"{slug}-{number}" for number in range(100))
        made.add(next(each for each in numbered if each not in made))
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_resolves(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        named = page.parent / path if path else page
        if not named.exists() or (anchor and anchor not in anchors(named)):
            broken.append(target)
    assert broken == []


def test_the_readme_is_short_and_names_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in text] == []


def test_the_table_of_errors_matches_the_code() -> None:
    rows = re.findall(
        r"^\| <a id=\"[a-z-]+\"></a>`([a-z-]+)` \| ([0-9]{3}) \| ([^|]+) \|",
        (DOCS / "errors.md").read_text(),
        re.MULTILINE,
    )
    assert {slug: (int(status), title) for slug, status, title in rows} == {
        slug: (problem.status, problem.title) for slug, problem in PROBLEMS.items()
    }
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.CalotypeError)
    ]
    assert {kind.slug for kind in kinds} == PROBLEMS.keys()


def test_the_runbook_has_every_alert() -> None:
    alerts = re.findall(r"alert: (\w+)", (ROOT / "packaging" / "prometheus" / "calotype.yml").read_text())
    rows = re.findall(r"^\| `(Calotype\w+)` \|", (DOCS / "operations.md").read_text(), re.MULTILINE)
    assert rows == alerts


def test_the_number_of_entries_is_the_computed_one() -> None:
    assert f"{DEFAULT_ENTRIES:,}" in (DOCS / "urls.md").read_text()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node that the examples ask, in a folder as they expect it."""
    folder = tmp_path_factory.mktemp("shop")
    config = next(block.text for block in blocks(DOCS / "configuration.md") if block.info == "toml")
    (folder / "shop.toml").write_text(config)
    subprocess.run(
        [sys.executable, "-P", "-m", "proxy.cli.demo_originals", folder / "pictures"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    for name in ("photo.jpg", "pictures/photo.jpg", "pictures/shoes/red.jpg"):
        temporary_file(folder, name, pictures.photo_as("jpeg"))
    (folder / "run").symlink_to(ROOT / "run")
    (folder / "bin").mkdir()
    command = folder / "bin" / "calotype"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m proxy "$@"\n')
    command.chmod(0o755)
    settings = tomllib.loads(config)
    settings["sources"]["shop"]["path"] = str(folder / "pictures")
    node = Node(folder, **settings)
    node.override("admin", token=TOKEN)
    node.override("signing", keys={"web1": SECRET})
    with running(node):
        yield node


def environment(node: Node) -> dict[str, str]:
    """That of a user's shell, but with time for renders on a busy machine."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALOTYPE_")}
    return inherited | {
        "PATH": f"{node.folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(node.folder),
        "XDG_CACHE_HOME": str(node.folder / "of-the-shell"),
        "CALOTYPE_SERVER__PORT": str(node.port),
        "CALOTYPE_ADMIN__PORT": str(node.admin_port),
        "CALOTYPE_ADMIN__TOKEN": TOKEN,
        "CALOTYPE_RENDER__TIMEOUT": "5m",
        "CALOTYPE_SERVER__REQUEST_TIMEOUT": "10m",
        "CALOTYPE_SIGNING__KEYS__WEB1": SECRET,
    }


RUNNABLE = [page for page in PAGES if any(block.info == "sh run" for block in blocks(page))]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_runs(page: Path, shop: Node) -> None:
    mapped = {"127.0.0.1:8080": f"127.0.0.1:{shop.port}", "127.0.0.1:8081": f"127.0.0.1:{shop.admin_port}"}
    for block in blocks(page):
        if block.info != "sh run":
            continue
        script = block.text
        for documented, real in mapped.items():
            script = script.replace(documented, real)
        done = subprocess.run(
            ["sh", "-euc", script], capture_output=True, text=True, cwd=shop.folder, env=environment(shop),
            timeout=LONGEST_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        output = done.stdout.replace("\r\n", "\n")
        for documented, real in mapped.items():
            output = output.replace(real, documented)
        if block.output is not None:
            pattern = re.escape(block.output.strip()).replace(r"\.\.\.", ".*").replace("\\\n", r"\s*")
            assert re.fullmatch(pattern, output.strip(), re.DOTALL), f"{block.text}\n{output}"


def example(language: str) -> str:
    return next(block.text for block in blocks(DOCS / "signing.md") if block.info == language)


def python(folder: Path) -> list[str]:
    (folder / "a.py").write_text(example("python") + "\nimport sys\nprint(sign(sys.argv[1], sys.argv[2]))\n")
    return ["python3", "a.py"]


def javascript(folder: Path) -> list[str]:
    (folder / "a.cjs").write_text(example("javascript") + "\nconsole.log(sign(...process.argv.slice(2)));\n")
    return ["node", "a.cjs"]


def php(folder: Path) -> list[str]:
    (folder / "a.php").write_text(f"<?php\n{example('php')}\necho sign($argv[1], $argv[2]), PHP_EOL;\n")
    return ["php", "a.php"]


def go(folder: Path) -> list[str]:
    imports = example("go").replace("import (", 'import (\n\t"fmt"\n\t"os"')
    (folder / "a.go").write_text(
        f"package main\n{imports}\nfunc main() {{ fmt.Println(Sign(os.Args[1], os.Args[2])) }}\n"
    )
    return ["go", "run", "a.go"]


FOUND: list[Callable[[Path], list[str]]] = [
    python,
    javascript,
    *(make for make in (php, go) if shutil.which(make.__name__)),
]


@pytest.mark.parametrize("make", FOUND)
def test_the_signing_example_of_each_language_verifies(
    make: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    command = make(tmp_path)
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is missing; as root: apt-get install nodejs")
    for target in TARGETS:
        done = subprocess.run(
            [*command, target, SECRET], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        signed = verify(done.stdout.strip(), {"k": SECRET.encode()})
        assert signed is not None
        assert target.startswith(signed.target)
