"""What the talk depends on is looked at for real, each look is bounded, and what no talk needs is not looked at."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.local_server import local
from demo.presenter import health
from demo.presenter.health import CHECKS, Dependencies, Watch
from demo.presenter.view import Health
from demo.settings import Settings
from deputize import net
from tests import in_process
from tests.conftest import Command

HERE = Dependencies("http://127.0.0.1:1", worker_beats=True)


def looked(name: str, settings: Settings, needs: Dependencies = HERE) -> tuple[str, str]:
    return CHECKS[name](settings, needs)


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_the_local_server_before_its_start_up_and_down(demo: Command) -> None:
    settings = Settings(state=demo.state, edge="off")
    both = ("server", "authorization server")
    assert [looked(name, settings, Dependencies()) for name in both] == [("not started yet", "none")] * 2
    in_process.serve(demo.state)
    assert [looked(name, settings) for name in both] == [("up", "allowed")] * 2
    local.stop(demo.state)
    assert [looked(name, settings) for name in both] == [("down", "refused")] * 2


def test_a_named_server_and_whom_it_trusts(base_url: str, tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, server=base_url)
    assert looked("server", settings) == ("up", "allowed")
    assert looked("authorization server", settings) == ("up", "allowed")
    # The second screen need not be told again which server the run is at.
    assert looked("server", Settings(state=tmp_path), Dependencies(base_url, named=True)) == ("up", "allowed")
    gone = Settings(state=tmp_path, server=f"http://127.0.0.1:{net.free_port()}")
    assert looked("server", gone) == ("down", "refused")
    assert looked("authorization server", gone)[1] == "unverified"


def test_one_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.3)
    with silent() as url:
        assert looked("server", Settings(state=tmp_path, server=url)) == ("no answer", "refused")
        assert looked("server", Settings(state=tmp_path), Dependencies(url, own_worker=True)) == ("down", "refused")


@pytest.mark.parametrize(
    ("settings", "needs", "word"),
    [
        ({}, Dependencies(), ("not needed", "none")),
        ({"server": "https://shop.example"}, HERE, ("not needed", "none")),
        ({"edge": "off"}, HERE, ("switched off", "none")),
    ],
)
def test_the_worker(settings: dict[str, str], needs: Dependencies, word: tuple[str, str], tmp_path: Path) -> None:
    assert looked("Worker", Settings(state=tmp_path, **settings), needs) == word  # type: ignore[arg-type]  # texts


def test_a_worker_whose_tools_are_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.deploy.tools.default_worker", lambda: tmp_path)
    assert looked("Worker", Settings(state=tmp_path)) == ("not installed", "unverified")


@pytest.mark.parametrize(
    ("server", "word"),
    [
        (None, ("not needed", "none")),
        ("http://127.0.0.1:7327", ("not needed", "none")),
        ("https://nowhere.invalid", ("no DNS", "refused")),
    ],
)
def test_the_network(
    server: str | None, word: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    assert looked("network", Settings(state=tmp_path, server=server)) == word


def test_the_network_may_be_behind_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as proxy:
        monkeypatch.setenv("https_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        assert looked("network", Settings(state=tmp_path, server="https://nowhere.invalid")) == ("up", "allowed")


def test_a_look_that_hangs_keeps_nobody_waiting_and_one_that_breaks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", -0.9)
    let_go = threading.Event()

    def hangs(_: Settings, __: Dependencies) -> tuple[str, str]:
        let_go.wait(30)
        return "up", "allowed"

    def breaks(_: Settings, __: Dependencies) -> tuple[str, str]:
        raise RuntimeError("nobody thought of this")

    watch = Watch(Settings(), Dependencies, checks={"server": hangs, "network": breaks})
    try:
        wanted = (Health("server", "no answer", "refused"), Health("network", "cannot be looked at", "unverified"))
        deadline = time.monotonic() + 60
        while watch.now() != wanted:
            assert time.monotonic() < deadline, watch.now()
            time.sleep(0.02)
        let_go.set()
        while watch.now()[0] != Health("server", "up", "allowed"):
            assert time.monotonic() < deadline, watch.now()
            time.sleep(0.02)
    finally:
        let_go.set()
        watch.close()
