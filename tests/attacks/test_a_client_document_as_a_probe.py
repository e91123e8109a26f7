"""The URL of a client metadata document is nobody's means to send a request from this server's place (SSRF, CWE-918).

draft-ietf-oauth-client-id-metadata-document, security considerations: an authorization server must not fetch from
special-use addresses. Those are the IANA special-purpose address registries (RFC 6890); Python's `is_global` has had
holes (CVE-2024-4032), and an address may lead to another (RFC 6052, RFC 3056, RFC 4380, RFC 5214).
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator

import pytest

from demo.auth_server.clients import document_fetch
from demo.auth_server.clients.document_fetch import DocumentRefused, Fetcher
from demo.auth_server.clients.public_addresses import is_public
from tests.unit.auth_server.conftest import House, clock, house, make_house
from tests.unit.auth_server.document_host import DocumentHost, document_host

__all__ = ["clock", "house", "make_house"]

SPECIAL = (
    # IPv4, each range's first and last
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.1.2.3",
    "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.8", "192.0.0.9", "192.0.0.170",
    "192.0.0.255", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.175.48.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255",
    # IPv6
    "::", "::1", "::7f00:1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "64:ff9b:1:ffff::10.0.0.1", "100::1", "100:0:0:1::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1",
    "2001:10::1", "2001:20::1", "2001:30::1", "2001:1ff:ffff::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1",
    "2620:4f:8000::1", "3ffe::1", "3fff::1", "3fff:fff::1", "5f00::1", "fc00::1", "fd00::1", "fdff:ffff::1", "fe80::1",
    "fe80::1%eth0", "fec0::1", "feff::1", "ff02::1", "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1",
    "nonsense", "", "127.1", "0x7f.1", "2130706433", "010.0.0.1",
)  # fmt: skip


@pytest.mark.parametrize("address", SPECIAL)
def test_no_special_range_is_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.215.14", "9.255.255.255", "100.63.255.255", "100.128.0.0", "172.32.0.0", "192.0.1.0",
     "198.17.255.255", "223.255.255.255", "2606:4700::1111", "2001:200::1", "2001:4860:4860::8888", "2620:4f:7fff::1",
     "3ffd::1", "2003::1"],
)  # fmt: skip
def test_the_internet_is(address: str) -> None:
    assert is_public(address)


def test_pythons_own_word_is_not_enough() -> None:
    """The weakened judge of addresses: it lets in several of those."""

    def as_python_says(address: str) -> bool:
        try:
            return ipaddress.ip_address(address).is_global
        except ValueError:
            return False

    assert any(as_python_says(address) for address in SPECIAL)


@pytest.fixture
def other_port() -> Iterator[DocumentHost]:
    with document_host() as host:
        yield host


def probes(house: House, other_port: DocumentHost) -> bool:
    """A web page has the browser ask for a grant with this client ID. Is anything sent to the other port?"""
    url = f"{other_port.url}?delete=everything"
    for client_id in (url, other_port.url, other_port.url.replace("127.0.0.1", "localhost")):
        house.authorize(client_id=client_id)
        house.ask(client_id=client_id)
    return bool(other_port.asked)


def test_no_other_port_of_loopback_is_asked(house: House, other_port: DocumentHost) -> None:
    assert not probes(house, other_port)


def test_where_all_of_loopback_is_ones_own_every_port_is(
    house: House, other_port: DocumentHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_fetch.Fetcher, "check_url", lambda *_: None)
    assert probes(house, other_port)


def test_the_servers_own_document_is_read_and_nothing_else_of_it() -> None:
    own = Fetcher(frozenset({"http://127.0.0.1:7327"}))
    own.check_url("http://127.0.0.1:7327/client.json")
    for url in ("http://127.0.0.1:7327/client.json?x=1", "http://127.0.0.1:7328/client.json", "http://127.0.0.1/c"):
        with pytest.raises(DocumentRefused):
            own.check_url(url)


@pytest.mark.parametrize("last", ["127.0.0.1", "64:ff9b::7f00:1", "fec0::1", "::127.0.0.1", "192.0.0.8"])
def test_one_special_address_among_public_ones_is_enough_and_a_name_is_resolved_once(last: str) -> None:
    asked: list[str] = []

    async def addresses(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["93.184.215.14", last]

    with pytest.raises(DocumentRefused, match="not on the public internet"):
        asyncio.run(Fetcher(frozenset(), addresses=addresses).fetch("https://agent.example/c"))
    assert asked == ["agent.example"]
