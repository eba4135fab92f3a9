"""The gallery, the rivals and a node, once a session. A rival that is not there, and a dialect that a mount does not take,
is not collected. The end of the run tells in what each pair differed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.rivals import gallery, servers
from tests.rivals.comparison import Comparison
from tests.stories.fleet import Node

IS_REQUESTED = bool(os.environ.get("CALOTYPE_COMPARE"))
"""Whether `./run rivals` runs: the comparisons take minutes, and need programs that the other tests do not."""
COMPARED = {name for name in servers.available() if IS_REQUESTED and servers.takes(servers.DIALECTS[name])}

collect_ignore = [f"test_{name}.py" for name in servers.DIALECTS if name not in COMPARED]
if not IS_REQUESTED:
    collect_ignore.append("test_imgproxy_rules.py")
if not COMPARED & {"thumbor", "ipx"}:
    collect_ignore.append("test_compare.py")
if not any(map(servers.takes, servers.DIALECTS.values())):
    collect_ignore.append("test_clients.py")
if not IS_REQUESTED or servers.NODE is None or not (servers.NODE_MODULES / "next").is_dir():
    collect_ignore.append("test_next_site.py")
if not servers.takes("next"):
    collect_ignore.append("test_next_refusals.py")


SIGNED = "signed.test"


class StartNode(Protocol):
    def __call__(self, dialect: str, key: str | None = None) -> str: ...


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the gallery."""
    named = os.environ.get("CALOTYPE_RIVALS_GALLERY")
    folder = Path(named) if named else tmp_path_factory.mktemp("gallery")
    gallery.fill(folder)
    return folder


@pytest.fixture
def node(pictures: Path, tmp_path: Path) -> Iterator[StartNode]:
    """Starts a node whose mount has the dialect, unsigned, and any size; its URL. Where there is a key, another mount
    takes only URLs signed with it, for the host SIGNED."""
    started: list[Node] = []

    def start(dialect: str, key: str | None = None) -> str:
        mount = {"source": "pictures", "dimensions": "any", "dialect": dialect}
        signed = mount | {"host": SIGNED, "signing": "required", "keys": ["client"]}
        node = Node(
            tmp_path / dialect,
            sources={"pictures": {"kind": "directory", "path": str(pictures)}},
            mounts={"open": mount} if key is None else {"open": mount, "signed": signed},
            **({} if key is None else {"signing": {"keys": {"client": key}}}),
        )
        started.append(node)
        node.start()
        return node.url

    yield start
    for node in started:
        node.kill()


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[Comparison], str]:
    """Keeps the text of a comparison for the end of the run, and returns it."""

    def keep(comparison: Comparison) -> str:
        text = "\n".join(comparison.lines())
        record_property("rivals", text)
        return text

    return keep


def pytest_terminal_summary(terminalreporter: Any) -> None:
    texts = [
        value
        for outcome in ("passed", "failed")
        for test in terminalreporter.stats.get(outcome, ())
        for name, value in getattr(test, "user_properties", ())
        if name == "rivals"
    ]
    if texts:
        terminalreporter.section("beside the rivals")
        for text in texts:
            terminalreporter.write_line(text)
