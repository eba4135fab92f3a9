"""Which differences of two responses count, and their order and sum."""

import msgspec
import pytest

from proxy.core.comparing.comparison import (
    Compared,
    Kind,
    Side,
    Tolerance,
    differences,
    severity,
    summary,
)

DEFAULTS = Tolerance()
PICTURE = Side(status=200, format="jpeg", size_bytes=20_000, width_px=300, height_px=200, frames=1)
REFUSED = Side(status=404, format="application/json", size_bytes=90)
NONE = Side(fault="it did not answer in time")
SVG = Side(status=200, format="image/svg+xml", size_bytes=900)


def changed(**changes: object) -> Side:
    return msgspec.structs.replace(PICTURE, **changes)


def pair(
    ours: Side, theirs: Side = PICTURE, difference: float | None = 1.0, reason: str = "", target: str = "/a"
) -> Compared:
    return Compared(target=target, ours=ours, theirs=theirs, difference=difference, reason=reason)


def texts(compared: Compared, tolerance: Tolerance = DEFAULTS) -> list[str]:
    return [each.text for each in differences(compared, tolerance)]


@pytest.mark.parametrize(
    ("compared", "expected"),
    [
        (pair(PICTURE), []),
        (pair(PICTURE, difference=5.0), []),
        (pair(PICTURE, difference=5.1), ["pictures differ by 5.1 %"]),
        (pair(changed(width_px=301)), ["size 301x200 instead of 300x200"]),
        (pair(changed(frames=12)), ["size 300x200, 12 frames instead of 300x200"]),
        (pair(changed(format="webp")), ["format webp instead of jpeg"]),
        (pair(changed(size_bytes=30_000)), []),
        (pair(changed(size_bytes=30_001)), ["30,001 bytes instead of 20,000"]),
        (pair(changed(size_bytes=1)), []),
        (pair(changed(size_bytes=1100), changed(size_bytes=80)), []),
        (pair(REFUSED, difference=None), ["status 404 instead of 200"]),
        (
            pair(msgspec.structs.replace(REFUSED, message="no original"), difference=None),
            ["status 404 instead of 200: no original"],
        ),
        (pair(REFUSED, msgspec.structs.replace(REFUSED, format="text/plain"), difference=None), []),
        (pair(NONE, difference=None), ["node: it did not answer in time"]),
        (
            pair(NONE, NONE, difference=None),
            ["node: it did not answer in time; vendor: it did not answer in time"],
        ),
        (pair(SVG, SVG, difference=0.0), []),
        (
            pair(SVG, difference=None, reason="node: no picture"),
            ["format image/svg+xml instead of jpeg", "pictures not compared: node: no picture"],
        ),
        (
            pair(changed(format=""), difference=None, reason="r"),
            ["format unknown instead of jpeg", "pictures not compared: r"],
        ),
    ],
)
def test_differences_that_count(compared: Compared, expected: list[str]) -> None:
    assert texts(compared) == expected


def test_tolerances_and_ignored_kinds() -> None:
    compared = pair(changed(format="webp", size_bytes=40_000), difference=12.0)
    assert len(texts(compared)) == 3
    assert texts(compared, Tolerance(difference=12, growth=100)) == ["format webp instead of jpeg"]
    ignoring = Tolerance(ignored=frozenset({Kind.FORMAT, Kind.PICTURE, Kind.BYTES}))
    assert texts(compared, ignoring) == []


def test_the_worst_is_first() -> None:
    ordered = [
        pair(REFUSED, difference=None),
        pair(SVG, difference=None),
        pair(PICTURE, difference=60.0),
        pair(changed(width_px=301), difference=7.0),
        pair(PICTURE, difference=6.0),
        pair(changed(width_px=301), difference=0.0),
        pair(PICTURE, difference=4.0),
        pair(PICTURE, difference=0.0),
    ]
    keys = [severity(each, differences(each, Tolerance())) for each in ordered]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    both_refused = pair(REFUSED, REFUSED, difference=None)
    assert severity(both_refused, []) == severity(pair(PICTURE, difference=0.0), [])


def test_the_sum_of_all_pairs() -> None:
    pairs = [pair(changed(size_bytes=10_000), difference=float(number)) for number in range(1, 11)]
    pairs += [pair(NONE, difference=None), pair(SVG, SVG, difference=0.0)]
    found = summary(pairs, Tolerance(difference=8))
    assert (found.urls, found.differ, found.pictures) == (12, 3, 10)
    assert {name: count for name, count in found.kinds.items() if count} == {"unanswered": 1, "picture": 2}
    assert (found.our_bytes, found.their_bytes) == (100_000, 200_000)
    assert (found.median, found.percentile_95, found.largest) == (5.0, 10.0, 10.0)
    nothing = summary([], Tolerance())
    assert (nothing.urls, nothing.median, nothing.largest) == (0, None, None)
