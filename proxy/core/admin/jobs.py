"""Pre-generation: what a job generates, and its progress."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.cache.variant_request import VariantRequest
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Auto, Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class PregenerationSpec:
    """Transforms, written as in a path URL, for originals of a mount: those of `keys`, or all whose keys begin with
    `prefix`."""

    mount: str
    transforms: tuple[str, ...]
    keys: tuple[str, ...] = ()
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A variant that failed, with the slug and the detail of the error. `format` is the output format; empty if it
    depends on the original."""

    key: str
    transform: str
    slug: str
    detail: str
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """Counts variants; `total` grows while originals are being listed. `state` is running, done or cancelled."""

    id: str
    state: str
    total: int
    done: int
    skipped: int
    failed: int
    failures: tuple[JobFailure, ...] = ()


class PregenerationTask(NamedTuple):
    """One original of a job and the transforms to generate."""

    job: int
    number: int
    mount: str
    key: str
    transforms: tuple[str, ...]


class PregenerationListing(NamedTuple):
    """A job whose originals are not listed yet."""

    job: int
    mount: str
    transforms: tuple[str, ...]
    prefix: str


def requests_of(
    candidates: Sequence[OriginalRef], transform: Transform, auto: tuple[Format, ...], max_side_px: int
) -> Iterator[VariantRequest]:
    """The variants that clients may get for `transform` of the first candidate that exists: one, or with `f_auto` one for
    each format of `auto`."""
    ref, *alternatives = candidates
    accepted = [frozenset({kind} - {Format.JPEG}) for kind in auto]
    for each in accepted if transform.format is Auto.AUTO else [frozenset[Format]()]:
        yield VariantRequest(ref, transform, each, max_side_px, tuple(alternatives))


def format_of(request: VariantRequest) -> str:
    """The output format of `request`; empty if it depends on the original."""
    if request.transform.format is Auto.AUTO:
        return next(iter(request.accepted), Format.JPEG).value
    return request.transform.format.value if isinstance(request.transform.format, Format) else ""


def variants_of(transform: Transform, auto: tuple[Format, ...]) -> int:
    """How many requests `requests_of` gives."""
    return len(auto) if transform.format is Auto.AUTO else 1
