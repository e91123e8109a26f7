"""What `demo doctor` says of a Worker whose settings are wrong: the fix by name.

For the Worker only: the local shop's settings are made by `demo serve`, which leaves nobody anything to get wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.deploy import tools
from deputize.errors import EnvironmentNotReady
from tests.conftest import Command
from tests.contract.issuer import Issuer
from tests.contract.process import WorkerShop

pytestmark = pytest.mark.worker


@pytest.fixture
def worker(troubled: Issuer, tmp_path: Path, installed: tools.Tools) -> Any:
    with WorkerShop(troubled, tmp_path / "worker", installed) as made:
        yield made


def findings(demo: Command, server: str) -> dict[str, dict[str, Any]]:
    told = json.loads(demo("doctor", "--server", server, "--json").stdout)
    return {finding["name"]: finding for finding in told["findings"]}


def test_each_setting_that_does_not_fit_is_named_with_its_fix(worker: WorkerShop, demo: Command) -> None:
    url = worker.issuer.url
    cases: list[tuple[dict[str, str], str, str, str]] = [
        ({}, "trust", "asks about each token", ""),
        ({"INTROSPECTION_CLIENT_SECRET": "wrong"}, "trust", "it does not know this shop", "wrangler secret put"),
        ({"ISSUER": ""}, "trust", "ISSUER is not set", "demo deploy --issuer"),
        ({"ISSUER": f"{url}/"}, "trust", "names another issuer", f"set ISSUER to the very issuer: {url}"),
        ({"ISSUER": f"{url}/elsewhere"}, "trust", "it has no metadata", "set ISSUER to an issuer"),
        ({"ISSUER": "http://127.0.0.1:9"}, "trust", "no connection", "see whether ISSUER is right"),
    ]
    for settings, name, says, fix in cases:
        worker.start(**settings)
        found = findings(demo, worker.base)[name]
        worker.stop()
        assert found["mark"] == ("bad" if fix else "ok"), settings
        assert says in found["detail"] and fix in found["fix"], found


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"INTROSPECTION_CLIENT_ID": ""}, "Set both INTROSPECTION_CLIENT_ID and INTROSPECTION_CLIENT_SECRET"),
        ({"ISSUER": "http://authority.example"}, "ISSUER must be an https URL"),
        ({"BASE_URL": "https://shop.example/mcp"}, "BASE_URL must be an origin"),
        ({"BASE_URL": "https://shop.example"}, "this server is not 127.0.0.1"),
    ],
)
def test_a_worker_that_refuses_its_settings_is_not_waited_for(
    worker: WorkerShop, settings: dict[str, str], words: str
) -> None:
    with pytest.raises(EnvironmentNotReady, match="refuses its settings") as told:
        worker.start(**settings)
    assert words in told.value.why
