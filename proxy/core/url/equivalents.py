"""The URLs of other vendors for a picture: what each dialect writes for a transform, if its parser reads the same from it."""

from collections.abc import Iterator
from importlib import import_module

from proxy.core.errors import CalotypeError
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Transform, without_no_ops
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.dialects.writing import NotWritable
from proxy.core.url.parsed_url import VariantUrl

_NATIVE = "native"
_ANY = RenderDefaults(quality=80, effort={}, max_side_px=1 << 16, face_detector="any")
"""The pictures are compared, not drawn: any defaults do."""


def equivalents(transform: Transform, key: str) -> Iterator[tuple[str, str]]:
    """Each other dialect by its name, with the unsigned target below a mount that requests the same picture; empty if
    the vendor has no words for it, or others than those that its writer knows."""
    requested = without_no_ops(transform)
    for name, dialect in DIALECTS.items():
        if name == _NATIVE:
            continue
        try:
            target: str = import_module(f"proxy.core.url.dialects.{name}.writing").write(requested, key)
            parsed = dialect.parse(target, Reading(presets={}))
        except (NotWritable, CalotypeError):
            target = ""
        else:
            if not (
                isinstance(parsed, VariantUrl) and parsed.key == key and _equal(parsed.transform, requested)
            ):
                target = ""
        yield name, target


def _equal(one: Transform, other: Transform) -> bool:
    """Whether both are the same picture, in each format that it may have."""
    if one.format is not other.format:
        return False
    formats = (one.format,) if isinstance(one.format, Format) else (Format.JPEG, Format.WEBP, Format.AVIF)
    return all(resolve(one, kind, _ANY) == resolve(other, kind, _ANY) for kind in formats)
