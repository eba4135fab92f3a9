"""Maps absolute URLs of originals to keys of the mount's own source.

Of a pre-signed URL only bucket and key are read; its credentials go no further.
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
"""Characters that browsers do not percent-encode (WHATWG URL 1.3)."""
_BARE_IN_KEY = "/:@!$&'()*+,;=-._~"
_SLASHES = re.compile(r"\A((?:https?:)?)///+", re.IGNORECASE)
_UNFIT_FOR_HOST = re.compile(r"[\x00-\x20\x7f\"#%/<>?@\\^`{|}]")
_NO_URLS_HERE = "this mount takes keys of its own source, not absolute URLs"
_OTHER_SCHEME = "the URL has a scheme that does not name originals of this mount's source"
LOCAL = "local://"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Location:
    """The location of an s3 source's originals. Without `endpoint_url` the store is AWS in `region`."""

    bucket: str
    prefix: str = ""
    endpoint_url: str = ""
    region: str = ""

    def hosts(self) -> frozenset[str]:
        """The hosts of the endpoint for path-style URLs, with the port if it is not the default."""
        if self.endpoint_url:
            return frozenset({_host(self.endpoint_url)})
        region = self.region or DEFAULT_REGION
        regional = (f"{name}{region}" for name in ("s3.", "s3-", "s3.dualstack."))
        return frozenset(f"{name}.amazonaws.com" for name in ("s3", *regional))

    def key_for(self, locator: str) -> str:
        """The key below `prefix` for a key or an absolute URL of the bucket. Raises SourceNotAllowed or BadUrl."""
        if not is_absolute(locator):
            return locator
        scheme = locator.partition("://")[0].lower()
        if scheme not in ("s3", *_PORTS):
            raise SourceNotAllowed(_OTHER_SCHEME)
        bucket, key = _of_s3(locator) if scheme == "s3" else _of_store(locator, self)
        if bucket != self.bucket or not key.startswith(self.prefix):
            raise SourceNotAllowed("the URL names another bucket or prefix than this mount's source")
        return checked_key(key.removeprefix(self.prefix))

    def url_of(self, key: str) -> str:
        """The URL of the original with this key."""
        return f"s3://{self.bucket}/{self.prefix}{key}"


@dataclass(frozen=True, slots=True)
class WebLocation:
    """The location of an http source's originals. `hosts` are the allowed hosts in lower case, with the port if it is
    not the default. `base_url`, if not empty, ends with a slash and precedes relative keys."""

    hosts: frozenset[str]
    base_url: str = ""

    @property
    def reached(self) -> frozenset[str]:
        """All hosts that the node may connect to."""
        return self.hosts | ({self.host_of(self.base_url)} if self.base_url else set())

    def key_for(self, locator: str) -> str:
        """The canonical key: relative if the original is below `base_url`, else the absolute URL."""
        if not is_absolute(locator):
            if not self.base_url:
                raise BadUrl("this mount takes absolute http and https URLs as keys")
            return locator
        if locator.partition("://")[0].lower() not in _PORTS:
            raise SourceNotAllowed(_OTHER_SCHEME)
        scheme, parts, host = _split(locator)
        if host not in self.hosts:
            raise SourceNotAllowed("the URL names a host that is not this mount's source")
        if {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)} & set(CREDENTIALS):
            raise BadUrl("parameter url has credentials, which this mount does not accept")
        path = _percent_encoded(parts.path or "/")
        if any(segment.startswith(b".") for segment in unquote_to_bytes(path).split(b"/")):
            raise BadUrl("parameter url has a segment that begins with a dot")
        query = f"?{_percent_encoded(parts.query)}" if parts.query else ""
        url = f"{scheme}://{host}{path}{query}"
        with suppress(CalotypeError, UnicodeDecodeError):
            key = checked_key(unquote(url.removeprefix(self.base_url), errors="strict"))
            if self.url_of(key) == url:
                return key
        return url

    def with_scheme(self, locator: str) -> str:
        """`locator`, with `http://` before it if it has no scheme and begins with a host: with any word if no key is
        relative."""
        begins_with_host = not self.base_url or locator.partition("/")[0].lower() in self.hosts
        return f"http://{locator}" if begins_with_host and not is_absolute(locator) else locator

    def url_of(self, key: str) -> str:
        """The URL of the original with this key."""
        return key if is_absolute(key) else f"{self.base_url}{quote(key, safe=_BARE_IN_KEY)}"

    def led_to(self, url: str, location: bytes) -> str:
        """The target of a redirect from `url`, resolved as browsers do (WHATWG URL 4.4): invalid characters are
        percent-encoded, other characters, also `%`, remain. Raises SourceNotAllowed for another host, ValueError for
        an invalid URL."""
        text = quote(location.strip(b" \t").replace(b"\t", b""), safe=_PRINTABLE).partition("#")[0]
        path, mark, query = text.partition("?")
        path = _SLASHES.sub(r"\1//", path.replace("\\", "/"))
        parts = urlsplit(urljoin(url, path + mark + query))
        host = _host(parts._replace(netloc=_ascii(parts.netloc)).geturl())
        if parts.scheme not in _PORTS or host not in self.reached:
            raise SourceNotAllowed("the redirect leads to a host that is not this mount's source")
        path = quote(_without_dots(parts.path or "/"), safe=_BARE_IN_PATH)
        query = f"?{quote(parts.query, safe=_BARE_IN_QUERY)}" if parts.query else ""
        return f"{parts.scheme}://{host}{path}{query}"

    def host_of(self, url: str) -> str:
        """The host of a canonical absolute URL."""
        return url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, slots=True)
class DirectoryLocation:
    """The location of a directory's originals, which imgproxy names by `local:///key`."""

    def key_for(self, locator: str) -> str:
        """The key for a key or a URL of a local original. Raises SourceNotAllowed or BadUrl."""
        if not is_absolute(locator):
            return locator
        if not locator.startswith(LOCAL):
            raise SourceNotAllowed(_NO_URLS_HERE)
        return checked_key(locator.removeprefix(LOCAL).removeprefix("/"))

    def url_of(self, key: str) -> str:
        """The URL of the original with this key."""
        return f"{LOCAL}/{key}"


DIRECTORY = DirectoryLocation()

OriginalLocation = S3Location | WebLocation | DirectoryLocation
"""The location of a source's originals. `key_for` maps a key or an absolute URL to a key. It raises SourceNotAllowed
for a URL of another source, before all else, and BadUrl for an invalid URL. `url_of` is its inverse."""


def _of_s3(url: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`, which is not percent-decoded."""
    bucket, _, key = url[len("s3://") :].partition("/")
    return bucket, key


def _split(url: str) -> tuple[str, SplitResult, str]:
    """Scheme, parts and host of an absolute URL. Raises BadUrl."""
    try:
        parts = urlsplit(url)
        host = _host(url)
    except ValueError:
        raise BadUrl("parameter url is not a valid URL") from None
    if "#" in url or "@" in parts.netloc:
        raise BadUrl("parameter url must have neither a user nor a fragment")
    return parts.scheme, parts, host


def _percent_encoded(text: str) -> str:
    """A path or query in which exactly the characters are percent-encoded that must be."""
    if BAD_PERCENT.search(text):
        raise BadUrl("parameter url holds a % that is not followed by two hexadecimal digits")
    return quote(text, safe="%/:@!$&'()*+,;=?-._~")


def _ascii(netloc: str) -> str:
    """A host name as in the DNS. Raises ValueError for an invalid one."""
    name = unquote(netloc, errors="strict")
    if _UNFIT_FOR_HOST.search(name):
        raise ValueError("the host has an invalid character")
    return name if name.isascii() else name.encode("idna").decode("ascii")


def _without_dots(path: str) -> str:
    """Removes dot segments (RFC 3986 5.2.4), percent-encoded ones too."""
    segments: list[str] = []
    last = ""
    for segment in path.split("/")[1:]:
        last = segment.lower().replace("%2e", ".")
        if last == "..":
            segments = segments[:-1]
        elif last != ".":
            segments.append(segment)
    return "/" + "/".join([*segments, ""] if last in (".", "..") else segments)


def _of_store(url: str, location: S3Location) -> tuple[str, str]:
    """Bucket and key of a URL in path style (`endpoint/bucket/key`) or virtual-host style (`bucket.endpoint/key`)."""
    _, parts, host = _split(url)
    hosts = location.hosts()
    if host.removeprefix(f"{location.bucket}.") not in hosts and host not in hosts:
        raise SourceNotAllowed("the URL names a host that is not this mount's source")
    if any(name.lower() == "versionid" for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise BadUrl("parameter url names a version of an object; only the latest is served")
    path = decoded(parts.path, "parameter url")[1:]
    if host not in hosts:
        return location.bucket, path
    bucket, _, key = path.partition("/")
    return bucket, key


def _host(url: str) -> str:
    parts = urlsplit(url)
    usual = parts.port is None or parts.port == _PORTS.get(parts.scheme)
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return name if usual else f"{name}:{parts.port}"
