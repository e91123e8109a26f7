"""The agent on Cloudflare, as its deployer sees it: where it may buy, its owner's secret, and whether it stands."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

from demo.deploy.checking import ONLINE_SECONDS, Row
from demo.local_server.local import Waiting, quietly
from deputize.errors import UsageError
from deputize.http.sanitizing import safe_text

SHOP: Final = "SHOP"
"""The variable that names the MCP server at which it logs in and buys."""
OWNER_SECRET: Final = "OWNER_SECRET"
SHORTEST_SECRET: Final = 16
_ASK_SECONDS: Final = 10.0


def address(given: str) -> str:
    """The MCP server as the agent takes it: an https URL.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(given)
        good = parts.scheme == "https" and bool(parts.hostname) and not parts.fragment and parts.port != 0
    except ValueError:
        good = False
    if not good or not given.isprintable() or " " in given or "@" in given:
        raise UsageError(
            f"{given!r} is no MCP server that an agent on the internet can reach",
            why="it is reached by https alone",
            do="name your shop: --shop https://YOUR-SHOP.workers.dev/mcp",
        )
    return given


def check_secret(name: str, value: str) -> None:
    """Raise for an owner's secret that the agent refuses.

    Raises:
        UsageError: it is too short.
    """
    if name == OWNER_SECRET and len(value) < SHORTEST_SECRET:
        raise UsageError(
            f"{name} is shorter than {SHORTEST_SECRET} characters",
            why="who has it may start and stop the agent",
            do="take a long random one, e.g. of: openssl rand -hex 24",
        )


def look(url: str, shop: str, waiting: Waiting = quietly, *, seconds: float = ONLINE_SECONDS) -> list[Row]:
    """Look at a deployed agent until it answers, or the time is up: whether it is set up, for this shop, and closed."""
    deadline = time.monotonic() + seconds
    while (health := _asked(f"{url}/health"))[1] is None and (left := deadline - time.monotonic()) > 0:
        waiting("the new address to be known", left)
        time.sleep(min(2.0, max(0.1, left)))
    said = health[1]
    if said is None or said.get("agent") != "shopper":
        return [("bad", "agent", "it does not answer yet", f"in a while: {url}/health")]
    if said.get("problem"):
        return [("bad", "settings", safe_text(str(said["problem"]), one_line=True), "set them, then deploy again")]
    known = safe_text(str(said.get("shop")), one_line=True)
    rows: list[Row] = [
        ("ok", "shop", known, "")
        if _same(known, shop)
        else ("bad", "shop", f"it buys at {known}", f"deploy again with --shop {shop}")
    ]
    status = _asked(f"{url}/status")[0]
    closed = status == 401
    detail = "HTTP 401 without a secret" if closed else f"HTTP {status or 'nothing'} without a secret"
    rows.append(("ok" if closed else "bad", "owner's alone", detail, "" if closed else "take it offline, and look why"))
    return rows


def _same(one: str, other: str) -> bool:
    """Whether two URLs are one: the agent writes a host in lower case, and a path where there is none."""
    try:
        left, right = (
            (p.scheme, p.hostname, p.port or 443, p.path or "/", p.query) for p in map(urlsplit, (one, other))
        )
    except ValueError:
        return False
    return left == right


def _asked(url: str) -> tuple[int | None, dict[str, Any] | None]:
    """The HTTP status, and the JSON object that is the answer; None where there is none."""
    try:
        with urllib.request.urlopen(url, timeout=_ASK_SECONDS) as answer:
            said = json.loads(answer.read(10_000))
            return answer.status, said if isinstance(said, dict) else None
    except urllib.error.HTTPError as error:
        with error, contextlib.suppress(OSError):
            return error.code, None
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        pass
    return None, None
