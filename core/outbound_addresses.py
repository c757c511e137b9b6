"""Which network addresses a URL that somebody gave us may lead to. Pure.

A URL of a customer must not make us knock on our own network's doors (server-side request forgery): databases, the
metadata service of a cloud, a router's admin page. So only addresses of the public internet are allowed, and those of
the networks an operator names. An address that carries another inside is judged by that one.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

#: Of IPv6 only this is handed out for the public internet (RFC 4291 2.4); all else is for special use.
_UNICAST = IPv6Network("2000::/3")
#: IPv4 addresses as a network without IPv4 reaches them (RFC 6052): the last four bytes say where it goes.
_NAT64 = IPv6Network("64:ff9b::/96")
#: Public to `ipaddress`, in some versions of Python at least, and nobody's web server: what IETF protocols use for
#: themselves (RFC 6890), among it the metadata service of one cloud; ways into IPv4 that could each hide an inner
#: address, 6to4 (RFC 7526) and Teredo (RFC 4380); and Azure's platform, which answers from the host we run on.
_NOBODY = tuple(
    ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "2001::/23", "2002::/16")
)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """`10.0.0.0/8`, `fd00::/8`, `192.168.1.7`. Raises ValueError for what is none."""
    return tuple(ip_network(text.strip()) for text in texts)


def is_allowed(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether to connect to this address, as the system resolved it. What is no address is not allowed."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    ip = _inner(ip)
    return any(ip.version == one.version and ip in one for one in allowed) or _is_public(ip)


def _inner(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Where a packet to it arrives: an IPv4 address written as IPv6 is that IPv4 address."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return IPv4Address(ip.packed[12:]) if ip in _NAT64 else ip


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if ip.is_multicast or ip.is_reserved or not ip.is_global:
        return False
    if isinstance(ip, IPv6Address) and (ip.scope_id is not None or ip not in _UNICAST):
        return False
    return not any(ip.version == one.version and ip in one for one in _NOBODY)
