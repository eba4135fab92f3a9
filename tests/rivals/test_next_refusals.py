"""What /_next/image refuses and takes."""

from contextlib import closing

from tests.rivals.comparison import Server
from tests.rivals.conftest import StartNode
from tests.rivals.next_refusals import REFUSED, TAKEN


def test_next_image_refuses_and_takes_what_next_does(node: StartNode) -> None:
    with closing(Server(node("next"))) as server:
        statuses = {query: server.ask(f"/_next/image?{query}").status for query in (*REFUSED, *TAKEN)}
    expected = dict.fromkeys(REFUSED, 400) | dict.fromkeys(TAKEN, 200)
    assert {query: status for query, status in statuses.items() if status != expected[query]} == {}
