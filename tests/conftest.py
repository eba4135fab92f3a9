"""For all tests: no hypothesis deadlines, no unnoticed skip in CI, and a browser fixture."""

import os
import random
import shutil
import signal
from collections.abc import Generator

import hypothesis
import pytest

from tests.support.virtual_time import VirtualTimeLoop
from tests.support.waits import waiting_functions

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("brief", deadline=None, print_blob=True, max_examples=20)
hypothesis.settings.register_profile(
    # The same answer every time, and no time spent on what the smallest example is.
    "mutants",
    deadline=None,
    database=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("default")

WITHOUT_COVERAGE = ("test_entries.py",)
"""Files that take a minute more while coverage is measured. Other tests cover the same lines."""


def pytest_configure(config: pytest.Config) -> None:
    """Programs that tests start take Ctrl-C, also where whoever started the tests does not (a shell's `&`)."""
    config.addinivalue_line("markers", "waits: waits for real time or for another program; set by itself")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="an order of chance, the same for the same seed"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests that wait, and those without coverage. With --shuffle: files in an order of chance, and the tests of each; a file's own parts
    are started once."""
    for item in items:
        if waits(item):
            item.add_marker("waits")
        if item.path.name in WITHOUT_COVERAGE:
            item.add_marker("no_cover")
    seed = config.getoption("--shuffle")
    if seed is None:
        return
    chance = random.Random(seed)
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    shuffled = list(files.values())
    chance.shuffle(shuffled)
    for tests in shuffled:
        chance.shuffle(tests)
    items[:] = [item for tests in shuffled for item in tests]


def waits(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if parameters.get("_asyncio_loop_factory") is VirtualTimeLoop:
        return False
    return item.originalname in waiting_functions(item.path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true nothing may be left out: a skip is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
    return report


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is missing; as root: apt-get install chromium")
    return found
