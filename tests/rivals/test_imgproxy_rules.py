"""A node with the dialect `imgproxy` beside imgproxy's documented rules."""

from collections.abc import Callable
from pathlib import Path

from tests.rivals.comparison import Comparison, compared, connected
from tests.rivals.conftest import StartNode
from tests.rivals.imgproxy_rules import ImgproxyRules
from tests.rivals.imgproxy_urls import urls


def test_the_node_answers_by_imgproxys_rules(
    pictures: Path, node: StartNode, report: Callable[[Comparison], str]
) -> None:
    with connected(node("imgproxy")) as (ours,):
        comparison = compared("imgproxy's rules", urls(), ours, ImgproxyRules(pictures))
    text = report(comparison)
    assert comparison.share("status") == 1, text
    assert comparison.share("size") >= 0.98, text
    assert comparison.share("picture") >= 0.95, text
