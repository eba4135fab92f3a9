"""What the vendors' clients write is answered, by size and type; a signature that was changed is refused."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.rivals.client_keys import (
    CLOUDFLARE_KEY,
    CLOUDINARY_SECRET,
    IMAGEKIT_KEY,
    IMGIX_TOKEN,
    IMGPROXY_KEY,
    IMGPROXY_SALT,
    THUMBOR_KEY,
)
from tests.rivals.comparison import Reply, Server, samples
from tests.rivals.conftest import SIGNED, StartNode
from tests.rivals.servers import takes

ROWS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("client_urls.json").read_text())

KEYS = {
    "thumbor": THUMBOR_KEY,
    "imgproxy": f"{IMGPROXY_KEY}:{IMGPROXY_SALT}",
    "next": None,
    "cloudflare": CLOUDFLARE_KEY,
    "cloudinary": CLOUDINARY_SECRET,
    "imgix": IMGIX_TOKEN,
    "imagekit": IMAGEKIT_KEY,
}

REFUSED = {
    "thumbor": 400,
    "imgproxy": 403,
    "cloudflare": 403,
    "cloudinary": 401,
    "imgix": 403,
    "imagekit": 401,
}
"""The status for a wrong signature."""


def described(reply: Reply) -> tuple[int, str, list[int]]:
    """Status, type and size."""
    if not reply.is_picture:
        return reply.status, reply.content_type, []
    image = samples(reply.body)
    return reply.status, reply.content_type, [image.width, image.height]


SIGNED_LAST = frozenset({"imgix", "imagekit"})
"""Dialects whose signature is the end of the URL."""


def changed(dialect: str, url: str) -> str:
    """The URL with another character of its signature, or of the path that is signed."""
    at = url.find("s--") + len("s--") if "/s--" in url else len(url) - 1 if dialect in SIGNED_LAST else 1
    return f"{url[:at]}{'B' if url[at] == 'A' else 'A'}{url[at + 1 :]}"


@pytest.mark.parametrize("dialect", [dialect for dialect in KEYS if takes(dialect)])
def test_what_the_clients_write_is_answered(dialect: str, node: StartNode) -> None:
    url = node(dialect, KEYS[dialect])
    wrong: dict[str, object] = {}
    with closing(Server(url)) as others, closing(Server(url, SIGNED)) as signed:
        for row in (row for row in ROWS if row["dialect"] == dialect):
            expected = 200, row["type"], row["size"]
            answer = described((signed if row["signed"] else others).ask(row["url"]))
            if answer != expected:
                wrong[f"{row['client']}: {row['url']}"] = answer, expected
            if (
                row["signed"]
                and (status := signed.ask(changed(dialect, row["url"])).status) != REFUSED[dialect]
            ):
                wrong[f"{row['client']}, changed: {changed(dialect, row['url'])}"] = status
    assert wrong == {}
