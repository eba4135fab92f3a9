"""The conversion of an original to sRGB: which ICC profile applies, and the preparation it needs."""

from typing import NamedTuple

import pyvips

from proxy.core.image import colour, heif
from proxy.core.image.formats import Format

PROFILE = "icc-profile-data"
_SRGB_PROFILE = b"sRGB IEC61966-2.1"
_PROFILE_HEAD_BYTES = 512
_COLOURS = 3
_GREY = ("b-w", "grey16")


class Colours(NamedTuple):
    """`is_plain`: the values are 8-bit sRGB already. `profile` replaces the file's own profile; empty means no
    profile. `is_grey`: only the first band counts, the others repeat it. `is_premultiplied`: the file stores
    premultiplied alpha."""

    is_plain: bool
    profile: bytes | None = None
    is_grey: bool = False
    is_premultiplied: bool = False

    @property
    def need_care(self) -> bool:
        """Whether the pixels need `prepared`."""
        return self.profile is not None or self.is_grey or self.is_premultiplied


def colours_of(header: pyvips.Image, kind: Format, content: bytes) -> Colours:
    """The colour handling of an original. sRGB values, those with an sRGB profile or none (CSS Color 4, 10.2), are
    not converted, because that costs as much as the rest of a render. A profile with another number of channels
    is ignored."""
    is_srgb = header.format == "uchar" and header.interpretation in ("srgb", "b-w")
    is_premultiplied, is_monochrome = _stored(kind, content)
    own = bytes(header.get(PROFILE)) if PROFILE in header.get_fields() else b""
    signal = colour.signalled(kind, content)
    if signal is not None and (built := colour.profile(signal, 8 if header.format == "uchar" else 16)):
        return Colours(False, built, is_premultiplied=is_premultiplied)
    space = own[16:20]
    is_grey = header.interpretation in _GREY
    if space == b"GRAY" and not is_grey:
        if is_monochrome:
            return Colours(False, is_grey=True, is_premultiplied=is_premultiplied)
        return Colours(is_srgb, b"", is_premultiplied=is_premultiplied)
    if space == b"RGB " and is_grey:
        return Colours(False, own)
    if own and _SRGB_PROFILE not in own[:_PROFILE_HEAD_BYTES]:
        return Colours(False, is_premultiplied=is_premultiplied)
    return Colours(is_srgb, is_premultiplied=is_premultiplied)


def _stored(kind: Format, content: bytes) -> tuple[bool, bool]:
    """Whether the file stores premultiplied alpha, and whether it has a single colour channel."""
    items = heif.items(content) if kind in (Format.AVIF, Format.HEIC) else None
    if items is None:
        return False, False
    return items.is_premultiplied, items.is_monochrome


def prepared(image: pyvips.Image, colours: Colours) -> pyvips.Image:
    """`image` with the profile for its conversion; unpremultiplied if needed, and then in floating point."""
    if colours.is_grey:
        grey = image.extract_band(0)
        image = grey.bandjoin(image.extract_band(_COLOURS)) if image.hasalpha() else grey
        image = image.copy(interpretation="b-w" if image.format == "uchar" else "grey16")
    if colours.profile is not None:
        if colours.profile and image.interpretation in _GREY:
            image = image.colourspace("srgb" if image.format == "uchar" else "rgb16")
        image = image.copy()
        if PROFILE in image.get_fields():
            image.remove(PROFILE)
        if colours.profile:
            image.set_type(pyvips.GValue.blob_type, PROFILE, colours.profile)
    if colours.is_premultiplied and image.hasalpha():
        image = image.unpremultiply().copy(interpretation=image.interpretation)
    return image


def converted(image: pyvips.Image) -> pyvips.Image:
    """Converts `image` to 8-bit sRGB by its embedded profile, if any."""
    if PROFILE in image.get_fields():
        return image.icc_transform("srgb", embedded=True, intent="relative", depth=8)
    return image.colourspace("srgb")
