"""The examples of the library buy at the protected door, each with its framework, within the limit that a human set."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from demo.client import SampleHuman
from tests.conftest import ROOT
from tests.peers.browser import world
from tests.peers.installed import PythonPeers
from tests.peers.running import running

EXAMPLES = sorted(file.stem for file in (ROOT / "examples").glob("*.py"))


def test_there_is_one_for_each_framework() -> None:
    assert EXAMPLES == ["with_fastmcp", "with_mcp_sdk", "with_openai_agents", "with_pydantic_ai"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_buys_within_its_limit(python_peers: PythonPeers, server: str, tmp_path: Path, name: str) -> None:
    with running(python_peers.script("hosts/by_example.py", name, f"{server}/mcp"), world(tmp_path)) as peer:
        where = re.search(r"Open (\S+) and enter (\S+)", peer.line("and enter", 150))
        assert where is not None
        page = SampleHuman("alice@example.com").decide(where[1], where[2], True)
        returned = json.loads(peer.line('"returned"'))["returned"]
        assert peer.end() == 0, peer.said
    assert page.limit == "50.00 USD"
    assert "order_" in returned
