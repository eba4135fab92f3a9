"""Running instances on one cache directory."""

from contextlib import closing
from pathlib import Path

from proxy.core.cache.generations import Purge, PurgeScope
from proxy.core.image.original import OriginalRef
from proxy.state.instances import Instances

PURGE = Purge(PurgeScope.of_original(OriginalRef("photos", "a")), "1")


async def test_a_purge_reports_the_other_instances_on_the_directory(tmp_path: Path) -> None:
    folder = tmp_path / "instances"
    with closing(Instances(folder, "a")) as instance:
        assert await instance.publish([PURGE]) == []
        others = [Instances(folder, name) for name in "bc"]
        assert await instance.publish([PURGE]) == [
            "this node: 2 other instances share its cache, as in a restart, and are not purged"
        ]
        for other in others:
            other.close()
        assert await instance.publish([PURGE]) == []
