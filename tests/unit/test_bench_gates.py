"""The bench of the gates: its load sends what it says and takes nothing for an answer that is none."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench import gates, growth, hammer
from bench.figures import side
from bench.load import Refused


@contextmanager
def answering(status: int = 200, *, cut: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A server of 16 connections at a time; its port, and the bodies that came."""
    got: list[bytes] = []

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", "70000")
            self.end_headers()
            self.wfile.write(b"x" * (10 if cut else 70000))
            self.close_connection = cut

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], got
        finally:
            server.shutdown()


def requests() -> Iterator[bytes]:
    return itertools.cycle([hammer.request("/mcp", "here", {"mcp-name": "a"}, body) for body in (b"one", b"two")])


def test_a_block_sends_each_call_once_and_one_of_each_client_before_it() -> None:
    with answering() as (port, got):
        done = hammer.block(port, requests(), clients=4, calls=30)
    assert (len(done.samples), len(got), set(got)) == (30, 34, {b"one", b"two"})
    assert 0 < side([done]).p50 <= done.seconds


@pytest.mark.parametrize(("status", "cut"), [(429, False), (200, True)])
def test_what_is_refused_or_cut_off_is_no_measurement(status: int, cut: bool) -> None:
    with answering(status, cut=cut) as (port, _), pytest.raises(Refused):
        hammer.block(port, requests(), clients=2, calls=4)


@pytest.mark.long
def test_every_server_does_the_work_that_is_timed(tmp_path: Path) -> None:
    with gates.running(tmp_path, None, 40) as servers:
        for server in servers:
            gates.check(server)
        found = gates.compare(servers, 2, 0.1)
    assert set(found.sides) == {gates.OURS, gates.BARE, gates.OPEN, gates.FLOOR}
    assert all(of.per_second > 0 for of in found.sides.values())


@pytest.mark.long
def test_a_file_that_is_full_of_sessions_is_measured_and_drawn(tmp_path: Path) -> None:
    with growth.running(tmp_path, (100, 1_000)) as servers:
        found = growth.measure(servers, tmp_path, 0.1)
    assert set(found.sizes) == set(found.processor) == {100, 1_000}
    assert min(found.processor.values()) > 0 and len(found.revoked) == growth.REVOKED
    assert growth.picture(found).count("<circle") == 2
