"""HEIC originals, by the decoder of the optional extra `heic`: libvips reads their boxes, and its bundled library has no decoder of
HEVC. What the decoder gives is what libvips would: the picture as its transformations show it, colours not converted.
"""

import pyvips

from proxy.render.colours import PROFILE

_BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_DEEP = ";16"

try:
    # The module below `pi_heif`, whose import would take as long as that of everything else in a worker.
    import _pi_heif
except ImportError:
    _pi_heif = None


def is_decodable() -> bool:
    """Whether the extra is installed."""
    return _pi_heif is not None


def decoded(content: bytes, header: pyvips.Image) -> pyvips.Image:
    """The pixels of the primary picture, with the metadata of `header`, which libvips has read. Raises pyvips.Error."""
    try:
        images = _pi_heif.load_file(content, 1, False, False, True, True, "", False)
        primary = next((each for each in images if each.primary), images[0])
        (width, height), mode = primary.size_mode
        pixels = bytes(primary.data)
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError) as fault:
        raise pyvips.Error(f"heic: {fault}") from None
    is_deep = mode.endswith(_DEEP)
    bands = _BANDS.get(mode.removesuffix(_DEEP), 0)
    if (width, height, bands) != (header.width, header.height, header.bands):
        raise pyvips.Error("heic: the picture has another size than its header")
    image = pyvips.Image.new_from_memory(pixels, width, height, bands, "ushort" if is_deep else "uchar")
    return _with_metadata(image, header)


def _with_metadata(image: pyvips.Image, header: pyvips.Image) -> pyvips.Image:
    """What loading needs to know; libvips and the decoder both turn the picture upright."""
    image = image.copy(interpretation=header.interpretation, xres=header.xres, yres=header.yres)
    if PROFILE in header.get_fields():
        image.set_type(pyvips.GValue.blob_type, PROFILE, header.get(PROFILE))
    return image
