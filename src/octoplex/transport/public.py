"""Connections to public addresses only: for URLs that came from a caller.

Whoever fetches what a caller names can be sent to its own machine, its neighbours or the
metadata service of its cloud (SSRF). A check of the name proves nothing, because the name
may lead elsewhere the next time it is looked up. So the check is where a connection gets
its address: `PublicResolver` gives out those addresses that were found good, and the dialer
connects to these very addresses.

An IPv6 address is good only within 2000::/3, which alone is handed out, and not where it
carries an IPv4 address inside (6to4, Teredo; NAT64 and mapped ones lie outside of it).

References: the special-purpose registries of IANA (RFC 6890, RFC 9637 for 3fff::/20).

Not promised: that a public address is not the caller's victim; and nothing where a proxy
does the look-up, so a request that needs this goes out without one.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable

from octoplex.transport.resolve import Address, Ask, Resolver
from octoplex.wire.error import InvalidCall

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_BARRED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; Alibaba's metadata at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform, in the middle of a public range
        "169.254.0.0/16",  # link-local; most clouds' metadata at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
_GLOBAL = ipaddress.IPv6Network("2000::/3")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_INSIDE = ("localhost", "local", "internal", "arpa", "onion")
"""Ends of names that are nobody's on the public network."""
_OWN = (".localhost", ".local", ".internal", ".home.arpa")
"""Those of them that a network has for itself: RFC 6761, 6762, 8375; ICANN's of 29 July 2024."""


def is_public(address: str, permitted: Iterable[Network] = ()) -> bool:
    """Whether an address may be connected to; `permitted` are an operator's exceptions."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(found in network for network in permitted):
        return True
    if found.version == 6 and (found.scope_id is not None or found not in _GLOBAL):
        return False
    return not any(found in network for network in _BARRED)


def is_public_name(host: str) -> bool:
    """Whether a host is spelt as a name of the public network, or as a plain address.

    `2130706433`, `0x7f.1`, `0177.0.0.1` and `127.1` are addresses that only some read so.
    """
    name = host.lower().removesuffix(".")
    if ":" in name:
        return True
    first, dot, last = name.rpartition(".")
    if _NUMBER.fullmatch(last):
        try:
            return str(ipaddress.IPv4Address(name)) == host
        except ValueError:
            return False
    return bool(dot and first) and last not in _INSIDE


def is_private_name(host: str) -> bool:
    """Whether a host is surely on a network of its owner's: no public name or address is spelt so.

    A name without a dot is a container or a machine, found by one's own search domains; a dot
    at its end would make it a top-level domain. In doubt it is not.
    """
    try:
        address = _address(host)
    except ValueError:
        return False
    if address is None:
        return host.isascii() and ("." not in host or host.lower().endswith(_OWN))
    return address.is_private  # loopback too, and what is mapped into IPv6


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, also in the forms of `is_public_name`; None of a name.

    Raises:
        ValueError: it is a number, and no address.
    """
    if ":" in host:
        return ipaddress.IPv6Address(host)
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        raise ValueError(host) from None


class PublicResolver(Resolver):
    """Looks names up and gives out their public addresses only."""

    __slots__ = ("_permitted",)

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        permitted: Iterable[Network] = (),
        ask: Ask | None = None,
    ) -> None:
        super().__init__(loop, ask)
        self._permitted = tuple(permitted)

    async def lookup(self, host: str, port: int) -> list[Address]:
        """Addresses to try, in order; never one that is not public.

        Raises:
            UpstreamUnreachable: the name does not resolve.
            InvalidCall: none of its addresses is public. It does not say what they are.
        """
        found = await super().lookup(host, port)
        public = [a for a in found if is_public(str(a[1][0]), self._permitted)]
        if not public:
            raise InvalidCall(f"{host} leads to no public address")
        return public
