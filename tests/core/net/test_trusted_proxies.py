"""Only trusted proxies may forward the address of a client."""

from ipaddress import ip_network

import pytest

from proxy.core.net.trusted_proxies import TrustedProxies

PROXIES = TrustedProxies([ip_network("10.0.0.0/24"), ip_network("192.0.2.7"), ip_network("2001:db8::/64")])


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("", True),  # A unix socket.
        ("10.0.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("192.0.2.7", True),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("10.0.1.1", False),
        ("192.0.2.8", False),
        ("2001:db8:1::1", False),
        ("nonsense", False),
    ],
)
def test_addresses_of_the_listed_networks_are_trusted(address: str, trusted: bool) -> None:
    assert PROXIES.trusts(address) is trusted


def test_without_proxies_only_a_unix_socket_is_trusted() -> None:
    assert not TrustedProxies([]).trusts("127.0.0.1")
    assert TrustedProxies([]).trusts("")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("", "10.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.2", "203.0.113.9"),  # A trusted hop before the last.
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # What the client itself had claimed.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("evil, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.9, evil", "10.0.0.1"),
        ("2001:db8:1::5", "2001:db8:1::5"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        (",,,", "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_that_is_not_trusted(forwarded: str, client: str) -> None:
    assert PROXIES.client("10.0.0.1", forwarded) == client
