"""Fakes that stop by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent, TokenStore
from tests.client.bytes_fake import Answer, BytesFake, Request
from tests.client.fakes import Fake, Shop, faking
from tests.conftest import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real local server, one for a file: its rate limits count over all tests of that file."""
    with serving(tmp_path_factory.mktemp("server") / "server.sqlite3") as url:
        yield url


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server of scripted answers."""
    with faking() as server:
        yield server


@pytest.fixture
def shop(fake: Fake) -> Shop:
    """A fake of shop and authority in one."""
    return Shop(fake)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], Answer]], BytesFake]]:
    """Makes servers that answer byte for byte."""
    fakes: list[BytesFake] = []

    def make(answer: Callable[[Request], Answer]) -> BytesFake:
        one = BytesFake(answer)
        one.start()
        fakes.append(one)
        return one

    yield make
    for one in fakes:
        one.stop()


@pytest.fixture
def agent(tmp_path: Path) -> Callable[..., Agent]:
    """Makes agents at a URL, with an empty store and a short timeout."""

    def make(url: str, **given: Any) -> Agent:
        store = TokenStore.open(tmp_path / "state", server=url, use_keyring=False)
        return Agent(url, store=store, **{"timeout": 1.0, **given})

    return make
