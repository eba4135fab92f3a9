"""The JSON of /info/: header facts, EXIF data, placeholders and palette of an original."""

import json

import pyvips

from proxy.core.image.facts import Facts
from proxy.core.image.metadata import exif, profile_name
from proxy.core.image.placeholders import blurhash, palette, thumbhash
from proxy.render.colours import PROFILE
from proxy.render.dominant import pixels_of


def info_json(
    header: pyvips.Image, facts: Facts, size_bytes: int, small: pyvips.Image, *, gps: bool
) -> bytes:
    """`small` is the image upright in sRGB, a few dozen pixels a side. `gps` includes the position."""
    pixels = pixels_of(small)
    colours = palette(pixels)
    return json.dumps(
        {
            "width": facts.width_px,
            "height": facts.height_px,
            "format": facts.format.value,
            "bytes": size_bytes,
            "pages": facts.pages,
            "orientation": _number(header, "orientation", 1),
            "alpha": facts.alpha,
            "profile": profile_name(bytes(header.get(PROFILE))) if PROFILE in header.get_fields() else None,
            "exif": exif(_exif_fields(header), _exif_block(header), gps=gps),
            "thumbhash": thumbhash(pixels),
            "blurhash": blurhash(pixels),
            "dominant": colours[0] if colours else None,
            "palette": colours,
        }
    ).encode()


def _number(header: pyvips.Image, field: str, default: int) -> int:
    return int(header.get(field)) if field in header.get_fields() else default


def _exif_block(header: pyvips.Image) -> bytes:
    return bytes(header.get("exif-data")) if "exif-data" in header.get_fields() else b""


def _exif_fields(header: pyvips.Image) -> dict[str, str]:
    fields: dict[str, str] = {}
    for field in header.get_fields():
        if field.startswith("exif-ifd"):
            try:
                fields[field] = str(header.get(field))
            except (pyvips.Error, UnicodeDecodeError):
                continue
    return fields
