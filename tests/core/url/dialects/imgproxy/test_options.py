"""The table of imgproxy's options: aliases, arguments, and what the documents report of each."""

from collections import Counter

import pytest

from proxy.core.errors import BadTransform
from proxy.core.url.dialects.dialect import Reading, Support
from proxy.core.url.dialects.imgproxy.options import BY_NAME, DOCUMENTED, OPTIONS, Option
from proxy.core.url.dialects.imgproxy.urls import parse
from proxy.core.url.dialects.native.urls import parse_tokens
from proxy.core.url.parsed_url import ParsedUrl

READING = Reading(presets={"card": parse_tokens("w_300,h_200,c_fill", {}).components})

VALID = {
    "resize": "fill:300:200:1:1:so:0:10",
    "size": "300:200:1:1:no:1:2",
    "resizing_type": "force",
    "zoom": "2:3",
    "dpr": "1.5",
    "gravity": "fp:0.3:0.7",
    "crop": "0.5:200:nowe:1:2",
    "trim": "10:ff00ff:1:0",
    "padding": "1:2:3:4",
    "auto_rotate": "0",
    "rotate": "270",
    "flip": "1:1",
    "background": "255:0:10",
    "blur": "2",
    "sharpen": "2",
    "pixelate": "9",
    "watermark": "0:ce:0:0:1",
    "extend": "1:soea:5:5",
    "extend_aspect_ratio": "1:no",
    "strip_metadata": "1",
    "keep_copyright": "1",
    "strip_color_profile": "1",
    "preserve_hdr": "0",
    "enforce_thumbnail": "0",
    "quality": "70",
    "format_quality": "webp:70:jpeg:60:jxl:50",
    "format": "avif",
    "skip_processing": "gif:svg",
    "cachebuster": "a b",
    "filename": "name",
    "preset": "card",
}
"""By name, arguments that an option takes; the others take 1."""

DONE = [option for option in OPTIONS if option.read is not None]


def read(option: str) -> ParsedUrl:
    return parse(f"/_/rs:fit:640:480/{option}/plain/a.png", READING)


@pytest.mark.parametrize("option", DONE, ids=lambda option: option.names[0])
def test_every_alias_is_the_same(option: Option) -> None:
    arguments = VALID.get(option.names[0], "1")
    made = [read(f"{name}:{arguments}") for name in option.names]
    assert made == [made[0]] * len(option.names)


@pytest.mark.parametrize("option", DONE, ids=lambda option: option.names[0])
def test_too_many_arguments(option: Option) -> None:
    for name in option.names:
        with pytest.raises(BadTransform, match=f"^option {name} takes {option.at_most} arguments at most$"):
            read(f"{name}:{':'.join(['1'] * (option.at_most + 1))}")


@pytest.mark.parametrize("option", DONE, ids=lambda option: option.names[0])
def test_errors_name_the_option_and_repeat_nothing(option: Option) -> None:
    for name in option.names:
        for wrong in ("<&>", "nan", "1e999", "-7", ""):
            try:
                read(f"{name}:{wrong}")
            except BadTransform as failure:
                assert failure.detail.startswith(f"option {name} ")
                assert "<&>" not in failure.detail


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.read is None], ids=lambda o: o.names[0]
)
def test_unsupported_ones_are_refused(option: Option) -> None:
    for name in option.names:
        with pytest.raises(BadTransform, match=f"^option {name} "):
            read(f"{name}:1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("", "must be a decimal number"),
        ("2", "takes an opacity from 0 to 1"),
        ("1:up", "takes one of ce, "),
        ("1:re:x", "must be a decimal number"),
        ("0.5:re:1:2:3", "is not supported: the node has no watermark"),
    ],
)
def test_the_arguments_of_a_watermark_are_read(arguments: str, says: str) -> None:
    with pytest.raises(BadTransform, match=f"^option wm {says}"):
        read(f"wm:{arguments}")


def test_names_are_unique() -> None:
    assert [
        name for name, times in Counter(name for each in OPTIONS for name in each.names).items() if times > 1
    ] == []
    assert len(BY_NAME) == sum(len(option.names) for option in OPTIONS)


def test_the_documents_have_every_option() -> None:
    assert [row.names for row in DOCUMENTED] == [option.names for option in OPTIONS]
    for row, option in zip(DOCUMENTED, OPTIONS, strict=True):
        assert (row.support is Support.REFUSED) is (option.read is None or "watermark" in row.names)
        assert row.note or row.support is Support.DONE
