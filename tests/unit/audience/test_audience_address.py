"""Where the page for the audience may stand, and the certificate that is made for it."""

from __future__ import annotations

import datetime
import ssl
import stat
from pathlib import Path

import pytest

from demo.audience import tls
from demo.audience.address import Address, read
from deputize.errors import UsageError


@pytest.mark.parametrize(
    ("given", "host", "tls", "origin"),
    [
        ("", "127.0.0.1", False, "http://127.0.0.1:7329"),
        ("127.0.0.1", "127.0.0.1", False, "http://127.0.0.1:7329"),
        ("192.168.1.20", "192.168.1.20", True, "https://192.168.1.20:7329"),
        ("192.168.1.20:8443", "192.168.1.20", True, "https://192.168.1.20:8443"),
        ("[2001:DB8::1]:8443", "2001:db8::1", True, "https://[2001:db8::1]:8443"),
        ("2001:db8:0::1", "2001:db8::1", True, "https://[2001:db8::1]:7329"),
        # Behind a tunnel this machine speaks http on loopback, and is known by the tunnel's name.
        ("https://Talk.Tunnel.Example/", "127.0.0.1", False, "https://talk.tunnel.example"),
        ("https://talk.example:443", "127.0.0.1", False, "https://talk.example"),
        ("https://talk.example:8443", "127.0.0.1", False, "https://talk.example:8443"),
    ],
)
def test_an_address_is_https_wherever_a_phone_reaches_it(given: str, host: str, tls: bool, origin: str):
    found = read(given)
    assert (found.host, found.tls, found.origin(found.port or 7329)) == (host, tls, origin)


@pytest.mark.parametrize(
    "given",
    [
        "0.0.0.0",  # what is bound to all is bound to networks that nobody named
        "::",
        "laptop.local",
        "http://talk.example",
        "https://talk.example/path",
        "https://user:secret@talk.example",
        "https://",
        "192.168.1.20:0",
        "192.168.1.20:99999",
        "192.168.1",
    ],
)
def test_what_is_no_address_is_refused_with_what_to_do(given: str):
    with pytest.raises(UsageError) as refused:
        read(given)
    assert refused.value.do


def test_a_certificate_is_for_its_address_and_kept_while_it_is_good(tmp_path: Path):
    made = tls.certificate(tmp_path, "192.168.1.20")
    assert made == tls.certificate(tmp_path, "192.168.1.20")
    assert stat.S_IMODE(made[1].stat().st_mode) == 0o600
    context = ssl.create_default_context(cafile=str(made[0]))
    context.load_cert_chain(made[0], made[1])
    (found,) = context.get_ca_certs() or [ssl._ssl._test_decode_cert(str(made[0]))]  # type: ignore[attr-defined]
    assert ("IP Address", "192.168.1.20") in found["subjectAltName"]
    ends = datetime.datetime.strptime(found["notAfter"], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=datetime.UTC)
    assert ends - datetime.datetime.now(datetime.UTC) < datetime.timedelta(days=tls.DAYS + 1)
    # For another address, and where the key was opened to others, it is made again.
    assert tls.certificate(tmp_path, "192.168.1.21")[2] != made[2]
    made[1].chmod(0o644)
    assert tls.certificate(tmp_path, "192.168.1.21")[2] != made[2]
    assert stat.S_IMODE(made[1].stat().st_mode) == 0o600


def test_only_what_listens_on_loopback_is_plain_http():
    assert not any(one.tls for one in (Address(), read("127.0.0.1"), read("[::1]")))
