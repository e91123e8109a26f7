"""`demo deploy --agent`: nothing is deployed that nobody could start, and what is online is looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from demo.deploy import agent, blueprint, record, tools
from deputize.errors import UsageError
from tests.unit.deploy.conftest import Yard

SHOP = "https://shop.example/mcp"
SECRET = "0123456789abcdef0123"


class Online(ThreadingHTTPServer):
    """An agent as it answers whoever is not its owner; `health` and `status` may be otherwise."""

    health: Any = None
    status = 401

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Online

    def do_GET(self) -> None:
        body = json.dumps(self.server.health).encode() if self.path == "/health" else b"{}"
        self.send_response(200 if self.path == "/health" else self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def online() -> Iterator[Online]:
    with Online(("127.0.0.1", 0), Answers) as server:
        server.health = {"agent": "shopper", "shop": SHOP, "problem": None}
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.fixture
def agents(yard: Yard, online: Online) -> Yard:
    """The agent's own configuration, with a stand-in for wrangler."""
    for name in ("wrangler.jsonc", ".dev.vars.example"):
        shutil.copy(tools.default_agent() / name, yard.worker)
    yard.behave(
        whoami={"says": {"loggedIn": True, "email": "a@b.example", "accounts": []}}, deploy={"targets": [online.url]}
    )
    return yard


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return " ".join(f"{done.stdout} {done.stderr}".split())


def commands(yard: Yard) -> list[str]:
    return [" ".join(call["argv"][:2]) for call in yard.calls()]


def test_the_agents_own_blueprint_is_an_object_and_its_owners_secret() -> None:
    plan = blueprint.read(tools.default_agent())
    assert plan.objects == (("SHOPPER", "Shopper", "SQLite storage"),)
    assert plan.secrets == ((agent.OWNER_SECRET, True),)
    assert ("Workers AI", "AI") not in plan.bindings, "off by default: it is billed"
    described = json.loads((tools.default_agent() / "package.json").read_text("utf-8"))["cloudflare"]["bindings"]
    assert set(described) == {*dict(plan.variables), agent.OWNER_SECRET}, "the deploy button asks for each in words"


def test_it_is_shown_deployed_and_looked_at_and_buys_at_the_shop_that_was_deployed(
    agents: Yard, online: Online
) -> None:
    record.remember(agents.state, record.Record("https://shop.example", "/shop", {}))
    done = agents.deploy("--agent", "--yes", "--json", OWNER_SECRET=SECRET)
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["url"]) == (0, True, online.url)
    assert [(one["mark"], one["name"]) for one in told["checks"]] == [("ok", "shop"), ("ok", "owner's alone")]
    (stored,) = [call for call in agents.calls() if call["argv"][:2] == ["secret", "put"]]
    assert stored["stdin"] == SECRET
    (deployed,) = [
        call["argv"] for call in agents.calls() if call["argv"][0] == "deploy" and "--dry-run" not in call["argv"]
    ]
    assert f"SHOP:{SHOP}" in deployed
    assert SECRET not in done.stdout + done.stderr + json.dumps([call["argv"] for call in agents.calls()])
    # The agent's record is not the shop's.
    assert record.recall(agents.state) == record.Record("https://shop.example", "/shop", {})
    kept = record.recall(agents.state, record.AGENT)
    assert kept is not None and kept.variables == {"SHOP": SHOP}


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "named"),
    [
        (["--yes"], {"OWNER_SECRET": SECRET}, 2, "--shop"),
        (["--yes", "--shop", SHOP], {}, 3, "OWNER_SECRET"),
        (["--yes", "--shop", SHOP], {"OWNER_SECRET": "short"}, 2, "OWNER_SECRET"),
        (["--yes", "--shop", "http://shop.example/mcp"], {"OWNER_SECRET": SECRET}, 2, "https"),
        (["--yes", "--shop", "shop.example"], {"OWNER_SECRET": SECRET}, 2, "https"),
        (["--shop", SHOP], {"OWNER_SECRET": SECRET}, 2, "--yes"),
        (["--yes", "--shop", SHOP, "--issuer", "https://a.example"], {"OWNER_SECRET": SECRET}, 2, "--issuer"),
    ],
    ids=["no shop", "no secret", "a short secret", "http", "no URL", "nobody to ask", "the shop's option"],
)
def test_what_nobody_could_start_or_stop_is_not_deployed(
    arguments: list[str], environment: dict[str, str], code: int, named: str, agents: Yard
) -> None:
    done = agents.deploy("--agent", *arguments, **environment)
    assert done.returncode == code, said(done)
    assert named in said(done)
    assert [call for call in agents.calls() if call["argv"][0] == "deploy" and "--dry-run" not in call["argv"]] == []
    assert "short" not in " ".join(call["stdin"] for call in agents.calls())


def test_a_secret_that_is_there_already_is_not_asked_for_again(agents: Yard, online: Online) -> None:
    told = json.loads((agents.worker / "behave.json").read_text("utf-8"))
    agents.behave(**told, secret={"list": [{"name": "OWNER_SECRET", "type": "secret_text"}]})
    assert agents.deploy("--agent", "--yes", "--shop", SHOP).returncode == 0
    assert "secret put" not in commands(agents)


def test_the_shops_deployment_takes_no_shop(agents: Yard) -> None:
    assert agents.deploy("--shop", SHOP, "--dry-run").returncode == 2


@pytest.mark.parametrize(
    ("health", "status", "bad"),
    [
        ({"agent": "shopper", "shop": SHOP, "problem": None}, 401, None),
        ({"agent": "shopper", "shop": "https://SHOP.example:443/mcp", "problem": None}, 401, None),
        ({"agent": "shopper", "shop": "https://other.example/mcp", "problem": None}, 401, "shop"),
        ({"agent": "shopper", "shop": None, "problem": "Set SHOP."}, 401, "settings"),
        ({"agent": "shopper", "shop": SHOP, "problem": None}, 200, "owner's alone"),
        ({"hello": "world"}, 401, "agent"),
        (["a list"], 401, "agent"),
    ],
)
def test_what_is_wrong_with_an_agent_online_is_named(health: Any, status: int, bad: str | None, online: Online) -> None:
    online.health, online.status = health, status
    rows = agent.look(online.url, SHOP, seconds=0)
    assert next((row[1] for row in rows if row[0] == "bad"), None) == bad


@pytest.mark.parametrize(
    "given", ["https://a b", "https://u@h/mcp", "https:///mcp", "https://h/mcp#x", "ftp://h", "https://[::1", ""]
)
def test_where_an_agent_on_the_internet_cannot_buy(given: str) -> None:
    with pytest.raises(UsageError):
        agent.address(given)
