"""`explain`: how the node interprets a URL, step by step, without rendering. For the operations API and the command."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import CalotypeError, NotAllowed, UrlTooLong
from proxy.core.image.original import OriginalRef
from proxy.core.masking import without_secrets
from proxy.core.transform.negotiate import accept_class
from proxy.core.transform.operations import Transform, without_no_ops
from proxy.core.transform.plan_text import canonical
from proxy.core.url import diagnostics
from proxy.core.url.dialects.component import components_of
from proxy.core.url.dialects.native.urls import native_url, spell
from proxy.core.url.interpret import Interpreted, Verified, interpret, verify_signature
from proxy.core.url.mounts import Mount, Rules, Signing, host_name
from proxy.core.url.parsed_url import VariantUrl
from proxy.core.url.signing import Signed, unsigned
from proxy.core.url.target import origin_and_target
from proxy.core.url.upstream import Upstream
from proxy.service.request.originals import Originals
from proxy.service.request.produce import Produce


class Explanation(msgspec.Struct, kw_only=True):
    """Fields are empty if unknown. `signature` is `valid`, `unsigned` or the slug of its error; the other fields
    are those of the URL with a valid signature. `refused` lists the reasons for which the node refuses the URL, and
    `upstream` is the reason for which the upstream of the mount answers it. `scope` lists the restrictions of the
    signature; only the expiry is checked here. `native` is a path with the same cache key, to be signed where its mount
    requires that; None if no native mount answers one."""

    url: str
    mount: str = ""
    signature: str = ""
    signed_by: str = ""
    scope: list[str] = []
    refused: list[str] = []
    upstream: str = ""
    dialect: str = ""
    original: str = ""
    native: str | None = None
    transform: str = ""
    format: str = ""
    plan: str = ""
    key: str = ""
    ignored: list[str] = []
    clamped: list[str] = []


async def explain(
    url: str,
    accept: str,
    *,
    rules: Rules,
    produce: Produce,
    originals: Originals,
    now_s: float,
    deadline: float,
) -> Explanation:
    """The explanation, also of a URL that the node refuses. `now_s` is in Unix seconds, `deadline` a point on the Clock.
    Raises BadUrl for text that is no URL."""
    origin, raw = origin_and_target(url)
    explanation = Explanation(url=without_secrets(unsigned(raw)))

    def verify(mount: Mount, raw: str) -> Verified:
        explanation.mount, explanation.dialect = mount.name, mount.dialect.name
        explanation.url = without_secrets(mount.unsigned(raw))
        _explain_signature(explanation, mount, raw, now_s)
        if len(raw) > rules.url_max_bytes:
            refuse(UrlTooLong(f"the URL is longer than {rules.url_max_bytes} bytes"))
        is_signed = explanation.signature != "unsigned"
        return Verified(mount.unsigned(raw) if is_signed else raw, is_signed)

    def refuse(failure: CalotypeError) -> None:
        _refuse(explanation, failure)

    def pass_on(_: Mount, reason: str) -> None:
        if not explanation.refused:
            explanation.upstream = reason

    with _refusals(explanation):
        host = host_name(origin.partition("://")[2])
        interpreted = interpret(rules, host, raw, verify=verify, refuse=refuse, pass_on=pass_on)
        parsed, granted = interpreted.parsed, interpreted.transform
        with _refusals(explanation):
            interpreted.restrictions.check_time(now_s)
        if isinstance(parsed, VariantUrl) and granted is not None:
            explanation.transform = spell(components_of(granted))
            explanation.ignored = [f"{each.parameter}: {each.reason}" for each in parsed.unused]
            explanation.clamped = diagnostics.clamped(parsed, granted, rules.max_side_px)
        ref, alternatives, plan = interpreted.ref, interpreted.alternatives, None
        defaults = interpreted.defaults
        with _refusals(explanation, interpreted.mount.upstream):
            if granted is None:
                explanation.plan = "the original's own bytes"
                identity = (await originals.find(interpreted.candidates, deadline=deadline)).identity
            else:
                drawn = interpreted.mount.layered(granted)
                request = VariantRequest(
                    ref, drawn, accept_class(accept), rules.max_side_px, alternatives, defaults
                )
                plan = None if granted.needs_facts else produce.plan(request, None)
                resolved = await produce.resolve(request, deadline=deadline)
                identity, plan, explanation.key = resolved.identities[0], resolved.plan, resolved.key.digest
            ref = identity.ref if alternatives or defaults else ref
        explanation.original = f"{ref.source}:{without_secrets(ref.key)}"
        native = _native(interpreted, ref, rules, host)
        explanation.native = native and without_secrets(native)
        if plan is not None and granted is not None:
            explanation.format, explanation.plan = plan.output.format, canonical(plan)
            if isinstance(parsed, VariantUrl):
                explanation.ignored = diagnostics.ignored(parsed, granted, plan)
    return explanation


def _native(interpreted: Interpreted, ref: OriginalRef, rules: Rules, host: str) -> str | None:
    """The native target, for `host`, of the same variant of `ref`, or of `ref` itself: of the same mount if that is native,
    else of the first one that answers it."""
    transform, own = interpreted.transform, interpreted.mount
    own_first = sorted(rules.mounts, key=lambda mount: mount.name != own.name)
    for mount in [own] if own.is_native else own_first:
        locator = mount.locator(ref) if mount.is_native else None
        if locator is None:
            continue
        target = mount.prefix[:-1] + native_url(interpreted.parsed, locator, transform)
        if mount is own or _means(target, interpreted, ref, rules, host):
            return target
    return None


def _means(target: str, interpreted: Interpreted, ref: OriginalRef, rules: Rules, host: str) -> bool:
    """Whether `target`, signed where its mount takes signatures, is a URL of the same variant of `ref`, or of `ref`."""
    try:
        other = interpret(
            rules, host, target, verify=lambda mount, raw: Verified(raw, mount.signing is not Signing.OFF)
        )
        return other.ref == ref and _entry(other.transform) == _entry(interpreted.transform)
    except CalotypeError:
        return False


def _entry(transform: Transform | None) -> Transform | None:
    return transform and without_no_ops(transform)


def _explain_signature(explanation: Explanation, mount: Mount, raw: str, now_s: float) -> None:
    try:
        signed = verify_signature(mount, raw)
        explanation.signature = "valid" if signed else "unsigned"
        if signed is not None:
            explanation.signed_by, explanation.scope = signed.key_id, _scope(signed)
            signed.restrictions.check_time(now_s)
    except CalotypeError as failure:
        explanation.signature = failure.slug
        _refuse(explanation, failure)


@contextmanager
def _refusals(explanation: Explanation, upstream: Upstream | None = None) -> Iterator[None]:
    """Adds a CalotypeError to `refused`, unless `upstream` answers what has failed."""
    try:
        yield
    except CalotypeError as failure:
        if upstream and not explanation.refused:
            explanation.upstream = explanation.upstream or upstream.reason_for_unsupported(failure)
        _refuse(explanation, failure)


def _refuse(explanation: Explanation, failure: CalotypeError) -> None:
    """Adds `failure` to `refused`, unless an upstream answers the URL."""
    if not explanation.upstream:
        settings = f" ({', '.join(failure.settings)})" if isinstance(failure, NotAllowed) else ""
        explanation.refused.append(f"{failure.slug}: {failure.detail}{settings}")


def _scope(signed: Signed) -> list[str]:
    scope = signed.restrictions
    values = {"st": scope.from_s, "exp": scope.until_s, "dom": scope.domain, "ses": scope.session and "..."}
    return [f"{name}={value}" for name, value in values.items() if value is not None]
