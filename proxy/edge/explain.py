"""`explain`: what a URL means to this node, step by step, without rendering it. For the admin and the command line."""

from typing import TypedDict

from proxy.core import explain
from proxy.core.dialects.native import InfoAsked, OriginalAsked, VariantAsked, spell
from proxy.core.dialects.target import cut, origin_and_target, without_secrets
from proxy.core.errors import BadSignature, SignatureExpired, SignatureRequired, UrlTooLong
from proxy.core.mounts import Mount, Rules, admit, admit_original, host_name, proven, route
from proxy.core.negotiate import accept_class
from proxy.core.plan import canonical
from proxy.core.signing import Signed, unsigned
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
    rules: Rules,
    produce: Produce,
    originals: Originals,
    now_s: float,
    deadline: float,
) -> Explanation:
    """Raises the CalotypeError the URL itself would be answered with, but for one that its signature is to blame for."""
    origin, raw = origin_and_target(url)
    if len(raw) > rules.url_max_bytes:
        raise UrlTooLong(f"the URL is longer than {rules.url_max_bytes} bytes")
    cut(raw)
    mount = route(rules.mounts, host_name(origin.partition("://")[2]), raw)
    signature, signed = _verdict(mount, raw, now_s)
    asked = mount.asked(raw if signature == "unsigned" else unsigned(raw), rules.presets)
    ref = mount.ref(asked.key)
    told = Explanation(
        url=without_secrets(unsigned(raw)),
        mount=mount.name,
        dialect="native",
        original=f"{ref.source}:{without_secrets(ref.key)}",
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
    if isinstance(asked, OriginalAsked):
        admit_original(mount)
        await originals.identify(ref, deadline=deadline)
        return told
    if isinstance(asked, InfoAsked):
        admit_original(mount)
        granted = asked.transform(rules.presets)
    else:
        granted = admit(mount, asked, rules.presets, signed=signed is not None)
    wanted = Wanted(ref, granted, accept_class(accept), rules.max_side_px)
    resolved = await produce.resolve(wanted, deadline=deadline)
    told["format"] = resolved.plan.encode.format
    told["plan"] = canonical(resolved.plan)
    told["key"] = resolved.key
    if isinstance(asked, VariantAsked):
        told["transform"] = spell(granted)
        told["ignored"] = explain.ignored(granted, resolved.plan)
        told["clamped"] = explain.clamped(asked, granted, rules.max_side_px)
    return told


def _verdict(mount: Mount, raw: str, now_s: float) -> tuple[str, Signed | None]:
    try:
        signed = proven(mount, raw)
    except (BadSignature, SignatureRequired) as failure:
        return failure.slug, None
    if signed is None:
        return "unsigned", None
    return (SignatureExpired.slug, None) if signed.scope.expired(now_s) else ("valid", signed)


def _scope(signed: Signed | None) -> list[str]:
    if signed is None:
        return []
    scope = signed.scope
    held = {"exp": scope.until_s, "dom": scope.domain, "ses": scope.session and "..."}
    return [f"{name}={value}" for name, value in held.items() if value is not None]
