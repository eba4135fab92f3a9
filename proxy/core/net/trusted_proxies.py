"""Trusted proxies: the peers whose X-Forwarded-For and X-Request-Id the node believes.

Pure. An address is text as a socket reports it. The peer of a unix socket has an empty address and is trusted: the
permissions of the socket file decide which process may connect.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


class TrustedProxies:
    """Trusts the peers of unix sockets and those in `networks`."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    def trusts(self, address: str) -> bool:
        """Whether the forwarding headers of this peer count."""
        if not address:
            return True
        plain = _plain(address)
        return plain is not None and any(plain in network for network in self._networks)

    def client(self, peer: str, forwarded: str) -> str:
        """The client's address: the last address of X-Forwarded-For that is not a trusted proxy, or `peer`."""
        client = peer
        for entry in reversed(forwarded.split(",")):
            address = _plain(entry.strip())
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return client


def _plain(address: str) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4-mapped IPv6 address as IPv4; None for another text."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
