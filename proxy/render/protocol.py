"""What the node and a worker say to each other over their private socket: one job, one answer.

The node pickles what it sends; what comes back from a process that decodes strangers' pictures is only ever
parsed as typed JSON and raw bytes, within a bound.
"""

import struct
from typing import Literal

import msgspec

from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.limits import InputLimits
from proxy.core.transform.plan import Plan

JOB_HEAD = struct.Struct(">I")
ANSWER_HEAD = struct.Struct(">IQ")
MAX_TEXT_BYTES = 64 * 1024
MAX_BODY_BYTES = 512 * 2**20


class Job(msgspec.Struct, frozen=True):
    """`plan` is None for a probe. The original comes beside it as a descriptor of `size_bytes`, and is called `original`;
    `keep` says that there is more to do with it. `number` stands in the answer."""

    number: int
    original: str
    keep_decoded: bool
    plan: Plan | None
    limits: InputLimits
    size_bytes: int
    timeout_s: float


class Hello(msgspec.Struct, frozen=True):
    """The first answer of a worker, unasked, once it is ready; `missing` are the parts of its sandbox that the machine
    does not give, in words for the owner."""

    libvips: tuple[int, int, int]
    formats: list[Format]
    missing: list[str] = []


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`slug` is empty on success; a variant's bytes follow the text."""

    number: int = 0
    slug: Literal["", "unsupported-format", "original-too-large", "undecodable", "internal"] = ""
    detail: str = ""
    facts: Facts | None = None
