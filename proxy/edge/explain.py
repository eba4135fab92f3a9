"""`explain`: what a URL means to this node, step by step, without rendering it. For the admin and the command line."""

from collections.abc import Sequence
from typing import TypedDict
from urllib.parse import urlsplit

from proxy.core import explain
from proxy.core.dialects.native import OriginalAsked, Presets, parse, spell
from proxy.core.dialects.target import cut, without_secrets
from proxy.core.errors import BadUrl, UnknownRoute
from proxy.core.mounts import Mount, admit, host_name, route
from proxy.core.negotiate import accept_class
from proxy.core.plan import canonical
from proxy.core.wanted import Wanted
from proxy.service.originals import Originals
from proxy.service.produce import Produce


class Explanation(TypedDict):
    """The fields of SPEC section 8; `signature` is `unsigned` while mounts do not sign."""

    url: str
    mount: str
    dialect: str
    original: str
    transform: str
    format: str
    plan: str
    key: str
    signature: str
    ignored: list[str]
    clamped: list[str]


def below_origin(url: str) -> tuple[str, str]:
    """Host and raw target of an absolute URL, or of a target alone."""
    if url.startswith("/"):
        return "", url
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadUrl("this is neither a URL nor a path that begins with /") from None
    target = parts.path or "/"
    return host_name(parts.netloc), target + (f"?{parts.query}" if "?" in url else "")


async def explained(
    url: str,
    accept: str,
    *,
    mounts: Sequence[Mount],
    presets: Presets,
    produce: Produce,
    originals: Originals,
    deadline: float,
) -> Explanation:
    """Raises the CalotypeError the URL itself would be answered with."""
    host, raw = below_origin(url)
    cut(raw)
    mount, below = route(mounts, host, raw)
    asked = parse(below, presets)
    ref = mount.ref(asked.key)
    if isinstance(asked, OriginalAsked):
        if mount.presets_only:
            raise UnknownRoute("this mount serves presets only")
        await originals.identify(ref, deadline=deadline)
        return Explanation(
            url=without_secrets(raw),
            mount=mount.name,
            dialect="native",
            original=f"{ref.source}:{ref.key}",
            transform="",
            format="",
            plan="the original's own bytes",
            key="",
            signature="unsigned",
            ignored=[],
            clamped=[],
        )
    granted = admit(mount, asked, presets)
    wanted = Wanted(ref, granted, accept_class(accept))
    resolved = await produce.resolve(wanted, deadline=deadline)
    return Explanation(
        url=without_secrets(raw),
        mount=mount.name,
        dialect="native",
        original=f"{ref.source}:{ref.key}",
        transform=spell(granted),
        format=resolved.plan.encode.format,
        plan=canonical(resolved.plan),
        key=resolved.key,
        signature="unsigned",
        ignored=explain.ignored(granted, resolved.plan),
        clamped=explain.clamped(asked, granted, resolved.plan),
    )
