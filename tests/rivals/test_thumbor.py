"""Thumbor beside a node with the dialect `thumbor`."""

from collections.abc import Callable
from pathlib import Path

from tests.rivals import servers
from tests.rivals.comparison import Comparison, compared, connected
from tests.rivals.conftest import StartNode
from tests.rivals.thumbor_urls import urls


def test_the_node_answers_as_thumbor_does(
    pictures: Path, tmp_path: Path, node: StartNode, report: Callable[[Comparison], str]
) -> None:
    with servers.thumbor(pictures, tmp_path) as url, connected(node("thumbor"), url) as (ours, theirs):
        comparison = compared("thumbor", urls(), ours, theirs)
    text = report(comparison)
    assert comparison.share("status") == 1, text
    assert comparison.share("size") >= 0.98, text
    assert comparison.share("picture") >= 0.95, text
