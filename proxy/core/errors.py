"""The closed set of ways a request can fail, each with the slug of its RFC 9457 problem type.

Statuses and titles are not here: `edge.respond` has the one table that maps a slug to HTTP.
`detail` is written for the client, names only known parameters and never repeats client bytes.
"""

from collections.abc import Callable
from typing import ClassVar


class CalotypeError(Exception):
    """A failure with a name; `detail` is one sentence that says what to change."""

    slug: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Callable[..., "CalotypeError"], tuple[object, ...]]:
        """Failures pass from process to process; keyword arguments would be lost on the way."""
        return _again, (type(self), self.detail, self.retry_after_s)


def _again(kind: type[CalotypeError], detail: str, retry_after_s: int | None) -> CalotypeError:
    return kind(detail, retry_after_s=retry_after_s)


class BadTransform(CalotypeError):
    slug = "bad-transform"


class BadUrl(CalotypeError):
    slug = "bad-url"


class UrlTooLong(CalotypeError):
    slug = "url-too-long"


class NotAllowed(CalotypeError):
    """What the policy of a mount refuses an unsigned URL. `settings` names the keys that would allow it: for the owner's
    log, never for the client."""

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


class UnknownRoute(CalotypeError):
    slug = "unknown-route"


class OriginalNotFound(CalotypeError):
    """`lasts_s`, if not None, is for how long it will still be said without another look."""

    slug = "original-not-found"

    def __init__(
        self, detail: str, *, retry_after_s: int | None = None, lasts_s: float | None = None
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.lasts_s = lasts_s

    def __reduce__(self) -> tuple[Callable[..., "CalotypeError"], tuple[object, ...]]:
        return _missing, (self.detail, self.retry_after_s, self.lasts_s)


def _missing(detail: str, retry_after_s: int | None, lasts_s: float | None) -> CalotypeError:
    return OriginalNotFound(detail, retry_after_s=retry_after_s, lasts_s=lasts_s)


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
    """`open` tells, a line each, where what is old may still be served."""

    slug = "purge-incomplete"

    def __init__(self, detail: str, *, retry_after_s: int | None = None, open: tuple[str, ...] = ()) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.open = open

    def __reduce__(self) -> tuple[Callable[..., "CalotypeError"], tuple[object, ...]]:
        return _incomplete, (self.detail, self.retry_after_s, self.open)


def _incomplete(detail: str, retry_after_s: int | None, open: tuple[str, ...]) -> CalotypeError:
    return PurgeIncomplete(detail, retry_after_s=retry_after_s, open=open)


class Internal(CalotypeError):
    slug = "internal"
