"""Settings: frozen sections, validated as a whole before anything starts.

Precedence: flags, `CALOTYPE_<SECTION>__<KEY>`, the TOML file, the defaults. Every problem is one line that names its
key and never repeats a value, which could be a secret. Longer than other files because all checks across sections are
in one place.
"""

import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from proxy.config.errors import ConfigError
from proxy.config.messages import leaves, one_line, shown
from proxy.config.sections import (
    AdminSection,
    CacheSection,
    DimensionsSection,
    EagerSection,
    FormatsSection,
    HttpSection,
    LimitsSection,
    LogSection,
    MountSection,
    PurgeSection,
    RedisSection,
    RenderSection,
    ServerSection,
    SigningSection,
    Source,
    TracesSection,
    checked_names,
)
from proxy.core.errors import BadTransform, BadUrl
from proxy.core.nearest import meant
from proxy.core.transform.operations import Transform, without_no_ops
from proxy.core.url.dialects.component import Presets
from proxy.core.url.dialects.dialect import OWN_SETTINGS, Unsupported
from proxy.core.url.dialects.native.urls import DIALECT as NATIVE
from proxy.core.url.dialects.native.urls import parse_tokens, parse_transform
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.mounts import Signing
from proxy.core.url.policy import Dimensions

PREFIX = "CALOTYPE_"
WEAK_SECRET_BYTES = 16
_MOUNT_HOST = re.compile(r"\*|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?", re.ASCII)
_ALSO_PREFIXED = frozenset({"CALOTYPE_CONFIG", "CALOTYPE_CORPUS"})


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    server: ServerSection = ServerSection()
    admin: AdminSection = AdminSection()
    sources: Annotated[dict[str, Source], AfterValidator(checked_names)] = {}
    mounts: Annotated[dict[str, MountSection], AfterValidator(checked_names)] = {}
    cache: CacheSection = CacheSection()
    redis: RedisSection = RedisSection()
    signing: SigningSection = SigningSection()
    limits: LimitsSection = LimitsSection()
    dimensions: DimensionsSection = DimensionsSection()
    render: RenderSection = RenderSection()
    formats: FormatsSection = FormatsSection()
    log: LogSection = LogSection()
    traces: TracesSection = TracesSection()
    purge: PurgeSection = PurgeSection()
    eager: EagerSection = EagerSection()
    presets: Annotated[dict[str, str], AfterValidator(checked_names)] = {}
    """Named transforms, requested as /t_NAME/key."""

    @model_validator(mode="after")
    def _combined(self) -> Self:
        self.combine()
        return self

    def combine(self) -> None:
        """Raises ValueError for the first problem between sections."""
        self._check_mounts()
        self._check_keys()
        self._check_signing()
        self._check_bucket()
        self._check_other_sections()
        presets = self.parsed_presets()
        for name, mount in self.mounts.items():
            self.parsed_transforms(name, mount, presets)

    def _check_mounts(self) -> None:
        if self.sources and not self.mounts and len(self.sources) > 1:
            raise ValueError("mounts: several sources need a [mounts.NAME] table each")
        for name, source in self.sources.items():
            if isinstance(source, HttpSection) and not source.hosts and not source.base_url:
                raise ValueError(f"sources.{name}.hosts: must name a host if base_url is not set")
        taken: set[tuple[str, str]] = set()
        for name, mount in self.mounts.items():
            if mount.source not in self.sources:
                raise ValueError(f"mounts.{name}.source: there is no [sources.NAME] table of that name")
            for key in OWN_SETTINGS:
                is_set = getattr(mount, key) != MountSection.model_fields[key].default
                if is_set and not mount.has_own(key):
                    raise ValueError(
                        f"mounts.{name}.{key}: has no effect on URLs of {' and '.join(mount.dialects)}"
                    )
            self._check_upstream(name, mount)
            if not re.fullmatch(r"/(?:[A-Za-z0-9._~-]+/)*", mount.prefix):
                raise ValueError(f"mounts.{name}.prefix: must be / or /name/")
            if not _MOUNT_HOST.fullmatch(mount.host):
                raise ValueError(f"mounts.{name}.host: must be * or a host name in lower case without a port")
            source = self.sources[mount.source]
            if isinstance(source, HttpSection):
                for key, hosts in (
                    ("hosts", source.hosts),
                    ("base_url", (urlsplit(source.base_url).netloc,)),
                ):
                    if mount.host in hosts:
                        raise ValueError(
                            f"sources.{mount.source}.{key}: {mount.host} is this node itself: see mounts.{name}.host"
                        )
            if (mount.host, mount.prefix) in taken:
                raise ValueError(f"mounts.{name}: another mount has the same host and prefix")
            taken.add((mount.host, mount.prefix))

    def _check_upstream(self, name: str, mount: MountSection) -> None:
        is_used = mount.unsupported is Unsupported.UPSTREAM or mount.share < 1
        if mount.unsupported is Unsupported.UPSTREAM and not mount.upstream:
            raise ValueError(f"mounts.{name}.upstream: must be set where unsupported is upstream")
        if mount.share < 1 and not mount.upstream:
            raise ValueError(f"mounts.{name}.upstream: must be set where share is below 1")
        if mount.upstream and not is_used:
            raise ValueError(f"mounts.{name}.upstream: needs unsupported = upstream, or share below 1")
        if mount.upstream_allow_private and not mount.upstream:
            raise ValueError(f"mounts.{name}.upstream_allow_private: has no effect without upstream")
        if mount.upstream and mount.presets_only:
            raise ValueError(
                f"mounts.{name}.upstream: cannot be set with presets_only, which the upstream does not know"
            )
        host = urlsplit(mount.upstream).netloc
        for other, each in self.mounts.items():
            if host and each.host == host:
                raise ValueError(
                    f"mounts.{name}.upstream: {host} is this node itself: see mounts.{other}.host"
                )

    def _check_keys(self) -> None:
        """Every key has one scheme: that of the mounts that name it, or the native one."""
        dialects = dict.fromkeys(self._native_keys(), NATIVE.name)
        for name, mount in self.mounts.items():
            of_dialect = mount.keys_by_dialect()
            if others := sorted(set(of_dialect) - set(mount.dialects)):
                raise ValueError(f"mounts.{name}.keys: {shown(others[0])} is no dialect of this mount")
            for dialect in mount.dialects if mount.signing is not Signing.OFF else ():
                if DIALECTS[dialect].sign is None:
                    raise ValueError(
                        f"mounts.{name}.signing: must be off, because URLs of the dialect {dialect} cannot be signed"
                    )
                if dialect != NATIVE.name and not of_dialect.get(dialect):
                    raise ValueError(f"mounts.{name}.keys: must name the keys of {dialect} in [signing.keys]")
            for dialect, key_ids in of_dialect.items():
                for key_id in key_ids:
                    if dialects.setdefault(key_id, dialect) != dialect:
                        raise ValueError(
                            f"mounts.{name}.keys: the key {shown(key_id)} belongs to another dialect; of several dialects"
                            " each has its own, as in {thumbor = ['old'], native = ['new']}"
                        )
        for key_id, dialect in dialects.items():
            if key_id in self.signing.keys:
                try:
                    DIALECTS[dialect].check_key(self.signing.keys[key_id].get_secret_value())
                except ValueError as reason:
                    raise ValueError(f"signing.keys.{shown(key_id)}: {reason}") from None

    def _check_signing(self) -> None:
        signing = {
            name: mount for name, mount in self.named_mounts().items() if mount.signing is not Signing.OFF
        }
        for name, mount in self.named_mounts().items():
            table = f"mounts.{name}"
            of_dialect = mount.keys_by_dialect()
            key_ids = dict.fromkeys(key_id for each in of_dialect.values() for key_id in each)
            for number, key_id in enumerate(key_ids, start=1):
                if key_id not in self.signing.keys:
                    raise ValueError(f"{table}.keys: number {number}: [signing.keys] has no key with this id")
            if (
                name in signing
                and not (of_dialect.get(NATIVE.name) or self._native_keys())
                and NATIVE.name in mount.dialects
            ):
                raise ValueError(f"{table}.signing: requires a key in [signing.keys]")
            if mount.remote and mount.remote not in self.sources:
                raise ValueError(f"{table}.remote: there is no [sources.NAME] table of that name")
            if mount.keys and name not in signing:
                raise ValueError(f"{table}.keys: have no effect while signing is off")
            if mount.transforms and mount.signing is Signing.REQUIRED:
                raise ValueError(f"{table}.transforms: have no effect while signing is required")
            if self.is_exposed(mount) and not mount.open:
                raise ValueError(
                    f"{table}.dimensions: any lets every client fill the cache if server.host is not a loopback address;"
                    " set dimensions = listed or snap, signing = required, or open = true"
                )
        for (name, mount), (other_name, other) in combinations(signing.items(), 2):
            overlap = mount.prefix.startswith(other.prefix) or other.prefix.startswith(mount.prefix)
            secrets, others = (
                {secret for dialect in each.dialects for secret in self.keys_of(each, dialect).values()}
                for each in (mount, other)
            )
            if (
                mount.host != other.host
                and overlap
                and not (mount.keys and other.keys and secrets.isdisjoint(others))
            ):
                raise ValueError(
                    f"mounts.{name}.keys: mounts {name} and {other_name} differ in their host, which is not signed:"
                    " give each mount its own keys"
                )

    def _check_bucket(self) -> None:
        bucket = self.cache.bucket
        if bucket.kind == "directory" and not bucket.path:
            raise ValueError("cache.bucket.path: must name the directory that the nodes share")
        if bucket.kind == "s3":
            try:
                bucket.as_s3()
            except ValidationError as wrong:
                raise ValueError(one_line(wrong, type(bucket), ("cache", "bucket"))) from None
        if bucket.kind == "none" and any(
            (bucket.bucket, bucket.path, bucket.endpoint_url, bucket.access_key)
        ):
            raise ValueError("cache.bucket.kind: must be directory or s3 if its other keys are set")
        if bucket.delivery == "redirect":
            if bucket.kind == "none":
                raise ValueError("cache.bucket.delivery: redirect requires a bucket")
            if not self.redis.url.get_secret_value():
                raise ValueError("cache.bucket.delivery: redirect requires redis.url, for presence flags")
            if bucket.kind == "directory" and not bucket.public_url:
                raise ValueError("cache.bucket.public_url: must be set for redirects to a directory")
        if not re.match(r"(?:$|(?:rediss?|unix)://)", self.redis.url.get_secret_value()):
            raise ValueError("redis.url: must begin with redis://, rediss:// or unix://")

    def _check_other_sections(self) -> None:
        purge = self.purge
        if purge.hook_body and not purge.hook:
            raise ValueError("purge.hook_body: has no effect without purge.hook")
        templates = purge.hook, purge.hook_header.get_secret_value(), purge.hook_body
        if any("{tag}" in each for each in templates) and not any(
            mount.cache_tags for mount in self.mounts.values()
        ):
            raise ValueError("purge.hook: {tag} needs a mount with cache_tags = true")
        for number, name in enumerate(self.eager.presets, start=1):
            if name not in self.presets:
                raise ValueError(f"eager.presets: number {number}: [presets] has no preset with this name")
        tokens = [self.admin.token, *(each.token for each in self.admin.tokens.values())]
        secrets = [token.get_secret_value() for token in tokens if token.get_secret_value()]
        if len(set(secrets)) < len(secrets):
            raise ValueError("admin.tokens: two tokens are equal")
        if self.admin.tokens and not self.admin.token.get_secret_value():
            raise ValueError(
                "admin.token: must be set if [admin.tokens] is: without it, calls without a token have all scopes"
            )
        if not is_loopback(self.admin.host) and not self.admin.token.get_secret_value():
            raise ValueError("admin.token: must be set if admin.host is not a loopback address")
        if self.server.port and self.server.port == self.admin.port and not self.server.socket:
            raise ValueError("admin.port: must differ from server.port")

    def parsed_presets(self) -> Presets:
        """The presets by name. Raises ValueError, which names the invalid preset."""
        parsed = {}
        for name, tokens in self.presets.items():
            with _located(f"presets.{name}"):
                parsed[name] = parse_tokens(tokens, {}).components
        return parsed

    def parsed_transforms(self, name: str, mount: MountSection, presets: Presets) -> frozenset[Transform]:
        """The `transforms` of `mount` with their presets applied. Raises ValueError, which names the invalid one."""
        parsed = set()
        for number, tokens in enumerate(mount.transforms, start=1):
            where = f"mounts.{name}.transforms: number {number}"
            with _located(where):
                transform = parse_transform(tokens, presets)
            if transform.version is not None:
                raise ValueError(f"{where}: leave out v: it is always allowed")
            parsed.add(without_no_ops(transform))
        return frozenset(parsed)

    def is_exposed(self, mount: MountSection) -> bool:
        """Whether clients on other machines may request any size from `mount`."""
        allows_any_size = mount.dimensions is Dimensions.ANY and mount.signing is not Signing.REQUIRED
        is_reachable = not self.server.socket and not is_loopback(self.server.host)
        return allows_any_size and not mount.presets_only and is_reachable

    def named_mounts(self) -> dict[str, MountSection]:
        """The mounts. A single source without a mount is mounted at / under its own name."""
        return self.mounts or {name: MountSection(source=name) for name in self.sources}

    def keys_of(self, mount: MountSection, dialect: str) -> dict[str, bytes]:
        """The secrets that sign URLs of `dialect` for `mount`, by key id; empty if signing is off."""
        if mount.signing is Signing.OFF:
            return {}
        keys, key_ids = self.signing.keys, mount.keys_by_dialect().get(dialect) or self._native_keys()
        return {key_id: keys[key_id].get_secret_value().encode() for key_id in key_ids}

    def weak_keys(self) -> list[str]:
        """The ids of the keys of mounts that have fewer than WEAK_SECRET_BYTES secret bytes."""
        return [
            key_id
            for key_id, dialect in dict(self._named_keys()).items()
            if DIALECTS[dialect].check_key(self.signing.keys[key_id].get_secret_value()) < WEAK_SECRET_BYTES
        ]

    def _native_keys(self) -> list[str]:
        """The ids of the keys that no mount of another dialect names."""
        others = {key_id for key_id, dialect in self._named_keys() if dialect != NATIVE.name}
        return [key_id for key_id in self.signing.keys if key_id not in others]

    def _named_keys(self) -> Iterator[tuple[str, str]]:
        """The id and the dialect of each key that a mount names."""
        for mount in self.mounts.values():
            for dialect, key_ids in mount.keys_by_dialect().items():
                yield from ((key_id, dialect) for key_id in key_ids)

    def disk_path(self) -> Path:
        """The directory of the disk tier. Raises ConfigError if it is not set and the user has no home directory."""
        if self.cache.disk.path:
            return Path(self.cache.disk.path).expanduser()
        try:
            return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calotype"
        except RuntimeError:
            raise ConfigError("cache.disk.path: must be set: this user has no home directory") from None

    def workers(self) -> int:
        """The number of render processes."""
        return self.render.workers or len(os.sched_getaffinity(0))


@contextmanager
def _located(where: str) -> Iterator[None]:
    """Raises ValueError, which begins with `where`, for an invalid transform."""
    try:
        yield
    except (BadTransform, BadUrl) as failure:
        raise ValueError(f"{where}: {failure.detail}") from None


def is_loopback(host: str) -> bool:
    """Whether `host` can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Layer(NamedTuple):
    """The settings of one place; `origin` is flag, environment or the path of the file."""

    origin: str
    values: Mapping[str, Any]


def load(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings from flags, environment and file. Raises ConfigError."""
    return traced(path, flags)[0]


def traced(
    path: Path | None = None, flags: Mapping[str, Any] | None = None
) -> tuple[Settings, tuple[Layer, ...]]:
    """The settings, and the settings of each place in order of precedence. Raises ConfigError."""
    chosen = path or (Path(os.environ["CALOTYPE_CONFIG"]) if os.environ.get("CALOTYPE_CONFIG") else None)
    if chosen is not None and not chosen.is_file():
        raise ConfigError(f"there is no configuration file {chosen}")
    for name in os.environ:
        section = name.removeprefix(PREFIX).partition("__")[0].lower()
        if name.startswith(PREFIX) and name not in _ALSO_PREFIXED and section not in Settings.model_fields:
            known = ["CALOTYPE_CONFIG", *(PREFIX + "__".join(path).upper() for path, _ in leaves(Settings))]
            near = get_close_matches(name.upper(), known, n=1, cutoff=0.8)
            raise ConfigError(f"{name}: there is no such setting{meant(*near)}")

    try:
        layers = (
            Layer("flag", flags or {}),
            Layer("environment", EnvSettingsSource(Settings)()),
            Layer(str(chosen), TomlConfigSettingsSource(Settings, chosen)()),
        )
        return Settings(**reduce(_overridden, (layer.values for layer in reversed(layers)))), layers
    except ValidationError as problems:
        raise ConfigError(one_line(problems, Settings)) from None
    except SettingsError:
        names = ", ".join(_not_json()) or "environment"
        raise ConfigError(f'{names}: must be JSON, such as ["a", "b"] or {{"name": "value"}}') from None
    except OSError as fault:
        raise ConfigError(f"{chosen}: cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{chosen}: is not UTF-8") from None
    except ValueError as problem:
        # Errors of TOML and of JSON in a variable give a position and quote syntax only.
        raise ConfigError(f"{chosen or 'environment'}: {problem}") from None


def _overridden(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `below`, table by table, with those of `above` in their place."""
    return {
        name: _overridden(below[name], above[name])
        if isinstance(below.get(name), Mapping) and isinstance(above.get(name), Mapping)
        else above.get(name, below.get(name))
        for name in {**below, **above}
    }


def variable_of(path: Sequence[str]) -> str:
    """The environment variable of the setting at `path`, or of the table that contains it."""
    taken = {name.upper() for name in os.environ}
    names = [PREFIX + "__".join(path[:count]).upper() for count in range(len(path), 0, -1)]
    return next((name for name in names if name in taken), names[0])


def _not_json() -> list[str]:
    """Environment variables for a list or a table that are not valid JSON."""
    plain = {path for path, field in leaves(Settings) if not isinstance(field.default, tuple | dict)}
    found = []
    for name, value in os.environ.items():
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        is_one = path[0] in Settings.model_fields and path not in plain
        if name.startswith(PREFIX) and is_one and (len(path) < 3 or value.startswith(("[", "{"))):
            try:
                json.loads(value)
            except ValueError:
                found.append(name)
    return found
