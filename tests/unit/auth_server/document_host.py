"""A host that publishes a client ID metadata document, or something that is none; with TLS where it is asked for."""

from __future__ import annotations

import contextlib
import datetime
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class DocumentHost:
    """What is answered to every GET; tests change it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.url = f"{base}/agent/client.json"
        self.status = 200
        self.headers: dict[str, str] = {"Content-Type": "application/json"}
        self.body: bytes | None = None
        self.changes: dict[str, Any] = {}
        self.drip = False
        self.asked: list[tuple[str, dict[str, str]]] = []

    def document(self) -> bytes:
        given = {
            "client_id": self.url,
            "client_name": "Stranger",
            "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            **self.changes,
        }
        return json.dumps({name: value for name, value in given.items() if value is not None}).encode()


@contextlib.contextmanager
def document_host(tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> Iterator[DocumentHost]:
    """A host on a free port of loopback, called `name` in its URLs."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append((self.path, dict(self.headers)))
            with contextlib.suppress(OSError):
                if host.drip:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while not over.is_set():
                        self.wfile.write(b"X-More: 1\r\n")
                        time.sleep(0.05)
                    return
                self.send_response(host.status)
                for header, value in host.headers.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(host.document() if host.body is None else host.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    host = DocumentHost(f"{'http' if tls is None else 'https'}://{name}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server called `name`, and for a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "host.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pem)
    trusting = ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())
    return served, trusting
