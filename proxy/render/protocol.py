"""Messages between the pool and a worker over their private socket: one job, one answer.

The pool pickles a job. An answer, which comes from a process that decodes untrusted pictures, is parsed only as typed
JSON and raw bytes, up to a size limit.
"""

import struct
from typing import Literal

import msgspec

from proxy.core.image.faces import Faces
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.limits import InputLimits
from proxy.core.transform.plan import Plan

JOB_HEAD = struct.Struct(">I")
ANSWER_HEAD = struct.Struct(">IQ")
MAX_TEXT_BYTES = 64 * 1024
MAX_BODY_BYTES = 512 * 2**20


class Job(msgspec.Struct, frozen=True):
    """`plan` is None for a probe, which in a worker that finds faces is a search for them. The original `original` is sent
    as a file descriptor of `size_bytes` bytes. `keep_decoded`: more jobs for this original are waiting. The answer
    repeats `number`."""

    number: int
    original: str
    keep_decoded: bool
    plan: Plan | None
    limits: InputLimits
    size_bytes: int
    timeout_s: float


class Hello(msgspec.Struct, frozen=True):
    """The first message of a ready worker. `missing` names sandbox parts that this machine does not support."""

    libvips: tuple[int, int, int]
    formats: list[Format]
    missing: list[str] = []


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`slug` is empty on success. The bytes of a variant follow the text; a probe answers facts, a search for faces both
    facts and faces."""

    number: int = 0
    slug: Literal["", "unsupported-format", "original-too-large", "undecodable", "internal"] = ""
    detail: str = ""
    facts: Facts | None = None
    faces: Faces | None = None
