"""Each panel answers its question in words and marks; colour repeats the verdict and says nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from demo import panels
from demo.evidence.grants import Revocation
from demo.evidence.shop import GATES
from demo.panels._decision import REFUSALS
from demo.panels.fit import drawn
from demo.panels.theme import STYLES
from demo.shop import catalog
from deputize.evidence import AuthorizationRequest

SAYS = {
    "decision-refused": ("✗ Refused: no token", "✗ token", "· limits", "not reached", "nobody"),
    "decision-scope": ("✗ Refused: outside of what was granted", "✓ token", "✓ allowlist", "✗ scope", "· limits"),
    "decision-allowed": (
        "✓ Allowed: buyMcpShopItem, for Alice",
        "Shirt Agent  agent_7k3",
        "✓ limits",
        "audit_01JBQX3M8V",
    ),
    "decision-open": ("? Allowed, and nobody knows for whom", "this door has no gates", "nobody"),
    "exchange": ("✗ 401 Unauthorized for buyMcpShopItem", "(none sent)", "Bearer realm", "more lines"),
    "challenge": ("✗ Refused: no token, and told where to get one", "RFC 9728 §5.1", "RFC 8414", "RFC 8628"),
    "challenge-bad-token": ("✗ Refused: this token is not good here", "invalid_token"),
    "token": (
        "✓ Genuine: an agent acts for a human",
        "4 min 12 s left",
        "verified: signature",
        "more claims",
        "ends at 08:04:12",
    ),
    "token-unverified": ("? Claimed, not verified", "?  claimed"),
    "token-expired": ("✗ Not to be trusted: expired 12 s ago",),
    "chain": ("✓ Alice → Shirt Agent → bought a shirt", "up to 60.00 USD", "RFC 8693"),
    "chain-stands": ("✓ Alice → Shirt Agent", "✓ stands: 200"),
    "chain-revoked": ("✗ Signature valid, grant revoked", "✗ revoked: 401 standing.session", "Log in again"),
    "device": (
        "◔ Shirt Agent asks to act for you",
        "BCDF-GHJK",
        "http://127.0.0.1:7327/device",
        "See what the shop has",
    ),
    "answer-yes": ("✓ Alice said yes: Shirt Agent may act", "up to 60.00 USD", "Buy in your name, within the limit"),
    "answer-no": ("✗ Alice said no: Shirt Agent gets nothing",),
    "answer-nothing": ("◔ Alice did not answer in time",),
    "answer-other": ("? Mallory said yes, and was not the one that was asked",),
    "order": ("✓ Bought: Conference T-shirt, size M, 25.00 USD", "spent 25.00 USD", "left 35.00 USD of 60.00 USD"),
    "order-again": ("The same order, nothing bought twice",),
    "order-anonymous": ("? Bought, by nobody", "none: nobody was asked", "none: nothing stops the next order"),
    "result": ("listMcpShopInventory answered", "25.00 USD", "S, M", "Monday, Tuesday", "late        yes"),
    "result-words": ("text answered", "One line.", "              ✓ Bought"),
    "result-failed": ("✗ buy failed", "Unknown tool: buy"),
    "limits": ("✓ Within every limit", "7 calls left", "1 purchase left", "35.00 USD left", "again in 7 s"),
    "limits-refused": ("✗ At the limit: calls", "0 calls left"),
    "orders": ("? 2 orders, and nobody knows by whom", "nobody", "12 Main Street, Springfield", "P.O. Box 0, Nowhere"),
    "orders-mine": ("✓ 1 order, each with a human behind it", "Alice", "1 Edge Row, Lisbon"),
    "audit": ("? nobody", "✗ nobody", "✓ Alice", "Shirt Agent", "bought", "standing", "newest last"),
    "revocation": ("✓ Revoked: the next call was refused 41 ms later", "✓ allowed", "✗ refused", "The same token"),
    "sessions": ("✓ 2 sessions can act for you, 1 revoked", "✗ Shirt Agent", "✓ Control room", "revoked 30 s ago"),
    "user": ("✓ Alice: 2 sessions, 1 consent, both agree", "through Shirt Agent", "consent_01B"),
    "user-disagrees": ("✗ Alice", "they disagree", "the sessions, the consents"),
    "audit-log": ("✓ 2 orders written", "on record once", "✓ anonymous", "session.created ×4"),
    "audit-log-missing": ("✗ 2 orders written", "1 not on record once", "✗ anonymous"),
    "audit-log-not-read": ("? 1 order written", "not read back"),
    "permissions": ("✓ It wished for 3 permissions, and holds 1", "holds it", "not in it", "Shirt Agent", "customer"),
    "audit-policy": ("the shop", "policy", "in force", "not taken", "0 refusals"),
    "explanation": (
        "✗ It would be refused: the purchase quota is used up",
        "refused    line 32",
        "purchases_per_consent = 2",
        "Ask the human for a new consent.",
    ),
    "explanation-allowed": ("✓ It would pass: buyMcpShopItem", 'line 11  "alice@example.com"'),
    "permissions-beyond": ("✗ It holds what nobody could give it: shop:refund",),
    "header-encore": ("Failure: no token, no shirt", "Encore"),
    "tools": ("4 tools", "shop:buy"),
    "link": ("https://github.com/example/machine-identity-demo",),
    "link-not-live": ("? Deploy (not live: described, not done)",),
    "comparison": ("changed", "same", "Nothing lives only in a process."),
    "closing": ("No token, no shirt",),
    "failure": ("✗ The agent has no authority", "nobody has logged it in", "demo login"),
    "checklist": ("✗ Not ready: 1 thing to fix", "✓ python", "! terminal", "✗ port 7327", "→ make the window wider"),
    "header": ("5/18", "Failure: no token, no shirt", "Cloudflare", "1.5 min"),
    "notes": ("Say nothing for two seconds.", "then demo next"),
}


@pytest.mark.parametrize("name", SAYS)
def test_a_panel_says_it_without_colour(
    name: str, drawing: Callable[[str], RenderableType], printed: Callable[..., str]
) -> None:
    written = printed(drawing(name), no_color=True, force_terminal=False)
    assert "\x1b" not in written
    for words in SAYS[name]:
        assert words in written


def test_only_verdicts_and_codes_to_scan_have_colour(ordinary: str, drawing: Callable[[str], RenderableType]) -> None:
    meanings = {STYLES[state] for state in ("allowed", "refused", "waiting", "unverified")} | {"#ffffff"}
    console = Console(width=80, height=24, color_system="truecolor", force_terminal=True, _environ={})
    used = {
        segment.style.color.name
        for segment in console.render(drawing(ordinary))
        if segment.style is not None and segment.style.color is not None
    }
    assert used <= meanings | {"default"}


@pytest.mark.parametrize(("name", "rows"), [("audit", 200), ("audit", 19)])
def test_a_cut_trail_keeps_the_newest_and_counts_the_rest(name: str, rows: int, evidence: dict[str, Any]) -> None:
    trail = tuple(
        replace(evidence["NO_TOKEN"], audit_id=str(number), username=f"n{number}@x") for number in range(rows)
    )
    lines = drawn(panels.audit(trail), 80)
    assert f"n{rows - 1}@x" in lines[-1]
    shown = sum("@x" in line for line in lines)
    assert any(f"… {rows - shown} other entries" in line for line in lines)


def test_a_purchase_at_the_open_door_is_by_nobody(evidence: dict[str, Any]) -> None:
    [line] = [line for line in drawn(panels.audit((evidence["OPEN"],)), 80) if "buyMcpShopItem" in line]
    assert "? nobody" in line
    assert "bought" in line


def test_a_trail_without_nobody_says_that_every_order_has_a_human(evidence: dict[str, Any]) -> None:
    assert "Every order has a human behind it" in drawn(panels.audit((evidence["decision"](),)), 80)[0]


def test_a_limit_that_is_used_up_is_named_in_the_title(evidence: dict[str, Any]) -> None:
    used = replace(evidence["LIMITS"][1], used=2)
    lines = drawn(panels.limits((used,), evidence["NOW"]), 80)
    assert lines[0].strip() == "✗ At the limit: purchases"
    assert "░" not in "".join(lines)


def test_anything_used_and_anything_left_shows_in_the_bar(evidence: dict[str, Any]) -> None:
    for used in (1, 9_999):
        bar = drawn(panels.limits((replace(evidence["LIMITS"][0], used=used, limit=10_000),), evidence["NOW"]), 80)[3]
        assert "█" in bar
        assert "░" in bar


def test_a_metadata_problem_is_told_before_anything_else(evidence: dict[str, Any]) -> None:
    resource = replace(evidence["RESOURCE"], problem="it speaks for http://evil.example/mcp")
    lines = drawn(panels.challenge(replace(evidence["CHALLENGE"], resource=resource)), 80)
    assert "✗ Do not follow it: it speaks for http://evil.example/mcp" in lines[2]


def test_a_token_that_was_never_sent_is_not_called_bad(evidence: dict[str, Any]) -> None:
    # The SDKs answer a missing token with error="invalid_token", which RFC 6750 section 3.1 keeps for one that came.
    refusal = replace(evidence["CHALLENGE"], parameters=(("error", "invalid_token"),))
    lines = drawn(panels.challenge(replace(refusal, anonymous=True)), 80)
    assert "no token" in lines[0] and not any("not good here" in line for line in lines)
    assert any("none was sent" in line for line in lines)
    assert "not good here" in drawn(panels.challenge(refusal), 80)[0]


def test_a_revocation_that_did_not_work_is_a_refusal_of_the_panel(evidence: dict[str, Any]) -> None:
    call = evidence["decision"]()
    lines = drawn(panels.revocation(Revocation("agent", "agent_01", call, call, 0.1)), 80)
    assert lines[0].strip() == "✗ The agent was revoked, and the next call was still allowed"


def test_waiting_for_a_human_is_not_a_refusal(evidence: dict[str, Any]) -> None:
    pending = replace(evidence["EXCHANGE"], status=400, response_body='{"error": "authorization_pending"}')
    assert drawn(panels.exchange(pending), 80)[0].strip().startswith("◔ 400 Bad Request")


def test_side_by_side_neither_a_masked_token_nor_a_name_is_cut_in_its_middle(evidence: dict[str, Any]) -> None:
    given = evidence["EXCHANGE"]
    masked = ("authorization", "Bearer eyJ0eX...zxuQ (1004 characters)")
    address = '{"arguments": {"mailingAddress": "12 Main Street, Springfield, and on to the end of the road"}}'
    lines = drawn(
        panels.exchange(replace(given, request_headers=(masked, *given.request_headers), request_body=address)), 120, 40
    )
    drawn_so = "\n".join(lines)
    assert all(word in drawn_so for word in masked[1].split())
    assert '"mailingAddress": "12' in drawn_so


def test_markup_from_a_server_is_text(evidence: dict[str, Any], printed: Callable[..., str]) -> None:
    loud = replace(evidence["NO_TOKEN"], reason="[bold red]ALLOWED[/] :shirt:")
    assert "[bold red]ALLOWED[/] :shirt:" in printed(panels.decision(loud), color_system="truecolor")


def test_checks_that_passed_are_left_out_before_those_that_did_not(evidence: dict[str, Any]) -> None:
    rows = [("ok", f"fine {number}", "", None) for number in range(40)] + [("bad", "port", "taken", "fix it")]
    lines = drawn(panels.checklist(rows), 80)
    assert len(lines) <= 20
    assert any("✗ port" in line for line in lines)
    assert any("more checks not shown" in line for line in lines)


def test_an_opaque_token_is_not_called_false_for_being_opaque(evidence: dict[str, Any]) -> None:
    opaque = replace(evidence["TOKEN"], kind="opaque", claims=(), header=(), signature=None, problems=("it is opaque",))
    assert drawn(panels.token(opaque, evidence["NOW"]), 80)[0].strip().startswith("? Opaque: only its issuer")
    assert drawn(panels.token(opaque, evidence["NOW"] + 999), 80)[0].strip().startswith("✗ Not to be trusted")


def test_a_token_past_its_end_is_refused_even_where_nobody_named_it_a_problem(evidence: dict[str, Any]) -> None:
    lines = drawn(panels.token(evidence["TOKEN"], evidence["NOW"] + 264), 80)
    assert lines[0].strip() == "✗ Not to be used: expired 12 s ago"


def test_every_gate_before_the_one_that_refused_has_passed_and_none_after_was_reached(evidence: dict[str, Any]) -> None:
    for stop, gate in enumerate(GATES):
        refusal = replace(evidence["SCOPE"], gate=gate, rule=f"{gate}.x")
        [path] = [line for line in drawn(panels.decision(refusal), 80) if "standing" in line and "allowlist" in line]
        for number, name in enumerate(GATES):
            assert f"{'✓' if number < stop else '✗' if number == stop else '·'} {name}" in path


@pytest.mark.parametrize(("gate", "rule"), [("limits", "limits.rate"), ("door", "open.closed")])
def test_a_refusal_at_the_open_door_claims_no_gate_that_was_passed(
    evidence: dict[str, Any], gate: str, rule: str
) -> None:
    refusal = replace(evidence["OPEN"], verdict="deny", gate=gate, rule=rule, remedy="Wait 3 s.")
    shown = "\n".join(drawn(panels.decision(refusal), 80))
    assert "this door has no gates" in shown and "passed" not in shown


def test_an_opaque_token_says_who_was_asked_and_what_nobody_can_know(evidence: dict[str, Any]) -> None:
    alone = "\n".join(drawn(panels.token(evidence["OPAQUE"], evidence["NOW"]), 80))
    assert "no introspection and no userinfo answered" in alone
    assert "not to be known here: who the human is" in alone
    asked = "\n".join(drawn(panels.token(evidence["INTROSPECTED"], evidence["NOW"]), 80))
    assert "✓ Opaque, and its issuer says that it is active" in asked
    assert "introspection, " in asked
    assert "not to be known" not in asked


def test_a_token_that_its_authority_disowns_is_refused(evidence: dict[str, Any]) -> None:
    disowned = replace(evidence["INTROSPECTED"], active=False)
    assert drawn(panels.token(disowned, evidence["NOW"]), 80)[0].strip().startswith("✗ Not to be used")


def test_a_browser_login_shows_what_protects_it_and_never_its_state(evidence: dict[str, Any]) -> None:
    def shown(url: str) -> str:
        asked = AuthorizationRequest(url, evidence["RETURN"], evidence["NOW"] + 9, "An agent", ("shop:buy",))
        return "\n".join(drawn(panels.browser(asked, evidence["NOW"]), 80))

    whole = shown(evidence["AUTHORIZE"])
    assert "✓ the code is asked for this agent only" in whole
    assert "NOBODYS" not in whole
    bare = shown(evidence["AUTHORIZE"].partition("?")[0])
    assert "? nothing binds the code to this agent" in bare
    assert "? the token is asked for no server in particular" in bare


def test_what_is_not_known_of_a_server_is_neither_yes_nor_no(evidence: dict[str, Any]) -> None:
    lines = drawn(panels.capabilities(evidence["CAPABILITIES"]), 80)
    (unknown,) = (line for line in lines if "resource indicators" in line)
    assert unknown.strip().startswith("? ")
    assert "not known" in unknown


def test_a_step_up_says_what_is_new_apart_from_what_is_held(evidence: dict[str, Any]) -> None:
    asked = replace(evidence["DEVICE"], scopes=("openid", "shop:read", "user:read"))
    lines = [line.split("   ")[-1].strip() for line in drawn(panels.device(asked, evidence["NOW"], ("openid",)), 80)]
    whole = "\n".join(drawn(panels.device(asked, evidence["NOW"], ("openid", "shop:read")), 80))
    assert "Shirt Agent asks for one thing more" in whole
    assert "new         Read your profile at the shop" in whole
    assert "◔ Shirt Agent asks for 2 things more" in lines
    first = "\n".join(drawn(panels.device(asked, evidence["NOW"]), 80))
    assert "asks to act for you" in first


def test_a_refusal_by_any_rule_of_the_shop_has_a_title() -> None:
    assert set(REFUSALS) == set(catalog.RULES) - {"allowed", "open.anonymous", "policy.changed"}
