"""Maps errors of botocore and aiohttp to RemoteError."""

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
    """Maps errors to RemoteError without their messages, which may contain keys and signed URLs."""
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
        raise Broken("the response of the store was cut short") from None
    except (BotoCoreError, aiohttp.ClientError, OSError):
        raise Unavailable("the store cannot be reached, or closed the connection") from None
    except Exception:
        # botocore's parsers raise arbitrary errors for an invalid header.
        raise Broken("the response of the store is invalid") from None


def _refusal(fault: ClientError) -> RemoteError:
    error = fault.response.get("Error", {})
    code = str(error.get("Code", ""))
    metadata = fault.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    if code in _MISSING or (status == 404 and code != "NoSuchBucket"):
        return Missing("the object does not exist")
    if status == 412:
        return Exists("the object exists already")
    if code == "NoSuchBucket":
        return RequestRefused("the bucket does not exist: create it, or correct its name")
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
