"""The sections of the settings: every key with its type, its default, and its description as a docstring, which
`config/generate.py` writes into the files for users. Frozen. Checks within one section are here, checks across sections
in `settings`. Longer than other files because it is one table."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    IPvAnyNetwork,
    SecretStr,
    Tag,
    model_validator,
)

from proxy.core.image.formats import Format
from proxy.core.nearest import meant, nearest
from proxy.core.url.dialects.dialect import SUFFIXES, QueryRule, Unsupported
from proxy.core.url.dialects.native.params import colour
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.mounts import Signing
from proxy.core.url.policy import Dimensions

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_HOST = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?!80$|443$)([1-9][0-9]{0,4}))?", re.ASCII
)
_BASE_URL = re.compile(
    r"(https?)://([^/?#@\s]+)(/(?:[A-Za-z0-9/:@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})*)?", re.ASCII | re.IGNORECASE
)
_MIN_TOKEN_BYTES = 16
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_RESERVED = frozenset(
    {
        *("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect"),
        *("accept-encoding", "range", "cdn-loop"),
    }
)
"""Headers, in lower case, that the node sets itself or that change the meaning of a response."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def duration_s(value: object) -> float:
    """Seconds of a number or of a text such as 500ms, 30s or 365d. Raises ValueError."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _UNIT_S[match[2]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError('must be a duration such as "500ms", "30s" or "365d"')


def _origin(url: str) -> str:
    """`url` if it is empty, or a scheme, a host and an optional port. Raises ValueError."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    if not port_fits or not re.fullmatch(r"https?://[^/?#@\s]+/?", url) or not parts.hostname:
        raise ValueError("must be like https://store.example:9000, without a path")
    return url.removesuffix("/")


def checked_names(table: dict[str, Any]) -> dict[str, Any]:
    for name in table:
        if not _NAME.fullmatch(name):
            raise ValueError("names must have 1 to 63 letters, digits, - and _, no - or _ first")
    return table


def _header(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"|[A-Za-z0-9-]+:[ \t]*[\x21-\x7e][\x20-\x7e]*", value.get_secret_value()):
        raise ValueError('must be like "Authorization: Bearer ..."')
    return value


def _like(pattern: str, reason: str) -> AfterValidator:
    """Checks a text against a pattern; the error text is "must be" and `reason`."""
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"must be {reason}")
        return text

    return AfterValidator(check)


def _long(min_bytes: int, *, or_empty: bool = False) -> AfterValidator:
    """Checks the length of a secret."""

    def check(value: SecretStr) -> SecretStr:
        length = len(value.get_secret_value().encode())
        if length < min_bytes and not (or_empty and not length):
            raise ValueError(f"must be {min_bytes} bytes or more; make one with: openssl rand -hex 32")
        return value

    return AfterValidator(check)


def _negotiated(names: object) -> object:
    """The formats of `f_auto`: a browser announces only AVIF and WebP in Accept, and JPEG is the fallback."""
    if isinstance(names, list | tuple) and not (
        names[-1:] in (["jpeg"], ("jpeg",)) and all(name in ("avif", "webp", "jpeg") for name in names)
    ):
        raise ValueError("must be a list of avif and webp that ends with jpeg")
    return names


Seconds = Annotated[float, BeforeValidator(duration_s), Field(ge=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(ge=1)]
Bytes = Annotated[ByteSize, Field(ge=1)]


def _written(default: str) -> Any:
    """A default in the text of the configuration, which `config/default.toml` shows."""
    return Field(default, validate_default=True)


class Section(BaseModel):
    # Built with the settings only: a schema of its own for each section would double the time of a start.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ServerSection(Section):
    host: str = "127.0.0.1"
    """Address of the public listener."""
    port: Port = 8080
    """Port of the public listener. 0 takes a free port."""
    socket: str = ""
    """Path of a Unix socket to listen on instead of host and port."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Request-Id headers the log uses. The peer of a Unix socket
    is always trusted."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that answer requests. Above 1, one more process fetches, renders and writes for all of them."""
    gallery: bool = False
    """Whether the root of the public listener shows the gallery of the demo, in place of a plain answer. The page names the
    directory of the originals and the admin listener."""
    request_timeout: Seconds = _written("10s")
    """Longest time that one request may take."""
    drain: Seconds = _written("10s")
    """How long a stop waits for requests and writes that are under way."""


class AdminScope(StrEnum):
    """The scope of a token."""

    UPLOAD = "upload"
    WARM = "warm"
    PURGE = "purge"
    EVENTS = "events"
    READ = "read"
    SIGN = "sign"


class TokenSection(Section):
    token: Annotated[SecretStr, _long(_MIN_TOKEN_BYTES)]
    """A bearer token, 16 bytes or more."""
    scopes: Annotated[tuple[AdminScope, ...], Field(min_length=1)]
    """Scopes of the token: upload, warm, purge, events, read, sign."""


class AdminSection(Section):
    host: str = "127.0.0.1"
    """Address of the admin listener. Clients on the internet must not reach it."""
    port: Port = 8081
    """Port of the admin listener. 0 takes a free port."""
    token: Annotated[SecretStr, _long(_MIN_TOKEN_BYTES, or_empty=True)] = SecretStr("")
    """Bearer token with every scope, 16 bytes or more. Without a token, host must be a loopback address."""
    tokens: Annotated[dict[str, TokenSection], AfterValidator(checked_names)] = {}
    """Bearer tokens with some of the scopes upload, warm, purge, events, read and sign, such as the secret of a
    store's webhook."""


class EagerSection(Section):
    presets: tuple[str, ...] = ()
    """Presets that are rendered when an original is uploaded or a store reports a new object."""


class PurgeSection(Section):
    hook: Annotated[str, _like(r"|https?://[^#\s]+", "an http or https URL")] = ""
    """URL of a CDN's purge API, called for each purge. {kind} is replaced by original, prefix, variant or plan,
    {key} by the key of the original or the prefix. With {tag}, here or in the next keys, it is called for each cache
    tag of the purge."""
    hook_method: Literal["GET", "POST", "PURGE", "DELETE", "PUT"] = "POST"
    """HTTP method of the hook."""
    hook_header: Annotated[SecretStr, AfterValidator(_header)] = SecretStr("")
    """A header to send with the hook, such as "Authorization: Bearer ..."."""
    hook_body: str = ""
    """JSON to send with the hook, such as {"tags":["{tag}"]}."""


class DirectorySection(Section):
    kind: Literal["directory"] = "directory"
    """directory: originals are files below path."""
    path: Path
    """Directory of the originals. Keys are paths below it."""


class S3Section(Section):
    """The connection to a bucket of an S3-compatible store."""

    kind: Literal["s3"]
    """s3: originals are objects of an S3-compatible bucket."""
    bucket: Annotated[
        str, _like(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", "a bucket name of letters, digits, dots, - and _")
    ]
    """Name of the bucket."""
    prefix: str = ""
    """Prefix of every key in the bucket, such as photos/."""
    endpoint_url: Annotated[str, AfterValidator(_origin)] = ""
    """Endpoint of the store, such as https://minio.example:9000. Empty is AWS."""
    region: str = ""
    """Region of the store. Empty is us-east-1."""
    access_key: str = ""
    """Access key id. Empty uses the credential chain of AWS: environment, files, machine role."""
    secret_key: SecretStr = SecretStr("")
    """Secret access key."""
    path_style: bool = True
    """true requests endpoint/bucket/key, false bucket.endpoint/key. Every store supports the first."""

    @model_validator(mode="after")
    def _keys_together(self) -> Self:
        if bool(self.access_key) != bool(self.secret_key.get_secret_value()):
            raise ValueError("access_key and secret_key must both be set, or neither")
        return self


def _host(host: str) -> str:
    """A host in lower case, with the port if it is not 80 or 443. Raises ValueError."""
    match = _HOST.fullmatch(host)
    if match is None or int(match[1] or 1) > 65_535:
        raise ValueError(
            "must be like images.example or images.example:8080, in lower case, without port 80 or 443"
        )
    return host


def _base_url(url: str) -> str:
    """A base URL with a canonical host and a final slash. Raises ValueError."""
    if not url:
        return url
    match = _BASE_URL.fullmatch(url)
    if match is None or {".", ".."} & set(unquote(match[3] or "").split("/")):
        raise ValueError(
            "must be like https://origin.example/images/, percent-encoded, without user, query or fragment"
        )
    scheme, port = match[1].lower(), {"http": ":80", "https": ":443"}[match[1].lower()]
    host = _host(match[2].lower().removesuffix(port))
    return f"{scheme}://{host}{(match[3] or '').removesuffix('/')}/"


def _sent(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Headers that the configuration may add to a fetch, each once; the values are secrets."""
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("a header is given twice: case does not count")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED or name.lower().startswith("if-"):
            raise ValueError("names must be header names, without those that a fetch sets itself")
        if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?", value.get_secret_value()):
            raise ValueError("values must be printable ASCII, without spaces at either end")
    return headers


class HttpSection(Section):
    """The connection to originals on web servers."""

    kind: Literal["http"]
    """http: originals are at http and https URLs of listed hosts."""
    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = ()
    """Hosts that URLs may name, each with its port unless the port is 80 or 443. The node connects to no host but
    these and the host of base_url."""
    base_url: Annotated[str, AfterValidator(_base_url)] = ""
    """Prefix of keys that are not URLs, such as https://origin.example/images/. Its host need not be among hosts,
    and no URL of the node shows it."""
    headers: Annotated[dict[str, SecretStr], AfterValidator(_sent)] = {}
    """Headers to send with each request to this source, such as an access token. They are not sent after a redirect
    to another host."""
    ttl: Seconds = _written("1h")
    """How long an original is fresh. After that, the node revalidates it with its server."""
    allow_private: bool = False
    """true allows hosts whose addresses are not on the public internet."""


def _kind_of(source: object) -> str:
    if not isinstance(source, dict):
        return str(getattr(source, "kind", ""))
    keys = (("bucket", "s3"), ("hosts", "http"), ("base_url", "http"))
    return str(source.get("kind", next((kind for key, kind in keys if key in source), "directory")))


Source = Annotated[
    Annotated[DirectorySection, Tag("directory")]
    | Annotated[S3Section, Tag("s3")]
    | Annotated[HttpSection, Tag("http")],
    Discriminator(
        _kind_of,
        custom_error_type="kind",
        custom_error_message="must be directory, s3 or http",
    ),
]


def _distinct(keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len({name.lower() for name in keys}) < len(keys):
        raise ValueError(
            "two ids differ only in case: environment variables have them in lower case, so one may replace the other"
        )
    return checked_names(keys)


class SigningSection(Section):
    session: Annotated[
        str, _like(r"|(cookie|header):[A-Za-z0-9!#$%&'*+.^_`|~-]+", "cookie:NAME or header:NAME")
    ] = ""
    """Cookie or header that the parameter ses of a signed URL is compared with: cookie:NAME or header:NAME."""
    keys: Annotated[dict[str, SecretStr], AfterValidator(_distinct)] = {}
    """Secrets by key id, each of 32 bytes or more; for a mount of another dialect the secret of that vendor, with a warning
    at start below 16 bytes. Several may be in use at once, so that keys can be rotated."""


def _known_dialects(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
    listed = (names,) if isinstance(names, str) else names
    for name in listed:
        if name not in DIALECTS:
            raise ValueError(f"must be one of {', '.join(DIALECTS)}{meant(nearest(name, DIALECTS))}")
    if not listed or len(set(listed)) < len(listed):
        raise ValueError("must name one dialect or several, each once")
    return names


class MountSection(Section):
    host: str = "*"
    """Host name that this mount answers to. * answers to every host that has no mount of its own."""
    prefix: str = "/"
    """Path prefix of its URLs: / or /name/."""
    source: str
    """Name of its source."""
    remote: str = ""
    """Name of a second source, for absolute URLs that are not of source: of web servers (http and https), of a bucket
    (s3://bucket/key) or a directory (local:///key). Empty: only originals of source."""
    dialect: Annotated[str | tuple[str, ...], AfterValidator(_known_dialects)] = "native"
    """Vendor whose URLs it answers; native are the URLs of docs/urls.md. Of several, as in ["thumbor", "native"], the first
    one that recognises the form of a URL reads it."""
    unsupported: Unsupported = Unsupported.REFUSE
    """Options of a vendor's URL that the node does not support. refuse: they are refused; ignore: those that only
    polish are ignored, and one that changes what the picture shows is refused; upstream: the URL is passed to
    upstream."""
    upstream: Annotated[str, AfterValidator(_base_url)] = ""
    """Base URL of the old service, such as https://res.cloudinary.com. Needs unsupported = upstream, or share below
    1."""
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Part of the originals that the node answers for, 0 to 1, by a hash of their names. Requests for the others are
    passed to upstream."""
    upstream_allow_private: bool = False
    """true allows an upstream whose addresses are not on the public internet."""
    arguments_separator: Annotated[
        str, _like(r"[!$&'()*+,:;=@_|~-]{1,4}", "1 to 4 characters of !$&'()*+,:;=@_|~-")
    ] = ":"
    """Text between the arguments of an option, in URLs of imgproxy only: its IMGPROXY_ARGUMENTS_SEPARATOR."""
    base64_url_includes_filename: bool = False
    """true: the last segment of a URL of imgproxy whose original is in base64 is a file name, which is ignored: its
    IMGPROXY_BASE64_URL_INCLUDES_FILENAME."""
    suffixes: tuple[
        Annotated[str, _like(r"[A-Za-z0-9]{1,16}", "a suffix such as jpg, without a dot")], ...
    ] = Field(SUFFIXES, max_length=16)
    """Suffixes of the originals that a public id of Cloudinary may stand for, in the order in which they are tried."""
    signing: Signing = Signing.OFF
    """off: URLs are not signed; optional: signed URLs may ask for any size; required: unsigned URLs are refused
    with 403."""
    keys: tuple[str, ...] | dict[str, tuple[str, ...]] = ()
    """Ids of the keys that sign for this mount, or with several dialects those of each, as in {thumbor = ["old"], native =
    ["new"]}. Empty is all keys."""
    dimensions: Dimensions = Dimensions.LISTED
    """What an unsigned URL may ask for. listed: sizes of [dimensions] only; snap: other sizes are moved to listed
    ones; any: every size."""
    presets_only: bool = False
    """true serves only /t_<preset>/<key>, and refuses /original/ and /info/."""
    transforms: tuple[str, ...] = ()
    """Transforms that unsigned URLs may ask for in addition, such as ["w_333,h_222,c_fill"]."""
    open: bool = False
    """true lets an unsigned mount with dimensions = any listen beyond loopback. The node then logs a warning."""
    query: QueryRule = QueryRule.STRICT
    """Unknown query parameters of a path URL. strict: they are refused; ignore: they are ignored. Tracking
    parameters such as utm_source are always ignored."""
    cache_tags: bool = False
    """true: answers have the headers Cache-Tag and Surrogate-Key, so that a CDN can purge all answers of an original;
    see [purge]."""
    fallback: str = ""
    """Key of an original of source that is shown where the original of a URL does not exist, such as missing.png. Empty: none."""
    fallback_status: Literal[200, 404] = 200
    """Status of such a response."""
    fallback_max_age: Seconds = _written("1m")
    """max-age of such a response."""
    watermark: str = ""
    """Key of an original of source that is drawn over every variant, such as logo.png. No URL removes it, and /original/ is
    refused. Empty: none."""
    watermark_width: Annotated[float, Field(ge=0.01, le=1)] = 0.25
    """Width of the watermark, as a share of the width of the picture."""
    watermark_position: Literal[
        "center",
        "north",
        "south",
        "east",
        "west",
        "north_east",
        "north_west",
        "south_east",
        "south_west",
    ] = "south_east"
    """Where it is drawn."""
    watermark_margin: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    """Least distance of the watermark from the edges, as a share of the width of the picture."""
    watermark_opacity: Annotated[int, Field(ge=1, le=100)] = 60
    """Opacity of the watermark, in percent."""
    watermark_least_width: Annotated[int, Field(ge=0)] = 0
    """Pictures narrower than so many pixels, such as icons, have no watermark."""
    max_age: Seconds = _written("365d")
    """max-age of variants in Cache-Control. 365d adds immutable."""

    @property
    def dialects(self) -> tuple[str, ...]:
        return (self.dialect,) if isinstance(self.dialect, str) else self.dialect

    def has_own(self, key: str) -> bool:
        """Whether one of its dialects takes this key of OWN_SETTINGS."""
        return any(key in DIALECTS[dialect].settings for dialect in self.dialects)

    def keys_by_dialect(self) -> dict[str, tuple[str, ...]]:
        """The ids of the keys of each dialect."""
        return self.keys if isinstance(self.keys, dict) else dict.fromkeys(self.dialects, self.keys)


class MemorySection(Section):
    max_bytes: Bytes = _written("256MiB")
    """Size of the memory tier, divided among the processes of the node."""
    max_entry_bytes: Bytes = _written("1MiB")
    """Size of the largest variant that the memory tier keeps."""


class DiskSection(Section):
    path: str = ""
    """Directory of the disk tier. Empty is calotype in the user's cache directory."""
    max_bytes: Annotated[ByteSize, Field(ge=2**20)] = _written("10GiB")
    """Size of the disk tier, its database included."""


class OriginalsSection(Section):
    max_bytes: Bytes = _written("4GiB")
    """Size of the originals from s3 and http sources that are kept on disk, beside the disk tier."""


class BucketSection(Section):
    kind: Literal["none", "directory", "s3"] = "none"
    """Where all nodes share their variants: none, directory (on a file system that they share) or s3."""
    path: str = ""
    """directory: path of the shared directory."""
    bucket: str = ""
    """s3: name of the bucket."""
    endpoint_url: str = ""
    """Endpoint of the store. Empty is AWS."""
    region: str = ""
    """Region of the store. Empty is us-east-1."""
    access_key: str = ""
    """Access key id. Empty uses the credential chain of AWS."""
    secret_key: SecretStr = SecretStr("")
    """Secret access key."""
    path_style: bool = True
    """true requests endpoint/bucket/key, false bucket.endpoint/key."""
    prefix: Annotated[
        str,
        _like(
            r"([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?",
            "a folder such as thumbnails or site/thumbnails, without a slash at its ends",
        ),
    ] = "thumbnails"
    """Folder of the variants in the bucket."""
    delivery: Literal["proxy", "redirect"] = "proxy"
    """proxy: the node sends the bytes; redirect: the node redirects clients to the bucket where it can."""
    public_url: Annotated[str, _like(r"|https?://[^?#\s]+", "an http or https URL without ? and #")] = ""
    """redirect: public base URL of the bucket. Empty redirects to pre-signed URLs."""

    def as_s3(self) -> S3Section:
        """The connection to the bucket, without the folder. Raises ValueError if it is incomplete."""
        names = S3Section.model_fields.keys() - {"kind", "prefix"}
        return S3Section(kind="s3", **{name: getattr(self, name) for name in names})


class CacheSection(Section):
    memory: MemorySection = MemorySection()
    disk: DiskSection = DiskSection()
    originals: OriginalsSection = OriginalsSection()
    bucket: BucketSection = BucketSection()


class RedisSection(Section):
    url: SecretStr = SecretStr("")
    """URL of Redis: redis://host:6379/0, rediss:// or unix://. Empty is no Redis."""
    flag_ttl: Annotated[Seconds, Field(ge=1)] = _written("30d")
    """Lifetime of a presence flag, which says that a variant is in the bucket."""
    timeout: Annotated[Seconds, Field(gt=0, le=5)] = _written("50ms")
    """Timeout of a Redis command. After one failure the node does not wait for Redis until Redis answers again."""


class LimitsSection(Section):
    original_max_bytes: Bytes = _written("50MB")
    """Size of the largest original."""
    original_max_side: Positive = 10_000
    """Longest side of an original, in pixels."""
    original_max_pixels: Positive = 100_000_000
    """Most pixels of an original, over all frames that are decoded."""
    original_max_pixels_heif: Positive = 25_000_000
    """The same limit for AVIF and HEIC originals."""
    original_max_frames: Positive = 128
    """Most frames of an original whose variant is an animation."""
    output_max_side: Positive = 4000
    """Longest side of a variant, in pixels. A larger box is scaled down to it."""
    url_max_bytes: Annotated[int, Field(ge=1, le=65_000)] = 8192
    """Longest request target, in bytes."""
    upstream_max_bytes: Bytes = _written("200MB")
    """Size of the largest body that is passed from an upstream to a client."""
    info_gps: bool = False
    """true includes GPS data in /info/."""


_SIDES_PX = (
    16, 32, 48, 64, 96, 100, 128, 150, 180, 200, 240, 256, 300, 320, 360, 384, 400, 450, 480, 540,
    600, 630, 640, 720, 750, 768, 800, 828, 960, 1024, 1080, 1200, 1280, 1440, 1536, 1600, 1920,
    2048, 2160, 2560, 3840,
)  # fmt: skip


def _colour(value: str) -> str:
    colour(value)  # Raises ValueError.
    return value


class DimensionsSection(Section):
    allowed: tuple[Positive, ...] = Field(_SIDES_PX, min_length=1)
    """Sides, in pixels, that unsigned URLs of listed and snap mounts may ask for."""
    colours: tuple[Annotated[str, AfterValidator(_colour)], ...] = ()
    """Backgrounds, as rrggbb or rrggbbaa, that unsigned URLs of these mounts may ask for in addition to white,
    black and transparent."""


class RenderSection(Section):
    workers: Annotated[int, Field(ge=0, le=1024)] = 0
    """Render processes. 0 is one for each core."""
    queue: Positive = 64
    """Renders that may wait for a worker. Further requests are shed with 503."""
    timeout: Annotated[Seconds, Field(gt=0)] = _written("5s")
    """Timeout of a render. A worker that exceeds it is killed."""
    memory: Annotated[ByteSize, Field(ge=256 * 2**20)] = _written("1GiB")
    """Address space of a worker."""
    sandbox: Literal["off", "auto", "required"] = "auto"
    """off: no sandbox; auto: workers give up files, network and other processes as far as the kernel supports it,
    and a warning names what is missing; required: the node does not start without the whole sandbox."""
    recycle_after: Positive = 1000
    """Jobs after which a worker is replaced."""
    fonts: tuple[str, ...] = ("/usr/share/fonts", "/usr/local/share/fonts")
    """Folders of fonts for texts in URLs, with all folders in them. Needs the extra calotype[text]."""


class TracesSection(Section):
    endpoint: Annotated[str, _like(r"|https?://[^?#\s]+", "an http or https URL without ? and #")] = ""
    """OTLP/HTTP endpoint, such as http://collector:4318/v1/traces. Empty is off. Needs the extra calotype[otel]."""
    sample: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the requests that are traced, 0 to 1."""


class LogSection(Section):
    format: Literal["auto", "json", "text"] = "auto"
    """json: one JSON object a line; text: readable lines; auto: text on a terminal, json elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is written: debug, info (which includes requests), warning or error."""


class FormatsSection(Section):
    auto: Annotated[tuple[Format, ...], BeforeValidator(_negotiated)] = (
        Format.AVIF,
        Format.WEBP,
        Format.JPEG,
    )
    """Formats that f_auto tries, best first. The list ends with jpeg."""
    quality: Annotated[int, Field(ge=1, le=100)] = 80
    """Quality where a URL names none, 1 to 100."""
    avif_effort: Annotated[int, Field(ge=0, le=9)] | Literal["auto"] = "auto"
    """Encoder effort for AVIF, 0 to 9. `auto` is 2 up to 450 px, 1 up to 900 px and 0 above: effort pays for small pictures,
    and at 0 a large AVIF costs no more than a WebP."""
    webp_effort: Annotated[int, Field(ge=0, le=6)] = 4
    """Encoder effort for WebP, 0 to 6."""
    png_compression: Annotated[int, Field(ge=0, le=9)] = 6
    """Compression level of PNG, 0 to 9."""
    gif_effort: Annotated[int, Field(ge=1, le=10)] = 4
    """Encoder effort for GIF, 1 to 10."""
