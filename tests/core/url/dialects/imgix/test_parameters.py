"""The table of imgix's parameters against the one that imgix publishes."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.core.errors import BadTransform, UnsupportedFormat
from proxy.core.url.dialects.dialect import Reading, Support, Unsupported
from proxy.core.url.dialects.imgix.parameters import BY_NAME, CROP_OF_SIDE, DOCUMENTED, PARAMETERS, QUIET
from proxy.core.url.dialects.imgix.urls import parse
from proxy.core.url.parsed_url import InfoUrl, VariantUrl

PUBLISHED: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("imgix_url_params.json").read_text()
)["parameters"]
IGNORING = Reading(presets={}, unsupported=Unsupported.IGNORE)


def test_every_published_name_and_alias_is_known() -> None:
    missing = {
        name: published
        for published, about in PUBLISHED.items()
        if published not in ("auto", *QUIET)
        for name in (published, *about.get("aliases", ()))
        if name not in BY_NAME or BY_NAME[name].names[0] != published
    }
    assert missing == {}


def test_no_name_has_two_rows() -> None:
    names = [name for parameter in PARAMETERS for name in parameter.names]
    assert sorted(names) == sorted(BY_NAME)
    assert len(DOCUMENTED) == len(PARAMETERS)


VALUES = [(name, value) for name, about in PUBLISHED.items() for value in about.get("values", ())]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_no_published_value_is_taken_for_a_mistake(name: str, value: str) -> None:
    try:
        parsed = parse(f"/a.jpg?fit=crop&trim=color&{name}={value}", IGNORING)
    except (BadTransform, UnsupportedFormat) as failure:
        assert "not supported" in failure.detail or "does not write" in failure.detail
    else:
        reasons = [each.reason for each in parsed.unused] if isinstance(parsed, VariantUrl) else []
        assert not any("must be" in reason or "no such" in reason for reason in reasons)


LIMITS = [
    (name, limit)
    for name, about in PUBLISHED.items()
    if (name in BY_NAME and BY_NAME[name].support in (Support.DONE, Support.APPROXIMATED))
    for limits in about.get("ranges", ())
    for limit in limits
    if limit is not None
]


@pytest.mark.parametrize(("name", "limit"), [each for each in LIMITS if each[0] not in ("rect", "ar")])
def test_published_limits_are_within_the_range(name: str, limit: float) -> None:
    needs = BY_NAME[name].needs
    before = "&".join(
        {
            CROP_OF_SIDE: "w=9&fit=crop",
            "crop=focalpoint": "fit=crop&crop=focalpoint",
            "usm": "usm=10",
            "palette": "palette=css",
            "duotone": "duotone=000,fff",
            "mark": "mark=a.png",
            "txt": "txt=a",
            "txt-line": "txt=a&txt-line=2",
            "blend": "blend=red",
        }.get(need, need)
        for need in needs[:1]
    )
    try:
        parsed = parse(f"/a.jpg?{before}&{name}={limit}", IGNORING)
    except BadTransform as failure:
        assert "not supported" in failure.detail
        return
    if isinstance(parsed, InfoUrl):
        return
    # 0 is no length and no quality, a dpr of 0 shows nothing, and usm below 0 does not sharpen.
    no_length = ("w", "h", "q", "dpr", "mark-w", "mark-h", "txt-size", "txt-width")
    least = [0] if name in no_length else [-100] if name == "usm" else []
    named = {each.parameter for each in (*parsed.unused, *parsed.reduced)}
    assert name not in named or limit in least
