"""S40: whatever a caller's URL leads to, a connection goes to a public address or nowhere."""

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.transport.public import (
    PublicResolver,
    is_private_name,
    is_public,
    is_public_name,
)
from octoplex.transport.resolve import Address
from octoplex.wire.error import InvalidCall

BARRED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fc00::1"],
    "link local": ["169.254.1.1", "fe80::1", "fe80::1%eth0"],
    "carriers' NAT": ["100.64.0.1", "100.127.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"],
    "compatible": ["::127.0.0.1", "::8.8.8.8"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"],
    "6to4 and Teredo": ["2002:7f00:1::", "2002:808:808::1", "2001:0:1::1", "192.88.99.1"],
    "site local": ["fec0::1"],
    "metadata": ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
                 "192.0.0.192", "fe80::a9fe:a9fe", "::ffff:169.254.169.254"],
}  # fmt: skip


@pytest.mark.parametrize("kind", BARRED)
def test_s40_addresses_that_nobody_is_sent_to(kind: str) -> None:
    assert [a for a in BARRED[kind] if is_public(a)] == []


def test_public_addresses() -> None:
    for address in ("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"):
        assert is_public(address)


@given(st.ip_addresses(v=4))
def test_no_special_address_of_ipv4_is_public(address: ipaddress.IPv4Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(str(address))
    assert not is_public(f"::ffff:{address}")
    assert not is_public(f"64:ff9b::{address}")
    assert not is_public(f"::{address}")
    assert not is_public(str(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80))))


@given(st.ip_addresses(v=6))
def test_no_special_address_of_ipv6_is_public(address: ipaddress.IPv6Address) -> None:
    special = not address.is_global or address.is_multicast or address.is_reserved
    inside = address.ipv4_mapped or address.sixtofour or address.teredo
    if special or inside or address.is_link_local or address.is_site_local:
        assert not is_public(str(address))


@given(st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "fc00::/7"]), st.data())
def test_nothing_inside_a_private_network_is_public(text: str, data: st.DataObject) -> None:
    network = ipaddress.ip_network(text)
    address = data.draw(st.ip_addresses(network=text))
    assert not is_public(str(address))
    assert is_public(str(address), [network])


@given(st.text(max_size=20))
def test_what_is_no_address_is_not_public(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        assert not is_public(text)


SPELLINGS = ["2130706433", "0x7f000001", "0X7F.1", "127.1", "0177.0.0.1", "0x7f.0.0.1",
             "10.1", "127.0.0.01", "8.8.2056", "134744072", "1.2.3.4.5", "256.0.0.1",
             "127.0.0.1."]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
def test_s40_decimal_octal_and_hex_spellings(host: str) -> None:
    assert not is_public_name(host)


@given(st.ip_addresses(v=4))
def test_only_the_plain_spelling_of_an_address_is_a_name(address: ipaddress.IPv4Address) -> None:
    number, octets = int(address), address.packed
    assert is_public_name(str(address))
    assert not is_public_name(str(number))
    assert not is_public_name(hex(number))
    assert not is_public_name(f"{octets[0]}.{number & 0xFFFFFF}")
    assert not is_public_name(".".join(f"0{o:o}" for o in octets))
    assert not is_public_name(".".join(hex(o) for o in octets))


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "a.localhost", "metadata", "metadata.google.internal", "db",
     "printer.local", "1.168.192.in-addr.arpa", "x.onion", "", "."],
)  # fmt: skip
def test_s40_names_of_machines_nearby(host: str) -> None:
    assert not is_public_name(host)


def test_names_of_the_web() -> None:
    for host in ("example.com", "a.b.example.com.", "xn--bcher-kva.example", "8.8.8.8", "2606::1"):
        assert is_public_name(host)


PRIVATE = {
    "this machine": ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.8.8.8", "::1"],
    "other spellings of it": ["2130706433", "0x7f000001", "0X7F.1", "127.1", "0177.0.0.1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1"],
    "a private network": ["10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "fe80::1%eth0"],
    "a name without a dot": ["ollama", "vllm", "OLLAMA", "gpu-1", "my_container"],
    "a network's own names": ["nas.local", "host.docker.internal", "pi.home.arpa"],
}
NOT_PRIVATE = {
    "a name of the web": ["example.com", "localhost.evil.com", "local.example", "ollama.ai"],
    "names that only look so": ["evil-localhost.com", "a.notlocal", "10.0.0.1.evil.com", "arpa.x"],
    "a top-level domain": ["ollama.", "ai.", "localhost."],
    "not ASCII": ["ollama\u3002com", "\u0430"],
    "an address": ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "100.64.0.1", "2002:7f00:1::"],
    "other spellings of one": ["134744072", "0x08080808", "8.8.2056", "010.010.010.010"],
    "no address at all": ["1.2.3.4.5", "256.0.0.1", "4294967296", "0x", "::g", "a:b"],
    "another network's": ["x.onion", "1.168.192.in-addr.arpa"],
}  # fmt: skip


@pytest.mark.parametrize("kind", PRIVATE)
def test_hosts_that_are_surely_their_owners(kind: str) -> None:
    assert [host for host in PRIVATE[kind] if not is_private_name(host)] == []


@pytest.mark.parametrize("kind", NOT_PRIVATE)
def test_hosts_that_are_not_surely_so(kind: str) -> None:
    assert [host for host in NOT_PRIVATE[kind] if is_private_name(host)] == []


@given(st.ip_addresses(v=4))
def test_an_address_is_private_in_every_spelling_or_in_none(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    spellings = (str(address), str(number), hex(number), f"::ffff:{address}")
    private = address.is_loopback or address.is_private
    assert {is_private_name(one) for one in spellings} == {private}
    assert not (private and is_public(str(address)))


@given(st.text(min_size=1, max_size=30) | st.ip_addresses().map(str))
def test_nothing_is_private_and_public_at_once(host: str) -> None:
    assert not (is_private_name(host) and is_public(host))
    assert not (is_private_name(host) and ":" not in host and "." in host.rstrip(".")
                and is_public_name(host) and not is_address(host))  # fmt: skip


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def answers(*addresses: str) -> list[Address]:
    return [(socket.AF_INET6 if ":" in a else socket.AF_INET, (a, 443)) for a in addresses]


def looked_up(*found: str, permitted: tuple[str, ...] = ()) -> list[str]:
    async def main() -> list[str]:
        async def ask(host: str, port: int) -> list[Address]:
            return answers(*found)

        networks = [ipaddress.ip_network(n) for n in permitted]
        resolver = PublicResolver(asyncio.get_running_loop(), networks, ask)
        return [str(a[1][0]) for a in await resolver.lookup("name.example", 443)]

    return asyncio.run(main())


def test_a_name_with_some_public_addresses_leads_to_those_only() -> None:
    assert looked_up("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1") == ["8.8.8.8", "2606:4700::1"]


def test_a_name_without_any_leads_nowhere_and_does_not_say_where() -> None:
    with pytest.raises(InvalidCall, match=r"name\.example leads to no public address") as caught:
        looked_up("10.11.12.13", "::1")
    assert "10.11" not in str(caught.value)


def test_an_operator_may_permit_a_network() -> None:
    assert looked_up("10.1.2.3", "10.2.0.1", permitted=("10.1.0.0/16",)) == ["10.1.2.3"]
