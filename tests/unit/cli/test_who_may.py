"""Options that a command cannot follow are refused, and a refusal names who may and how."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from demo.auth_server.state.accounts import ACCOUNTS
from demo.cli.control import ADMIN
from demo.local_server import local
from deputize import TokenStore
from tests.conftest import Command


def test_the_doors_refusal_names_the_admin_who_then_does_it(demo: Command) -> None:
    refused = json.loads(demo("--json", "door", "open", "--stock", "7").stdout)["error"]
    assert refused["exit_code"] == 4
    assert ADMIN in refused["why"] and f"--account {ADMIN}" in refused["do"]
    assert [account.email for account in ACCOUNTS if account.is_admin] == [ADMIN]
    other = json.loads(demo("--json", "door", "open", "--close", "--account", "mallory@example.org").stdout)["error"]
    assert (other["exit_code"], other["do"]) == (4, refused["do"])
    done = demo("--json", "door", "open", "--stock", "7", "--account", ADMIN)
    assert json.loads(done.stdout)["stock"] == 7, done.stderr
    told = json.loads(demo("--json", "door", "protected", "--text", "Two for one.", "--account", ADMIN).stdout)
    assert told["description"] == "Two for one."
    assert "Two for one." not in demo("door", "protected", "--text", "", "--account", ADMIN).stdout
    # The talk's own console is still Alice's, to whom the admin's right was not lent.
    assert demo("door", "open", "--stock", "8").returncode == 4


@pytest.mark.parametrize("line", ["login --console --device", "login --console --deny"])
def test_a_console_takes_no_option_that_it_would_not_follow(demo: Command, line: str) -> None:
    assert demo(*line.split()).returncode == 2


@pytest.mark.parametrize("command", ["status", "list", "notes login", "tools", "check"])
@pytest.mark.parametrize("server", ["notaurl", "ftp://host/mcp", "http://", "http://host:notaport/mcp"])
def test_what_is_no_servers_url_is_told_by_every_command(demo: Command, command: str, server: str) -> None:
    told = json.loads(demo("--json", "--server", server, *command.split()).stdout)["error"]
    assert (told["exit_code"], server in told["what"]) == (2, True)


def test_whoever_said_yes_takes_it_back_and_reads_their_own_trail(demo: Command) -> None:
    assert demo("login", "--account", ADMIN).returncode == 0
    demo("tools")
    trail = json.loads(demo("--json", "audit").stdout)["entries"]
    assert any(entry["username"] == ADMIN for entry in trail)
    asked = ("--json", "policy", "explain", "--tool", "listMcpShopInventory")
    assert json.loads(demo(*asked).stdout)["username"] == ADMIN, "and a question about the login is about theirs"
    assert demo("revoke", "--session").returncode == 0
    assert demo("call", "listMcpShopInventory").returncode == 4


def test_an_ended_login_stands_in_the_way_of_no_revocation_and_of_no_way_back(demo: Command) -> None:
    assert demo("login").returncode == 0
    assert demo("revoke", "--session").returncode == 0
    running = local.find(demo.state)
    assert running is not None
    store = TokenStore.open(demo.state, server=running.base_url, use_keyring=False)
    held = store.get("agent")
    assert held is not None
    store.put("agent", replace(held, expires_at=0.0))
    for line in ("revoke --agent", "revoke --user", "reinstate --user", "reinstate --agent"):
        done = demo("--json", *line.split())
        said = json.loads(done.stdout)
        assert (done.returncode, said[f"{line.split()[0].removesuffix('e')}ed"]) == (0, True), done.stderr
    assert demo("login").returncode == 0, "and nothing of it is left"


def test_a_no_is_told_with_another_reason_than_itself(demo: Command) -> None:
    error = json.loads(demo("--json", "login", "--deny").stdout)["error"]
    assert error["exit_code"] == 4
    assert error["why"] and error["why"] != error["what"]
