"""Peers run when they are asked for (`pytest tests/peers -m peers`): they are installed first, which takes a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import serving
from tests.peers.installed import Peers, PythonPeers, install, install_python
from tests.peers.person import Person

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(HERE)]
    for item in here:
        item.add_marker(pytest.mark.peers)
    if here and "peers" not in config.option.markexpr:
        config.hook.pytest_deselected(items=here)
        items[:] = [item for item in items if item not in here]


@pytest.fixture(scope="session")
def peers(request: pytest.FixtureRequest) -> Peers:
    """The installed peers from npm."""
    return install(request.config.cache.mkdir("peers"))  # type: ignore[union-attr]  # the cache plugin is always there


@pytest.fixture(scope="session")
def python_peers(request: pytest.FixtureRequest) -> PythonPeers:
    """The installed peers from PyPI."""
    cache = request.config.cache.mkdir("peers-python")  # type: ignore[union-attr]  # as above
    return install_python(cache)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The local server, for one file of tests."""
    with serving(tmp_path_factory.mktemp("server") / "server.sqlite3") as url:
        yield url


@pytest.fixture
def alice() -> Callable[[str], None]:
    """A person who approves whatever a browser opens."""
    return Person("alice@example.com").approve
