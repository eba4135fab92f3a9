"""The request path of a command shares nothing with other nodes."""

from pathlib import Path

from proxy.config.settings import load
from proxy.node.factory import one_worker
from proxy.node.request_path import open_request_path
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics
from tests.support import pictures
from tests.support.fakes import temporary_file


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
