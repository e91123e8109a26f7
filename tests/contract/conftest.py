"""One contract, two shops: each test runs against the local shop, and against the Worker where that is asked for.

The Worker's cases run with `pytest tests/contract -m worker`: Node and what its lock file names are wanted first. They
are skipped with the reason where there is no npm or no Worker; with `DEMO_REQUIRE_NODE=1`, as in CI, they fail instead.
`DEMO_WORKER` names another folder than the `worker/` of this tree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.deploy import tools, workerd
from demo.local_server import WAREHOUSE, resources, world
from deputize.errors import EnvironmentNotReady
from tests.contract.issuer import Issuer, serving
from tests.contract.process import LocalShop, ShopProcess, WorkerShop
from tests.contract.shop import Shop, opened

HERE = Path(__file__).parent
REQUIRED = os.environ.get("DEMO_REQUIRE_NODE") == "1"
WORKER = Path(os.environ.get("DEMO_WORKER") or tools.default_worker())
"""Both read here: no setting of whoever runs the tests is left in the environment of a test."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unasked = [item for item in items if item.path.is_relative_to(HERE) and item.get_closest_marker("worker")]
    if unasked and "worker" not in config.option.markexpr:
        config.hook.pytest_deselected(items=unasked)
        items[:] = [item for item in items if item not in unasked]


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """The authorization server of both shops."""
    with serving(tmp_path_factory.mktemp("authority")) as running:
        yield running


@pytest.fixture(scope="session")
def installed() -> tools.Tools:
    """What runs the Worker, installed once for a lock file."""
    return _installed(WORKER)


@pytest.fixture(scope="session")
def agents_tools() -> tools.Tools:
    """The same of the agent."""
    return _installed(WORKER / tools.AGENT)


def _installed(folder: Path) -> tools.Tools:
    try:
        return tools.install(folder)
    except EnvironmentNotReady as missing:
        why = f"{missing.what}: {missing.why}"
        if REQUIRED:
            pytest.fail(f"{why}, and DEMO_REQUIRE_NODE=1")
        pytest.skip(why)


@pytest.fixture(scope="session", params=["local", pytest.param("worker", marks=pytest.mark.worker)])
def shop(request: pytest.FixtureRequest, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop under test. It lives as long as all tests: each test brings agents and consents of its own."""
    if request.param == "local":
        with opened("local", issuer.url, issuer) as local:
            yield local
        return
    port = workerd.a_port()
    base = f"http://127.0.0.1:{port}"
    for origin in (base, f"http://localhost:{port}"):
        for path in ("mcp", "admin"):
            resources.add(issuer.state, f"{origin}/{path}")
    known = world.credentials(issuer.state)
    assert known is not None
    with (
        workerd.running(
            request.getfixturevalue("installed"),
            port=port,
            state=tmp_path_factory.mktemp("worker"),
            variables=workerd.local_variables(issuer.url) | {"WAREHOUSE": issuer.url + WAREHOUSE},
            secrets=workerd.local_secrets(known),
        ) as worker,
        opened("worker", worker.base_url, issuer) as remote,
    ):
        yield remote


@pytest.fixture(scope="session")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """An authorization server that tests stop, turn the clock of, and have answer nonsense; they leave it well."""
    with serving(tmp_path_factory.mktemp("troubled")) as running:
        yield running


@pytest.fixture(params=["local", pytest.param("worker", marks=pytest.mark.worker)])
def process(
    request: pytest.FixtureRequest, troubled: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShopProcess]:
    """A shop as a process of its own, not yet started, with its authorization server elsewhere."""
    state = tmp_path_factory.mktemp(f"{request.param}-process")
    made: ShopProcess
    if request.param == "local":
        made = LocalShop(troubled, state)
    else:
        made = WorkerShop(troubled, state, request.getfixturevalue("installed"))
    with made:
        yield made


@pytest.fixture(scope="session", params=["local", pytest.param("worker", marks=pytest.mark.worker)])
def apart(request: pytest.FixtureRequest, troubled: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose authorization server is another process' and may be in trouble. It lives as long as all tests."""
    state = tmp_path_factory.mktemp(f"{request.param}-apart")
    made: ShopProcess
    if request.param == "local":
        made = LocalShop(troubled, state)
    else:
        made = WorkerShop(troubled, state, request.getfixturevalue("installed"))
    with made, opened(request.param, made.base, troubled) as shop:
        made.start()
        yield shop
