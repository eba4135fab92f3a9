"""What can go wrong with a place on the network, in a few words that hold no credential and no key."""


class RemoteError(Exception):
    """What went wrong, in words for the owner; no credential and no key in them."""

    kind = "failed"


class Missing(RemoteError):
    """There is no such thing there."""

    kind = "missing"


class Exists(RemoteError):
    """There is such a thing there already."""

    kind = "exists"


class TooLarge(RemoteError):
    """What came is larger than was allowed."""

    kind = "too-large"


class RequestRefused(RemoteError):
    """The place will not have us, and asking again will not change that."""

    kind = "refused"


class Unavailable(RemoteError):
    """The place cannot be reached, fails, throttles, or sent something else than was asked for."""

    kind = "unavailable"


class Busy(Unavailable):
    """The place says itself that it is to be asked again later."""


class Broken(RemoteError):
    """This one answer breaks off or cannot be understood; the place itself answers."""

    kind = "broken"


class TooSlow(RemoteError):
    """The place did not answer in time."""

    kind = "timeout"


class CircuitOpen(Unavailable):
    """The breaker is open: the place was not asked."""

    kind = "resting"


class AccessDenied(RemoteError):
    """The place says that we may not have it; some say so of what is missing, too."""

    kind = "denied"


class AddressNotAllowed(RemoteError):
    """A place that is not to be asked at all."""

    kind = "foreign"
