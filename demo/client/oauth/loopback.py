"""Where the browser comes back to: a listener on this machine for one redirect (RFC 8252 section 7.3)."""

from __future__ import annotations

import secrets
import threading
import time
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from demo.errors import EnvironmentNotReady
from demo.net import LOOPBACK, listening

HOST = LOOPBACK
PATH = "/callback"
HOLD = 20.0
"""Seconds for which the browser's page waits to hear how the login ended."""


class Listener:
    """Listens for one redirect.

    Args:
        port: where; 0 for any free port.
        host: the loopback name in the redirect URI: `127.0.0.1`, or `localhost` where an authorization server insists
            on that.
        path: the path of the redirect URI.

    Raises:
        EnvironmentNotReady: the port is taken.
    """

    def __init__(self, port: int = 0, *, host: str = HOST, path: str = PATH) -> None:
        self._state = ""
        self._found: str | None = None
        self._ended: tuple[bool, str, str] | None = None
        self._arrived = threading.Event()
        self._concluded = threading.Event()
        try:
            self._server = _Server((HOST, port), _Handler)
        except OSError as error:
            raise EnvironmentNotReady(
                f"port {port} of this machine is taken, and the browser is sent back to that one",
                why=error.strerror or str(error),
                do="end what listens there, and log in again",
            ) from None
        self._server.listener = self
        self.path = path
        self.redirect_uri = f"http://{host}:{self._server.server_port}{path}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def expect(self, state: str) -> None:
        """Take the redirect that carries this `state`, and no other (RFC 6749 section 10.12)."""
        self._state = state

    @property
    def found(self) -> str | None:
        """The URL that the browser came back with, None so far."""
        return self._found

    def conclude(self, ok: bool, title: str, detail: str) -> None:
        """Tell the waiting page how the login ended."""
        self._ended = (ok, title, detail)
        self._concluded.set()

    def close(self) -> None:
        """Stop listening; a page that was answered is let go first."""
        self._concluded.set()
        if not self._thread.is_alive():
            return
        deadline = time.monotonic() + 1.0
        while self._server.busy and time.monotonic() < deadline:
            time.sleep(0.01)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)

    def take(self, target: str) -> tuple[int, str]:
        """One request's answer: (HTTP status, page)."""
        try:
            parts = urlsplit(target)
        except ValueError:  # such as `http://[/callback`, which HTTP lets a client write (RFC 9112 section 3.2.2)
            parts = urlsplit("")
        if parts.path != self.path:
            return 404, _page(False, "Nothing is here", "This address is for the end of a login only.")
        given = parse_qs(parts.query, keep_blank_values=True)
        if not self._state or not secrets.compare_digest(given.get("state", [""])[0].encode(), self._state.encode()):
            return 400, _page(
                False, "This is not the login that was begun", "Its state is not ours. Start from the terminal again."
            )
        if self._arrived.is_set():
            return 409, _page(False, "This login has already come back", "Look at the terminal for how it ended.")
        self._found = target
        self._arrived.set()
        self._concluded.wait(HOLD)
        if self._ended is None:
            return 200, _page(True, "Received", "Look at the terminal for how the login ends.")
        ok, title, detail = self._ended
        return (200 if ok else 400), _page(ok, title, detail)


class _Server(ThreadingHTTPServer):
    listener: Listener
    daemon_threads = True
    busy = 0

    def server_bind(self) -> None:
        """Take the port for us alone, and ask no name server for the name of this machine."""
        self.socket.close()
        self.socket = listening(HOST, self.server_address[1])
        self.server_address = self.server_name, self.server_port = self.socket.getsockname()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away is nobody's fault; the terminal is a stage."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 5.0
    server: _Server
    server_version = "demo"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer the redirect."""
        self.server.busy += 1
        try:
            own = urlsplit(self.server.listener.redirect_uri).netloc
            # A name that somebody points at this machine is not ours (DNS rebinding).
            if self.headers.get("host", "").lower() not in (own, f"{HOST}:{self.server.server_port}"):
                status, page = 421, _page(False, "Not this host", "Nothing is served under this name.")
            else:
                status, page = self.server.listener.take(self.path)
            body = page.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True
        finally:
            self.server.busy -= 1

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is a stage, and the request line carries a code."""


def _page(ok: bool, title: str, detail: str) -> str:
    colour = "#1a7f37" if ok else "#b3261e"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.2rem;color:#1c1c1e}}
h1{{font-size:1.6rem;border-left:.35rem solid {colour};padding-left:.8rem}}
@media(prefers-color-scheme:dark){{body{{background:#111;color:#eee}}}}</style></head>
<body><h1>{escape(title)}</h1><p>{escape(detail)}</p></body></html>
"""
