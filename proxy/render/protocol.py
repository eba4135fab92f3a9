"""Messages between the pool and a worker over their private socket: one job, one answer.

The pool pickles a job. An answer, which comes from a process that decodes untrusted pictures, is parsed only as typed
JSON and raw bytes, up to a size limit.
"""

import struct
from typing import Annotated, Literal

import msgspec

from proxy.core.image.faces import Faces
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.limits import InputLimits
from proxy.core.transform.operations import Text
from proxy.core.transform.plan import Plan

JOB_HEAD = struct.Struct(">I")
ANSWER_HEAD = struct.Struct(">IQ")
MAX_TEXT_BYTES = 64 * 1024
MAX_BODY_BYTES = 512 * 2**20
MAX_ORIGINALS = 16
"""Originals of one job; the sandbox limits the open files of a worker."""
MAX_REDUCTIONS = 2
MAX_REDUCTION_BYTES = 8 * 2**20
MAX_REDUCTION_TEXT_BYTES = 32 * 1024
MAX_DESCRIPTORS = MAX_ORIGINALS + MAX_REDUCTIONS + 1


class Job(msgspec.Struct, frozen=True):
    """`plan` is None for a probe, which in a worker that finds faces is a search for them, and for a comparison of two
    originals. A job with a `text` draws that, and has no original. `originals` are the names and sizes in bytes of the
    originals, whose file descriptors are sent with the job; those of `reductions` follow, each with the text that a worker
    described it with and its size in bytes, and with `leaves_reduction` an empty file for another one. `keep_decoded`: more
    jobs for the first original are waiting. The answer repeats `number`."""

    number: int
    originals: tuple[tuple[str, int], ...]
    keep_decoded: bool
    plan: Plan | None
    limits: InputLimits
    timeout_s: float
    reductions: tuple[tuple[bytes, int], ...] = ()
    leaves_reduction: bool = False
    text: Text | None = None

    @property
    def compares(self) -> bool:
        """Whether the visual difference of two originals is measured."""
        return self.plan is None and len(self.originals) == 2


class Hello(msgspec.Struct, frozen=True):
    """The first message of a ready worker. `missing` names sandbox parts that this machine does not support."""

    libvips: tuple[int, int, int]
    formats: list[Format]
    missing: list[str] = []


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`slug` is empty on success; otherwise `original` is the position of the original at fault. The bytes of a variant
    or of a drawn text follow; a probe answers facts, a search for faces both facts and faces, a comparison the difference in
    percent. `reduction` describes what was written into the job's empty file, in words of workers."""

    number: int = 0
    slug: Literal[
        "", "unsupported-format", "original-too-large", "undecodable", "internal", "bad-transform"
    ] = ""
    detail: str = ""
    original: int = 0
    facts: Facts | None = None
    faces: Faces | None = None
    difference: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    reduction: bytes = b""
