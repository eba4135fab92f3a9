"""Why a node is not ready, by its phase and by what its halves are without."""

import pytest

from proxy.node.readiness import MissingParts, Phase, reasons

NOTHING, PURGES, WORKERS, ANSWER = (
    MissingParts.NOTHING,
    MissingParts.PURGES,
    MissingParts.WORKERS,
    MissingParts.ANSWER,
)
UNKNOWN_PURGES = "not all purges are known yet: redis.url cannot be reached"


@pytest.mark.parametrize(
    ("phase", "halves", "expected"),
    [
        (Phase.STARTING, {}, ["it is starting"]),
        (Phase.STARTING, {"back": ANSWER, "front 1": ANSWER}, ["it is starting"]),
        (Phase.STARTING, {"back": PURGES, "front 1": ANSWER}, [UNKNOWN_PURGES]),
        (Phase.STARTING, {"back": PURGES | WORKERS}, [UNKNOWN_PURGES]),
        (Phase.SERVING, {"back": NOTHING, "front 1": NOTHING}, []),
        (Phase.SERVING, {"back": WORKERS, "front 1": NOTHING}, ["no render process is up"]),
        (Phase.SERVING, {"back": ANSWER, "front 1": NOTHING}, ["back does not answer"]),
        (
            Phase.SERVING,
            {"back": WORKERS, "front 1": ANSWER},
            ["no render process is up", "front 1 does not answer"],
        ),
        (Phase.SERVING, {"back": PURGES}, []),
        (Phase.SERVING, {"back": PURGES | WORKERS}, ["no render process is up"]),
        (Phase.STOPPING, {}, ["it is stopping"]),
        (Phase.STOPPING, {"back": PURGES | WORKERS | ANSWER}, ["it is stopping"]),
    ],
)
def test_reasons(phase: Phase, halves: dict[str, MissingParts], expected: list[str]) -> None:
    assert reasons(phase, halves) == expected
