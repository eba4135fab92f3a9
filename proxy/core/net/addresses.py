"""Decides whether an address belongs to the public internet, whatever notation it is written in.

An IPv6 address must be global unicast and must not embed or tunnel another address (RFC 6890, RFC 4291; the IANA
special-purpose registries). An IPv4 address must not be reserved.
"""

import ipaddress

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_GLOBAL = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL = [ipaddress.IPv6Network(net) for net in ("2001::/23", "2002::/16", "2001:db8::/32", "3fff::/20")]
"""IETF protocols and Teredo, 6to4, documentation twice."""
_NOT_PUBLIC = [
    *map(ipaddress.IPv4Network, ("192.0.0.0/24", "224.0.0.0/4", "192.88.99.0/24", "192.31.196.0/24")),
    *map(ipaddress.IPv4Network, ("192.175.48.0/24", "192.52.193.0/24", "168.63.129.16/32")),
]
"""IETF protocols, multicast, 6to4 relays, AS112 twice, AMT relays, and the host that serves every Azure machine."""
_ISATAP = 0x5EFE


def is_public(address: str) -> bool:
    """Whether `address`, in the form in which connect takes it, is a host of the public internet."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return _is_public_v4(found)
    if found in _MAPPED or found in _NAT64:
        return _is_public_v4(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    is_isatap = (int(found) >> 32) & 0xFFFF == _ISATAP
    return (
        found in _GLOBAL
        and found.is_global
        and not is_isatap
        and not any(found in net for net in _NOT_GLOBAL)
    )


def _is_public_v4(address: ipaddress.IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)
