"""Shared fixtures. `CALOTYPE_CORPUS` names an extra corpus of pictures; without it only our own are used."""

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The extra corpus, where it is given or lies beside the checkout."""
    beside = Path(__file__).parent.parent.parent / "shared" / "images"
    folder = Path(os.environ.get("CALOTYPE_CORPUS", beside))
    if not (folder / "manifest.json").is_file():
        pytest.skip("no corpus: set CALOTYPE_CORPUS to its directory")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true nothing may be left out: a skip is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
    return report
