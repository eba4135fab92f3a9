"""The request path of a command shares nothing with other nodes; that of a node keeps what it has found."""

from pathlib import Path

import pytest

from proxy.config.settings import load
from proxy.core.image.original import OriginalRef
from proxy.node.factory import one_worker
from proxy.node.request_path import open_request_path
from proxy.render.libfacedetection import version
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.waiting import LONGEST_S, deadline


async def test_without_a_disk_nothing_is_shared_with_other_nodes(tmp_path: Path) -> None:
    temporary_file(tmp_path, "photo.png", pictures.quarters_as("png"))
    settings = load(
        None,
        {
            "sources": {"photos": {"path": str(tmp_path)}},
            "cache": {"bucket": {"kind": "directory", "path": str(tmp_path / "bucket")}},
            "redis": {"url": "redis://127.0.0.1:1/0"},
        },
    )
    log = silent_log()
    async with open_request_path(one_worker(settings), PrometheusMetrics(), log, disk=None) as path:
        assert (path.stores.bucket, path.stores.redis, path.fleet, path.tiers) == (None, None, None, [])
        assert (await path.explain("/w_50,f_png/photo.png", "")).key
        directory = path.state.lock.name
        assert Path(directory).exists()
    assert not Path(directory).exists()
    assert not (tmp_path / "bucket").exists()


@pytest.mark.skipif(not version(), reason="the extra faces is not installed")
async def test_faces_are_found_once_and_known_after_a_restart(tmp_path: Path) -> None:
    people = pictures.people(640, 480, (100, 100, 60, 80), (400, 200, 90, 120))
    temporary_file(tmp_path / "photos", "people.jpg", pictures.encoded(people, "jpeg"))
    settings = one_worker(load(None, {
        "sources": {"photos": {"path": str(tmp_path / "photos")}},
        "cache": {"disk": {"path": str(tmp_path / "cache")}},
        "render": {"timeout": LONGEST_S},
    }))  # fmt: skip
    found, workers = [], []
    for _ in range(2):
        async with open_request_path(
            settings, PrometheusMetrics(), silent_log(), disk=tmp_path / "cache"
        ) as path:
            assert path.face_worker.pool.alive == 0
            identity = await path.originals.identify(OriginalRef("photos", "people.jpg"), deadline=deadline())
            found.append(await path.faces.of(identity, deadline=deadline(LONGEST_S)))
            workers.append(path.face_worker.pool.alive)
    assert len(found[0].boxes) == 2
    assert found[0] == found[1]
    assert workers == [1, 0]
