"""`demo deploy`: shown first, done after a yes, checked afterwards; and clear about whatever is in the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.deploy import record
from tests.conftest import HANGS, ROOT
from tests.unit.deploy.conftest import Yard

LOGGED_IN = {"says": {"loggedIn": True, "email": "a@b.example", "accounts": [{"name": "Ann's", "id": "1"}]}}
SECRET = "v-e-r-y-secret"


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return " ".join(f"{done.stdout} {done.stderr}".split())


def test_a_dry_run_tells_what_would_be_created_and_asks_no_account(yard: Yard) -> None:
    done = yard.deploy("--dry-run")
    assert done.returncode == 0
    for part in (
        "Worker shop (compatibility date 2026-04-21)",
        "Durable Object USERS (class UserLedger, SQLite storage)",
        "rate limit FRONT",
        "variable ISSUER = (empty)",
        "variable HOME = https://shop.example//a",
        "secret NEEDED (needed)",
        "secret OPTIONAL (optional)",
        "code 2 KiB in worker.js",
        "ISSUER is empty",
        "Nothing was deployed",
    ):
        assert part in said(done), part
    (call,) = yard.calls()
    assert call["argv"][:2] == ["deploy", "--dry-run"]
    assert call["environment"] == {"CI": "1", "WRANGLER_SEND_METRICS": "false"}
    told = json.loads(yard.deploy("--dry-run", "--json", "--issuer", "https://shop.authkit.example").stdout)
    assert (told["dry_run"], told["url"], told["bytes"]) == (True, None, 2048)
    assert told["variables"]["ISSUER"] == "https://shop.authkit.example"
    assert told["secrets"] == [{"name": "NEEDED", "required": True}, {"name": "OPTIONAL", "required": False}]


def test_at_authkit_what_permits_a_tool_is_the_humans_role_and_the_key_for_it_is_needed(yard: Yard) -> None:
    (yard.worker / ".dev.vars.example").unlink()

    def told(*arguments: str) -> dict[str, object]:
        done = yard.deploy("--dry-run", "--json", *arguments)
        plan = json.loads(done.stdout)
        needed = [secret["name"] for secret in plan["secrets"] if secret["required"]]
        return {"from": plan["variables"].get("SCOPES_FROM"), "needed": needed}

    assert told("--issuer", "https://x.authkit.app") == {"from": "role", "needed": ["NEEDED", "WORKOS_API_KEY"]}
    assert told("--issuer", "https://x.authkit.app", "--scopes-from", "token")["from"] == "token"
    assert told("--issuer", "https://login.example") == {"from": None, "needed": ["NEEDED"]}
    assert told("--issuer", "https://login.example", "--scopes-from", "role")["from"] == "role"
    wrong = yard.deploy("--dry-run", "--scopes-from", "roles")
    assert wrong.returncode == 2, said(wrong)


def test_the_shop_wants_no_secret_and_can_have_two(yard: Yard) -> None:
    from demo.deploy import blueprint
    from demo.deploy.tools import default_worker

    optional = tuple((name, False) for name in blueprint.INTROSPECTION)
    assert blueprint.read(default_worker()).secrets == optional
    (yard.worker / ".dev.vars.example").unlink()
    assert blueprint.read(yard.worker).secrets == (("NEEDED", True), *optional)
    previewed = said(yard.deploy("--dry-run"))
    for name in blueprint.INTROSPECTION:
        assert f"secret {name} (optional)" in previewed


def test_the_folder_that_a_button_copies_asks_for_what_the_shop_needs(tmp_path: Path) -> None:
    """The button asks for each line of `.dev.vars.example` that is no comment, and git must keep that file."""
    from demo.deploy import blueprint
    from demo.deploy.tools import default_worker

    worker = default_worker()
    lines = (worker / blueprint.EXAMPLE).read_text("utf-8").splitlines()
    asked = [line.partition("=")[0] for line in lines if line.strip() and not line.startswith("#")]
    assert asked == [blueprint.WORKOS_KEY]
    assert all(line.rstrip() == f"{name}=" for name in asked for line in lines if line.startswith(name)), "no value"
    shutil.copy(worker / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=10)
    ignored = subprocess.run(["git", "check-ignore", "-q", blueprint.EXAMPLE], cwd=tmp_path, check=False)
    assert ignored.returncode == 1, "git keeps it"
    kept = subprocess.run(["git", "check-ignore", "-q", ".dev.vars"], cwd=tmp_path, check=False)
    assert kept.returncode == 0, "and not the file with the secrets themselves"
    variables = dict(blueprint.read(worker).variables)
    described = json.loads((worker / "package.json").read_text("utf-8"))["cloudflare"]["bindings"]
    assert {blueprint.ISSUER, blueprint.ORGANIZATION, *asked} <= described.keys()
    assert {"EXTRA_AUDIENCES", "OPEN_DOOR", "REPOSITORY"} <= variables.keys() & described.keys()
    assert variables["EXTRA_AUDIENCES"] == "", "off by default"


@pytest.mark.parametrize(
    ("variables", "by_role"),
    [
        ({"ISSUER": "https://x.authkit.app"}, True),
        ({"ISSUER": "https://x.authkit.app", "SCOPES_FROM": ""}, True),
        ({"ISSUER": "https://x.authkit.app", "SCOPES_FROM": "token"}, False),
        ({"ISSUER": "https://login.example", "SCOPES_FROM": "role"}, True),
        ({"ISSUER": "https://x.authkit.app.evil.example"}, False),
        ({"ISSUER": ""}, False),
        ({}, False),
    ],
)
def test_when_the_key_for_workos_is_needed(variables: dict[str, str], by_role: bool) -> None:
    from demo.deploy import blueprint
    from demo.deploy.tools import default_worker

    secrets = dict(blueprint.read(default_worker()).with_variables(variables).secrets)
    assert secrets.get(blueprint.WORKOS_KEY) is (True if by_role else None)
    assert set(blueprint.INTROSPECTION) <= secrets.keys(), "offered, commented out as they are"


def test_with_a_yes_a_secret_that_is_not_in_the_environment_is_not_asked_for(yard: Yard, base_url: str) -> None:
    (yard.worker / ".dev.vars.example").unlink()
    config = yard.worker / "wrangler.jsonc"
    config.write_text(config.read_text("utf-8").replace('"NEEDED"', ""), "utf-8")
    yard.behave(whoami=LOGGED_IN, deploy={"targets": [base_url]})
    ours, theirs = os.openpty()  # somebody sits there and could be asked
    try:
        done = subprocess.run(
            yard.command("--yes"),
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            env=yard.environment(),
            cwd=ROOT,
            start_new_session=True,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert "Enter leaves it out" not in said(done)
    assert "still wanted" not in said(done)
    assert not [call for call in yard.calls() if call["argv"][:2] == ["secret", "put"]]
    given = dict(zip(("INTROSPECTION_CLIENT_ID", "INTROSPECTION_CLIENT_SECRET"), ("shop", SECRET), strict=True))
    yard.behave(whoami=LOGGED_IN, deploy={"targets": [base_url]})
    assert yard.deploy("--yes", **given).returncode == 0
    put = [(call["argv"][2], call["stdin"]) for call in yard.calls() if call["argv"][:2] == ["secret", "put"]]
    assert dict(put) == given


def test_one_of_the_two_introspection_secrets_is_a_slip_and_nothing_is_deployed(yard: Yard, base_url: str) -> None:
    (yard.worker / ".dev.vars.example").unlink()
    yard.behave(whoami=LOGGED_IN, deploy={"targets": [base_url]})
    done = yard.deploy("--yes", NEEDED=SECRET, INTROSPECTION_CLIENT_ID="shop")
    assert done.returncode == 2 and "go together" in said(done)
    assert not [call for call in yard.calls() if call["argv"][:2] == ["secret", "put"]]
    assert record.recall(yard.state) is None


def test_without_a_yes_nothing_is_deployed(yard: Yard) -> None:
    done = yard.deploy()
    assert done.returncode == 2
    assert "--yes" in said(done)
    assert not [call for call in yard.calls() if call["argv"][0] == "deploy" and "--dry-run" not in call["argv"]]
    assert record.recall(yard.state) is None


def test_with_a_yes_it_is_deployed_checked_and_shown(yard: Yard, base_url: str) -> None:
    yard.behave(whoami=LOGGED_IN, deploy={"targets": [base_url]})
    done = yard.deploy("--yes", "--issuer", "https://shop.authkit.example", NEEDED=SECRET)
    assert done.returncode == 0, done.stderr
    for part in (
        "Live on Cloudflare",
        f"{base_url}/mcp",
        "protected door",
        "401 without a token",
        "7 tools for anybody",
    ):
        assert part in said(done), part
    put, deployed = (
        call
        for call in yard.calls()
        if call["argv"][0] in ("secret", "deploy") and call["argv"][1:2] in (["put"], ["--var"])
    )
    assert (put["argv"], put["stdin"]) == (["secret", "put", "NEEDED"], SECRET)
    assert deployed["argv"] == ["deploy", "--var", "ISSUER:https://shop.authkit.example"]
    assert SECRET not in json.dumps([call["argv"] for call in yard.calls()])
    assert SECRET not in done.stdout + done.stderr
    kept = record.recall(yard.state)
    assert kept is not None
    assert (kept.url, kept.variables) == (base_url, {"ISSUER": "https://shop.authkit.example"})
    again = json.loads(yard.deploy("--dry-run", "--json").stdout)
    assert again["variables"]["ISSUER"] == "https://shop.authkit.example", "a later one leaves it as it was set"
    other = json.loads(yard.deploy("--dry-run", "--json", "--issuer", "https://login.example").stdout)
    assert other["variables"].get("SCOPES_FROM") is None, "and another issuer takes nothing over"


def test_a_needed_secret_that_nobody_gave_is_named_and_one_that_is_there_is_not(yard: Yard, base_url: str) -> None:
    yard.behave(whoami=LOGGED_IN, deploy={"targets": [base_url]})
    told = json.loads(yard.deploy("--yes", "--json").stdout)
    assert (told["ok"], told["missing_secrets"], told["url"]) == (True, ["NEEDED"], f"{base_url}/mcp")
    yard.behave(whoami=LOGGED_IN, deploy={"targets": [base_url]}, secret={"list": [{"name": "NEEDED", "type": "x"}]})
    told = json.loads(yard.deploy("--yes", "--json").stdout)
    assert told["missing_secrets"] == []


@pytest.mark.parametrize(
    ("how", "code", "part"),
    [
        ({"whoami": {"says": {"loggedIn": False}}}, 4, "npx wrangler login"),
        ({"whoami": {"fails": "getaddrinfo ENOTFOUND"}}, 3, "does not say who is logged in"),
        ({"deploy": {"fails": '✘ [ERROR] Could not resolve "./nowhere"\n'}}, 3, "cannot be bundled"),
    ],
)
def test_what_is_in_the_way_is_said_before_anything_is_done(
    yard: Yard, how: dict[str, object], code: int, part: str
) -> None:
    yard.behave(**how)
    done = yard.deploy("--yes")
    assert done.returncode == code
    assert part in said(done)


def test_a_deployment_that_wrangler_refuses_is_said_in_its_words(yard: Yard) -> None:
    from demo.deploy import tools, wrangler
    from deputize.errors import AuthorizationRefused, EnvironmentNotReady

    built = tools.Tools(yard.worker, yard.path / "node", yard.worker / "node_modules/wrangler/bin/wrangler.js")
    yard.behave(deploy={"fails": "✘ [ERROR] A request failed.\n  Authentication error [code: 10000]\n"})
    with pytest.raises(AuthorizationRefused) as refused:
        wrangler.deploy(built, {})
    assert "wrangler login" in refused.value.do
    yard.behave(deploy={"fails": "✘ [ERROR] You need a workers.dev subdomain.\n"})
    with pytest.raises(EnvironmentNotReady) as failed:
        wrangler.deploy(built, {})
    assert "workers.dev subdomain" in failed.value.why
    yard.behave(deploy={"targets": []})
    with pytest.raises(EnvironmentNotReady) as nowhere:
        wrangler.deploy(built, {})
    assert "has no address" in nowhere.value.what
    yard.behave(deploy={"targets": ["shop.example.com/* (zone name: example.com)"]})
    assert wrangler.deploy(built, {}).url == "https://shop.example.com"
    yard.behave(secret={"fails": f"✘ [ERROR] {SECRET} is no good\n"})
    with pytest.raises(EnvironmentNotReady) as kept:
        wrangler.put_secret(built, "NEEDED", SECRET)
    assert SECRET not in f"{kept.value.what} {kept.value.why} {kept.value.do}"


def test_without_npm_and_node_it_says_what_to_install(bare: Yard) -> None:
    done = bare.deploy("--dry-run")
    assert done.returncode == 3
    assert "npm was not found" in said(done)
    assert "neither Node nor npm" in said(done)
    assert "install Node" in said(done)


def test_an_old_node_is_named(yard: Yard) -> None:
    node = yard.path / "node"
    node.write_text(node.read_text("utf-8").replace("v22.1.0", "v16.0.0"), "utf-8")
    done = yard.deploy("--dry-run")
    assert done.returncode == 3
    assert "16.0.0" in said(done)


def test_what_npm_cannot_install_is_said_in_its_words(bare: Yard, installing: Callable[[str], None]) -> None:
    installing("echo 'npm error code E404' >&2; exit 1")
    done = bare.deploy("--dry-run")
    assert done.returncode == 3
    assert "npm did not install wrangler" in said(done)
    assert "E404" in said(done)


@pytest.mark.parametrize("config", [None, "{", "[]", "{}", '{"name": "x"}'])
def test_a_folder_without_a_worker_is_named(bare: Yard, config: str | None) -> None:
    file = bare.worker / "wrangler.jsonc"
    file.unlink()
    if config is not None:
        file.write_text(config, "utf-8")
    done = bare.deploy("--dry-run")
    assert done.returncode == 3
    assert "there is no Worker" in said(done) or "no configuration of a Worker" in said(done)


@pytest.mark.parametrize(
    "issuer", ["http://a.example", "a.example", "https://", "https://a.example/?x=1", "https://u@a"]
)
def test_what_is_no_issuer_is_refused(yard: Yard, issuer: str) -> None:
    done = yard.deploy("--dry-run", "--issuer", issuer)
    assert done.returncode == 2
    assert "is no issuer" in said(done)
    assert yard.calls() == []


def test_ctrl_c_ends_wrangler_too(yard: Yard) -> None:
    yard.behave(deploy={"sleep": 60})
    process = subprocess.Popen(
        yard.command("--dry-run"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=yard.environment(),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + HANGS
        while not yard.calls() and time.monotonic() < deadline:
            time.sleep(0.05)
        (call,) = yard.calls()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=HANGS)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in stderr
    with pytest.raises(ProcessLookupError):
        os.kill(call["pid"], 0)


def test_what_does_not_end_is_ended(yard: Yard) -> None:
    from demo.deploy import process

    yard.behave(deploy={"sleep": 600})
    command = [str(yard.path / "node"), str(yard.worker / "node_modules/wrangler/bin/wrangler.js"), "deploy"]
    began = time.monotonic()
    with pytest.raises(process.TooSlow):
        process.run(command, folder=yard.worker, environment=os.environ, seconds=1)
    assert time.monotonic() - began < HANGS
    (call,) = yard.calls()
    with pytest.raises(ProcessLookupError):
        os.kill(call["pid"], 0)
