"""The document of `format=json`: the size of the picture, and the original, by Cloudflare's names."""

import json

from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.metadata import InfoDocument
from proxy.core.image.size import Size
from proxy.core.transform.layout import size_after
from proxy.core.transform.operations import Transform
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.core.transform.plan_text import canonical

_DEFAULTS = RenderDefaults(quality=80, effort={}, max_side_px=TRAITS[Format.WEBP].max_side_px)


def sizes_document(requested: Transform) -> InfoDocument:
    """The document for `requested`, whose size is the one within the bounds of WebP."""
    plan = resolve(requested, Format.WEBP, _DEFAULTS)

    def make(body: bytes) -> bytes:
        info = json.loads(body)
        size = size_after(plan.ops, plan.limit_px, Size(info["width"], info["height"]))
        original = {
            "file_size": info["bytes"],
            "width": info["width"],
            "height": info["height"],
            "format": TRAITS[Format(info["format"])].mime,
        }
        return json.dumps({"width": size.width, "height": size.height, "original": original}).encode()

    return InfoDocument(f"cloudflare {canonical(plan)}", make)
