"""Which hosts are this machine, and ports that nobody else can have: `deputize.net`."""

from __future__ import annotations

import errno
import socket

import pytest

from deputize import net

HERE = (
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "[::ffff:7f00:1]",
)
ELSEWHERE = (
    "",
    "localhost.example",
    "notlocalhost",
    "127.0.0.1.example",
    "128.0.0.1",
    "10.0.0.1",
    "0.0.0.0",
    "::",
    "::2",
    "::ffff:10.0.0.1",
    "example.com",
)


@pytest.mark.parametrize(("host", "here"), [*((one, True) for one in HERE), *((one, False) for one in ELSEWHERE)])
def test_a_host_is_this_machine_or_is_not(host: str, here: bool) -> None:
    assert net.is_loopback(host) is here
    if host:
        bare = host.strip("[]")
        assert net.is_loopback_url(f"http://{f'[{bare}]' if ':' in bare else bare}:1/mcp") is here


@pytest.mark.parametrize("url", ["", "localhost", "http://[::1", "http://"])
def test_what_is_no_url_is_not_this_machine(url: str) -> None:
    assert net.is_loopback_url(url) is False


def has_ipv6() -> bool:
    """Whether this machine's loopback has IPv6; of a container it often has not."""
    try:
        net.listening("::1", 0).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here"))],
)
def test_a_port_that_is_listened_on_is_free_for_nobody(host: str) -> None:
    with net.listening(host, 0) as sock:
        port = sock.getsockname()[1]
        assert net.is_free(port) is (host != "127.0.0.1")
        with pytest.raises(OSError) as refused:
            net.listening(host, port)
        assert refused.value.errno == errno.EADDRINUSE
        assert sock.proto == socket.IPPROTO_TCP, "asyncio turns Nagle off where it is told that this is TCP"
    assert net.is_free(port)


def test_a_free_port_can_be_listened_on() -> None:
    port = net.free_port()
    net.listening(net.LOOPBACK, port).close()
    with socket.create_server((net.LOOPBACK, 0)) as handed_out:
        assert port < handed_out.getsockname()[1], "between its choice and its use no other program is given it"


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_number_that_is_no_port_is_not_free(port: int) -> None:
    assert net.is_free(port) is False
