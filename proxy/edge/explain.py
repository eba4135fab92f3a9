"""`explain`: what a URL means to this node, step by step, without rendering it. For the admin and the command line."""

from collections.abc import Sequence
from typing import TypedDict

from proxy.core import explain
from proxy.core.dialects.native import OriginalAsked, Presets, parse, spell
from proxy.core.dialects.target import cut, origin_and_target, without_secrets
from proxy.core.errors import BadSignature, SignatureExpired, SignatureRequired, UnknownRoute
from proxy.core.mounts import Mount, admit, host_name, proven, route
from proxy.core.negotiate import accept_class
from proxy.core.plan import canonical
from proxy.core.signing import Scope, Signed, unsigned
from proxy.core.wanted import Wanted
from proxy.service.originals import Originals
from proxy.service.produce import Produce


class Explanation(TypedDict):
    """The fields of SPEC section 8. `signature` is `valid`, `unsigned`, or the slug of what is wrong with it; the rest
    is told all the same, as of an unsigned URL. `scope` is what a valid one holds for, which is not compared with
    anybody's request here."""

    url: str
    mount: str
    dialect: str
    original: str
    transform: str
    format: str
    plan: str
    key: str
    signature: str
    signed_by: str
    scope: list[str]
    ignored: list[str]
    clamped: list[str]


async def explained(
    url: str,
    accept: str,
    *,
    mounts: Sequence[Mount],
    presets: Presets,
    produce: Produce,
    originals: Originals,
    now_s: float,
    deadline: float,
) -> Explanation:
    """Raises the CalotypeError the URL itself would be answered with, but for one that its signature is to blame for."""
    origin, raw = origin_and_target(url)
    cut(raw)
    mount = route(mounts, host_name(origin.partition("://")[2]), raw)
    signature, signed = _verdict(mount, raw, now_s)
    target = raw if signature == "unsigned" else unsigned(raw)
    asked = parse(mount.below(target), presets)
    ref = mount.ref(asked.key)
    if isinstance(asked, OriginalAsked):
        if mount.presets_only:
            raise UnknownRoute("this mount serves presets only")
        await originals.identify(ref, deadline=deadline)
        return Explanation(
            url=without_secrets(unsigned(raw)),
            mount=mount.name,
            dialect="native",
            original=f"{ref.source}:{ref.key}",
            transform="",
            format="",
            plan="the original's own bytes",
            key="",
            signature=signature,
            signed_by=signed.key_id if signed else "",
            scope=_scope(signed),
            ignored=[],
            clamped=[],
        )
    granted = admit(mount, asked, presets, signed=signed is not None)
    wanted = Wanted(ref, granted, accept_class(accept))
    resolved = await produce.resolve(wanted, deadline=deadline)
    return Explanation(
        url=without_secrets(unsigned(raw)),
        mount=mount.name,
        dialect="native",
        original=f"{ref.source}:{ref.key}",
        transform=spell(granted),
        format=resolved.plan.encode.format,
        plan=canonical(resolved.plan),
        key=resolved.key,
        signature=signature,
        signed_by=signed.key_id if signed else "",
        scope=_scope(signed),
        ignored=explain.ignored(granted, resolved.plan),
        clamped=explain.clamped(asked, granted, resolved.plan),
    )


def _verdict(mount: Mount, raw: str, now_s: float) -> tuple[str, Signed | None]:
    try:
        signed = proven(mount, raw)
        if signed is None:
            return "unsigned", None
        Scope(until_s=signed.scope.until_s).check(now_s, origin=None, referer=None, session=None)
    except (BadSignature, SignatureExpired, SignatureRequired) as failure:
        return failure.slug, None
    return "valid", signed


def _scope(signed: Signed | None) -> list[str]:
    if signed is None:
        return []
    scope = signed.scope
    held = {"exp": scope.until_s, "dom": scope.domain, "ses": scope.session and "..."}
    return [f"{name}={value}" for name, value in held.items() if value is not None]
