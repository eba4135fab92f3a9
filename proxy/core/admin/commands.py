"""Commands of the operations API, as values that pass from the admin listener to the process that runs them."""

import re
import unicodedata
from dataclasses import dataclass

from proxy.core.image.formats import TRAITS, Format

_LONGEST_NAME_BYTES = 150
_DASHES = re.compile(r"-{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Stores an original under a new key that ends with `name`, or under `key`. An existing `key` is replaced only
    with `overwrite`. `once` is the Idempotency-Key. An empty text means not given."""

    mount: str
    name: str
    once: str
    key: str = ""
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """Generates variants of `keys`, or of all keys that begin with `prefix`."""

    mount: str
    keys: tuple[str, ...] = ()
    prefix: str | None = None
    presets: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The progress of a job; of all jobs without an id."""

    id: str = ""


@dataclass(frozen=True, slots=True)
class RetryJob:
    """Runs the failed variants of a job again."""

    id: str


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Stops a job."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeCommand:
    """Exactly one of `original`, `prefix`, `url`, `preset` and `all` is given."""

    mount: str
    original: str | None = None
    prefix: str | None = None
    url: str | None = None
    preset: str | None = None
    all: bool = False


@dataclass(frozen=True, slots=True)
class S3Notification:
    """The body of a notification of an object store, unparsed."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Explain:
    """Explains a URL for a client that sends `accept`."""

    url: str
    accept: str


@dataclass(frozen=True, slots=True)
class RecordUsage:
    """Cache keys that a front process served to clients."""

    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class ListOriginals:
    """At most `most` existing originals, each with its mount; shown when a node starts."""

    most: int


AdminCommand = (
    Upload
    | Warm
    | JobStatus
    | RetryJob
    | CancelJob
    | PurgeCommand
    | S3Notification
    | Explain
    | RecordUsage
    | ListOriginals
)


def safe_name(name: str, kind: Format) -> str:
    """A file name for an original of format `kind` that is valid in a URL, a bucket and a directory. Letters of every
    script remain, in NFC."""
    plain = unicodedata.normalize("NFC", name.rpartition("/")[2].rpartition("\\")[2])
    safe = "".join(each if unicodedata.category(each)[0] in "LMN" or each in "._-" else "-" for each in plain)
    stem, dot, suffix = _DASHES.sub("-", safe).rpartition(".")
    stem, suffix = (stem, suffix) if dot else (suffix, "")
    fits = suffix.lower() in ({TRAITS[kind].suffix} | ({"jpeg"} if kind is Format.JPEG else set()))
    stem = (stem if fits or not suffix else f"{stem}-{suffix}").strip("-.")
    stem = stem.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore").strip("-.")
    return f"{stem or 'original'}.{suffix if fits else TRAITS[kind].suffix}"
