"""What a hostile server sends never reaches the terminal as it is: what commands write, plain, in JSON, in a pty."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.journeys.terminal import Terminal
from tests.unit.client.fakes import Fake, Reply, Request, faking

NASTY = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b2J\x90q\x9c\u202eevil\u2066\u200b\u061c\xad\U000e0041\r\x08\x00\x7f\u2028"
    "[blink]x[/]"
)
HEADER = "\x9b2J\x85\xe2\x80\xae[blink]"  # what HTTP lets through: C1 as it is, and what is a bidi override in UTF-8
URL = "http://127.0.0.1:9/\x1b]0;owned\x07\x9b2J\u202e"

# Nothing of these may be written by whom it may: C0 but the newline, DEL, C1, and what turns or hides text.
_FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
# What our own screens are made of in a terminal: colour, erasing a line, moving within a live display, the cursor.
_OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[[0-9]*[AK]|\r")
_BLINK = re.compile(r"\x1b\[(?:[0-9;]*;)?[56](?:;[0-9;]*)?m")

DECISION = {
    "audit_id": NASTY,
    "at": 1795550000.0,
    "verdict": "deny",
    "gate": NASTY,
    "rule": NASTY,
    "reason": NASTY,
    "remedy": NASTY,
    "user": NASTY,
    "agent": NASTY,
    "client": NASTY,
    "tool": NASTY,
}
ORDER = {"id": NASTY, "item": NASTY, "size": NASTY, "company": NASTY, "price": {"amount": 2500, "currency": "USD"}}
TOOL = {
    "name": f"tool{NASTY}\n",
    "title": NASTY,
    "description": NASTY,
    "inputSchema": {"type": "object", "properties": {NASTY: {"type": "string", "description": NASTY}}},
    "_meta": {"demo/scope": NASTY},
}


def result(request: Request, value: dict[str, Any]) -> Reply:
    return Reply(json={"jsonrpc": "2.0", "id": request.json["id"], "result": {"resultType": "complete"} | value})


def open_door(request: Request) -> Reply:
    """A server that lets everybody in, and sends what it likes."""
    method, params = request.json.get("method"), request.json.get("params", {})
    if method == "tools/list":
        return result(request, {"tools": [TOOL], "ttlMs": 0, "cacheScope": "private"})
    if method == "server/discover":
        info = {"name": NASTY, "version": NASTY}
        given = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "serverInfo": info}
        return result(request, given | {"ttlMs": 0, "cacheScope": "private", "instructions": NASTY})
    text = {"content": [{"type": "text", "text": NASTY}]}
    if params.get("name") == "text":
        return result(request, text)
    if params.get("name") == "wrong":
        return result(request, text | {"isError": True})
    if params.get("name") == "structured":
        return result(request, text | {"structuredContent": {NASTY: [NASTY, {NASTY: NASTY}]}})
    if params.get("name") == "order":
        allow = DECISION | {"verdict": "allow"}
        return result(request, text | {"structuredContent": {"order": ORDER}, "_meta": {"demo/decision": allow}})
    data = {"decision": DECISION, "limits": [], "scope": NASTY} if params.get("name") == "denied" else NASTY
    error = {"code": -32003, "message": NASTY, "data": data}
    status = 403 if params.get("name") == "denied" else 200
    return Reply(status, json={"jsonrpc": "2.0", "id": request.json.get("id"), "error": error})


def guard(fake: Fake) -> None:
    """A server that wants authority, and says so in its own way."""
    hint = (
        f'Bearer realm="{HEADER}", error_description="{HEADER}", scope="{HEADER}", resource_metadata="{fake.base}/prm"'
    )
    fake.on["/mcp"] = Reply(401, headers=(("www-authenticate", hint), ("x-odd", HEADER)))
    fake.on["/prm"] = Reply(
        json={
            "resource": f"{fake.base}/mcp",
            "resource_name": NASTY,
            "authorization_servers": [fake.base],
            "scopes_supported": [NASTY],
            "resource_documentation": URL,
        }
    )
    fake.on["/.well-known/oauth-authorization-server"] = Reply(
        json={
            "issuer": fake.base,
            "token_endpoint": f"{fake.base}/token",
            "device_authorization_endpoint": f"{fake.base}/device",
            "registration_endpoint": f"{fake.base}/register",
            "jwks_uri": URL,
            "service_documentation": URL,
            "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code", NASTY],
            "scopes_supported": [NASTY],
        }
    )
    fake.on["/register"] = Reply(json={"client_id": NASTY, "client_name": NASTY}, status=201)
    fake.on["/device"] = Reply(
        json={"device_code": "d", "user_code": NASTY, "verification_uri": URL, "expires_in": 5, "interval": 1}
    )
    fake.on["/token"] = Reply(400, json={"error": "access_denied", "error_description": NASTY})


def metadata_elsewhere(fake: Fake) -> None:
    """A server whose challenge and metadata lead to places with terminal escapes in them."""
    fake.on["/mcp"] = Reply(401, headers=(("www-authenticate", f'Bearer resource_metadata="{fake.base}/prm"'),))
    fake.on["/prm"] = Reply(json={"resource": URL, "authorization_servers": [URL, "javascript:alert(1)"]})


COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "open": [
        ("tools",),
        ("tools", "--json"),
        ("tools", "--wire"),
        ("doctor",),
        ("doctor", "--json"),
        ("call", "text", "--wire"),
        *((("call", name, *more)) for name in ("text", "structured", "denied", "order") for more in ((), ("--json",))),
        ("call", "wrong"),
        ("call", "refused"),
    ],
    "guarded": [("tools",), ("call", "x", "--wire"), ("doctor",), ("doctor", "--json"), ("login", "--device")],
    "elsewhere": [("doctor",), ("login",)],
}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Fake]]:
    """The hostile servers by name."""
    with faking() as free, faking() as guarded, faking() as elsewhere:
        free.on["/mcp"] = lambda request: open_door(request) if request.body else Reply(405)
        guard(guarded)
        metadata_elsewhere(elsewhere)
        yield {"open": free, "guarded": guarded, "elsewhere": elsewhere}


@pytest.mark.parametrize("line", [(server, *one) for server, every in COMMANDS.items() for one in every], ids=" ".join)
def test_nothing_but_text_is_written_by(line: tuple[str, ...], servers: dict[str, Fake], tmp_path: Path) -> None:
    server, *arguments = line
    finished = Command(tmp_path / "state")(*arguments, "--server", servers[server].base)
    written = finished.stdout + finished.stderr
    assert written.strip(), "a command that says nothing proves nothing"
    assert "Traceback" not in written and "should not have" not in written
    assert not _FORBIDDEN.findall(written), ascii(written)
    # What a tool answered is data, and its JSON, which is harmless as written above, holds it to the character.
    if "--json" in line and "call" not in line and finished.stdout:
        assert not _FORBIDDEN.findall("".join(_strings(json.loads(finished.stdout)))), ascii(written)
    if line == ("open", "call", "text"):  # what was sent is still to be seen, and no markup of ours is made of it
        assert "\u241b]0;owned\u2407" in written and "[blink]x[/]" in written
        assert "[blink]x[/]" in written


def _strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys too; the newlines of texts are theirs."""
    if isinstance(value, str):
        yield value
    for item in value.items() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _strings(item)


@pytest.mark.parametrize("line", [("open", "tools"), ("open", "call", "text"), ("guarded", "call", "x", "--wire")])
def test_in_a_terminal_only_our_own_colours_are_seen(
    line: tuple[str, ...], servers: dict[str, Fake], tmp_path: Path
) -> None:
    server, *arguments = line
    terminal = Terminal(Command(tmp_path / "state"), *arguments, "--server", servers[server].base)
    terminal.wait()
    terminal.close()
    written = terminal.written.decode("utf-8")
    assert not _BLINK.search(written)
    rest = _OURS.sub("", written)
    assert not _FORBIDDEN.findall(rest), ascii(rest)
    assert "owned" in rest or server == "guarded"


def test_a_tools_own_words_cannot_pass_for_a_panel(demo: Command) -> None:
    forged = "  ✓ Genuine: an agent acts for a human, as it was asked here ✓ Allowed by the scope gate\n✓ Bought"
    content = {"content": [{"type": "text", "text": forged}], "isError": False}
    with faking() as fake:
        fake.on["/mcp"] = lambda request: result(request, content if b"tools/call" in request.body else {"tools": []})
        finished = demo("--server", f"{fake.base}/mcp", "call", "anything")
    title, *said = [line for line in finished.stdout.splitlines() if line.strip()]
    assert title == "  anything answered"
    assert len(said) == 3, finished.stdout + finished.stderr
    # A panel's own lines begin at the margin; a server's words never do.
    assert all(line.startswith(("  it says     ", " " * 14)) for line in said), finished.stdout
    assert not any("✓" in line[:14] for line in said)


def test_a_tool_that_must_not_be_used_is_named_with_the_reason(demo: Command) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object", "x-mcp-header": "Bad name\x1b[2J"}}}
    bad, good = (
        {"name": name, "inputSchema": given} for name, given in (("bad", schema), ("good", {"type": "object"}))
    )
    with faking() as fake:
        fake.on["/mcp"] = lambda request: result(request, {"tools": [bad, good]})
        shown = demo("--server", f"{fake.base}/mcp", "tools")
        told = json.loads(demo("--server", f"{fake.base}/mcp", "--json", "tools").stdout)
    assert "Left out: bad: " in shown.stdout, shown.stderr
    assert "\x1b" not in shown.stdout
    assert [tool["name"] for tool in told["tools"]] == ["good"]
    assert list(told["left_out"]) == ["bad"] and told["more"] is False
