"""The fields of `/info/`, and the EXIF entries that it may include."""

import encodings.latin_1
import encodings.utf_16_be  # noqa: F401 (the sandbox of a worker forbids to load them later)
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from proxy.core.image.exif import Exif

FIELDS = (
    *("width", "height", "format", "bytes", "pages", "orientation", "alpha", "profile", "exif", "etag"),
    *("thumbhash", "blurhash", "dominant", "palette"),
)
_MAX_ENTRIES = 64
_MAX_VALUE_LENGTH = 200
_EXIF = re.compile(r"exif-ifd([0-4])-([A-Za-z0-9]{1,64})")
_LOCATION, _THUMBNAIL = "3", "1"
_VIPS_VALUE = re.compile(r"(.*), [A-Za-z0-9 ]+, [0-9]+ components, [0-9]+ bytes\)", re.DOTALL)
_OPAQUE = frozenset(
    {"MakerNote", "PrintImageMatching", "Padding", "OffsetSchema", "XMLPacket", "InterColorProfile"}
)
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no field of metadata should have."""
_DEFAULTS = {
    ("0", "YCbCrPositioning"): 0x0213,
    ("2", "ExifVersion"): 0x9000,
    ("2", "ComponentsConfiguration"): 0x9101,
    ("2", "FlashpixVersion"): 0xA000,
    ("2", "ColorSpace"): 0xA001,
    ("2", "PixelXDimension"): 0xA002,
    ("2", "PixelYDimension"): 0xA003,
    ("3", "GPSVersionID"): 0x0000,
    ("4", "InteroperabilityIndex"): 0x0001,
    ("4", "InteroperabilityVersion"): 0x0002,
}
"""Directory, name and tag of entries that the standard requires: libexif adds them if they are missing."""
_CHANGED = {
    ("0", "XResolution"): 0x011A,
    ("0", "YResolution"): 0x011B,
    ("0", "ResolutionUnit"): 0x0128,
    ("0", "Copyright"): 0x8298,
    ("2", "UserComment"): 0x9286,
}
"""Entries that libvips or libexif report differently from the file."""


def exif(fields: dict[str, str], block: bytes, *, gps: bool) -> dict[str, str]:
    """EXIF entries from libvips' `fields`, limited to those that the file's own EXIF `block` has. The location is
    included only with `gps`."""
    entries: dict[str, str] = {}
    file = Exif(block)
    for field, value in sorted(fields.items()):
        match = _EXIF.fullmatch(field)
        if match is None or match[1] == _THUMBNAIL or match[2] in _OPAQUE:
            continue
        default = _DEFAULTS.get((match[1], match[2]))
        if default is not None and (match[1], default) not in file:
            continue
        if (changed := _CHANGED.get((match[1], match[2]))) is not None:
            value = file.text((match[1], changed)) or ""
        if not gps and (match[1] == _LOCATION or "gps" in match[2].lower()):
            continue
        text = UNFIT.sub("", _value(value)).strip()[:_MAX_VALUE_LENGTH]
        if text and len(entries) < _MAX_ENTRIES:
            entries[match[2]] = text
    return entries


def _value(value: str) -> str:
    """Of `value (value in words, type, n components, m bytes)`: the words if there are any, else the value."""
    match = _VIPS_VALUE.fullmatch(value)
    if match is None:
        return value
    both = match[1]
    half = (len(both) - 2) // 2
    if both[:half] == both[half + 2 :]:
        return both[:half]
    value, _, words = both.partition(" (")
    return value if "unknown value" in words else words


def profile_name(profile: bytes) -> str:
    """The description in an ICC profile (ICC.1:2022 9.2.41, 10.15; or the older form); empty if it has none."""
    for at in range(132, min(len(profile), 132 + 12 * int.from_bytes(profile[128:132], "big")), 12):
        if profile[at : at + 4] == b"desc":
            start, size = (int.from_bytes(profile[at + part : at + part + 4], "big") for part in (4, 8))
            return UNFIT.sub("", _description(profile[start : start + size]))[:_MAX_VALUE_LENGTH]
    return ""


def _description(tag: bytes) -> str:
    if tag.startswith(b"desc"):
        length = int.from_bytes(tag[8:12], "big")
        return tag[12 : 12 + length].decode("latin-1")
    if tag.startswith(b"mluc") and int.from_bytes(tag[8:12], "big"):
        length, start = int.from_bytes(tag[20:24], "big"), int.from_bytes(tag[24:28], "big")
        return tag[start : start + length].decode("utf-16-be", "replace")
    return ""


def with_etag(body: bytes, tag: str) -> bytes:
    """The JSON `body` with the entity tag of the original itself."""
    document = json.loads(body)
    document["etag"] = tag
    return json.dumps({name: document.get(name) for name in FIELDS}).encode()


@dataclass(frozen=True, slots=True)
class InfoDocument:
    """A document that `make` makes of the JSON of a description. Documents with different names have different entity
    tags."""

    name: str
    make: Callable[[bytes], bytes] = dataclass_field(compare=False, repr=False)
    mime: str = "application/json"


def selection(fields: Sequence[str]) -> InfoDocument:
    """The JSON reduced to `fields`."""

    def reduced(body: bytes) -> bytes:
        document = json.loads(body)
        return json.dumps({name: document.get(name) for name in fields}).encode()

    return InfoDocument(",".join(fields), reduced)


def info_key(key: str, document: InfoDocument | None) -> str:
    """Hex SHA-256 for the entity tag of a document of the description with `key`; `key` itself without a document."""
    return hashlib.sha256(f"{key} {document.name}".encode()).hexdigest() if document else key
