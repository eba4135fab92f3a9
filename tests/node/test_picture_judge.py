"""The workers that read pictures of other servers."""

import pytest

from proxy.config.settings import load
from proxy.core.errors import OriginalTooLarge, UnsupportedFormat
from proxy.node import factory
from proxy.node.picture_judge import THUMBNAIL_PX, open_judge
from tests.support import pictures
from tests.support.waiting import LONGEST_S

PICTURE = pictures.photo_as("jpeg")


async def test_pictures_are_read_compared_and_reduced() -> None:
    settings = factory.one_worker(load(None, {"render": {"timeout": f"{LONGEST_S:.0f}s"}}))
    async with open_judge(settings) as (judge, unsandboxed):
        assert "fully" in unsandboxed or not unsandboxed
        facts = await judge.facts(PICTURE)
        assert (facts.width_px, facts.height_px) == (640, 480)
        assert await judge.difference(PICTURE, PICTURE) == 0
        assert await judge.difference(PICTURE, pictures.quarters_as("png", 640, 480)) > 20
        assert pictures.size(await judge.thumbnail(PICTURE)) == (THUMBNAIL_PX, 180)
        assert pictures.size(await judge.thumbnail(pictures.film_as("gif"))) == (60, 40)
        with pytest.raises(UnsupportedFormat):
            await judge.facts(b"<svg/>")
        with pytest.raises(OriginalTooLarge):
            await judge.facts(pictures.png_of(60_000, 60_000))
