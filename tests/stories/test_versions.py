"""A version in a URL shows the replaced original on a fleet; unknown versions cost little."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import pytest
from yarl import URL

from tests.stories.fleet import Node, SharedServices, client, running
from tests.support import pictures
from tests.support.waiting import eventually

LASTING = "public, max-age=31536000, immutable"
FOR_NOW = "public, max-age=60"


async def ask(node: Node, tokens: str, session: aiohttp.ClientSession | None = None) -> tuple[bytes, str]:
    """The picture, and for how long it may be kept."""
    if session is None:
        async with client() as session:
            return await ask(node, tokens, session)
    async with session.get(URL(f"{node.url}/{tokens}/a.png", encoded=True)) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read(), answer.headers["Cache-Control"]


def colour(number: int) -> bytes:
    return pictures.encoded(pictures.photo(160, 120, seed=number), "png")


def tag_requests(services: SharedServices) -> int:
    return services.store_proxy.count("HEAD", f"/{services.originals}/a.png")


@pytest.fixture
def nodes(services: SharedServices) -> Iterator[tuple[Node, Node]]:
    services.put("a.png", colour(1))
    first, second = services.node("a", processes=2), services.node("b")
    with running(first, second):
        yield first, second


async def test_after_a_restart_a_known_version_shows_the_replaced_original(
    services: SharedServices, nodes: tuple[Node, Node]
) -> None:
    first, second = nodes
    old, cache_control = await ask(first, "w_10,v_2")
    assert cache_control == LASTING
    assert await ask(second, "w_10,v_2") == (old, LASTING)
    services.put("a.png", colour(2))
    assert (await ask(second, "w_10"))[0] == old, "nobody has said that it is another"
    assert second.stop() == 0
    second.start()
    new, cache_control = await ask(second, "w_10,v_2")
    assert (new != old, cache_control) == (True, LASTING)
    for node in nodes:
        for tokens in ("w_10,v_2", "w_10", "w_10,v_3"):
            assert await ask(node, tokens) == (new, LASTING), "the fleet knows it by now"


async def test_a_new_version_shows_the_replaced_original_on_every_node(
    services: SharedServices, nodes: tuple[Node, Node]
) -> None:
    first, second = nodes
    old, _ = await ask(first, "w_10,v_1")
    assert (await ask(second, "w_10"))[0] == old
    for number, node in ((2, second), (3, first)):
        services.put("a.png", colour(number))
        new, cache_control = await ask(node, f"w_10,v_{number}")
        assert (new != old, cache_control) == (True, LASTING)
        assert {(await ask(each, "w_10"))[0] for each in nodes} == {new}
        old = new


async def test_unknown_versions_cost_one_revalidation_a_second_and_no_object(
    services: SharedServices, nodes: tuple[Node, Node]
) -> None:
    first, second = nodes
    await ask(first, "w_10,f_png")
    await eventually(lambda: services.puts(".png") == 1)
    renders = [node.metric("calotype_renders_total") for node in nodes]
    services.store_proxy.forget()
    began_s = time.monotonic()
    async with client() as session:
        for start in range(0, 600, 200):
            answers = await asyncio.gather(
                *(
                    ask(nodes[number % 2], f"w_10,f_png,v_{number}", session)
                    for number in range(start, start + 200)
                )
            )
            assert len({body for body, _ in answers}) == 1
            assert {cache_control for _, cache_control in answers} <= {LASTING, FOR_NOW}
    took_s = time.monotonic() - began_s
    assert 2 <= tag_requests(services) <= 2 * (took_s + 2)
    assert services.puts(".png") == 0
    assert services.gets("a.png") == 0
    assert [node.metric("calotype_renders_total") for node in nodes] == renders
    assert (
        first.metric("calotype_tier_entries", tier="disk")
        + second.metric("calotype_tier_entries", tier="disk")
        < 20
    )


@pytest.mark.parametrize("how", ["down", "hang"])
async def test_max_age_is_short_while_the_store_cannot_be_revalidated(
    services: SharedServices, nodes: tuple[Node, Node], how: str
) -> None:
    first, _ = nodes
    old, _ = await ask(first, "w_10")
    services.put("a.png", colour(2))
    getattr(services.store_proxy, how)()
    assert await ask(first, "w_10,v_2") == (old, FOR_NOW)
    assert await ask(first, "w_10") == (old, LASTING)
    services.store_proxy.up()

    async def lasts() -> bool:
        return (await ask(first, "w_10,v_2"))[1] == LASTING

    await eventually(lasts, pause_s=0.1)
    assert (await ask(first, "w_10,v_2"))[0] != old
