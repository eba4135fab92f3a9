"""What an admin may ask of a node, as values: they pass from the admin listener to the process that does it."""

import re
import unicodedata
from dataclasses import dataclass

from proxy.core.image.formats import TRAITS, Format

_LONGEST_NAME_BYTES = 150
_DASHES = re.compile(r"-{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Store the original that comes beside this, under a new key that ends with `name`, or under `key`, which may be
    there only where it is to `overwrite`. `once` is what a client calls this upload, so that a second try of it is known.
    Empty is none."""

    mount: str
    name: str
    once: str
    key: str = ""
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """Make variants before they are asked for; by `keys`, or all that begin with `prefix`."""

    mount: str
    keys: tuple[str, ...] = ()
    prefix: str | None = None
    presets: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job is; of all jobs, where there is no id."""

    id: str = ""


@dataclass(frozen=True, slots=True)
class RetryJob:
    """Run what failed of a job once more."""

    id: str


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Make nothing more of a job."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeCommand:
    """Exactly one of these is given, or `all`."""

    mount: str
    original: str | None = None
    prefix: str | None = None
    url: str | None = None
    preset: str | None = None
    all: bool = False


@dataclass(frozen=True, slots=True)
class S3Notification:
    """A notification of a store, as it came."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Explain:
    """What a URL means, for a client that accepts this."""

    url: str
    accept: str


@dataclass(frozen=True, slots=True)
class RecordUsage:
    """Variants that clients have asked for, by their keys; from a process that answers."""

    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class ListOriginals:
    """So many originals that are there, each with its mount: what a node shows at its start."""

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
    """A name for an original of that kind which means the same in a URL, a bucket and a directory. Letters of every
    script stay, in their composed form."""
    plain = unicodedata.normalize("NFC", name.rpartition("/")[2].rpartition("\\")[2])
    safe = "".join(each if unicodedata.category(each)[0] in "LMN" or each in "._-" else "-" for each in plain)
    stem, dot, suffix = _DASHES.sub("-", safe).rpartition(".")
    stem, suffix = (stem, suffix) if dot else (suffix, "")
    fits = suffix.lower() in ({TRAITS[kind].suffix} | ({"jpeg"} if kind is Format.JPEG else set()))
    stem = (stem if fits or not suffix else f"{stem}-{suffix}").strip("-.")
    stem = stem.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore").strip("-.")
    return f"{stem or 'original'}.{suffix if fits else TRAITS[kind].suffix}"
