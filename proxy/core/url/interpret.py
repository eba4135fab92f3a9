"""What a raw request target means here: mount, signature, dialect, policy and original, in this order.

The one such sequence. The public listener, `explain`, purges of a URL and access logs differ in how they verify and in
what they do with a refusal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from proxy.core.errors import CalotypeError
from proxy.core.image.original import OriginalRef
from proxy.core.transform.operations import Transform
from proxy.core.url.dialects.native import OriginalUrl, ParsedUrl, VariantUrl
from proxy.core.url.mounts import Mount, Rules, admit, admit_original, route
from proxy.core.url.signing import Signed, unsigned
from proxy.core.url.target import cut


class Verified(NamedTuple):
    """A raw target without its signature. `is_signed` lifts the limits that a mount sets for unsigned URLs; `signed` is
    what a valid signature proves."""

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


def trusted(_: Mount, raw: str) -> Verified:
    """For targets that an operator gives: a signature is cut off without a look at it."""
    target = unsigned(raw)
    return Verified(target, target != raw)


def raising(failure: CalotypeError) -> NoReturn:
    """Refuses at the first reason."""
    raise failure


def interpret(
    rules: Rules,
    host: str,
    raw: str,
    *,
    mount: Mount | None = None,
    verify: Callable[[Mount, str], Verified],
    refuse: Callable[[CalotypeError], object] = raising,
) -> Interpreted:
    """What `raw` means on `host`, or on `mount`, if it is given.

    `verify` is called once with the mount, before anything is parsed. `refuse` is called with what the mount's policy
    refuses; if it returns, all that is asked is granted. Raises UnknownRoute, BadUrl, BadTransform, and whatever
    `verify` and `refuse` raise.
    """
    cut(raw)
    mount = mount or route(rules.mounts, host, raw)
    target, is_signed, signed = verify(mount, raw)
    parsed = mount.parse(target, rules.presets)
    transform = None if isinstance(parsed, OriginalUrl) else parsed.transform(rules.presets)
    try:
        if isinstance(parsed, VariantUrl):
            transform = admit(mount, parsed, rules.presets, signed=is_signed)
        else:
            admit_original(mount)
    except CalotypeError as failure:
        refuse(failure)
    return Interpreted(mount, signed, parsed, transform)
