"""Sources and tiers of the settings, and their connections."""

from pathlib import Path

import pytest

from proxy.config.errors import ConfigError
from proxy.config.settings import load
from proxy.core.cache.generations import Generations
from proxy.node.stores import open_stores
from proxy.telemetry.metrics import PrometheusMetrics
from tests.support.fakes import temporary_file


async def test_stores_of_the_settings_are_open_in_the_context(tmp_path: Path) -> None:
    temporary_file(tmp_path, "originals/photo.jpg", b"a picture")
    settings = load(
        None,
        {
            "sources": {
                "photos": {"path": str(tmp_path / "originals")},
                "web": {"kind": "http", "hosts": ["images.example"]},
            },
            "mounts": {"a": {"source": "photos"}, "b": {"source": "web", "prefix": "/web/"}},
            "cache": {"bucket": {"kind": "directory", "path": str(tmp_path / "bucket")}},
        },
    )
    async with open_stores(settings, tmp_path / "cache", PrometheusMetrics(), Generations()) as stores:
        assert await stores.sources["photos"].exists("photo.jpg")
        assert stores.bucket is not None
        assert {*stores.remote} == {"sources.web", "cache.bucket"}


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    temporary_file(tmp_path, "cache", b"a file")
    with pytest.raises(ConfigError, match=r"^cache\.disk\.path: .* cannot be used"):
        async with open_stores(load(), tmp_path / "cache", PrometheusMetrics(), Generations()):
            pass
