"""From an order back to a human: its decision in a verified log, and the session and consent behind it as the
authorization server lists them."""

from __future__ import annotations

from collections.abc import Sequence

from demo.client.audit.reading import Trail
from demo.client.mcp.reading import read_decision
from demo.evidence.audit import Dispatched, LogCheck, OrderTrace
from demo.evidence.grants import SessionView
from deputize.errors import UsageError


def trace(
    trail: Trail,
    checks: Sequence[LogCheck],
    sessions: Sequence[SessionView],
    order: str,
    dispatched: Dispatched | None = None,
) -> OrderTrace:
    """Trace one order.

    Args:
        checks: what verifying the trail gave.
        sessions: the reader's, as the authorization server lists them.
        dispatched: what the shop says that it told behind it.

    Raises:
        UsageError: no entry that the reader may see led to such an order.
    """
    sound = {one.log for one in checks if not one.findings}
    for log in trail.logs:
        for item in log.entries:
            decision = read_decision(item.get("entry"))
            if decision is None or decision.order_id != order or decision.verdict != "allow":
                continue
            session = next((one for one in sessions if one.id == decision.session), None)
            return OrderTrace(
                order=order,
                decision=decision,
                seq=int(item["entry"]["seq"]),
                verified=log.log in sound and int(item["entry"]["seq"]) > log.pruned,
                session=session,
                software=session.client_name if session is not None else "",
                dispatched=dispatched,
            )
    raise UsageError(
        f"no entry of the audit trail led to the order {order}",
        why="there is none, or it is somebody else's: the trail shows a human their own",
        do="demo orders lists yours",
    )
