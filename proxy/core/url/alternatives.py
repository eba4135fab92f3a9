"""The keys that a name without an extension, or with that of another format, may stand for.

Cloudinary names an original by a public id; the extension of its URLs is the format of the answer.
"""

from collections.abc import Sequence

from proxy.core.url.target import is_absolute

_NAMES = (
    "ai arw avif bmp bw cr2 cr3 djvu dng eps eps3 ept fbx flif gif glb gltf hdp heic heif ico indd j2k "
    "jp2 jpe jpeg jpg jxl jxr obj pdf ply png ps psd svg tga tif tiff u3ma usdz wdp webp"
)
EXTENSIONS = frozenset(_NAMES.split())
"""Those of formats; any other ending is a part of the name."""


def alternatives(key: str, suffixes: Sequence[str]) -> tuple[str, ...]:
    """The keys to look for, in order, if there is no original `key`: without its extension, then with each of
    `suffixes`. An absolute URL has none."""
    if is_absolute(key):
        return ()
    name, _, extension = key.rpartition(".")
    stem = name if extension.lower() in EXTENSIONS and name and not name.endswith("/") else key
    others = dict.fromkeys((stem, *(f"{stem}.{suffix}" for suffix in suffixes)))
    return tuple(other for other in others if other != key)
