"""The gallery, the rivals and a node, once a session. A rival that is not there, and a dialect that a mount does not take,
is not collected. The end of the run tells in what each pair differed."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.config.sections import MountSection
from tests.rivals import gallery, servers
from tests.rivals.comparison import Comparison
from tests.stories.fleet import Node

DIALECTS = {"thumbor": "thumbor", "imagor": "thumbor", "ipx": "next", "imgproxy": "imgproxy"}
"""The dialect that answers each rival's URLs."""


def takes(dialect: str) -> bool:
    """Whether a mount can have it."""
    with contextlib.suppress(ValidationError):
        MountSection.model_validate({"source": "pictures", "dialect": dialect})
        return True
    return False


COMPARED = {name for name in servers.available() if takes(DIALECTS[name])}

collect_ignore = [f"test_{name}.py" for name in DIALECTS if name not in COMPARED]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the gallery."""
    named = os.environ.get("CALOTYPE_RIVALS_GALLERY")
    folder = Path(named) if named else tmp_path_factory.mktemp("gallery")
    gallery.fill(folder)
    return folder


@pytest.fixture
def node(pictures: Path, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts a node whose only mount has the dialect, unsigned, and any size; its URL."""
    started: list[Node] = []

    def start(dialect: str) -> str:
        mount = {"source": "pictures", "dimensions": "any", "dialect": dialect}
        source = {"kind": "directory", "path": str(pictures)}
        node = Node(tmp_path / dialect, sources={"pictures": source}, mounts={"all": mount})
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
