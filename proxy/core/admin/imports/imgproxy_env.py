"""imgproxy's environment variables, as a file of them has them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.core.admin.imports.imported import (
    BUCKET,
    LOCAL,
    MOUNT,
    WEB,
    Imported,
    SettingPath,
    plain_host,
)
from proxy.core.admin.imports.preset_file import DEFAULT, add_presets
from proxy.core.url.dialects.component import components_of, transform_of
from proxy.core.url.dialects.native.urls import parse_tokens, spell

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*(?:=\s*(.*?)\s*)?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,6})?", re.ASCII)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(.*)", re.ASCII)
_PREFIX = "IMGPROXY_"
_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_SIGNATURE_BYTES = 32
_SLOWEST_AVIF = 9


def variables(text: str) -> dict[str, str]:
    """The variables of a file of `NAME=value` lines; quotes around a value are removed. A name alone has no value."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None:
            value = match[2] or ""
            is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            found[match[1]] = value[1:-1] if is_quoted else value
    return found


def read_imgproxy(text: str) -> Imported:
    """The settings that do what a file of imgproxy's variables does. Raises ValueError."""
    values = {
        name.removeprefix(_PREFIX): value
        for name, value in variables(text).items()
        if name.startswith(_PREFIX)
    }
    if not values:
        raise ValueError(f"has no variable that begins with {_PREFIX}")
    reading = _Reading(values)
    reading.server()
    reading.mounted(reading.sources())
    reading.signed()
    reading.numbers()
    reading.presets()
    reading.rest()
    if any(name.startswith("AWS_") for name in variables(text)):
        reading.imported.note(
            "AWS_*", "the node reads these variables from its environment too: set them there"
        )
    return reading.imported


class _Allowed(NamedTuple):
    """The hosts and the buckets of the allowed sources, and whether they have web servers."""

    hosts: list[str]
    buckets: list[str]
    has_web: bool


class _Number(NamedTuple):
    """The setting of a number: its path, the factor between both, and whether 0 means that there is no limit."""

    path: SettingPath
    factor: int = 1
    is_unlimited_at_0: bool = False
    unit: str = ""


_NUMBERS: Mapping[str, _Number] = {
    "TTL": _Number(("mounts", MOUNT, "max_age"), unit="s"),
    "MAX_SRC_RESOLUTION": _Number(("limits", "original_max_pixels"), 1_000_000),
    "MAX_SRC_FILE_SIZE": _Number(("limits", "original_max_bytes"), is_unlimited_at_0=True),
    "MAX_RESULT_DIMENSION": _Number(("limits", "output_max_side"), is_unlimited_at_0=True),
    "TIMEOUT": _Number(("server", "request_timeout"), unit="s"),
    "WRITE_TIMEOUT": _Number(("server", "request_timeout"), unit="s"),
    "GRACEFUL_STOP_TIMEOUT": _Number(("server", "drain"), unit="s"),
    "WORKERS": _Number(("render", "workers")),
    "CONCURRENCY": _Number(("render", "workers")),
    "REQUESTS_QUEUE_SIZE": _Number(("render", "queue"), is_unlimited_at_0=True),
    "QUALITY": _Number(("formats", "quality")),
    "WEBP_EFFORT": _Number(("formats", "webp_effort")),
}

_REASONS = (
    ("FORMAT_QUALITY", "a URL or a preset names a quality for one format, with fq"),
    ("MAX_ANIMATION_FRAME", "animations are drawn whole, up to limits.original_max_frames"),
    ("MAX_REDIRECTS", "redirects are followed to listed hosts only"),
    ("SECRET", "no header is compared: signatures, or the server in front, keep others out"),
    ("SOURCE_URL_ENCRYPTION_KEY", "encrypted URLs are refused"),
    ("ALLOW_SECURITY_OPTIONS", "the limits are those of [limits]"),
    ("ALLOW_ORIGIN", "pages of every origin may read answers"),
    ("IGNORE_SSL_VERIFICATION", "certificates are always verified"),
    ("S3_ASSUME_ROLE", "set it in the configuration files of AWS"),
    ("S3_MULTI_REGION", "a source has one region"),
    ("USE_GCS", "use the interface of this store that is like S3, or its web server"),
    ("GCS_", "use the interface of this store that is like S3, or its web server"),
    ("USE_ABS", "Azure Blob Storage is not supported"),
    ("ABS_", "Azure Blob Storage is not supported"),
    ("USE_SWIFT", "OpenStack Swift is not supported"),
    ("SWIFT_", "OpenStack Swift is not supported"),
    ("URL_REPLACEMENTS", "URLs are taken as they are"),
    ("PRESETS_PATH", "give the presets of the file as IMGPROXY_PRESETS"),
    ("WATERMARK", "watermarks are not supported"),
    ("FALLBACK_IMAGE", "there is no fallback image"),
    ("AUTOQUALITY", "qualities are numbers"),
    ("STRIP_METADATA", "metadata is always removed"),
    ("KEEP_COPYRIGHT", "copyright is retained where a URL or a preset asks for it, with kcr:1"),
    ("STRIP_COLOR_PROFILE", "colours are always converted to sRGB"),
    ("AUTO_ROTATE", "pictures are upright unless a URL has ar:0"),
    ("PROMETHEUS", "metrics are at /metrics of the admin listener"),
    ("ETAG", "answers always have an entity tag"),
    ("USE_ETAG", "answers always have an entity tag"),
    ("USE_LAST_MODIFIED", "answers have an entity tag instead"),
    ("COOKIE", "no cookie is passed on"),
    ("CUSTOM_REQUEST_HEADERS", "set sources.NAME.headers"),
    ("ENABLE_CLIENT_HINTS", "client hints change no answer"),
)
"""By the beginning of a name, why it is not carried over."""


@dataclass(slots=True)
class _Reading:
    """`values` are the variables without the prefix of their names; `used` those that were read."""

    values: Mapping[str, str]
    imported: Imported = field(default_factory=Imported)
    used: set[str] = field(default_factory=set)

    def text(self, name: str) -> str:
        self.used.add(name)
        return self.values.get(name, "")

    def listed(self, name: str, separator: str = ",") -> list[str]:
        return [part.strip() for part in self.text(name).split(separator) if part.strip()]

    def is_true(self, name: str) -> bool:
        return self.text(name).lower() in _TRUE

    def note(self, name: str, text: str) -> None:
        self.imported.note(f"{_PREFIX}{name}", text)

    def server(self) -> None:
        host, colon, port = self.text("BIND").rpartition(":")
        if colon and port.isdecimal() and int(port) <= 65_535:
            self.imported.settings["server", "host"] = host.strip("[]") or "0.0.0.0"  # noqa: S104
            self.imported.settings["server", "port"] = int(port)
        elif self.values.get("BIND"):
            self.note("BIND", "must be an address and a port; a Unix socket is server.socket")
        if level := _LEVELS.get(self.text("LOG_LEVEL").lower()):
            self.imported.settings["log", "level"] = level
        if given := self.text("LOG_FORMAT").lower():
            self.imported.settings["log", "format"] = "json" if given in ("json", "gcp") else "text"

    def sources(self) -> list[str]:
        """Sets the sources, and returns their names; the one of relative URLs first."""
        imported = self.imported
        base_url = self.text("BASE_URL")
        web_base = base_url if base_url.startswith(("http://", "https://")) else ""
        if base_url and not web_base:
            self.note("BASE_URL", "only http and https URLs precede keys: use a key as it is")
        allowed = self._allowed()
        names = [LOCAL] if (root := self.text("LOCAL_FILESYSTEM_ROOT")) else []
        if root:
            imported.source(LOCAL, path=root)
        if self.is_true("USE_S3"):
            self._bucket([*allowed.buckets, *self.listed("S3_ALLOWED_BUCKETS")])
            names.append(BUCKET)
        if web_base or allowed.has_web or not names:
            imported.web_source(allowed.hosts, base_url=web_base)
            self._private()
            names = [WEB, *names] if web_base else [*names, WEB]
        return names

    def _private(self) -> None:
        private = [self.is_true(f"ALLOW_{kind}_SOURCE_ADDRESSES") for kind in ("PRIVATE", "LOOPBACK")]
        if any(private):
            self.imported.source(WEB, allow_private=True)
        elif "ALLOW_PRIVATE_SOURCE_ADDRESSES" not in self.values:
            self.note(
                "ALLOW_PRIVATE_SOURCE_ADDRESSES",
                f"is true by default: set sources.{WEB}.allow_private if hosts have private addresses",
            )

    def _allowed(self) -> _Allowed:
        hosts: list[str] = []
        buckets: list[str] = []
        entries = self.listed("ALLOWED_SOURCES")
        for entry in entries:
            match = _URL.fullmatch(entry)
            scheme, host, path = (match[1].lower(), match[2], match[3]) if match else ("", "", "")
            if scheme in ("http", "https") and (plain := plain_host(host)):
                hosts.append(plain)
            elif scheme == "s3" and "*" not in host:
                buckets += [host] if host else []
            elif scheme != "local":
                self.note("ALLOWED_SOURCES", f"{entry} names no host: list the hosts in sources.{WEB}.hosts")
                continue
            if path.strip("/*"):
                self.note("ALLOWED_SOURCES", f"the path of {entry} is not a limit")
        has_web = not entries or any(entry.lower().startswith("http") for entry in entries)
        return _Allowed(hosts, buckets, has_web)

    def _bucket(self, buckets: list[str]) -> None:
        names = list(dict.fromkeys(buckets))
        if not names:
            self.imported.note(f"sources.{BUCKET}.bucket", "put the name of the bucket in place of BUCKET")
        for name in names[1:]:
            self.imported.note(
                f"bucket {name}", "give it a source and a mount of its own: a source is one bucket"
            )
        self.imported.source(BUCKET, kind="s3", bucket=names[0] if names else "BUCKET")
        if endpoint := self.text("S3_ENDPOINT"):
            url = endpoint if "://" in endpoint else f"https://{endpoint}"
            self.imported.source(BUCKET, endpoint_url=url.removesuffix("/"))
        if region := self.text("S3_REGION"):
            self.imported.source(BUCKET, region=region)
        if self.values.get("S3_ENDPOINT_USE_PATH_STYLE"):
            self.imported.source(BUCKET, path_style=self.is_true("S3_ENDPOINT_USE_PATH_STYLE"))

    def mounted(self, sources: list[str]) -> None:
        self.imported.mounted(sources, "imgproxy")
        if path := self.text("PATH_PREFIX").strip("/"):
            self.imported.mount(prefix=f"/{path}/")
        if separator := self.text("ARGUMENTS_SEPARATOR"):
            self.imported.mount(arguments_separator=separator)
        if self.is_true("BASE64_URL_INCLUDES_FILENAME"):
            self.imported.mount(base64_url_includes_filename=True)
        if self.is_true("ONLY_PRESETS"):
            self.imported.mount(presets_only=True)

    def signed(self) -> None:
        keys, salts = self.listed("KEY"), self.listed("SALT")
        trusted = self.listed("TRUSTED_SIGNATURES")
        size = self.text("SIGNATURE_SIZE")
        if len(keys) != len(salts):
            self.note("SALT", "there must be as many salts as keys")
        ending = f":{size}" if size and size != str(_SIGNATURE_BYTES) else ""
        secrets = [f"{key}:{salt}{ending}" for key, salt in zip(keys, salts, strict=False)]
        if not secrets and not self.values.keys() & {"KEY", "SALT"}:
            self.imported.unsigned()
            return
        if not secrets:
            # The other half, or the value, may be set elsewhere: what may be signed is not opened.
            self.imported.mount(signing="required", keys=("imgproxy1",))
            self.imported.missing_key("imgproxy1")
            return
        secrets += [f"trusted:{text}" for text in trusted]
        ids = [f"imgproxy{number}" for number in range(1, len(secrets) + 1)]
        self.imported.mount(signing="required", keys=tuple(ids))
        self.imported.settings |= {
            ("signing", "keys", key_id): secret for key_id, secret in zip(ids, secrets, strict=True)
        }

    def numbers(self) -> None:
        for name, number in _NUMBERS.items():
            if not (given := self.text(name)):
                continue
            if not _NUMBER.fullmatch(given):
                self.note(name, "must be a number")
                continue
            value = int(float(given) * number.factor)
            if number.is_unlimited_at_0 and not value:
                self.note(name, f"there is always a limit: {'.'.join(number.path)}")
            else:
                self.imported.settings[number.path] = f"{value}{number.unit}" if number.unit else value
        if (speed := self.text("AVIF_SPEED")).isdecimal() and int(speed) <= _SLOWEST_AVIF:
            self.imported.settings["formats", "avif_effort"] = _SLOWEST_AVIF - int(speed)

    def presets(self) -> None:
        separator = self.text("PRESETS_SEPARATOR") or ","
        written = dict(part.partition("=")[::2] for part in self.listed("PRESETS", separator))
        add_presets(self.imported, written, self.text("ARGUMENTS_SEPARATOR") or ":")
        detected = [
            kind
            for kind in ("avif", "webp")
            if any([self.is_true(f"{how}_{kind.upper()}{end}") for how, end in _DETECTIONS])
        ]
        if detected:
            # A URL without a format then negotiates it.
            own = str(self.imported.settings.get(("presets", DEFAULT), ""))
            transform = transform_of(parse_tokens(own, {}).components) if own else transform_of(())
            if transform.format is None:
                tokens = spell(components_of(transform))
                self.imported.settings["presets", DEFAULT] = f"{tokens},f_auto" if tokens else "f_auto"
            self.imported.settings["formats", "auto"] = (*detected, "jpeg")

    def rest(self) -> None:
        """A note for each variable that was not read and has a value."""
        for name, value in self.values.items():
            if name in self.used or value.lower() in ("", "0", "false"):
                continue
            self.imported.note_unknown(name, _REASONS, prefix=_PREFIX)


_LEVELS = {
    **{level: level for level in ("debug", "info", "warning", "error")},
    **{"warn": "warning", "fatal": "error", "panic": "error"},
}

_DETECTIONS = (("AUTO", ""), ("ENABLE", "_DETECTION"), ("ENFORCE", ""))
"""The names of the variables that let imgproxy negotiate a format, before and after that of the format."""
