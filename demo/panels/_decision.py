"""What a gate decided: the verdict first, then the gate on the path, why, and what would make it pass."""

from __future__ import annotations

from rich.cells import cell_len

from demo.evidence.shop import GATES, Decision
from demo.panels import bigtype
from demo.panels.page import Canvas, Page
from demo.panels.people import Names, called, name_of, named
from demo.panels.theme import State
from demo.panels.values import clock, pad

NOBODY = "nobody"
"""Who asked, where nobody knows."""

REFUSALS = {
    "token.missing": "Refused: no token",
    "token.malformed": "Refused: that is not a token",
    "token.signature": "Refused: the signature is not the issuer's",
    "token.issuer": "Refused: a token from another issuer",
    "token.audience": "Refused: a token for somewhere else",
    "token.expired": "Refused: the token has expired",
    "token.type": "Refused: not an access token",
    "token.bound": "Refused: a bound token without its key",
    "token.proof": "Refused: not proof of the token's key",
    "token.nonce": "Refused: the proof wants the shop's nonce",
    "standing.session": "Refused: the session was revoked",
    "standing.agent": "Refused: the agent was revoked",
    "standing.user": "Refused: the user was revoked",
    "standing.token": "Refused: the token was revoked",
    "standing.unknown": "Refused: the authorization server cannot be asked",
    "standing.banned": "Refused: banned at this shop",
    "allowlist.user": "Refused: not on the allowlist",
    "allowlist.client": "Refused: this agent is not let in",
    "scope.insufficient": "Refused: outside of what was granted",
    "limits.rate": "Refused: too many calls",
    "limits.quota": "Refused: the purchase quota is used up",
    "limits.spending": "Refused: more than the human allowed",
    "limits.consent": "Refused: no spending limit was granted",
    "limits.approval": "Refused: a human must approve this purchase",
    "open.closed": "Refused: the open door is closed",
    "policy.refused": "Refused: a policy that cannot be read",
}
"""Rule to the answer that the panel's title gives: every rule by which the shop refuses (demo/shop/shop.toml)."""

HANDED_ON = "Refused: more than it may spend"
"""The answer to a sub-agent of `limits.spending`: its own limit, or the consent's."""


AFTER: dict[str, State] = {
    "dispatch.sent": "allowed",
    "dispatch.cancelled": "waiting",
    "dispatch.unclear": "unverified",
}
"""What became of an order behind the shop, which is no verdict on a request: its rule to how a panel colours it."""


def state_of(given: Decision) -> State:
    """The verdict as a panel colours it; an open door's allow is not verified, since nobody was asked."""
    if given.gate == "dispatch":
        return AFTER.get(given.rule, "none")
    if given.verdict != "allow":
        return "refused"
    return "unverified" if given.door == "open" else "allowed"


def answer(given: Decision, names: Names = ()) -> str:
    """The decision as one short sentence."""
    if given.verdict != "allow":
        if given.rule == "limits.spending" and given.handed_on_by:
            return HANDED_ON  # the human may have allowed more, and the agent above kept it back
        return REFUSALS.get(given.rule, f"Refused at the {given.gate} gate: {given.rule}")
    if given.door == "open":
        return "Allowed, and nobody knows for whom"
    return f"Allowed: {given.tool or 'the request'}" + (f", for {who(given, names)}" if given.user else "")


def who(given: Decision, names: Names = ()) -> str:
    """The human by name; "nobody" where the decision names none."""
    return name_of(given.username) if given.username else called(given.user, names) or NOBODY


def through(given: Decision, names: Names = ()) -> str:
    """The agent by name: what its software is called, else its own id."""
    by_name = dict(names).get(given.agent or "") or dict(names).get(given.client or "")
    return by_name or given.agent or given.client or ("the human's own hand" if given.user else NOBODY)


def parties(given: Decision, names: Names, canvas: Canvas, *, of: str = "who") -> None:
    """Who, and through whom: names, and dim beside them the ids by which they are typed."""
    for label, name, ids in (
        (of, who(given, names), (given.username, given.user)),
        ("through", through(given, names), (given.agent, given.client)),
    ):
        named(canvas, label, name, ids, "unverified" if name == NOBODY else "strong")
    if given.handed_on_by:
        above = given.handed_on_by.split()
        hired = f" {canvas.glyphs.arrow} ".join(called(one, names) for one in reversed(above))
        named(canvas, "hired by", hired, above[:1])


def decision(given: Decision, names: Names = ()) -> Page:
    """One decision: verdict, the path of the gates, reason, remedy, who, through whom, what, and its audit id.

    Args:
        names: what the humans and agents are called that it names by their ids.
    """

    def draw(canvas: Canvas) -> None:
        state = state_of(given)
        _verdict(given, state, canvas)
        canvas.title(state, answer(given, names))
        _path(given, canvas)
        canvas.gap()
        canvas.field("why", given.reason, prose=True, at_most=2)
        if given.remedy:
            canvas.field("to pass", given.remedy, "strong", prose=True, at_most=2)
        canvas.gap()
        parties(given, names, canvas)
        order = f", order {given.order_id}" if given.order_id else ""
        canvas.field("what", f"{given.tool or 'a request without a tool'}{order}")
        canvas.field("on record", f"{given.audit_id}, {clock(given.at)}", "quiet")

    return Page(draw)


def _verdict(given: Decision, state: State, canvas: Canvas) -> None:
    word = "ALLOWED" if given.verdict == "allow" else "REFUSED"
    blocks = canvas.glyphs.top != canvas.glyphs.bottom
    size = bigtype.SMALL if blocks else bigtype.TALL
    rows = bigtype.big(word, size, blocks=blocks) or []
    if bigtype.columns(word, size) > canvas.room or canvas.rows < 14 + len(rows):
        return
    for row in rows:
        canvas.line((row, f"strong {state}"))
    canvas.gap()


def _path(given: Decision, canvas: Canvas) -> None:
    """The gates in the order of passing: which passed, which refused, which were not reached."""
    if given.gate not in GATES or given.door == "open":
        # At the open door the limit of an address is all there is: nothing was passed before it.
        told = "this door has no gates" if given.door == "open" else f"a gate of its own: {given.gate}"
        canvas.line((canvas.short(told, canvas.room), "quiet"))
        return
    stop, steps = GATES.index(given.gate), []
    for number, gate in enumerate(GATES):
        if number < stop or (number == stop and given.verdict == "allow"):
            steps.append((gate, "allowed", "passed"))
        elif number == stop:
            steps.append((gate, "refused", "refused"))
        else:
            steps.append((gate, "none", "not reached" if given.verdict != "allow" else "not asked"))
    if canvas.narrow:
        for gate, state, word in steps:
            mark = canvas.glyphs.mark(state)  # type: ignore[arg-type]  # one of the three literals above
            canvas.line((f"{mark} {pad(gate, 11)}", state if state != "none" else "quiet"), (word, "quiet"))
        return
    width = min(18, canvas.room // len(GATES))
    names, words = [], []
    for number, (gate, state, word) in enumerate(steps):
        mark = canvas.glyphs.mark(state)  # type: ignore[arg-type]  # one of the three literals above
        name = f"{mark} {gate}"
        last = number == len(steps) - 1
        shaft = "" if last else f" {canvas.glyphs.shaft * max(0, width - cell_len(name) - 2)} "
        roles = "quiet" if state == "none" else f"strong {state}" if state == "refused" else state
        names += [(name, roles), (shaft, "quiet")]
        words.append((pad(f"  {word}", width), roles if state == "refused" else "quiet"))
    canvas.line(*names)
    canvas.line(*words)
