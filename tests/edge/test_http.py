"""What RFC 9110 and 9112 leave no choice about, byte by byte, without a proxy in front."""

import pytest

from tests.edge.conftest import Running, raw

TARGETS = ["/w_100,f_jpg/photo.jpg", "/original/photo.jpg"]


def ask(target: str, *headers: str, method: str = "GET") -> bytes:
    """A request that is the last on its connection."""
    lines = (f"{method} {target} HTTP/1.1", "Host: x", *headers, "Connection: close", "", "")
    return "\r\n".join(lines).encode("latin-1")


def status(said: bytes) -> int:
    version, status, _ = said.split(b" ", 2)
    assert version == b"HTTP/1.1"
    return int(status)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (["Range: bytes=0-5,"], 206),
        (["Range: bytes= ,0-5"], 206),
        ([f"Range: bytes=0-{2**64}"], 206),
        (["Range: bytes=9-5"], 200),
        (["Range: bytes=a-b"], 200),
        (["Range: bytes=0-1", "Range: bytes=3-4"], 200),
        (["Range: bytes=0-1", "Range: bytes=0-1"], 200),
        (["Range: bytes=0-1", "Range:"], 200),
        (["Range: bytes=99999999-", "Range: bytes=0-1"], 200),
        (["Range: bytes=99999999-"], 416),
        ([f"Range: bytes={2**64}-"], 416),
    ],
)
async def test_a_range_is_one_line_with_one_element(
    node: Running, target: str, headers: list[str], wanted: int
) -> None:
    said = await raw(node, ask(target, *headers))
    assert status(said) == wanted
    assert status(await raw(node, ask(target, *headers, method="HEAD"))) == 200
