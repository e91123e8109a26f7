"""Is this server the shop that it should be? Read from one look at it: for `demo deploy`, and for `demo doctor`."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, Literal

from demo.client.mcp.outcome import ToolsOutcome, refused, unavailable
from demo.local_server.local import Waiting, quietly
from deputize.errors import ExplainedError, ServerUnreachable
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    from pathlib import Path

    from demo.client.capabilities import Survey

ONLINE_SECONDS: Final = 60.0
"""How long a name that is new may take until it is known everywhere."""

Row = tuple[Literal["ok", "warn", "bad"], str, str, str]
"""(mark, name, detail, fix), as the checklist panel takes them."""


_FIXES: Final = {
    "500": "fix what it says in the Worker's variables and secrets, then deploy again",
    "421": "name it as it names itself; if it is your Worker, set BASE_URL to this address, or leave it empty",
}
"""What helps against what the Worker says instead of MCP, by its HTTP status: its settings, or its name, are wrong."""


def look(url: str, state: Path, waiting: Waiting = quietly, *, seconds: float = ONLINE_SECONDS) -> Survey:
    """Look at the server until it answers as an MCP server behind OAuth, or the time is up.

    Raises:
        ServerUnreachable: nothing answered there in time.
    """
    from demo.client.agent import Agent
    from demo.client.capabilities import survey
    from demo.logins import token_store

    deadline = time.monotonic() + seconds
    while True:
        seen = survey(Agent(url, store=token_store(state, server=url)), revisions=False, keys=False)
        left = deadline - time.monotonic()
        if seen.anonymous is not None and seen.anonymous.status in (200, 401):
            return seen
        if left <= 0:
            if seen.anonymous is not None or _refused(seen):
                return seen
            raise ServerUnreachable(
                f"{url} does not answer yet", why=seen.failure("endpoint"), do=f"in a while: demo doctor --server {url}"
            )
        waiting("the new address to be known", left)
        time.sleep(min(2.0, max(0.1, left)))


def rows(seen: Survey) -> list[Row]:
    """What was seen of a deployed shop, one line each, with its fix."""
    authorized = issuer(seen, "deploy again with --issuer https://NAME.authkit.app")
    return [door(seen, "protected door"), _resource(seen), authorized, *own_word(seen), _open(seen)]


def own_word(seen: Survey) -> list[Row]:
    """What the shop says of its own settings at `/health` (worker/README.md): whether it can ask its authorization
    server, and what weakens it. Empty where it says nothing. A shop whose settings are wrong says so at its door."""
    fit = fits(seen)
    return [*([] if fit is None else [fit]), *weakened(seen)]


def weakened(seen: Survey) -> list[Row]:
    """What of the shop's settings makes a check weaker than it is by itself."""
    said = (seen.health or {}).get("weakened")
    listed = [_line(one) for one in said] if isinstance(said, list) else []
    fix = "take it out as soon as your logins get a token for the shop itself (RFC 8707)"
    return [("warn", "weakened", one, fix) for one in listed if one]


def door(seen: Survey, name: str) -> Row:
    """Whether who comes without a token is refused as MCP wants it, and how fast; `name` is the row's."""
    if seen.anonymous is None:
        why = seen.failure("endpoint")
        fix = "check --server: it takes the server's MCP URL, often ending in /mcp"
        elsewhere = fix if seen.absent("endpoint") else "check --server and the network"
        return ("bad", name, why, seen.fix("endpoint") or _refused(seen) or elsewhere)
    if seen.requires_token:
        exchanges = seen.anonymous.exchanges
        took = f", in {1000 * exchanges[-1].seconds:.0f} ms" if exchanges else ""
        return ("ok", name, f"401 without a token{took}", "")
    refusal = refused(seen.anonymous)
    if refusal is not None and unavailable(seen.anonymous.status):
        return ("bad", name, f"it cannot answer now: {_with_status(seen.anonymous)}", refusal.do)
    return (
        "bad",
        name,
        f"without a token: {_with_status(seen.anonymous)}",
        "a protected MCP server answers 401: see its log",
    )


def _with_status(answer: ToolsOutcome) -> str:
    """An answer's status, and the server's own words where it has any."""
    status = f"HTTP {answer.status}"
    return answer.text if answer.text.startswith(status) else f"{status}: {answer.text}" if answer.text else status


def _refused(seen: Survey) -> str:
    """What helps where the Worker itself has answered that it cannot serve so; empty where it has not."""
    said = re.search(r"HTTP (500|421): ", seen.failure("endpoint"))
    return _FIXES[said[1]] if said and seen.absent("endpoint") else ""


def issuer(seen: Survey, fix: str | None = None) -> Row:
    """Which authorization server this one names, and by which login.

    Args:
        fix: what to do about it, where the caller knows more than the server's owner.
    """
    found = seen.authorization_server
    if found is None:
        named = ", ".join(seen.resource.authorization_servers) if seen.resource is not None else ""
        why = seen.failure("metadata") or f"no metadata of {named or 'any authorization server'} (RFC 8414)"
        return ("bad", "issuer", why, fix or "publish RFC 9728 and RFC 8414 documents")
    if found.problem is not None:
        return ("bad", "issuer", found.problem, fix or "do not log in there")
    if found.device_authorization_endpoint:
        flow = "device login"
    elif found.authorization_endpoint:
        flow = "browser login"
    else:
        return ("bad", "issuer", f"{found.issuer} offers no login", fix or "see what it offers (RFC 8414)")
    return ("ok", "issuer", f"{found.issuer}, {flow}", "")


def fits(seen: Survey) -> Row | None:
    """Whether the shop can ask its authorization server, by its `/health` (worker/README.md); None if unsaid."""
    said = (seen.health or {}).get("authorization_server")
    if not isinstance(said, dict):
        return None
    issuer, problem, fix = (_line(said.get(name)) for name in ("issuer", "problem", "fix"))
    if problem:
        whom = issuer or "any authorization server"
        return ("bad", "trust", f"the shop cannot ask {whom}: {problem}", fix or "see its log")
    if said.get("introspection") is not True:
        return ("ok", "trust", "the shop has its keys, and believes a token until it expires", "")
    return ("ok", "trust", "the shop has its keys, and asks about each token (RFC 7662)", "")


def _line(said: object) -> str:
    return safe_text(said, one_line=True) if isinstance(said, str) else ""


def _resource(seen: Survey) -> Row:
    found = seen.resource
    if found is None:
        return ("bad", "resource metadata", seen.failure("metadata") or "none (RFC 9728)", "see the Worker's log")
    if found.problem is not None:
        return ("bad", "resource metadata", found.problem, "set BASE_URL to the address it is reached at, or leave it")
    return ("ok", "resource metadata", found.resource, "")


def _open(seen: Survey) -> Row:
    opened = seen.open_door
    if opened is not None and opened.status == 200:
        return ("ok", "open door", f"{len(opened.tools)} tools for anybody", "")
    if opened is not None and opened.status == 403:
        return ("ok", "open door", "switched off; the beat about the authless shop is skipped there", "")
    return ("warn", "open door", "it does not answer", "the beat about the authless shop is skipped there")


def problem(found: list[Row]) -> ExplainedError | None:
    """The first of what is bad, as an error; None where nothing is."""
    bad = next((row for row in found if row[0] == "bad"), None)
    return None if bad is None else ServerUnreachable(f"{bad[1]}: {bad[2]}", do=bad[3])
