"""The `images` of a next.config, as JSON or as the literal object of the JavaScript or TypeScript file."""

from collections.abc import Iterator

from proxy.core.admin.imports.imported import MOUNT, WEB, Imported, plain_host
from proxy.core.admin.imports.javascript import Literal, NotLiteral, literal, named_literals

_DEVICE_SIZES = (640, 750, 828, 1080, 1200, 1920, 2048, 3840)
_IMAGE_SIZES = (16, 32, 48, 64, 96, 128, 256, 384)
_APP = "app"
_APP_URL = "http://127.0.0.1:3000/"
_PATH = "/_next/image"
_KNOWN = frozenset(
    {
        "deviceSizes",
        "imageSizes",
        "domains",
        "remotePatterns",
        "path",
        "minimumCacheTTL",
        "formats",
        "loader",
        "qualities",
    }
)
_REASONS = {
    "qualities": "an unsigned URL may have qualities in fives",
    "loaderFile": "the URLs are those of the loader: use its dialect",
    "localPatterns": "every path of the application may be an original",
    "dangerouslyAllowSVG": "SVG is refused",
    "contentSecurityPolicy": "every answer has a strict policy of its own",
    "contentDispositionType": "answers have no Content-Disposition",
    "unoptimized": "the pages then have no URLs of the node",
    "maximumRedirects": "redirects are followed to listed hosts only",
    "maximumResponseBody": "the limit is limits.original_max_bytes",
}


def read_next(text: str) -> Imported:
    """The settings that do what the images of a next.config do. Raises ValueError."""
    images, base_path = _images(text)
    imported = Imported()
    imported.source(_APP, kind="http", base_url=_APP_URL)
    imported.source(_APP, allow_private=True)
    imported.note(
        f"sources.{_APP}.base_url",
        f"put the address of the Next.js application in place of {_APP_URL}; with originals in a directory alone, `path`",
    )
    hosts = list(_hosts(imported, images))
    if hosts:
        imported.web_source(hosts)
    imported.mounted([_APP, WEB] if hosts else [_APP], "next")
    _sizes(imported, images)
    _output(imported, images)
    path = images.get("path")
    own = path.removesuffix(_PATH) if isinstance(path, str) and path.endswith(_PATH) else ""
    if prefix := (own or base_path).strip("/"):
        imported.mount(prefix=f"/{prefix}/")
    for name, value in images.items():
        if value is NotLiteral.EXPRESSION:
            imported.note(
                f"images.{name}", "is not a literal: its value is not known without executing the file"
            )
        elif name == "loader" and value not in ("default", None):
            imported.note("images.loader", f"{value}: its URLs are those of another dialect, or of your own")
        elif name in _REASONS and value not in (False, None, "", []):
            imported.note(f"images.{name}", _REASONS[name])
        elif name not in _KNOWN and name not in _REASONS:
            imported.note_unknown(name, prefix="images.")
    return imported


def _images(text: str) -> tuple[dict[str, Literal], str]:
    """The images, and the base path. Raises ValueError."""
    found = named_literals(text, frozenset({"images", "basePath"}))
    whole = literal(text)
    images = found.get("images")
    if images is None and isinstance(whole, dict) and whole.keys() & (_KNOWN | _REASONS.keys()):
        images = whole
    if images is NotLiteral.EXPRESSION:
        raise ValueError("has images that are not a literal object: write them out, or save them as JSON")
    if not isinstance(images, dict):
        raise ValueError("has no images")
    base_path = found.get("basePath")
    return images, base_path if isinstance(base_path, str) else ""


def _sizes(imported: Imported, images: dict[str, Literal]) -> None:
    sizes: set[int] = set()
    for name, default in (("deviceSizes", _DEVICE_SIZES), ("imageSizes", _IMAGE_SIZES)):
        value = images.get(name)
        numbers = (
            [int(each) for each in value if isinstance(each, float)] if isinstance(value, list) else default
        )
        sizes.update(number for number in numbers if number > 0)
    imported.settings["dimensions", "allowed"] = tuple(sorted(sizes))


def _output(imported: Imported, images: dict[str, Literal]) -> None:
    ttl_s = images.get("minimumCacheTTL")
    if isinstance(ttl_s, float):
        imported.settings["mounts", MOUNT, "max_age"] = f"{int(ttl_s)}s"
    formats = images.get("formats", ["image/webp"])
    if isinstance(formats, list):
        negotiated = [name for name in ("avif", "webp") if f"image/{name}" in formats]
        imported.settings["formats", "auto"] = (*negotiated, "jpeg")


def _hosts(imported: Imported, images: dict[str, Literal]) -> Iterator[str]:
    for name in ("domains", "remotePatterns"):
        value = images.get(name)
        for entry in value if isinstance(value, list) else []:
            text = _location(entry)
            host = plain_host(text) if text else None
            if host is None:
                imported.note(
                    f"images.{name}",
                    f"{text or 'an entry'} is a pattern: list the hosts in sources.{WEB}.hosts",
                )
                continue
            if isinstance(entry, dict) and str(entry.get("pathname") or "/**").strip("/*"):
                imported.note(f"images.{name}", f"the path of {host} is not a limit")
            yield host


def _location(entry: Literal) -> str:
    """The host of a domain, a URL or a remote pattern; empty if there is none."""
    if isinstance(entry, str):
        return (entry.partition("://")[2] or entry).partition("/")[0]
    if not isinstance(entry, dict) or not isinstance(entry.get("hostname"), str):
        return ""
    port = entry.get("port")
    return f"{entry['hostname']}:{port}" if isinstance(port, str) and port else str(entry["hostname"])
