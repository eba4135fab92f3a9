"""The composed pages of an animation as separate images, so that no operation works across pages."""

from collections.abc import Iterator
from itertools import islice

import pyvips

from proxy.core.image import gif

_OF_THE_STRIP = ("page-height", "n-pages")


def pages_of(content: bytes, canvas: gif.Stream | None, count: int | None) -> Iterator[pyvips.Image]:
    """The first `count` pages, or all, in memory and in order. The frames of a GIF with a `canvas` are composed here,
    because libvips composes them differently. Every page has the delays and the loop count of the animation."""
    loaded = -1 if count is None else min(count, pyvips.Image.new_from_buffer(content, "").get_n_pages())
    strip = pyvips.Image.new_from_buffer(content, f"[n={loaded},fail_on=error]", access="sequential")
    height = strip.get_page_height()
    drawn = _on_canvas(content, canvas, strip.width, height) if canvas else _cut(strip, height)
    for page in islice(drawn, count):
        alone = page.copy()
        for field in strip.get_fields():
            if field in ("delay", "loop"):
                alone.set_type(strip.get_typeof(field), field, strip.get(field))
        for field in _OF_THE_STRIP:
            if field in alone.get_fields():
                alone.remove(field)
        yield alone


def _cut(strip: pyvips.Image, height: int) -> Iterator[pyvips.Image]:
    for top in range(0, strip.height, height):
        yield strip.crop(0, top, strip.width, height).copy_memory()


def _on_canvas(content: bytes, stream: gif.Stream, width: int, height: int) -> Iterator[pyvips.Image]:
    """Composes frames by their disposal method (GIF89a 23.c.iv) on a canvas that starts transparent."""
    canvas = pyvips.Image.black(width, height, bands=4).copy(interpretation="srgb")
    for frame in stream.frames:
        shown, room = canvas, None
        across, down = min(frame.width, width - frame.left), min(frame.height, height - frame.top)
        if across > 0 and down > 0:
            room = frame.left, frame.top, across, down
            alone = pyvips.Image.new_from_buffer(stream.alone(content, frame), "[fail_on=error]").colourspace(
                "srgb"
            )
            alone = (alone if alone.hasalpha() else alone.addalpha()).crop(0, 0, across, down)
            alone = (alone[3] > 0).ifthenelse(alone, canvas.crop(*room))
            shown = canvas.insert(alone, frame.left, frame.top).copy_memory()
        yield shown
        if frame.disposal == gif.TO_BACKGROUND and room:
            canvas = shown.insert(
                pyvips.Image.black(across, down, bands=4), frame.left, frame.top
            ).copy_memory()
        elif frame.disposal not in gif.TO_PREVIOUS:
            canvas = shown
