"""Mounts: which mount a request belongs to, and what it allows in an unsigned URL.

Pure: takes a host and a raw target, and gives the mount and the target below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from proxy.core.errors import BadRequest, SourceNotAllowed, UnknownRoute
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.layers import with_originals
from proxy.core.transform.operations import Colour, Transform, Watermark
from proxy.core.url.alternatives import alternatives
from proxy.core.url.dialects.component import Presets
from proxy.core.url.dialects.dialect import Dialect, QueryRule, Reading, Unsupported
from proxy.core.url.dialects.native.urls import DIALECT as NATIVE
from proxy.core.url.original_urls import DIRECTORY, OriginalLocation, WebLocation
from proxy.core.url.parsed_url import ParsedUrl
from proxy.core.url.policy import Dimensions
from proxy.core.url.signing import Keys, Signed, sign
from proxy.core.url.target import is_absolute
from proxy.core.url.upstream import Upstream


class Signing(StrEnum):
    """Which URLs a mount answers: unsigned ones, both, or only signed ones."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class RemoteSource(NamedTuple):
    """The source of the absolute URLs that are not of the mount's own source."""

    source: str
    location: OriginalLocation


class MountWatermark(NamedTuple):
    """What a mount draws over each of its variants."""

    original: OriginalRef
    operation: Watermark


class Fallback(NamedTuple):
    """The original that a mount shows in place of one that does not exist, and the status and lifetime of such a response."""

    original: OriginalRef
    status: int
    max_age_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One tenant, in one dialect: a table with several dialects is several mounts with one name.

    `host` is lower case or `*`; `prefix` begins and ends with a slash; `location` describes the source. `transforms` are
    complete transforms, presets applied, that an unsigned URL may have besides those that the policy allows. `suffixes` is
    empty if keys stand for themselves in all dialects of the table.
    """

    name: str
    host: str = "*"
    prefix: str = "/"
    source: str
    location: OriginalLocation = DIRECTORY
    signing: Signing = Signing.OFF
    keys: Keys = field(default_factory=dict, repr=False, compare=False)
    dimensions: Dimensions = Dimensions.LISTED
    allowed_px: tuple[int, ...]
    colours: frozenset[Colour] = frozenset()
    transforms: frozenset[Transform] = frozenset()
    presets_only: bool = False
    query: QueryRule = QueryRule.STRICT
    max_age_s: int
    dialect: Dialect = NATIVE
    unsupported: Unsupported = Unsupported.REFUSE
    arguments_separator: str = ":"
    base64_url_includes_filename: bool = False
    suffixes: tuple[str, ...] = ()
    remote: RemoteSource | None = None
    upstream: Upstream | None = None
    cache_tags: bool = False
    watermark: MountWatermark | None = None
    fallback: Fallback | None = None

    def layered(self, transform: Transform) -> Transform:
        """`transform` with the originals of its layers, and with the watermark, if there is one and it draws a picture; no URL
        removes it. Raises SourceNotAllowed or BadUrl for a layer that the mount has not."""
        transform = with_originals(transform, self.ref)
        if self.watermark is None or transform.format is Format.INFO:
            return transform
        further = (*transform.further, self.watermark.original)
        return replace(transform, ops=(*transform.ops, self.watermark.operation), further=further)

    def parse(self, target: str, presets: Presets) -> ParsedUrl:
        """Parses a raw target of this mount, without its signature. Raises as `Dialect.parse` does."""
        return self.dialect.parse(self.below(target), self._reading(presets))

    def negotiates(self, target: str, presets: Presets) -> bool:
        """Whether the answer to a raw target of this mount, even an error, depends on Accept."""
        return self.dialect.negotiates(self.below(target), self._reading(presets))

    def _reading(self, presets: Presets) -> Reading:
        return Reading(
            presets=presets,
            query=self.query,
            unsupported=self.unsupported,
            arguments_separator=self.arguments_separator,
            base64_url_includes_filename=self.base64_url_includes_filename,
            suffixes=self.suffixes,
        )

    @property
    def is_native(self) -> bool:
        """Whether it answers native URLs."""
        return self.dialect is NATIVE

    @property
    def sources(self) -> frozenset[str]:
        """The names of its sources."""
        return frozenset({self.source} | ({self.remote.source} if self.remote else set()))

    def verify(self, raw: str) -> Signed | None:
        """Verifies the signature of a raw target; None for an unsigned one. Raises as `Dialect.verify` does."""
        return self.dialect.verify(raw, self.prefix, self.keys)

    def unsigned(self, raw: str) -> str:
        """A raw target without its signature, valid or not."""
        return self.dialect.unsigned(raw, self.prefix)

    def below(self, target: str) -> str:
        """The part of a raw target that the dialect reads."""
        return target[len(self.prefix) - 1 :]

    def ref(self, locator: str) -> OriginalRef:
        """The original for a key, or for an absolute URL of one of the two sources. Raises SourceNotAllowed or BadUrl."""
        if self.dialect.omits_scheme and isinstance(self.location, WebLocation):
            locator = self.location.with_scheme(locator)
        try:
            return OriginalRef(self.source, self.location.key_for(locator))
        except SourceNotAllowed:
            if self.remote is None or not is_absolute(locator):
                raise
        try:
            return OriginalRef(self.remote.source, self.remote.location.key_for(locator))
        except SourceNotAllowed:
            raise SourceNotAllowed(
                "the URL names neither the source of this mount nor its remote one"
            ) from None

    def candidates(self, locator: str) -> tuple[OriginalRef, ...]:
        """The originals that a key or URL of this mount may stand for, in the order of the lookups. Raises as `ref`
        does."""
        others = alternatives(locator, self.suffixes) if self.suffixes else ()
        return tuple(map(self.ref, (locator, *others)))

    def locator(self, ref: OriginalRef) -> str | None:
        """The key or absolute URL of an original; `ref` is its inverse. None for an original of another mount."""
        if ref.source == self.source:
            return ref.key
        if self.remote is not None and ref.source == self.remote.source:
            return self.remote.location.url_of(ref.key)
        return None


class Rules(NamedTuple):
    """The settings that decide the meaning and the limits of a URL; a reload replaces them."""

    mounts: Sequence[Mount]
    presets: Presets
    url_max_bytes: int
    max_side_px: int
    session: str
    """The place of the session that `ses` is compared with: `cookie:NAME` or `header:NAME`; empty for none."""
    finds_faces: bool = False
    """Whether there is a face detector."""


def host_name(host_header: str) -> str:
    """The host of a Host header in lower case, without port and final dot."""
    host = host_header.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].removesuffix(".")


def route(mounts: Sequence[Mount], host: str, raw: str) -> Mount:
    """The mount of a raw target.

    Mounts of this very host take precedence over those of `*`, then the longest prefix, then the first dialect that
    recognises the target. Raises UnknownRoute.
    """
    of_host = [mount for mount in mounts if mount.host == host] or [m for m in mounts if m.host == "*"]
    matching = [mount for mount in of_host if raw.startswith(mount.prefix)]
    if not matching:
        raise UnknownRoute("no mount matches the host and path of this URL")
    longest = max(len(mount.prefix) for mount in matching)
    return of_form([mount for mount in matching if len(mount.prefix) == longest], raw)


def of_form(mounts: Sequence[Mount], raw: str) -> Mount:
    """Of the mounts of one table, the first whose dialect recognises a raw target; the first one if none does."""
    if len(mounts) == 1:
        return mounts[0]
    return next((mount for mount in mounts if mount.dialect.recognises(mount.below(raw))), mounts[0])


def of_dialect(rules: Rules, mount: Mount, raw: str) -> Mount:
    """`mount` in the dialect of a raw target."""
    return of_form([each for each in rules.mounts if each.name == mount.name], raw)


def only_mount(rules: Rules) -> Mount | None:
    """The mount if all have one name, which then need not be given, nor a host; the native one of several dialects."""
    return _native_or_first(rules.mounts) if len({mount.name for mount in rules.mounts}) == 1 else None


def _native_or_first(mounts: Sequence[Mount]) -> Mount:
    return next((mount for mount in mounts if mount.is_native), mounts[0])


def mount_named(rules: Rules, name: str) -> Mount:
    """The mount with this name, or the only mount if the name is empty; the native one of several dialects. Raises
    BadRequest or UnknownRoute."""
    if not name and (only := only_mount(rules)):
        return only
    if of_name := [mount for mount in rules.mounts if mount.name == name]:
        return _native_or_first(of_name)
    names = ", ".join(dict.fromkeys(mount.name for mount in rules.mounts))
    if not name:
        raise BadRequest(f"parameter mount must be given: the mounts are {names}")
    raise UnknownRoute(f"parameter mount names no mount of this node: the mounts are {names}")


def client_url(mount: Mount, target: str) -> str:
    """The URL with which clients request `target`, which is below the mount: signed with the mount's first key if it
    requires a signature, and without scheme and host if the mount has no host of its own."""
    target = mount.prefix.removesuffix("/") + target
    if mount.signing is Signing.REQUIRED:
        target = sign(target, next(iter(mount.keys.values())))
    return target if mount.host == "*" else f"https://{mount.host}{target}"
