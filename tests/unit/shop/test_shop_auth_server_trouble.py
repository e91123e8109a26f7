"""The authorization server's keys and metadata when it is slow, rotates, or is gone: asked as the shop asks."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from joserfc.jwk import ECKey

from demo.shop import discovery
from demo.shop.bounded_http import AuthServerUnavailable
from demo.shop.catalog import LIMITS
from demo.shop.discovery import AuthServer

T = TypeVar("T")
TIMEOUT = 0.5


class Told:
    """What the authorization server tells: its keys, how late, and with which status; and what it was asked."""

    def __init__(self) -> None:
        self.keys = [a_key("first")]
        self.late = dict.fromkeys(("metadata", "keys"), 0.0)
        self.status = 200
        self.asked: list[str] = []
        self.issuer = ""


def a_key(kid: str) -> dict[str, Any]:
    return dict(ECKey.generate_key("P-256", {"kid": kid}).as_dict(private=False))


@contextmanager
def telling() -> Iterator[Told]:
    told = Told()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            what = "keys" if self.path == "/keys" else "metadata"
            told.asked.append(what)
            time.sleep(told.late[what])
            endpoints = {"jwks_uri": f"{told.issuer}/keys", "introspection_endpoint": f"{told.issuer}/ask"}
            body = {"keys": told.keys} if what == "keys" else {"issuer": told.issuer, **endpoints}
            with suppress(OSError):  # whoever asked has given up
                self.send_response(told.status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        told.issuer = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield told
        finally:
            server.shutdown()


@pytest.fixture
def told() -> Iterator[Told]:
    with telling() as running:
        yield running


def asked(told: Told, work: Callable[[AuthServer], Awaitable[T]]) -> T:
    async def run() -> T:
        async with AuthServer(told.issuer, timeout=TIMEOUT) as auth_server:
            return await work(auth_server)

    return asyncio.run(run())


@pytest.mark.parametrize("what", ["metadata", "keys"])
def test_many_who_wait_for_an_auth_server_that_hangs_wait_as_long_as_one(told: Told, what: str) -> None:
    told.late[what] = 4 * TIMEOUT

    async def many(auth_server: AuthServer) -> list[Any]:
        return await asyncio.gather(*(auth_server.key("first") for _ in range(8)), return_exceptions=True)

    ends = asked(told, many)
    assert [str(end) for end in ends] == ["it did not answer in time"] * 8
    assert told.asked.count(what) == 1, "each of them would have asked, and waited, again"


def test_who_comes_while_another_looks_for_a_new_key_finds_what_that_one_finds(told: Told) -> None:
    async def rotated(auth_server: AuthServer) -> list[Any]:
        await auth_server.key("first")
        told.keys.insert(0, a_key("second"))
        told.late["keys"] = TIMEOUT / 4
        return await asyncio.gather(*(auth_server.key(kid) for kid in ("second", "made up", "second", "first")))

    second, made_up, again, first = asked(told, rotated)
    assert (second.kid, made_up, again.kid, first.kid) == ("second", None, "second", "first")
    assert told.asked == ["metadata", "keys", "keys"]


def test_many_with_unknown_keys_wait_for_a_set_that_hangs_as_long_as_one(told: Told) -> None:
    async def made_up(auth_server: AuthServer) -> list[Any]:
        await auth_server.key("first")
        told.late["keys"] = 4 * TIMEOUT
        return await asyncio.gather(*(auth_server.key(f"made up {n}") for n in range(8)), return_exceptions=True)

    assert [str(end) for end in asked(told, made_up)] == ["it did not answer in time"] * 8
    assert told.asked == ["metadata", "keys", "keys"], "each of them would have asked, and waited, again"


def test_a_new_key_that_cannot_be_read_is_not_known_which_is_not_to_say_no(told: Told) -> None:
    async def while_it_fails(auth_server: AuthServer) -> Any:
        await auth_server.key("first")
        told.keys.insert(0, a_key("second"))
        told.status = 500
        for _ in ("at first", "and within the second in which nobody looks again"):
            with pytest.raises(AuthServerUnavailable, match="keys cannot be read"):
                await auth_server.key("second")
        assert told.asked.count("keys") == 2
        told.status = 200
        await asyncio.sleep(LIMITS.keys_again_seconds + 0.1)
        return await auth_server.key("second")

    assert asked(told, while_it_fails).kid == "second"


def test_a_withdrawn_key_is_read_out_of_the_set_within_five_minutes(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = 0.0
    turned = SimpleNamespace(monotonic=lambda: time.monotonic() + later, time=time.time)
    monkeypatch.setattr(discovery, "time", turned)

    async def withdrawn(auth_server: AuthServer) -> tuple[Any, Any]:
        nonlocal later
        await auth_server.key("first")
        told.keys = [a_key("second")]
        before = await auth_server.key("first")
        later = 301.0
        return before, await auth_server.key("first")

    before, after = asked(told, withdrawn)
    assert before.kid == "first"
    assert after is None
