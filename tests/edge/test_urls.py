"""URLs as strangers write them: what is taken all the same, and what a refusal says."""

from urllib.parse import quote

from tests import pictures
from tests.edge.conftest import Running, raw
from tests.fakes import temporary_file

ODD = "a|b{c}^d`e\"f<g>.jpg"


async def test_what_browsers_send_raw_is_one_picture_with_its_percent_encoded_form(node: Running) -> None:
    temporary_file(node.originals, ODD, pictures.photo_as("jpeg"))
    encoded = await node.get(f"/w_50/{quote(ODD)}")
    assert encoded.status == 200
    for target in (f"/w_50/{ODD}", f"/thumbnail?url={ODD}&w=50", f"/original/{ODD}", f"/info/{ODD}"):
        said = await raw(node, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert said.startswith(b"HTTP/1.1 200 "), target
    assert await node.metric("calotype_renders_total") == 2, "the picture and what is told of it"
