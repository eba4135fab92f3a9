"""Whose word counts: which neighbours may say for whom they ask.

Pure. An address is text as a socket has it; a unix socket's peer is empty, and is trusted: who may connect there is for
the file system to say.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


class TrustedProxies:
    """Trusts the peers of unix sockets, and those in `networks`."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    def trusts(self, address: str) -> bool:
        """Whether what this peer says of its client is believed."""
        if not address:
            return True
        plain = _plain(address)
        return plain is not None and any(plain in network for network in self._networks)

    def client(self, peer: str, forwarded: str) -> str:
        """Who asked: the last address of X-Forwarded-For that is no trusted hop itself, or `peer`."""
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
    """The address, IPv4 where it is only dressed as IPv6; None if it is none."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
