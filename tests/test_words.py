"""The identifiers of the code are words of docs/glossary.md."""

import ast

from tests.support.words import banned, definitions, problems


def test_no_identifier_has_a_word_that_the_glossary_replaces() -> None:
    assert problems() == []


def test_the_check_reads_the_glossary_and_every_kind_of_definition() -> None:
    assert {"told", "wanted", "behind"} <= banned().keys()
    code = "class A:\n    def b(self, c):\n        self.d = e = c\n        for f in c: pass\n"
    assert {name for name, _ in definitions(ast.parse(code))} == {"A", "b", "self", "c", "d", "e", "f"}
