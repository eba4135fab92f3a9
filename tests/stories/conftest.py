"""Servers for the stories: Swift once per session, Redis for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.fleet import SharedServices
from tests.support import servers
from tests.support.servers import Redis, Store
from tests.support.tcp_faults import FaultyProxy


@pytest.fixture(scope="session")
def swift_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with servers.swift(tmp_path_factory.mktemp("swift")) as store:
        yield store


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with servers.redis(tmp_path_factory.mktemp("redis"), is_old=True) as server:
        yield server


@pytest.fixture
def services(swift_store: Store, redis: Redis, tmp_path: Path) -> Iterator[SharedServices]:
    with FaultyProxy("127.0.0.1", swift_store.port) as store_proxy:
        yield SharedServices(swift_store, store_proxy, redis, tmp_path)
