"""The closed set of errors of a request, each with the slug of its RFC 9457 problem type.

`edge/problems` has the one table that maps a slug to a status and a title. `detail` is written for the client: it
names known parameters only and never repeats bytes of the request.
"""

import copy
from typing import ClassVar, Self


class CalotypeError(Exception):
    """An error with a slug; `detail` is one sentence that says what to change. Pickled between processes: `detail` is the
    only positional argument of every error, and the attributes are restored after it."""

    slug: ClassVar[str] = "internal"
    original = 0
    """The position of the original at fault among those of the variant."""

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

    def at(self, position: int, name: str = "") -> Self:
        """A copy, because waiters share an error, as that of the original at `position`; the detail ends in its
        `name`."""
        placed = copy.copy(self)
        placed.original = position
        placed.detail = f"{self.detail}: {name}" if name else self.detail
        placed.args = (placed.detail,)
        return placed


class BadTransform(CalotypeError):
    slug = "bad-transform"


class NotSupported(BadTransform):
    """The vendor's service does what the URL requests, or may do it, and the node does not."""


class OptionNotAllowed(NotSupported):
    """An option that a vendor's service refuses unless its operator allows it."""

    slug = "option-not-allowed"


class BadUrl(CalotypeError):
    slug = "bad-url"


class UrlTooLong(CalotypeError):
    slug = "url-too-long"


class UrlNotSupported(BadUrl, NotSupported):
    """A form of URLs, such as those of videos."""

    slug = "bad-url"


class NotAllowed(CalotypeError):
    """The policy of a mount refuses an unsigned URL. `settings` names the configuration keys that would allow the
    request: they go to the log, never to the client."""

    settings: tuple[str, ...] = ()


class DimensionNotAllowed(NotAllowed):
    slug = "dimension-not-allowed"
    settings = ("dimensions.allowed",)


class ColourNotAllowed(NotAllowed):
    slug = "colour-not-allowed"
    settings = ("dimensions.colours",)


class OperationNotAllowed(NotAllowed):
    slug = "bad-transform"


class BadSignature(CalotypeError):
    slug = "bad-signature"


class SignatureRequired(CalotypeError):
    slug = "signature-required"


class SignatureExpired(CalotypeError):
    slug = "signature-expired"


class SourceNotAllowed(CalotypeError):
    slug = "source-not-allowed"


class RequestLoop(SourceNotAllowed):
    """A source of the node leads back to the node."""


class UnknownRoute(CalotypeError):
    slug = "unknown-route"


class OriginalNotFound(CalotypeError):
    """`lasts_s`, if not None, is the remaining lifetime of the negative entry in seconds."""

    slug = "original-not-found"

    def __init__(
        self, detail: str, *, retry_after_s: int | None = None, lasts_s: float | None = None
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.lasts_s = lasts_s


class MethodNotAllowed(CalotypeError):
    slug = "method-not-allowed"


class PreconditionFailed(CalotypeError):
    slug = "precondition-failed"


class UnsupportedFormat(CalotypeError):
    slug = "unsupported-format"


class RangeNotSatisfiable(CalotypeError):
    slug = "range-not-satisfiable"


class OriginalTooLarge(CalotypeError):
    slug = "original-too-large"


class Undecodable(CalotypeError):
    slug = "undecodable"


class SourceUnavailable(CalotypeError):
    slug = "source-unavailable"


class WorkerDied(CalotypeError):
    slug = "worker-died"


class Overloaded(CalotypeError):
    slug = "overloaded"


class Draining(CalotypeError):
    slug = "draining"


class SourceTimeout(CalotypeError):
    slug = "source-timeout"


class RenderTimeout(CalotypeError):
    slug = "render-timeout"


class Unauthorized(CalotypeError):
    slug = "unauthorized"


class BadRequest(CalotypeError):
    slug = "bad-request"


class Conflict(CalotypeError):
    slug = "conflict"


class ExpectationFailed(CalotypeError):
    slug = "expectation-failed"


class RateLimited(CalotypeError):
    slug = "rate-limited"


class PurgeIncomplete(CalotypeError):
    """`open` has one line for each place that may still serve purged variants."""

    slug = "purge-incomplete"

    def __init__(self, detail: str, *, retry_after_s: int | None = None, open: tuple[str, ...] = ()) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.open = open


class Internal(CalotypeError):
    slug = "internal"
