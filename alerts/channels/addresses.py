"""Which addresses a webhook may go to, decided on the address that is about to be connected to.

Names resolve to whatever their owner says, and differently each time; so the check sits in the socket's making.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
REFUSED = "address_not_allowed"
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(OSError):
    """The address is private, loopback, link-local, or otherwise not the public internet, and not allowed by setting."""

    def __init__(self) -> None:
        super().__init__(REFUSED)


def is_allowed(text: str, allowed: Sequence[Network]) -> bool:
    """May a webhook go to this literal address? Addresses within addresses (mapped, 6to4, Teredo, NAT64) count as theirs."""
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = _embedded(address)
    if any(candidate in network for network in allowed for candidate in (address, *inner)):
        return True
    return all(_is_public(candidate) for candidate in (inner or (address,)))


def checked_sockets(allowed: Sequence[Network]) -> Callable[[AddressInfo], socket.socket]:
    """A socket factory that raises AddressRefused instead of making a socket to an address that is not allowed."""

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), allowed):
            raise AddressRefused
        return socket.socket(family, kind, protocol)

    return make


def _embedded(address: Address) -> tuple[Address, ...]:
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    if address in NAT64 or address.packed[:12] == bytes(12):
        return (ipaddress.IPv4Address(address.packed[12:]), *((address,) if address.packed[:12] == bytes(12) else ()))
    return ()


def _is_public(address: Address) -> bool:
    return address.is_global and not (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)
    )
