"""What of the talk's shop a server has: its tools, their scopes, its word on decisions, its audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from demo.client.capabilities.survey import Survey
from demo.evidence.shop import Capability
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    from demo.client.mcp.outcome import ToolsOutcome


def rows(seen: Survey, verbs: Mapping[str, str]) -> list[Capability]:
    """Which of the shop's tools there are, and whether the server tells scopes, decisions and an audit trail."""
    return [*_tools(seen, verbs), _decisions(seen), _audit(seen)]


def _tools(seen: Survey, verbs: Mapping[str, str]) -> list[Capability]:
    listed = seen.tools
    rows: list[Capability] = []
    if listed is None:
        asked, why = f"POST {seen.endpoint} tools/list", _unlisted(seen)
        rows += [Capability("the shop", f"tool {verb}", None, asked, why) for verb in verbs]
        rows.append(Capability("the shop", "which scope each tool takes", None, asked, why))
    else:
        asked = _asked_tools(listed)
        names = {tool.name for tool in listed.tools}
        for verb, name in verbs.items():
            what = f"tool {verb}" if name == verb else f"tool {verb}, here {name}"
            says = f"200, {'lists' if name in names else 'does not list'} {name}"
            rows.append(Capability("the shop", safe_text(what, one_line=True), name in names, asked, says))
        scoped = [tool.name for tool in listed.tools if tool.scope]
        told = f"200, demo/scope at {len(scoped)} of {len(listed.tools)} tools"
        # A server may well keep tools apart by scope and not say so in its list: MCP has no field for it.
        rows.append(Capability("the shop", "which scope each tool takes", True if scoped else None, asked, told))
    return rows


def _decisions(seen: Survey) -> Capability:
    what, answer = "says what its gates decided", seen.deciding or seen.anonymous
    if answer is None:
        return Capability("the shop", what, None, f"POST {seen.endpoint} tools/list", seen.failure("endpoint"))
    says = seen.decision_marks or "neither Demo-Audit-Id nor a decision"
    return Capability("the shop", what, seen.reports_decisions, _asked_tools(answer), says)


def _unlisted(seen: Survey) -> str:
    if seen.anonymous is None:
        return seen.failure("endpoint")
    return f"{seen.anonymous.status} without a token; log in first (demo login)"


def _asked_tools(listed: ToolsOutcome) -> str:
    last = listed.exchanges[-1] if listed.exchanges else None
    return f"POST {last.url} tools/list" if last is not None else "tools/list"


def _audit(seen: Survey) -> Capability:
    base = "/".join(seen.endpoint.split("/", 3)[:3])
    request = f"GET {base}/audit?limit=1, no token"
    answer = seen.audit
    what = "an audit trail to read"
    if answer is None:
        return Capability("the shop", what, None, request, seen.failure("audit"))
    ours = bool(answer.headers.get("demo-audit-id"))
    supported = True if ours and answer.status in (200, 401, 403) else False if answer.status in (404, 405) else None
    says = f"{answer.status}, Demo-Audit-Id" if ours else f"{answer.status}"
    return Capability("the shop", what, supported, request, says)
