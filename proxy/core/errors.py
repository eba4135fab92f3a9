"""The closed set of errors of a request, each with the slug of its RFC 9457 problem type.

`edge/problems` has the one table that maps a slug to a status and a title. `detail` is written for the client: it
names known parameters only and never repeats bytes of the request.
"""

from collections.abc import Callable
from typing import ClassVar


class CalotypeError(Exception):
    """An error with a slug; `detail` is one sentence that says what to change."""

    slug: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Callable[..., "CalotypeError"], tuple[object, ...]]:
        """Errors are pickled between processes; pickle would lose the keyword arguments."""
        return _rebuilt, (type(self), self.detail, self.retry_after_s)


def _rebuilt(kind: type[CalotypeError], detail: str, retry_after_s: int | None) -> CalotypeError:
    return kind(detail, retry_after_s=retry_after_s)


class BadTransform(CalotypeError):
    slug = "bad-transform"


class BadUrl(CalotypeError):
    slug = "bad-url"


class UrlTooLong(CalotypeError):
    slug = "url-too-long"


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

    def __reduce__(self) -> tuple[Callable[..., "CalotypeError"], tuple[object, ...]]:
        return _rebuilt_not_found, (self.detail, self.retry_after_s, self.lasts_s)


def _rebuilt_not_found(detail: str, retry_after_s: int | None, lasts_s: float | None) -> CalotypeError:
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
    """`open` has one line for each place that may still serve purged variants."""

    slug = "purge-incomplete"

    def __init__(self, detail: str, *, retry_after_s: int | None = None, open: tuple[str, ...] = ()) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.open = open

    def __reduce__(self) -> tuple[Callable[..., "CalotypeError"], tuple[object, ...]]:
        return _rebuilt_purge_incomplete, (self.detail, self.retry_after_s, self.open)


def _rebuilt_purge_incomplete(detail: str, retry_after_s: int | None, open: tuple[str, ...]) -> CalotypeError:
    return PurgeIncomplete(detail, retry_after_s=retry_after_s, open=open)


class Internal(CalotypeError):
    slug = "internal"
