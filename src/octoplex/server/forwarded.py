"""Where a request really comes from, when proxies stand in between.

    X-Forwarded-For: client, proxy1, proxy2      each proxy appends who it heard from

Read from the right: what a trusted proxy appended is true, what stands left of the first
address that is not one of ours may be invented. Nobody else's header is believed; that it
is there still shows that the peer need not be the caller.

Reference: RFC 7239, section 8.1. Not promised: the `Forwarded` header, which is not read.
"""

import ipaddress

from octoplex.settings import networks

FORWARDED = (b"x-forwarded-for", b"forwarded")


def caller_address(peer: str, headers: dict[bytes, bytes], trusted: tuple[str, ...]) -> str:
    """The address of whoever asks; "" where nobody who can be believed says so."""
    if not any(name in headers for name in FORWARDED):
        return peer
    known = networks(trusted)
    said = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
    hops = [peer, *reversed(said)]
    try:
        addresses = [ipaddress.ip_address(hop.strip()) for hop in hops]
    except ValueError:
        return ""
    ours = [any(address in network for network in known) for address in addresses]
    if not ours[0]:
        return ""
    return str(next((a for a, own in zip(addresses, ours, strict=True) if not own), addresses[-1]))
