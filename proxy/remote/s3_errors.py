"""How the faults of botocore and aiohttp become ours: their own words may hold keys and signed URLs, and go no further
than here."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from proxy.remote.errors import (
    AccessDenied,
    Broken,
    Busy,
    Exists,
    Missing,
    RemoteError,
    RequestRefused,
    TooSlow,
    Unavailable,
)

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_THROTTLED = frozenset(
    {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"}
)


@contextmanager
def as_remote_errors() -> Iterator[None]:
    """Faults of botocore and aiohttp as one of ours; their own words may hold keys and signed URLs."""
    try:
        yield
    except RemoteError:
        raise
    except ClientError as fault:
        raise _refusal(fault) from None
    except (ReadTimeoutError, ConnectTimeoutError, TimeoutError):
        raise TooSlow("the store did not answer in time") from None
    except (NoCredentialsError, PartialCredentialsError):
        raise RequestRefused("there are no credentials: set access_key and secret_key") from None
    except (ResponseStreamingError, aiohttp.ClientPayloadError):
        raise Broken("the store's answer broke off before the end") from None
    except (BotoCoreError, aiohttp.ClientError, OSError):
        raise Unavailable("the store cannot be reached, or broke off") from None
    except Exception:
        # botocore's parsers raise whatever comes to them over a header that makes no sense.
        raise Broken("the store's answer cannot be understood") from None


def _refusal(fault: ClientError) -> RemoteError:
    error = fault.response.get("Error", {})
    code = str(error.get("Code", ""))
    metadata = fault.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    if code in _MISSING or (status == 404 and code != "NoSuchBucket"):
        return Missing("there is no such object")
    if status == 412:
        return Exists("there is such an object already")
    if code == "NoSuchBucket":
        return RequestRefused("there is no such bucket: create it, or correct its name")
    if code in _THROTTLED or status in (429, 500, 502, 503, 504) or status < 300:
        later = "retry-after" in metadata.get("HTTPHeaders", {})
        return (Busy if later else Unavailable)(f"the store answers {status}")
    if 300 <= status < 400:
        return RequestRefused(f"the store answers {status}, a redirect: set its own endpoint_url and region")
    if code in ("AccessDenied", "403", "Forbidden"):
        return AccessDenied("the store does not let these credentials read the bucket")
    if status == 403:
        return RequestRefused("the store refuses the credentials: correct access_key and secret_key")
    return RequestRefused(f"the store refuses the request with {status}")
