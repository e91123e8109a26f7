"""The whole trail in the Open Cybersecurity Schema Framework, version 1.8.0 (schema.ocsf.io/1.8.0), for a SIEM to read.

A decision is an API Activity (6003), with the profiles Security Control and Trace; a consent, or one purchase, granted
or denied, and what an agent handed on, an Authorize Session (3003); a revocation a User Access Management (3005). What
OCSF has no place for stands in `unmapped`.
"""

from __future__ import annotations

from typing import Any, Final

from demo import __version__
from demo.evidence.audit import TrailEvent

VERSION: Final = "1.8.0"
_DECISION, _CONSENT, _REVOCATION = 6003, 3003, 3005
_CLASSES: Final = {
    _DECISION: ("API Activity", "Application Activity"),
    _CONSENT: ("Authorize Session", "Identity & Access Management"),
    _REVOCATION: ("User Access Management", "Identity & Access Management"),
}
_OTHER: Final = (99, "Other")
_ACTIVITIES: Final = {
    "buyMcpShopItem": (1, "Create"),
    "listMcpShopInventory": (2, "Read"),
    "listMcpShopOrders": (2, "Read"),
    "getUserInfo": (2, "Read"),
    "setDemoMode": (3, "Update"),
    "clearDemoMode": (3, "Update"),
    "prettyPlease": (3, "Update"),
}
_USER, _UNKNOWN = 1, 0
"""`type_id` of a user."""


def as_ocsf(event: TrailEvent) -> dict[str, Any]:
    """One event of the trail."""
    if event.kind in ("consent", "purchase", "delegation"):
        return _consent(event)
    return _revocation(event) if event.kind == "revocation" else _decision(event)


def _decision(event: TrailEvent) -> dict[str, Any]:
    entry = event.decision
    assert entry is not None, "a decision is an entry of the shop's log"
    allowed, came_to = entry.verdict == "allow", entry.verdict == "allow" and not entry.bought_nothing
    activity = _ACTIVITIES.get(entry.tool or "", _OTHER)
    told = _base(event, _DECISION, activity, good=came_to, uid=entry.audit_id, profiles=["security_control", "trace"])
    session = _kept({"uid": entry.session, "credential_uid": entry.token_id})
    return told | _kept(
        {
            "message": entry.reason,
            "status_code": entry.rule,
            "status_detail": entry.reason,
            "actor": {"app_name": "the shop"}
            if entry.gate in ("policy", "dispatch")
            else _kept({"user": _user(event), "session": session, "app_uid": entry.client}),
            "src_endpoint": {"uid": entry.agent} if entry.agent else {"name": entry.client or "anonymous"},
            "api": {
                "operation": event.kind if event.kind == "dispatch" else event.what,
                "service": {"name": "MCP server"},
                "request": {"uid": entry.audit_id},
            },
            "action_id": 1 if allowed else 2,
            "action": "Allowed" if allowed else "Denied",
            "disposition_id": 1 if allowed else 2,
            "disposition": "Allowed" if allowed else "Blocked",
            "authorizations": [{"decision": entry.verdict, "policy": {"name": entry.gate, "uid": entry.rule}}],
            "resources": [{"uid": entry.order_id, "type": "order"}] if entry.order_id else None,
            "trace": {"uid": entry.trace_id} if entry.trace_id else None,
            "unmapped": _kept(
                {
                    "consent": entry.consent,
                    "door": entry.door,
                    "arguments": entry.arguments,
                    "handed_on_by": entry.handed_on_by,
                    "remedy": entry.remedy,
                }
            ),
        }
    )


def _consent(event: TrailEvent) -> dict[str, Any]:
    granted = event.said != "denied"
    handed_on = event.kind == "delegation"
    uid = (event.agent if handed_on else event.session) if granted else None
    told = _base(event, _CONSENT, (1, "Assign Privileges"), good=granted, uid=uid)
    created = None if event.at is None or event.said != "granted" else _milliseconds(event.at)
    what = "one purchase by" if event.kind == "purchase" else ""
    who = event.agent_name or event.client_name or event.client or "a client"
    said = ("An agent handed on to",) if handed_on else ("A human", event.said, what)
    limit = event.spending_limit
    return told | _kept(
        {
            "message": " ".join(filter(None, (*said, who, event.what))),
            "user": _user(event),
            "actor": _actor(event),
            "privileges": list(event.scopes) or ["none"],
            "session": _kept({"uid": event.session, "created_time": created}),
            "unmapped": _kept(
                {
                    "consent": event.consent,
                    "agent": event.agent,
                    "spending_limit": None if limit is None else {"amount": limit.amount, "currency": limit.currency},
                }
            ),
        }
    )


def _revocation(event: TrailEvent) -> dict[str, Any]:
    entry = event.decision
    uid = entry.audit_id if entry is not None else None
    told = _base(event, _REVOCATION, (2, "Revoke Privileges"), good=True, uid=uid)
    ids = {"session": event.session, "agent": event.agent, "user": event.user}
    return told | _kept(
        {
            "message": entry.reason if entry is not None else f"The {event.what} was revoked",
            "user": _user(event),
            "actor": _actor(event),
            "privileges": list(event.scopes) or ["all"],
            "resources": [_kept({"uid": ids.get(event.what) or event.session, "type": event.what, "name": event.what})],
            "unmapped": _kept({"consent": event.consent, "agent": event.agent, "session": event.session}),
        }
    )


def _base(
    event: TrailEvent,
    kind: int,
    activity: tuple[int, str],
    *,
    good: bool,
    uid: str | None,
    profiles: list[str] | None = None,
) -> dict[str, Any]:
    entry = event.decision
    name, category = _CLASSES[kind]
    return {
        "class_uid": kind,
        "class_name": name,
        "category_uid": kind // 1000,
        "category_name": category,
        "activity_id": activity[0],
        "activity_name": activity[1],
        "type_uid": kind * 100 + activity[0],
        "type_name": f"{name}: {activity[1]}",
        # What nobody says the time of has the beginning of time, and no other's.
        "time": _milliseconds(event.at or 0.0),
        "severity_id": 1 if good else 2,
        "severity": "Informational" if good else "Low",
        "status_id": 1 if good else 2,
        "status": "Success" if good else "Failure",
        "metadata": _kept(
            {
                "version": VERSION,
                "product": {"name": "machine-identity-demo", "version": __version__},
                "log_provider": event.told_by,
                "log_name": "audit",
                "uid": uid,
                "correlation_uid": entry.correlation if entry is not None else None,
                "profiles": profiles,
            }
        ),
    }


def _user(event: TrailEvent) -> dict[str, Any]:
    if event.user is None and event.username is None:
        return {"name": "anonymous", "type_id": _UNKNOWN}
    return _kept({"uid": event.user, "name": event.username, "type_id": _USER})


def _actor(event: TrailEvent) -> dict[str, Any]:
    return _kept({"user": _user(event), "app_uid": event.client, "app_name": event.client_name or None})


def _kept(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None and value != {}}


def _milliseconds(at: float) -> int:
    return int(at * 1000)
