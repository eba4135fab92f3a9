"""Why a node is not ready, in the words of /readyz."""

from collections.abc import Mapping
from enum import Enum, Flag, auto


class Phase(Enum):
    """A node serves from the moment at which its public listener accepts until it begins to drain."""

    STARTING = auto()
    SERVING = auto()
    STOPPING = auto()


class MissingParts(Flag):
    """The parts that a front or a back is without: purges that happened while the node was down, running workers, or
    an answer to its supervisor."""

    NOTHING = 0
    PURGES = auto()
    WORKERS = auto()
    ANSWER = auto()


_TEXTS = {MissingParts.ANSWER: "{} does not answer", MissingParts.WORKERS: "no render process is up"}


def reasons(phase: Phase, halves: Mapping[str, MissingParts]) -> list[str]:
    """The reasons for which a node in `phase` is not ready; empty if it is ready. `halves` are its front and back
    processes by name. A back that is replaced while Redis is down does not stop the node from serving."""
    match phase:
        case Phase.STARTING if any(MissingParts.PURGES in missing for missing in halves.values()):
            return ["not all purges are known yet: redis.url cannot be reached"]
        case Phase.STARTING:
            return ["it is starting"]
        case Phase.SERVING:
            return [
                text.format(name)
                for name, missing in halves.items()
                for part, text in _TEXTS.items()
                if part in missing
            ]
        case Phase.STOPPING:
            return ["it is stopping"]
