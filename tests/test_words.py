"""The identifiers of the code and of its tests are words of docs/glossary.md."""

import ast
from pathlib import Path

from tests.support.words import banned, definitions, problems


def test_no_identifier_has_a_word_that_the_glossary_replaces() -> None:
    assert problems() == []


def test_the_check_reads_the_glossary_and_every_kind_of_definition() -> None:
    assert {"told", "wanted", "behind"} <= banned().keys()
    code = "class A:\n    def b(self, c):\n        self.d = e = c\n        for f in c: pass\n"
    assert {name for name, _ in definitions(ast.parse(code))} == {"A", "b", "self", "c", "d", "e", "f"}


def test_the_check_covers_code_and_tests(tmp_path: Path) -> None:
    for name in ("proxy/a.py", "proxy/b.py", "tests/test_a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("class A:\n    told = 1\n")
    assert [problem.partition(": do not")[0] for problem in problems(tmp_path)] == [
        "proxy/a.py:2: told",
        "proxy/b.py:2: told",
        "tests/test_a.py:2: told",
        "class A is defined twice: proxy/a.py:1, proxy/b.py:1",
    ]
