"""What an absolute URL in `url=` names: a key of the mount's own source, or nothing that is served.

Of a pre-signed URL only bucket and key are read; its credentials go no further than here.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from proxy.core.dialects.target import checked_key, decoded, is_absolute
from proxy.core.errors import BadUrl, SourceNotAllowed

DEFAULT_REGION = "us-east-1"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
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


def key_of(asked: str, place: S3Place | None) -> str:
    """The key that `asked` means: itself, or where it is an absolute URL the part of it that is below `place`.

    Raises SourceNotAllowed for what is elsewhere, BadUrl for what is no URL of an original.
    """
    if not is_absolute(asked):
        return asked
    scheme = asked.partition("://")[0].lower()
    if place is None or scheme not in ("s3", "http", "https"):
        raise SourceNotAllowed("this mount takes keys of its own source, not URLs of other places")
    bucket, key = _of_s3(asked) if scheme == "s3" else _of_web(asked, place)
    if bucket != place.bucket or not key.startswith(place.prefix):
        raise SourceNotAllowed("the URL names a place that is not this mount's source")
    return checked_key(key.removeprefix(place.prefix))


def _of_s3(url: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`, where nothing is percent-encoded."""
    bucket, _, key = url[len("s3://") :].partition("/")
    return bucket, key


def _of_web(url: str, place: S3Place) -> tuple[str, str]:
    """Bucket and key, path style (`endpoint/bucket/key`) or virtual host (`bucket.endpoint/key`)."""
    try:
        parts = urlsplit(url)
        host = _host(url)
    except ValueError:
        raise BadUrl("parameter url is not a valid URL") from None
    if parts.fragment or "@" in parts.netloc:
        raise BadUrl("parameter url must have neither a user nor a fragment")
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
    return name if usual else f"{name}:{parts.port}"
