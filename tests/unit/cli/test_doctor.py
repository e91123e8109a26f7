"""`demo doctor` says what the server can do, by standard, with the evidence, beside whether this machine is ready."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import ROOT, Command
from tests.unit.client.fakes import Reply, Shop, faking
from tests.unit.talk.foreign_servers import AuthServer, corner_shop, listening


def test_the_capabilities_of_a_named_server_come_with_their_evidence(demo: Command) -> None:
    with listening(corner_shop(), AuthServer(revocation=True)) as url:
        told = json.loads(demo("doctor", "--server", url, "--json").stdout)
    assert told["schema"] == 1
    assert {finding["name"] for finding in told["findings"]} >= {"Python", "challenge", "issuer", "clock"}
    rows = {(row["standard"], row["what"]): row for row in told["capabilities"]}
    device = rows["RFC 8628", "device login"]
    assert device["supported"] is True
    assert device["evidence"]["request"].startswith("GET http://127.0.0.1:")
    assert "device_authorization_endpoint" in device["evidence"]["response"]
    assert rows["RFC 7662", "token introspection"]["supported"] is False
    assert rows["the shop", "tool buyMcpShopItem"]["supported"] is None


def test_the_local_server_is_told_of_in_the_same_way(demo: Command) -> None:
    finished = demo("doctor")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lines = finished.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("device login" in line and "RFC 8628" in line for line in lines)
    assert "What this server can do" in lines[0]
    assert "Ready" in finished.stdout.split("What this server can do")[1]


def test_a_server_without_auth_is_a_warning_and_no_fault(demo: Command) -> None:
    with listening(corner_shop()) as url:
        finished = demo("doctor", "--server", url)
    assert finished.returncode == 0, finished.stdout
    assert "lists its tools to anybody" in finished.stdout


def test_each_document_is_fetched_once_for_all_that_is_said_of_a_server(demo: Command) -> None:
    with faking() as fake:
        Shop(fake)
        finished = demo("doctor", "--server", f"{fake.base}/mcp", "--json")
        said = json.loads(finished.stdout)
    marks = {finding["name"]: finding["mark"] for finding in said["findings"]}
    assert (marks["challenge"], marks["issuer"]) == ("ok", "ok")
    assert said["capabilities"]
    metadata = [request.path for request in fake.requests if "/.well-known/" in request.path]
    assert len(metadata) == len(set(metadata)) == 2
    lists = [request for request in fake.to("/mcp") if request.headers.get("mcp-method") == "tools/list"]
    assert len(lists) == 1


def test_a_server_that_is_silent_or_none_is_a_fault_with_its_mend(demo: Command) -> None:
    silent = demo("doctor", "--server", "http://127.0.0.1:9/mcp", "--json")
    with faking() as fake:
        fake.on["/mcp"] = Reply(200, body=b"<p>hello", headers=(("content-type", "text/html"),))
        other = demo("doctor", "--server", f"{fake.base}/mcp", "--json")
    for finished, why, fix in (
        (silent, "cannot be reached", "check --server and the network"),
        (other, "", "it takes the server's MCP URL"),
    ):
        assert finished.returncode == 3
        told = {finding["name"]: finding for finding in json.loads(finished.stdout)["findings"]}
        assert told["challenge"]["mark"] == "bad"
        assert why in told["challenge"]["detail"] and fix in told["challenge"]["fix"]
        assert told["issuer"]["mark"] == "skip"


def test_tools_are_looked_for_under_the_servers_own_names(demo: Command) -> None:
    folder = demo.state.parent
    (folder / "demo.toml").write_text('[tools]\nbuyMcpShopItem = "buy"\n')
    environment, command = demo.environment() | {"PYTHONPATH": str(ROOT)}, [sys.executable, "-m", "demo"]
    subprocess.run([*command, "trust", "--quiet"], timeout=90, env=environment, cwd=folder, check=True)
    with listening(corner_shop()) as url:
        finished = subprocess.run(
            [*command, "doctor", "--server", url, "--json"],
            capture_output=True,
            text=True,
            timeout=90,
            env=environment,
            cwd=folder,
        )
    rows = {row["what"]: row["supported"] for row in json.loads(finished.stdout)["capabilities"]}
    assert rows["tool buyMcpShopItem, here buy"] is True
    assert rows["tool listMcpShopInventory"] is False
