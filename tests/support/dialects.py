"""A dialect for tests of what the node does around dialects: native URLs whose keys are public ids, as in Cloudinary."""

import sys
from dataclasses import replace
from types import ModuleType

import pytest

from proxy.core.url.alternatives import alternatives
from proxy.core.url.dialects import registry
from proxy.core.url.dialects.dialect import Dialect, Reading
from proxy.core.url.dialects.native.urls import DIALECT as NATIVE
from proxy.core.url.parsed_url import ParsedUrl

NAME = "public_ids"


def parse(target: str, reading: Reading) -> ParsedUrl:
    parsed = NATIVE.parse(target, reading)
    return replace(parsed, alternatives=alternatives(parsed.key, reading.suffixes))


DIALECT: Dialect = replace(NATIVE, name=NAME, parse=parse, settings=frozenset({"suffixes"}))


def register(monkeypatch: pytest.MonkeyPatch, dialect: Dialect = DIALECT) -> None:
    """Makes `dialect` one that a mount may name."""
    module = ModuleType(dialect.name)
    module.DIALECT = dialect  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"proxy.core.url.dialects.{dialect.name}.urls", module)
    monkeypatch.setattr(registry, "_NAMES", (*registry._NAMES, dialect.name))
