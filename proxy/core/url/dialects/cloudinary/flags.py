"""The flags of Cloudinary, `fl_<flag>.<flag>`: what each changes, and how far the node does it."""

from collections.abc import Callable
from urllib.parse import unquote

from proxy.core.transform.operations import Metadata
from proxy.core.url.dialects.cloudinary.requested import CloudinaryOption, CloudinaryRequested
from proxy.core.url.dialects.dialect import Support
from proxy.core.url.disposition import UNFIT_FOR_NAME


def _attachment(requested: CloudinaryRequested, text: str) -> None:
    name = unquote(text)
    if UNFIT_FOR_NAME.search(name):
        raise ValueError("must have a file name without slashes, backslashes and control characters")
    requested.is_attachment, requested.file_name = True, name


def _copyright(requested: CloudinaryRequested, _: str) -> None:
    requested.output["metadata"] = Metadata.COPYRIGHT


def _ratio(requested: CloudinaryRequested, _: str) -> None:
    requested.here.ignores_ratio = True


def _transparency(requested: CloudinaryRequested, _: str) -> None:
    requested.keeps_transparency = True


def _always(_: CloudinaryRequested, __: str) -> None:
    return None


def _without_effect(reason: str) -> Callable[[CloudinaryRequested, str], None]:
    return lambda requested, _: requested.ignore("fl", reason)


FLAGS = (
    CloudinaryOption(
        names=("attachment",),
        forms=("attachment", "attachment:NAME"),
        read=_attachment,
        is_delivery=True,
        support=Support.APPROXIMATED,
        note="the name gets the suffix of the format if the URL names one",
    ),
    CloudinaryOption(
        names=("keep_attribution", "keep_iptc"),
        read=_copyright,
        support=Support.APPROXIMATED,
        note="keeps the author and the rights, and nothing else",
    ),
    CloudinaryOption(names=("strip_profile", "force_strip"), read=_always, note="always so"),
    CloudinaryOption(names=("animated", "awebp"), read=_always, note="animations stay so in WebP and GIF"),
    CloudinaryOption(names=("immutable_cache",), read=_always, note="`max_age` of the mount decides"),
    CloudinaryOption(
        names=("ignore_aspect_ratio",),
        read=_ratio,
        note="with `c_scale` and one side the other stays as it is",
    ),
    CloudinaryOption(
        names=("preserve_transparency",),
        read=_transparency,
        support=Support.APPROXIMATED,
        note="a PNG becomes a JPEG only if the variant has no transparency; other originals keep their format",
    ),
    CloudinaryOption(
        names=("progressive", "lossy", "any_format"),
        forms=("progressive", "progressive:MODE", "lossy", "any_format"),
        read=_without_effect("the encoder has settings of its own"),
        support=Support.IGNORED,
        note="the node has settings of its own for each encoder",
    ),
    CloudinaryOption(
        names=("rasterize", "sanitize"),
        read=_without_effect("the originals are no vector graphics"),
        support=Support.IGNORED,
        note="SVG and PDF are refused as originals",
    ),
    CloudinaryOption(
        names=("layer_apply", "relative", "tiled", "no_overflow"),
        read=None,
        support=Support.REFUSED,
        note="of layers, see `l`; refused elsewhere",
    ),
    CloudinaryOption(
        names=("png8", "png24", "png32", "tiff8_lzw", "c2pa"),
        read=None,
        polishes=True,
        support=Support.REFUSED,
        note="they only polish: `unsupported` decides",
    ),
    CloudinaryOption(
        names=(
            *("alternate", "apng", "clip", "clip_evenodd", "cutter", "draco", "extract", "getinfo", "group4"),
            *("hlsv3", "mono", "no_stream", "original", "region_relative"),
            *("replace_image", "splice", "streaming_attachment", "text_disallow_overflow"),
            *("text_no_trim", "truncate_ts", "waveform"),
        ),
        read=None,
        support=Support.REFUSED,
        note="text, video and other answers: always refused",
    ),
)

BY_NAME = {name: flag for flag in FLAGS for name in flag.names}
