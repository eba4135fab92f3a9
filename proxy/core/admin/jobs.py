"""Pre-generation: what a job is to make, and what is said of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.cache.variant_request import VariantRequest
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Auto, Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class PregenerationSpec:
    """Transforms, spelled as in a path URL, for originals of a mount: those with these keys, or all whose keys begin
    with `prefix`."""

    mount: str
    transforms: tuple[str, ...]
    keys: tuple[str, ...] = ()
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A variant that could not be made, and why: a slug of the errors, and its sentence. `format` is the one that was
    to be made; empty where that depends on the original."""

    key: str
    transform: str
    slug: str
    detail: str
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """How far a job is, in variants; `total` grows while originals are still being listed. `state` is running, done or
    cancelled."""

    id: str
    state: str
    total: int
    done: int
    skipped: int
    failed: int
    failures: tuple[JobFailure, ...] = ()


class PregenerationTask(NamedTuple):
    """One original of a job, and which transforms of it are to be made."""

    job: int
    number: int
    mount: str
    key: str
    transforms: tuple[str, ...]


class PregenerationListing(NamedTuple):
    """A job whose originals are still to be listed."""

    job: int
    mount: str
    transforms: tuple[str, ...]
    prefix: str


def requests_of(
    ref: OriginalRef, transform: Transform, auto: tuple[Format, ...], max_side_px: int
) -> Iterator[VariantRequest]:
    """What clients may get for `asked`: one variant, or where it is negotiated one for each format of `auto`."""
    if transform.format is not Auto.AUTO:
        yield VariantRequest(ref, transform, frozenset(), max_side_px)
        return
    for kind in auto:
        yield VariantRequest(ref, transform, frozenset({kind} - {Format.JPEG}), max_side_px)


def format_of(request: VariantRequest) -> str:
    """The format that `wanted` names; empty where it is the original's own."""
    if request.transform.format is Auto.AUTO:
        return next(iter(request.accepted), Format.JPEG).value
    return "" if request.transform.format is None else request.transform.format.value


def variants_of(transform: Transform, auto: tuple[Format, ...]) -> int:
    """How many `every` gives."""
    return len(auto) if transform.format is Auto.AUTO else 1
