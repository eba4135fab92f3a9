"""The backgrounds that are made of the picture, in the words of each vendor that has them."""

import pytest

from proxy.core.transform.operations import Backdrop, Extend, Pad, Resize
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.parsed_url import VariantUrl


@pytest.mark.parametrize(
    ("dialect", "target", "expected"),
    [
        ("native", "/w_90,h_90,c_pad,b_blurred/a.jpg", Backdrop.BLURRED),
        ("native", "/ext_90x90,b_dominant/a.jpg", Backdrop.DOMINANT),
        ("native", "/pad_9,b_edges/a.jpg", Backdrop.EDGES),
        ("native", "/ext_90x90:edges/a.jpg", Backdrop.EDGES),
        ("cloudinary", "/image/upload/c_pad,w_90,h_90,b_blurred/a.jpg", Backdrop.BLURRED),
        ("cloudinary", "/image/upload/c_pad,ar_1:1,b_auto/a.jpg", Backdrop.DOMINANT),
        ("cloudinary", "/image/upload/c_lpad,w_90,h_90,b_auto:predominant/a.jpg", Backdrop.DOMINANT),
        ("imgix", "/a.jpg?w=90&h=90&fit=fill&fill=blur", Backdrop.BLURRED),
        ("imgix", "/a.jpg?w=90&h=90&fit=fillmax&fill=blur", Backdrop.BLURRED),
        ("imgix", "/a.jpg?w=90&h=90&fit=clamp", Backdrop.EDGES),
        ("imagekit", "/tr:w-90,h-90,cm-pad_resize,bg-blurred/a.jpg", Backdrop.BLURRED),
        ("imagekit", "/tr:w-90,h-90,cm-pad_extract,bg-dominant/a.jpg", Backdrop.DOMINANT),
        ("thumbor", "/unsafe/fit-in/90x90/filters:fill(blur)/a.jpg", Backdrop.BLURRED),
        ("thumbor", "/unsafe/fit-in/90x90/filters:fill(auto)/a.jpg", Backdrop.DOMINANT),
    ],
)
def test_a_background_may_be_made_of_the_picture(dialect: str, target: str, expected: Backdrop) -> None:
    parsed = DIALECTS[dialect].parse(target, Reading(presets={}))
    assert isinstance(parsed, VariantUrl)
    found = [op.background for op in parsed.transform.ops if isinstance(op, Resize | Extend | Pad)]
    assert found[-1] is expected
    assert parsed.transform.background is None
