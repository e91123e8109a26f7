"""Requests that are never whole, and answers that nobody reads (Slowloris, slow body and slow read: CWE-400, CWE-770;
OWASP "Denial of Service Cheat Sheet", slow HTTP attacks). The server neither falls silent for others nor ends itself.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from demo import connections
from demo.local_server import LONGEST_LOG, server
from demo.local_server.app import create_app
from deputize import net
from deputize.oauth import loopback
from tests.conftest import HANGS

FILES = 200
"""That the attacked process may open."""
FLOOD = 2 * FILES
WEAK = """
import demo.connections as connections
from uvicorn.protocols.http.h11_impl import H11Protocol
connections.protocol = lambda bounds: H11Protocol
from demo.local_server import LONGEST_LOG, server
server._is_ours = lambda ready, serving: _looked(ready) == serving
def _looked(ready):
    import json
    try:
        return server.Serving(**json.loads(ready.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
"""
"""As it was: no bound of its own, and a look that fails is taken for a file that is gone."""


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


@contextlib.contextmanager
def process(state: Path, before: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The background server as it is started, after `before`, with few files; and its port."""
    line = [sys.executable, "-c", f"{before}\nfrom demo.local_server.server import main; main()"]
    started = subprocess.Popen([*line, "--state", str(state), "--port", "0"], preexec_fn=few_files)
    try:
        deadline = time.monotonic() + HANGS
        while not (state / "server.json").exists() and time.monotonic() < deadline:
            assert started.poll() is None
            time.sleep(0.05)
        yield started, int(json.loads((state / "server.json").read_text())["base_url"].rpartition(":")[2])
    finally:
        started.kill()
        started.wait(10)


def answer(port: int, method: str, path: str, body: bytes | None = None, *, seconds: float = HANGS) -> int:
    """The status that an honest caller gets; 0 for none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def half_open(port: int, begin: bytes) -> socket.socket | None:
    with contextlib.suppress(OSError):
        one = socket.create_connection(("127.0.0.1", port), timeout=3)
        one.sendall(begin.replace(b"PORT", str(port).encode()))
        return one
    return None


SOONER = 0.9 * connections.Bounds.head
"""Seconds: who is answered within them did not wait for the flood to be timed out."""
BODY = b"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Length: 99\r\n\r\ngrant_type="
HEAD = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nX-A: "


@pytest.mark.long
@pytest.mark.parametrize("before", ["", WEAK], ids=["as it is", "weakened"])
def test_a_flood_of_half_open_requests_hurts_nobody_else(tmp_path: Path, before: str) -> None:
    with process(tmp_path / "state", before) as (attacked, port):
        flood = [half_open(port, begin) for begin in (BODY, HEAD, b"") for _ in range(FLOOD // 3)]
        seen = []
        for _ in range(3):  # longer than the watcher sleeps
            asked = [("GET", "/health", None), ("POST", "/oauth2/token", b"grant_type=x"), ("POST", "/mcp", b"{}")]
            seen += [answer(port, *one, seconds=3.0 if before else SOONER) for one in asked]
            flood += [half_open(port, BODY) for _ in range(20)]
            time.sleep(1.0)
        for one in flood:
            if one is not None:
                one.close()
        served = 0 not in seen and attacked.poll() is None
    if before:
        assert not served, f"the test must see where there are no bounds: {seen}"
    else:
        assert served, (seen, attacked.poll())
        assert set(seen) == {200, 400, 401}


@pytest.mark.parametrize(
    "fault, ours",
    [
        *((OSError(code, "cannot look"), True) for code in (errno.EMFILE, errno.EACCES, errno.EIO, errno.ENOMEM)),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (NotADirectoryError(errno.ENOTDIR, "gone"), False),
    ],
    ids=lambda given: getattr(given, "strerror", None) and errno.errorcode[given.errno],
)
def test_what_cannot_be_looked_at_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError, ours: bool
) -> None:
    serving = server.Serving("http://127.0.0.1:1", 1, "i", "w")
    (tmp_path / "server.json").write_text(json.dumps(serving.__dict__))
    assert server._is_ours(tmp_path / "server.json", serving)

    def fails(*_: Any, **__: Any) -> str:
        raise fault

    monkeypatch.setattr(Path, "read_text", fails)
    assert server._is_ours(tmp_path / "server.json", serving) is ours


@pytest.mark.parametrize("bounded", [True, False], ids=["as it is", "weakened"])
def test_what_anybody_has_the_server_say_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounded: bool
) -> None:
    log = tmp_path / "server.log"
    if not bounded:
        monkeypatch.setattr(server, "LONGEST_LOG", 2**60)
    with log.open("ab") as said:
        monkeypatch.setattr(sys, "stderr", said)
        for _ in range(30):
            said.write(b"Invalid HTTP request received.\n" * 4000)
            said.flush()
            server._shorten(log)
        other = tmp_path / "other.log"
        other.write_bytes(b"x" * (LONGEST_LOG + 1))
        server._shorten(other)
    assert (log.stat().st_size <= LONGEST_LOG) is bounded
    assert other.stat().st_size > 0, "nobody else's file is touched"


@contextlib.contextmanager
def serving(app: Any, http: Any, *, port: int = 0) -> Iterator[int]:
    config = uvicorn.Config(app, http=http, log_level="critical", lifespan="on", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    with net.listening("127.0.0.1", port) as sock:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join(HANGS)


def ended(one: socket.socket, seconds: float) -> bool:
    """Whether the server ends this connection; what it says before is read."""
    one.settimeout(seconds)
    try:
        while one.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


SHORT = connections.Bounds(head=0.4, body=0.4, unread=0.4, most=64)


@pytest.mark.parametrize("bounded", [True, False], ids=["as it is", "weakened"])
def test_every_route_ends_a_request_that_is_never_whole(tmp_path: Path, bounded: bool) -> None:
    base = f"http://127.0.0.1:{net.free_port()}"
    app = create_app(base, tmp_path / "s.sqlite3")
    host = base.removeprefix("http://").encode()
    starlette: Any = app.app
    paths = sorted({route.path.partition("{")[0] for route in starlette.routes})
    assert len(paths) > 20
    paths = paths if bounded else paths[:2]
    with serving(app, connections.protocol(SHORT) if bounded else "h11") as port:
        open_ones = {}
        for path in paths:
            start = b"POST " + path.encode() + b" HTTP/1.1\r\nHost: " + host
            for kind, more in {"head": b"\r\nX-A: b", "body": b"\r\nContent-Length: 9\r\n\r\n{"}.items():
                if (one := half_open(port, start + more)) is not None:
                    open_ones[f"{path} {kind}"] = one
        # An answer that comes before the whole request (404, 405, 413) is an end, too, where the connection closes.
        left = sorted(name for name, one in open_ones.items() if not ended(one, HANGS if bounded else 0.05))
        for one in open_ones.values():
            one.close()
    assert bool(left) is not bounded, left


@pytest.mark.parametrize("bounded", [True, False], ids=["as it is", "weakened"])
def test_an_answer_that_nobody_reads_is_given_up(bounded: bool) -> None:
    over, lost = threading.Event(), threading.Event()

    class Lost(connections.protocol(SHORT)):  # type: ignore[misc]  # a class that is made
        def connection_lost(self, why: Exception | None) -> None:
            super().connection_lost(why)
            lost.set()

    async def long(_: Request) -> PlainTextResponse:
        return PlainTextResponse(b"x" * 10_000_000)

    class Seen(Starlette):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)
            if scope["type"] == "http":
                over.set()

    with serving(Seen(routes=[Route("/", long)]), Lost if bounded else "h11") as port:
        one = half_open(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert one is not None
        assert over.wait(60)
        assert lost.wait(HANGS if bounded else 1.5) is bounded
        got = 0
        with contextlib.suppress(OSError):
            while chunk := one.recv(65536):
                got += len(chunk)
        one.close()
    assert (got < 10_000_000) is bounded


def test_a_new_connection_takes_the_place_of_the_one_that_waited_longest() -> None:
    """And of none whose request is being answered."""
    begun, hold = threading.Event(), threading.Event()

    async def slow(_: Request) -> PlainTextResponse:
        begun.set()
        await anyio.to_thread.run_sync(hold.wait, HANGS)
        return PlainTextResponse("done")

    bounds = connections.Bounds(head=HANGS, body=HANGS, unread=HANGS, most=4)
    with serving(Starlette(routes=[Route("/", slow)]), connections.protocol(bounds)) as port:
        served = half_open(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert served is not None
        assert begun.wait(60)
        waiting = [half_open(port, b"GET / HT") for _ in range(9)]
        assert all(one is not None and ended(one, HANGS) for one in waiting[:6])
        assert not any(one is None or ended(one, 0.1) for one in waiting[6:])
        hold.set()
        assert served.makefile("rb").read().endswith(b"done")
        for one in (served, *waiting):
            if one is not None:
                one.close()


@pytest.mark.parametrize("bounded", [True, False], ids=["as it is", "weakened"])
def test_who_floods_the_end_of_a_login_takes_neither_it_nor_a_thousand_threads(
    monkeypatch: pytest.MonkeyPatch, bounded: bool
) -> None:
    if not bounded:
        monkeypatch.setattr(loopback, "MOST_WAITING", 10**6)
    before = threading.active_count()
    listener = loopback.Listener()
    port = int(listener.redirect_uri.split(":")[2].partition("/")[0])
    try:
        flood = [half_open(port, b"GET /callback?state=") for _ in range(200)]
        status = answer(port, "GET", "/nothing")
        deadline = time.monotonic() + 60
        while threading.active_count() - before > 80 and bounded and time.monotonic() < deadline:
            time.sleep(0.02)
        threads = threading.active_count() - before
        for one in flood:
            if one is not None:
                one.close()
    finally:
        listener.close()
    assert status == 404
    assert (threads <= 80) is bounded
