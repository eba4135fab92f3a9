"""Interprets a raw request target: mount, signature, dialect, policy and original, in this order.

The public listener, `explain`, purges of a URL and access logs share this sequence. They differ in how they verify
and in what they do with a refusal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from proxy.core.errors import BadTransform, CalotypeError, NotAllowed, SignatureRequired, UnknownRoute
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Transform, without_no_ops
from proxy.core.url.mounts import Mount, Rules, Signing, of_dialect, route
from proxy.core.url.parsed_url import OriginalUrl, ParsedUrl, VariantUrl
from proxy.core.url.policy import restrict
from proxy.core.url.signing import UNRESTRICTED, Restrictions, Signed
from proxy.core.url.target import cut


class Verified(NamedTuple):
    """A raw target without its signature. `is_signed` lifts the limits on unsigned URLs; `signed` is the content of a
    valid signature."""

    target: str
    is_signed: bool
    signed: Signed | None = None


@dataclass(frozen=True, slots=True)
class Interpreted:
    """`transform` is what the mount grants, None for the original's own bytes."""

    mount: Mount
    signed: Signed | None
    parsed: ParsedUrl
    transform: Transform | None

    @property
    def ref(self) -> OriginalRef:
        """The original. Raises SourceNotAllowed or BadUrl."""
        return self.mount.ref(self.parsed.key)

    @property
    def alternatives(self) -> tuple[OriginalRef, ...]:
        """The originals to look for, in order, if `ref` does not exist."""
        return tuple(map(self.mount.ref, self.parsed.alternatives))

    @property
    def candidates(self) -> tuple[OriginalRef, ...]:
        """`ref` and its alternatives: the names that the original may have."""
        return self.ref, *self.alternatives

    @property
    def defaults(self) -> tuple[OriginalRef, ...]:
        """The originals to look for, in order, if none of the others exists."""
        if not isinstance(self.parsed, VariantUrl):
            return ()
        of_url = tuple(map(self.mount.ref, self.parsed.defaults))
        return of_url if self.mount.fallback is None else (*of_url, self.mount.fallback.original)

    @property
    def restrictions(self) -> Restrictions:
        """Those of the signature, with the expiry of the URL itself."""
        of_signature = UNRESTRICTED if self.signed is None else self.signed.restrictions
        return of_signature.until(self.parsed.until_s)


def trusted(mount: Mount, raw: str) -> Verified:
    """Verifies nothing, for targets that an operator gives: removes the signature without checking it."""
    target = mount.unsigned(raw)
    return Verified(target, target != raw)


def raising(failure: CalotypeError) -> NoReturn:
    """Raises the first refusal."""
    raise failure


def answering(mount: Mount, reason: str) -> None:
    """Lets the node answer a URL that an upstream would."""


def interpret(
    rules: Rules,
    host: str,
    raw: str,
    *,
    mount: Mount | None = None,
    verify: Callable[[Mount, str], Verified],
    refuse: Callable[[CalotypeError], object] = raising,
    pass_on: Callable[[Mount, str], object] = answering,
) -> Interpreted:
    """Interprets `raw` for `host`, or for `mount` if given, in the dialect that recognises it.

    `verify` is called once with the mount, before anything is parsed. `pass_on` is called with the reason if the upstream
    of the mount answers the URL; if it returns, the URL is interpreted as others are. `refuse` is called with each
    refusal of the mount's policy; if it returns, the whole transform is granted. Raises UnknownRoute, BadUrl,
    BadTransform, and the errors of `verify`, `pass_on` and `refuse`.
    """
    cut(raw)
    mount = of_dialect(rules, mount, raw) if mount else route(rules.mounts, host, raw)
    target, is_signed, signed = verify(mount, raw)
    upstream = mount.upstream
    try:
        parsed = mount.parse(target, rules.presets)
    except CalotypeError as failure:
        if upstream and (reason := upstream.reason_for_failed(mount.below(target), failure)):
            pass_on(mount, reason)
        raise
    if upstream and (reason := upstream.reason(parsed)):
        pass_on(mount, reason)
    transform = None if isinstance(parsed, OriginalUrl) else parsed.transform
    try:
        if isinstance(parsed, VariantUrl):
            transform = admit(mount, parsed, signed=is_signed)
        else:
            admit_original(mount, parsed)
    except CalotypeError as failure:
        refuse(failure)
    return Interpreted(mount, signed, parsed, transform)


def verify_signature(mount: Mount, raw: str) -> Signed | None:
    """Verifies the signature of the whole raw target; None for an unsigned target that `mount` answers.

    Raises SignatureRequired, BadSignature or BadUrl.
    """
    is_always_signed = mount.dialect.is_always_signed(mount.below(raw))
    if mount.signing is Signing.OFF and not is_always_signed:
        return None
    signed = mount.verify(raw)
    if signed is None and is_always_signed:
        raise SignatureRequired(f"{mount.dialect.name} requires a signature in URLs of this form")
    if signed is None and mount.signing is Signing.REQUIRED:
        raise SignatureRequired("this mount answers signed URLs only")
    return signed


def admit_original(mount: Mount, parsed: ParsedUrl) -> None:
    """Raises UnknownRoute if `mount` does not serve originals, or what is known of them."""
    if mount.presets_only:
        raise UnknownRoute("this mount serves presets only: it serves no originals and no /info/")
    if mount.watermark is not None and isinstance(parsed, OriginalUrl):
        raise UnknownRoute("this mount has a watermark: it serves no originals")


def admit(mount: Mount, parsed: VariantUrl, *, signed: bool) -> Transform:
    """The transform that `mount` grants. A signed URL may have any size, an unsigned one any of the mount's
    `transforms`. Raises NotAllowed or BadTransform."""
    whole = parsed.transform
    if not signed and mount.transforms and without_no_ops(whole) in mount.transforms:
        return whole
    if mount.presets_only and not parsed.is_preset:
        form = mount.dialect.preset_url
        cure = f"the URL must be {form}" if form else f"URLs of {mount.dialect.name} have none"
        raise BadTransform(f"this mount serves presets only: {cure}")
    if signed:
        return whole
    try:
        return restrict(
            whole,
            mount.dimensions,
            mount.allowed_px,
            mount.colours,
            of_presets=parsed.of_presets,
            signable=mount.signing is not Signing.OFF,
        )
    except NotAllowed as refusal:
        of_mount = tuple(f"mounts.{mount.name}.{key}" for key in ("dimensions", "transforms"))
        refusal.settings = (*refusal.settings, *of_mount)
        raise
