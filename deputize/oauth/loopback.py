"""Where the browser of a login begins and comes back to: a listener on this machine (RFC 8252 section 7.3).

It begins at an address that is good for one browser and leads to the authorization server. So what other users of this
machine read among the browser's arguments is worth nothing to them; with the login's own address one of them could
finish it, and the agent would end in that one's account. Where the system says whose a connection is (Linux), those of
other users are answered with nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from html import escape
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deputize.errors import EnvironmentNotReady
from deputize.net import LOOPBACK, listening

HOST = LOOPBACK
PATH = "/callback"
BEGIN = "/begin/"
COOKIE = "login"
CONNECTIONS = Path("/proc/net/tcp")
MOST_WAITING = 64
"""Connections that have asked nothing yet."""
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
        self._page = ""
        self._once, self._browser = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._begun = False
        self.contested = False
        """Whether a second browser came to begin the login."""
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
        self._origin = f"http://{host}:{self._server.server_port}"
        self.redirect_uri = self._origin + path
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def expect(self, state: str) -> None:
        """Take the redirect that carries this `state`, and no other (RFC 6749 section 10.12)."""
        self._state = state

    def begin_at(self, page: str) -> str:
        """The address that leads one browser to `page`, where the login is."""
        self._page = page
        return f"{self._origin}{BEGIN}{self._once}"

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

    def begin(self, target: str, cookies: str) -> tuple[int, str, dict[str, str]] | None:
        """The answer to the browser that begins the login: (HTTP status, page, headers); None for another address.

        The first that comes is marked by a cookie, and may come again.
        """
        if not self._page or not secrets.compare_digest(target.encode(), f"{BEGIN}{self._once}".encode()):
            return None
        try:
            mark = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            mark = None
        if self._begun and (mark is None or not secrets.compare_digest(mark.value.encode(), self._browser.encode())):
            self.contested = True
            return 409, _page(False, "Another browser has begun this login", "It is given up. Log in again."), {}
        self._begun = True
        kept = f"{COOKIE}={self._browser}; Path={BEGIN}{self._once}; HttpOnly; SameSite=Lax"
        return 303, "", {"Location": self._page, "Set-Cookie": kept}

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


def is_another_users(from_port: int, to_port: int) -> bool:
    """Whether a connection between two ports of the loopback is known to be another user's. root's are nobody's secret,
    and where the system does not say (all but Linux) none is known to be."""
    try:
        lines = CONNECTIONS.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return False
    ends = [f":{port:04X}" for port in (from_port, to_port)]
    for line in lines:
        columns = line.split()
        if len(columns) > 7 and columns[1].endswith(ends[0]) and columns[2].endswith(ends[1]):
            return int(columns[7]) not in (0, os.getuid())  # proc_pid_net(5): `uid` is of the socket's owner
    return False


class _Server(ThreadingHTTPServer):
    listener: Listener
    daemon_threads = True
    request_queue_size = 128
    busy = 0

    def __init__(self, *given: Any) -> None:
        self._waiting: dict[socket.socket, None] = {}
        super().__init__(*given)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Each connection is a thread. Of too many that have asked nothing yet the one that waits longest goes: a
        browser asks at once."""
        self._waiting[request] = None
        while len(self._waiting) > MOST_WAITING:
            longest = next(iter(self._waiting))
            self.answering(longest)
            with contextlib.suppress(OSError):
                longest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def answering(self, request: socket.socket) -> None:
        """This connection has asked, or has ended."""
        self._waiting.pop(request, None)

    def shutdown_request(self, request: Any) -> None:
        """The end of a connection."""
        self.answering(request)
        super().shutdown_request(request)

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
    server_version = "deputize"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer the redirect."""
        self.server.answering(self.connection)
        self.server.busy += 1
        try:
            own = urlsplit(self.server.listener.redirect_uri).netloc
            # A name that somebody points at this machine is not ours (DNS rebinding).
            more: dict[str, str] = {}
            if self.headers.get("host", "").lower() not in (own, f"{HOST}:{self.server.server_port}"):
                status, page = 421, _page(False, "Not this host", "Nothing is served under this name.")
            elif is_another_users(self.client_address[1], self.server.server_port):
                status, page = 403, _page(False, "Not for you", "Another user of this machine is logging in here.")
            elif (begun := self.server.listener.begin(self.path, self.headers.get("cookie", ""))) is not None:
                status, page, more = begun
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
            for name, value in more.items():
                self.send_header(name, value)
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
