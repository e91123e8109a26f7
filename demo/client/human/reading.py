"""What the console is answered, as evidence: by the authorization server's account API, and by a shop that explains."""

from __future__ import annotations

from typing import Any

from demo.evidence.grants import AnswerView, Delivery, SessionView, SubAgentView
from demo.evidence.shop import Explanation, GateExplained, LimitUse
from deputize.tokens.stored import money, number


def listed(value: Any) -> list[Any]:
    """A list, or none where it is something else."""
    return value if isinstance(value, list) else []


def read_session(entry: dict[str, Any]) -> SessionView:
    """A session as the account API lists it."""
    # Null is absent: the console's own session names no agent.
    return SessionView(
        id=str(entry.get("id") or ""),
        consent=str(entry.get("consent") or ""),
        agent=str(entry.get("agent") or ""),
        client=str(entry.get("client") or ""),
        client_name=str(entry.get("client_name") or ""),
        scopes=tuple(map(str, listed(entry.get("scopes")))),
        created_at=number(entry.get("created_at")) or 0.0,
        revoked_at=number(entry.get("revoked_at")),
        spending_limit=money(entry.get("spending_limit")),
        expires_at=number(entry.get("expires_at")),
        revoked_by_kind=str(kind) if (kind := entry.get("revoked_by_kind")) else None,
        sub_agents=tuple(_sub_agent(one) for one in listed(entry.get("sub_agents")) if isinstance(one, dict)),
    )


def _sub_agent(entry: dict[str, Any]) -> SubAgentView:
    return SubAgentView(
        id=str(entry.get("id") or ""),
        parent=str(entry.get("parent") or ""),
        name=str(entry.get("name") or ""),
        scopes=tuple(map(str, listed(entry.get("scopes")))),
        spending_limit=money(entry.get("spending_limit")),
        expires_at=number(entry.get("expires_at")) or 0.0,
        revoked_at=number(entry.get("revoked_at")),
        created_at=number(entry.get("created_at")),
    )


def read_answer(entry: dict[str, Any]) -> AnswerView:
    """An answer of the human's that opened no session, as the account API lists it."""
    return AnswerView(
        said="approved" if entry.get("said") == "approved" else "denied",
        client=str(entry.get("client") or ""),
        client_name=str(entry.get("client_name") or ""),
        agent=str(entry.get("agent") or ""),
        scopes=tuple(map(str, listed(entry.get("scopes")))),
        at=number(entry.get("at")) or 0.0,
        session=str(entry.get("session") or ""),
        amount=money(entry.get("amount")),
        purchase=entry.get("purchase") is True,
    )


def read_explanation(told: dict[str, Any]) -> Explanation | None:
    """An explanation as the shop gives it, in which null is absent; None where it is none."""
    try:
        policy, scopes = told["policy"], told.get("scopes")
        texts: dict[str, Any] = {name: told[name] for name in ("verdict", "gate", "rule", "reason", "user", "tool")}
        return Explanation(
            **texts | {name: told.get(name) for name in ("remedy", "username", "agent", "client", "needs")},
            scopes=None if scopes is None else tuple(map(str, scopes)),
            gates=tuple(GateExplained(**one) for one in told["gates"]),
            limits=tuple(LimitUse(**one) for one in told["limits"]),
            digest=str(policy["digest"]),
            source=str(policy["source"]),
        )
    except (KeyError, TypeError, AttributeError):
        return None


def read_delivery(told: Any) -> Delivery | None:
    """How a resource server came to know of a revocation, as the answer says; None where it says no such thing."""
    given = told if isinstance(told, dict) else {}
    event, resource, acknowledged, took = (
        given.get(name) for name in ("event", "resource", "acknowledged", "milliseconds")
    )
    if not isinstance(event, str) or not isinstance(resource, str) or not isinstance(acknowledged, bool):
        return None
    return Delivery(event, resource, acknowledged, (number(took) or 0.0) / 1000)
