"""What `/info/` tells of an original: its fields, and what of a picture's own notes may be shown."""

import encodings.latin_1
import encodings.utf_16_be  # noqa: F401 (a worker in its sandbox can open no file to load them from)
import hashlib
import json
import re
from collections.abc import Sequence

from proxy.core.image.exif import Exif

FIELDS = (
    *("width", "height", "format", "bytes", "pages", "orientation", "alpha", "profile", "exif", "etag"),
    *("thumbhash", "blurhash", "dominant", "palette"),
)
_MOST_NOTES = 64
_LONGEST_NOTE = 200
_EXIF = re.compile(r"exif-ifd([0-4])-([A-Za-z0-9]{1,64})")
_GPS, _THUMBNAIL = "3", "1"
_SHOWN = re.compile(r"(.*), [A-Za-z0-9 ]+, [0-9]+ components, [0-9]+ bytes\)", re.DOTALL)
_OPAQUE = frozenset(
    {"MakerNote", "PrintImageMatching", "Padding", "OffsetSchema", "XMLPacket", "InterColorProfile"}
)
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
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
"""Directory and name of what a picture has to have by the standard, with its tag: libexif makes it up where it lacks."""
_CHANGED = {
    ("0", "XResolution"): 0x011A,
    ("0", "YResolution"): 0x011B,
    ("0", "ResolutionUnit"): 0x0128,
    ("0", "Copyright"): 0x8298,
    ("2", "UserComment"): 0x9286,
}
"""Those that libvips or libexif tell otherwise than the file."""


def exif(fields: dict[str, str], block: bytes, *, gps: bool) -> dict[str, str]:
    """Notes of the camera, from libvips' fields of them, as far as they stand in the file's own EXIF `block`. Where a
    picture was taken is told only with `gps`."""
    notes: dict[str, str] = {}
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
        if not gps and (match[1] == _GPS or "gps" in match[2].lower()):
            continue
        text = _UNFIT.sub("", _value(value)).strip()[:_LONGEST_NOTE]
        if text and len(notes) < _MOST_NOTES:
            notes[match[2]] = text
    return notes


def _value(value: str) -> str:
    """Of `value (value in words, type, n components, m bytes)`: the words, where there are any."""
    match = _SHOWN.fullmatch(value)
    if match is None:
        return value
    both = match[1]
    half = (len(both) - 2) // 2
    if both[:half] == both[half + 2 :]:
        return both[:half]
    value, _, words = both.partition(" (")
    return value if "unknown value" in words else words


def profile_name(profile: bytes) -> str:
    """What an ICC profile calls itself (ICC.1:2022 9.2.41, 10.15; or its older form); empty if it does not."""
    for at in range(132, min(len(profile), 132 + 12 * int.from_bytes(profile[128:132], "big")), 12):
        if profile[at : at + 4] == b"desc":
            start, size = (int.from_bytes(profile[at + part : at + part + 4], "big") for part in (4, 8))
            return _UNFIT.sub("", _description(profile[start : start + size]))[:_LONGEST_NOTE]
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
    """The same, with the entity tag the original itself has."""
    document = json.loads(body)
    document["etag"] = tag
    return json.dumps({name: document.get(name) for name in FIELDS}).encode()


def only_fields(body: bytes, fields: Sequence[str]) -> bytes:
    """These fields of it."""
    document = json.loads(body)
    return json.dumps({name: document.get(name) for name in fields}).encode()


def info_key(key: str, fields: Sequence[str]) -> str:
    """Hex SHA-256 for the entity tag of that selection of what has this `key`; all of it, if there are no fields."""
    return hashlib.sha256(f"{key} {','.join(fields)}".encode()).hexdigest() if fields else key
