"""What an absolute URL names: a key of the mount's own source, or nothing that is served.

Of a pre-signed URL only bucket and key are read; its credentials go no further than here.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_to_bytes, urljoin, urlsplit

from proxy.core.errors import BadUrl, CalotypeError, SourceNotAllowed
from proxy.core.masking import CREDENTIALS
from proxy.core.url.target import BAD_PERCENT, checked_key, decoded, is_absolute

DEFAULT_REGION = "us-east-1"
_PORTS = {"http": 80, "https": 443}
_PRINTABLE = bytes(range(0x21, 0x7F)).decode()
_BARE_IN_PATH = _PRINTABLE.translate({ord(each): None for each in '"#<>?^`{}'})
_BARE_IN_QUERY = _PRINTABLE.translate({ord(each): None for each in "\"#'<>"})
"""What browsers leave as it is (WHATWG URL 1.3)."""
_BARE_IN_KEY = "/:@!$&'()*+,;=-._~"
_SLASHES = re.compile(r"\A((?:https?:)?)///+", re.IGNORECASE)
_UNFIT_FOR_HOST = re.compile(r"[\x00-\x20\x7f\"#%/<>?@\\^`{|}]")
_ELSEWHERE = "this mount takes keys of its own source, not URLs of other places"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Location:
    """Where an s3 source's originals are. Without `endpoint_url` the store is AWS's own in `region`."""

    bucket: str
    prefix: str = ""
    endpoint_url: str = ""
    region: str = ""

    def hosts(self) -> frozenset[str]:
        """The endpoint's names, as they stand before a path with the bucket in it, with the port if it is unusual."""
        if self.endpoint_url:
            return frozenset({_host(self.endpoint_url)})
        region = self.region or DEFAULT_REGION
        regional = (f"{name}{region}" for name in ("s3.", "s3-", "s3.dualstack."))
        return frozenset(f"{name}.amazonaws.com" for name in ("s3", *regional))

    def key_for(self, locator: str) -> str:
        """The key below `prefix` that `asked` means, itself or an absolute URL of the bucket."""
        if not is_absolute(locator):
            return locator
        scheme = locator.partition("://")[0].lower()
        if scheme not in ("s3", "http", "https"):
            raise SourceNotAllowed(_ELSEWHERE)
        bucket, key = _of_s3(locator) if scheme == "s3" else _of_store(locator, self)
        if bucket != self.bucket or not key.startswith(self.prefix):
            raise SourceNotAllowed("the URL names a place that is not this mount's source")
        return checked_key(key.removeprefix(self.prefix))


@dataclass(frozen=True, slots=True)
class WebLocation:
    """Where an http source's originals are: `hosts` are names in lower case, with the port where it is unusual, which
    absolute URLs may name; `base_url`, if not empty, ends with a slash and is what stands before relative keys."""

    hosts: frozenset[str]
    base_url: str = ""

    @property
    def reached(self) -> frozenset[str]:
        """All hosts that are ever asked, whoever names them."""
        return self.hosts | ({self.host_of(self.base_url)} if self.base_url else set())

    def key_for(self, locator: str) -> str:
        """The one spelling of an original: a relative key where it is below `base_url`, else its absolute URL."""
        if not is_absolute(locator):
            if not self.base_url:
                raise BadUrl("this mount takes absolute http and https URLs as keys")
            return locator
        scheme, parts, host = _split(locator)
        if scheme not in _PORTS or host not in self.hosts:
            raise SourceNotAllowed("the URL names a host that is not this mount's source")
        if {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)} & set(CREDENTIALS):
            raise BadUrl("parameter url carries a permission of its own, which is not taken here")
        path = _spelled_once(parts.path or "/")
        if any(segment.startswith(b".") for segment in unquote_to_bytes(path).split(b"/")):
            raise BadUrl("parameter url has a segment that begins with a dot")
        query = f"?{_spelled_once(parts.query)}" if parts.query else ""
        url = f"{scheme}://{host}{path}{query}"
        with suppress(CalotypeError, UnicodeDecodeError):
            key = checked_key(unquote(url.removeprefix(self.base_url), errors="strict"))
            if self.url_of(key) == url:
                return key
        return url

    def url_of(self, key: str) -> str:
        """Where the original of a key is."""
        return key if is_absolute(key) else f"{self.base_url}{quote(key, safe=_BARE_IN_KEY)}"

    def led_to(self, url: str, location: bytes) -> str:
        """The URL of the place to which a redirect from `url`, one of its own, leads, read as browsers read it (WHATWG URL 4.4):
        what a URL may not hold is percent-encoded, all else stays as it is, a `%` too. Raises SourceNotAllowed for
        what is elsewhere, ValueError for what is no URL."""
        text = quote(location.strip(b" \t").replace(b"\t", b""), safe=_PRINTABLE).partition("#")[0]
        path, mark, query = text.partition("?")
        path = _SLASHES.sub(r"\1//", path.replace("\\", "/"))
        parts = urlsplit(urljoin(url, path + mark + query))
        host = _host(parts._replace(netloc=_ascii(parts.netloc)).geturl())
        if parts.scheme not in _PORTS or host not in self.reached:
            raise SourceNotAllowed("the redirect leads to a place that is not this mount's source")
        path = quote(_without_dots(parts.path or "/"), safe=_BARE_IN_PATH)
        query = f"?{quote(parts.query, safe=_BARE_IN_QUERY)}" if parts.query else ""
        return f"{parts.scheme}://{host}{path}{query}"

    def host_of(self, url: str) -> str:
        """The host of an absolute URL in its one spelling."""
        return url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True)
class NoLocation:
    """The place of a source whose originals have no URLs of their own."""

    def key_for(self, locator: str) -> str:
        if is_absolute(locator):
            raise SourceNotAllowed(_ELSEWHERE)
        return locator


NO_URLS = NoLocation()

OriginalLocation = S3Location | WebLocation | NoLocation
"""Where a source's originals are. `key_of` tells which key a key or an absolute URL means there; it raises
SourceNotAllowed for what is elsewhere, BadUrl for what is no URL of an original."""


def _of_s3(url: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`, where nothing is percent-encoded."""
    bucket, _, key = url[len("s3://") :].partition("/")
    return bucket, key


def _split(url: str) -> tuple[str, SplitResult, str]:
    """Scheme, parts and host of an absolute URL; raises BadUrl."""
    try:
        parts = urlsplit(url)
        host = _host(url)
    except ValueError:
        raise BadUrl("parameter url is not a valid URL") from None
    if "#" in url or "@" in parts.netloc:
        raise BadUrl("parameter url must have neither a user nor a fragment")
    return parts.scheme, parts, host


def _spelled_once(text: str) -> str:
    """A path or query with every character percent-encoded that must be, and nothing else changed."""
    if BAD_PERCENT.search(text):
        raise BadUrl("parameter url holds a % that is not followed by two hexadecimal digits")
    return quote(text, safe="%/:@!$&'()*+,;=?-._~")


def _ascii(netloc: str) -> str:
    """A host as it stands in the DNS; raises ValueError where it is none."""
    name = unquote(netloc, errors="strict")
    if _UNFIT_FOR_HOST.search(name):
        raise ValueError("a host holds no such character")
    return name if name.isascii() else name.encode("idna").decode("ascii")


def _without_dots(path: str) -> str:
    """RFC 3986 5.2.4, and for dots that are percent-encoded too."""
    kept: list[str] = []
    last = ""
    for segment in path.split("/")[1:]:
        last = segment.lower().replace("%2e", ".")
        if last == "..":
            kept = kept[:-1]
        elif last != ".":
            kept.append(segment)
    return "/" + "/".join([*kept, ""] if last in (".", "..") else kept)


def _of_store(url: str, place: S3Location) -> tuple[str, str]:
    """Bucket and key, path style (`endpoint/bucket/key`) or virtual host (`bucket.endpoint/key`)."""
    _, parts, host = _split(url)
    if any(name.lower() == "versionid" for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise BadUrl("parameter url names a version of an object; only the latest is served")
    path = decoded(parts.path, "parameter url")[1:]
    hosts = place.hosts()
    if host in hosts:
        bucket, _, key = path.partition("/")
        return bucket, key
    if host.removeprefix(f"{place.bucket}.") in hosts:
        return place.bucket, path
    raise SourceNotAllowed("the URL names a host that is not this mount's source")


def _host(url: str) -> str:
    parts = urlsplit(url)
    usual = parts.port is None or parts.port == _PORTS.get(parts.scheme)
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return name if usual else f"{name}:{parts.port}"
