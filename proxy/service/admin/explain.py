"""`explain`: what a URL means to this node, step by step, without rendering it. For the admin and the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from proxy.core.cache.variant_request import Wanted
from proxy.core.errors import CalotypeError, NotAllowed, UrlTooLong
from proxy.core.masking import without_secrets
from proxy.core.transform.negotiate import accept_class
from proxy.core.transform.operations import Transform
from proxy.core.transform.plan import canonical
from proxy.core.url import diagnostics
from proxy.core.url.dialects.native import InfoAsked, VariantAsked, native_url, spell
from proxy.core.url.mounts import Mount, Rules, admit, admit_original, host_name, proven, route
from proxy.core.url.signing import Signed, unsigned
from proxy.core.url.target import cut, origin_and_target
from proxy.service.request.originals import Originals
from proxy.service.request.produce import Produce


class Explanation(TypedDict):
    """The fields of SPEC section 8, each empty where it cannot be told. `signature` is `valid`, `unsigned`, or the slug of
    what is wrong with it; the rest is told as if it were right. `refused` has each reason for which the node would refuse
    the URL. `scope` is what a valid signature holds for, which is not compared with anybody's request here. `native` is
    a path of the same cache key."""

    url: str
    mount: str
    signature: str
    signed_by: str
    scope: list[str]
    refused: list[str]
    dialect: str
    original: str
    native: str
    transform: str
    format: str
    plan: str
    key: str
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
    """All that can be told, also of a URL that the node would refuse. Raises BadUrl for what is no URL."""
    origin, raw = origin_and_target(url)
    told = Explanation(
        url=without_secrets(unsigned(raw)),
        mount="",
        signature="",
        signed_by="",
        scope=[],
        refused=[],
        dialect="",
        original="",
        native="",
        transform="",
        format="",
        plan="",
        key="",
        ignored=[],
        clamped=[],
    )
    with _refusals(told):
        cut(raw)
        mount = route(rules.mounts, host_name(origin.partition("://")[2]), raw)
        told["mount"], told["dialect"] = mount.name, "native"
        _tell_signature(told, mount, raw, now_s)
        with _refusals(told):
            if len(raw) > rules.url_max_bytes:
                raise UrlTooLong(f"the URL is longer than {rules.url_max_bytes} bytes")
        is_signed = told["signature"] != "unsigned"
        asked = mount.asked(unsigned(raw) if is_signed else raw, rules.presets)
        granted: Transform | None
        if isinstance(asked, VariantAsked):
            granted = _grant(told, mount, asked, rules, is_signed=is_signed)
        else:
            granted = asked.transform(rules.presets) if isinstance(asked, InfoAsked) else None
            with _refusals(told):
                admit_original(mount)
        ref = mount.ref(asked.key)
        told["original"] = f"{ref.source}:{without_secrets(ref.key)}"
        told["native"] = without_secrets(mount.prefix[:-1] + native_url(asked, ref.key, granted))
        if granted is None:
            told["plan"] = "the original's own bytes"
            await originals.identify(ref, deadline=deadline)
            return told
        wanted = Wanted(ref, granted, accept_class(accept), rules.max_side_px)
        plan = None if granted.needs_facts else produce.plan(wanted, None)
        with _refusals(told):
            resolved = await produce.resolve(wanted, deadline=deadline)
            plan, told["key"] = resolved.plan, resolved.key
        if plan is not None:
            told["format"], told["plan"] = plan.encode.format, canonical(plan)
            if isinstance(asked, VariantAsked):
                told["ignored"] += diagnostics.ignored(granted, plan)
    return told


def _tell_signature(told: Explanation, mount: Mount, raw: str, now_s: float) -> None:
    try:
        signed = proven(mount, raw)
        told["signature"] = "valid" if signed else "unsigned"
        if signed is not None:
            told["signed_by"], told["scope"] = signed.key_id, _scope(signed)
            signed.scope.check_time(now_s)
    except CalotypeError as failure:
        told["signature"] = failure.slug
        told["refused"].append(_said(failure))


def _grant(
    told: Explanation, mount: Mount, asked: VariantAsked, rules: Rules, *, is_signed: bool
) -> Transform:
    """What the mount grants; of what it refuses, all that is asked."""
    granted = asked.transform(rules.presets)
    with _refusals(told):
        granted = admit(mount, asked, rules.presets, signed=is_signed)
    told["transform"] = spell(granted)
    told["ignored"] = [f"{name}: it means nothing here" for name in asked.unused]
    told["clamped"] = diagnostics.clamped(asked, granted, rules.max_side_px)
    return granted


@contextmanager
def _refusals(told: Explanation) -> Iterator[None]:
    """What is raised within is told as a reason for which the URL is refused."""
    try:
        yield
    except CalotypeError as failure:
        told["refused"].append(_said(failure))


def _said(failure: CalotypeError) -> str:
    settings = f" ({', '.join(failure.settings)})" if isinstance(failure, NotAllowed) else ""
    return f"{failure.slug}: {failure.detail}{settings}"


def _scope(signed: Signed) -> list[str]:
    scope = signed.scope
    held = {"exp": scope.until_s, "dom": scope.domain, "ses": scope.session and "..."}
    return [f"{name}={value}" for name, value in held.items() if value is not None]
