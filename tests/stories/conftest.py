"""Servers for the stories: the slow ones once for all, Redis anew for each."""

from collections.abc import Iterator

import pytest

from tests import servers
from tests.servers import Redis, Store


@pytest.fixture(scope="session")
def swift_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with servers.swift(tmp_path_factory.mktemp("swift")) as store:
        yield store


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with servers.redis(tmp_path_factory.mktemp("redis")) as server:
        yield server
