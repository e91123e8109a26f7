"""The room on a network: over https with the certificate made for its address, and behind a tunnel."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from demo.audience import life
from demo.audience.address import Address
from demo.audience.server import FOLDER
from deputize.net import free_port
from tests.conftest import HANGS

from .conftest import Phone, until


@contextmanager
def served(state: Path, where: Address) -> Iterator[str]:
    """A room at an address that `--audience` would not give on loopback; where it says that it is."""
    code = (
        "from pathlib import Path; from demo.audience import address, server; "
        "from demo.audience.address import Address; "
        f"address.read = lambda _: {where!r}; server.serve(Path({str(state)!r}), '')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        yield until(lambda: (found := life.find(state)) and found.url)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(HANGS)


def test_over_https_a_phone_sees_the_certificate_of_the_address_and_the_cookie_is_for_it_alone(tmp_path: Path):
    with served(tmp_path / "state", Address(tls=True)) as url:
        assert url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(tmp_path / "state" / FOLDER / "certificate.pem"))
        trusting.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)  # nobody but itself vouches for it
        http = httpx2.Client(base_url=url, follow_redirects=True, timeout=HANGS, verify=trusting)
        phone = Phone(http)
        joined = http.post("/you", data={"name": "Ann"}, follow_redirects=False)
        assert {"secure", "httponly"} <= {one.strip().lower() for one in joined.headers["set-cookie"].split(";")}
        assert http.get("/.well-known/oauth-authorization-server").json()["issuer"] == url
        phone.decide(limit="30")
        phone.sees("Bought a shirt for 25.00 USD")
        # Plain http is not answered there.
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(url.replace("https:", "http:"), timeout=HANGS)


def test_behind_a_tunnel_the_public_name_is_the_issuer_and_the_agents_stay_on_this_machine(tmp_path: Path):
    state, public = tmp_path / "state", "https://talk.tunnel.example"
    with served(state, Address(port=free_port(), public=public)) as url:
        assert url == public  # a name that no resolver knows: whatever went out to it would fail
        port = int((state / FOLDER / "port").read_text())
        # As a tunnel's program does it: plain http to the loopback port, with the public name and the phone's address.
        headers = {"host": "talk.tunnel.example", "x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https"}
        # Cookies that are for https alone come back, as they do to a phone.
        http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=HANGS, verify=False)
        assert http.get("/.well-known/oauth-authorization-server").json()["issuer"] == public
        assert http.get("/", headers={"host": f"127.0.0.1:{port}"}).status_code == 421
        joined = http.post("/you", data={"name": "Ann"}, headers={"origin": public})
        assert joined.status_code == 303
        cookie = joined.headers["set-cookie"].partition(";")[0]
        until(lambda: "/device?" in http.get("/you", headers={"cookie": cookie}).text)
