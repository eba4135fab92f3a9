"""Sessions of aiohttp for servers of others, with restrictions: the address of every connection is checked; cookies,
proxies of the environment, redirects and content codings are not used.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from yarl import URL

from proxy.core.net.addresses import is_public
from proxy.remote.errors import AddressNotAllowed, Broken, RemoteError, TooSlow, Unavailable

CONNECT_TIMEOUT_S = 2.0
LOOP_HEADER = "CDN-Loop"

AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class _ForeignAddress(OSError):
    """All have the same text, so that asyncio merges several into one."""

    def __str__(self) -> str:
        return "the address is not public"


def any_socket(info: AddressInfo) -> socket.socket:
    """A socket for an address that is not checked."""
    family, kind, protocol, _, _ = info
    return socket.socket(family, kind, protocol)


def public_socket(info: AddressInfo) -> socket.socket:
    """A socket for a public address, which is checked right before a connection, after DNS and redirects."""
    if not is_public(str(info[-1][0])):
        raise _ForeignAddress
    return any_socket(info)


def guarded_session(
    *, headers: Mapping[str, str], allow_private: bool, connections: int, read_timeout_s: float | None = None
) -> aiohttp.ClientSession:
    """A session that sends `headers` with each request, over at most `connections` to a host. A server must send its
    next bytes within `read_timeout_s`."""
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=connections,
        socket_factory=any_socket if allow_private else public_socket,
    )
    return plain_session(connector, headers, read_timeout_s)


def plain_session(
    connector: aiohttp.BaseConnector, headers: Mapping[str, str], read_timeout_s: float | None = None
) -> aiohttp.ClientSession:
    """A session without cookies or the environment's proxies, which returns bodies as they are sent."""
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=read_timeout_s),
    )


async def request_head(
    session: aiohttp.ClientSession, method: str, url: str, headers: Mapping[str, str], within_s: float
) -> aiohttp.ClientResponse:
    """The response, of which only the head was read; the caller closes it. `url` is sent as it is written."""
    async with asyncio.timeout(within_s):
        # Limits the whole response head: a slow head would restart the read timeout with each byte.
        return await session.request(method, URL(url, encoded=True), headers=headers, allow_redirects=False)


def origin_of(url: str) -> str:
    """Scheme and host: http and https are different origins."""
    return "/".join(url.split("/", 3)[:3])


@contextmanager
def as_remote_errors() -> Iterator[None]:
    """Raises a RemoteError for an error of aiohttp."""
    try:
        yield
    except RemoteError:
        raise
    except aiohttp.ClientConnectorError as fault:
        if isinstance(fault.os_error, _ForeignAddress):
            raise AddressNotAllowed("its address is not public") from None
        raise Unavailable(_unreachable(fault)) from None
    except aiohttp.ConnectionTimeoutError:
        raise TooSlow("no connection to it was made in time") from None
    except TimeoutError:
        raise TooSlow("it did not answer in time") from None
    except aiohttp.ClientResponseError:
        raise Broken("its response is not valid HTTP") from None
    except aiohttp.ClientPayloadError:
        raise Broken("its response was cut short") from None
    except (aiohttp.ServerDisconnectedError, ConnectionError):
        raise Unavailable("it closed the connection before a response") from None
    except (aiohttp.ClientError, OSError):
        raise Unavailable("it closed the connection") from None
    except ValueError:
        raise Broken("its response is invalid") from None


def _unreachable(fault: aiohttp.ClientConnectorError) -> str:
    """The reason without the message of aiohttp, which contains the address."""
    match fault:
        case aiohttp.ClientConnectorDNSError():
            return "its name has no address"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted"
        case aiohttp.ClientConnectorSSLError():
            return "TLS with it failed"
    if isinstance(fault.os_error, ConnectionRefusedError):
        return "it refuses connections"
    return "it cannot be reached"
