"""`-m waits` selects the tests that wait for real time or for another program."""

import time
from pathlib import Path

import pytest

from tests.support.virtual_time import VirtualTimeLoop
from tests.support.waits import waiting_functions

FILE = """
import time
from tests.support.waiting import LONGEST_S, eventually

def test_a_pure_one():
    assert LONGEST_S > 1

async def test_of_a_condition():
    await eventually(lambda: True)

def paused():
    def inside():
        time.sleep(1)
    return inside

def through_a_helper():
    return paused()

def test_through_two_helpers():
    through_a_helper()

class Client:
    def lost(self):
        return time.monotonic()

def test_of_a_method(client):
    client.lost()

@pytest.fixture
def ended(process):
    process.kill()

def test_of_a_fixture(ended):
    pass
"""


def test_a_test_waits_if_it_or_a_function_of_its_file_does(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(FILE)
    assert {name for name in waiting_functions(path) if name.startswith("test_")} == {
        "test_of_a_condition",
        "test_through_two_helpers",
        "test_of_a_method",
        "test_of_a_fixture",
    }


def test_the_mark_is_set_on_tests_that_wait(request: pytest.FixtureRequest) -> None:
    time.sleep(0)
    assert "waits" in request.keywords


def test_the_mark_is_not_set_on_other_tests(request: pytest.FixtureRequest) -> None:
    assert "waits" not in request.keywords


def test_the_mark_is_not_set_on_tests_of_virtual_time(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if params.get("_asyncio_loop_factory") is VirtualTimeLoop:
            assert "waits" not in item.keywords, item.nodeid
