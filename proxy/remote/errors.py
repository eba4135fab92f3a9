"""The errors of remote servers. No message contains a credential or a key."""


class RemoteError(Exception):
    """An error of a remote server; `kind` is its metric label."""

    kind = "failed"


class Missing(RemoteError):
    """The object does not exist."""

    kind = "missing"


class Exists(RemoteError):
    """The object exists already."""

    kind = "exists"


class TooLarge(RemoteError):
    """The body is larger than the limit."""

    kind = "too-large"


class RequestRefused(RemoteError):
    """The server refuses the request; a retry does not help."""

    kind = "refused"


class Unavailable(RemoteError):
    """The server cannot be reached, fails, throttles, or sent something other than the object."""

    kind = "unavailable"


class Busy(Unavailable):
    """The server sent Retry-After."""


class Broken(RemoteError):
    """The response is truncated or invalid, but the server answers."""

    kind = "broken"


class TooSlow(RemoteError):
    """The server did not answer in time."""

    kind = "timeout"


class CircuitOpen(Unavailable):
    """The circuit breaker is open: no request was sent."""

    kind = "circuit-open"


class AccessDenied(RemoteError):
    """The server denies access; some servers do so for missing objects."""

    kind = "denied"


class AddressNotAllowed(RemoteError):
    """The address is not allowed."""

    kind = "address-not-allowed"
