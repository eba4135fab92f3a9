"""What of an interpreted URL is the same for all its requests: the request for a variant, and the caching headers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from multidict import CIMultiDict

from proxy.core.cache.delivery import Delivery
from proxy.core.cache.tags import answer_tags
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.image.metadata import InfoDocument
from proxy.core.image.original import OriginalRef
from proxy.core.transform.negotiate import AcceptClass
from proxy.core.transform.operations import Auto, Transform
from proxy.core.url.diagnostics import notices
from proxy.core.url.interpret import Interpreted
from proxy.core.url.mounts import Fallback, Rules
from proxy.core.url.notice import Notice, notice_list
from proxy.core.url.parsed_url import InfoUrl, OriginalUrl, VariantUrl
from proxy.core.url.signing import UNRESTRICTED, Restrictions
from proxy.edge import responses


@dataclass(slots=True, eq=False)
class CompiledUrl:
    """An interpreted URL of a variant for one Accept class. `headers` belong to `delivery`, the latest one, and are
    replaced with it; `head` is what `head_of` makes of them, empty until it is needed. `restrictions`, unless unrestricted, are
    checked on every request."""

    mount: str
    unsigned_target: str
    request: VariantRequest
    caching: responses.CachingHeaders
    restrictions: Restrictions
    document: InfoDocument | None = None
    fallback: Fallback | None = None
    delivery: Delivery | None = None
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    head: bytes = b""


def compiled_url(
    meaning: Interpreted,
    unsigned_target: str,
    transform: Transform,
    accepted: AcceptClass,
    rules: Rules,
    restrictions: Restrictions,
) -> CompiledUrl:
    """The compiled URL of a variant. `restrictions` are those of the URL and its signature."""
    mount, parsed = meaning.mount, meaning.parsed
    max_age_s, disposition = mount.max_age_s, ""
    document: InfoDocument | None = None
    unfulfilled: list[Notice] = []
    match parsed:
        case VariantUrl():
            unfulfilled = notices(parsed, transform, rules.max_side_px, finds_faces=rules.finds_faces)
            disposition = parsed.disposition
            max_age_s = max_age_s if parsed.max_age_s is None else parsed.max_age_s
        case InfoUrl():
            document = parsed.document
    request = VariantRequest(
        meaning.ref,
        mount.layered(transform),
        accepted,
        rules.max_side_px,
        meaning.alternatives,
        meaning.defaults,
    )
    caching = responses.caching_headers(
        max_age_s=max_age_s,
        negotiates=transform.format is Auto.AUTO,
        restrictions=_limited(meaning, restrictions),
        notice=notice_list(unfulfilled),
        disposition=disposition,
        of_dialect=mount.dialect.success_headers,
        tags=answer_tags(mount.name, request.refs) if mount.cache_tags else (),
    )
    return CompiledUrl(mount.name, unsigned_target, request, caching, restrictions, document, mount.fallback)


def original_caching(
    meaning: Interpreted, refs: Sequence[OriginalRef], restrictions: Restrictions
) -> responses.CachingHeaders:
    """The caching headers of the bytes of an original, which has one of the names `refs`."""
    mount, parsed = meaning.mount, meaning.parsed
    return responses.caching_headers(
        max_age_s=mount.max_age_s,
        negotiates=False,
        restrictions=_limited(meaning, restrictions),
        disposition=parsed.disposition if isinstance(parsed, OriginalUrl) else "",
        of_dialect=mount.dialect.success_headers,
        tags=answer_tags(mount.name, refs) if mount.cache_tags else (),
    )


def _limited(meaning: Interpreted, restrictions: Restrictions) -> Restrictions | None:
    """The restrictions as those of the response; None without a signature and without an expiry."""
    return None if restrictions is UNRESTRICTED and meaning.signed is None else restrictions
