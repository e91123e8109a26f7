"""`demo hand-on`: a sub-agent from the command line, what it may, and its end."""

from __future__ import annotations

import json
import re

from demo.policy_file import NAME, SHIPPED
from tests.conftest import Command


def test_a_sub_agent_buys_within_its_budget_and_ends_alone(demo: Command) -> None:
    assert demo("login", "--browser").returncode == 0
    made = demo("--json", "hand-on", "Buyer", "--spend", "30.00")
    told = json.loads(made.stdout)
    assert (made.returncode, told["scopes"], len(told["handed_on_by"])) == (0, ["shop:read", "shop:buy"], 1)
    shirt = ("buyMcpShopItem", "company=Acme", "mailingAddress=1 Main Street", "tshirtSize=M")
    bought, refused = (demo("call", "--sub-agent", "Buyer", *shirt) for _ in range(2))
    assert (bought.returncode, refused.returncode) == (0, 4)
    people = {"who": "Alice", "through": "Buyer"}
    assert _named(bought.stdout) == people
    assert _named(refused.stdout) == {**people, "hired by": "Shirt Agent"}
    trail = json.loads(demo("--json", "audit").stdout)["events"]
    handed_on = [(one["said"], one["agent"], one["agent_name"]) for one in trail if one["kind"] == "delegation"]
    assert handed_on == [("delegated", told["agent"], "Buyer")]
    drawn = demo("whoami", "--sub-agent", "Buyer")
    assert drawn.returncode == 0 and drawn.stdout.lstrip().startswith("✓ Alice → Shirt Agent → Buyer")
    assert demo("revoke", "--agent", "--id", told["agent"]).returncode == 0
    assert demo("whoami", "--sub-agent", "Buyer").returncode == 4
    assert demo("whoami").returncode == 0, "the agent above goes on"
    assert demo("hand-on", "Greedy", "--scope", "user:read").returncode == 4


def test_a_human_approves_a_purchase_of_a_sub_agent_for_it_alone(demo: Command) -> None:
    demo.state.mkdir(mode=0o700)
    (demo.state / NAME).write_text(SHIPPED.text.replace("above = 5000", "above = 2000"))
    assert demo("login", "--browser").returncode == 0
    made = json.loads(demo("--json", "hand-on", "Buyer", "--spend", "30.00").stdout)
    shirt = ("buyMcpShopItem", "company=Acme", "mailingAddress=1 Main Street", "tshirtSize=M")
    refused = json.loads(demo("--json", "call", "--sub-agent", "Buyer", *shirt).stdout)
    assert refused["decision"]["rule"] == "limits.approval"
    bought = json.loads(demo("--json", "call", "--sub-agent", "Buyer", "--step-up", *shirt).stdout)
    assert (bought["status"], bought["decision"]["agent"]) == (200, made["agent"])
    assert bought["decision"]["handed_on_by"] == " ".join(made["handed_on_by"])
    assert bought["result"]["order"]["balance"]["amount"] == 500, "of what was handed on to it"
    demo("logout")
    assert "demo hand-on Buyer" in demo("whoami", "--sub-agent", "Buyer").stdout, "and no login of its own"
    assert demo("call", "--sub-agent", "Buyer", "--step-up", *shirt).returncode == 4


def _named(drawn: str) -> dict[str, str]:
    """Who a panel names, by its labels, without the ids beside them."""
    rows = (re.fullmatch(r"  (who|through|hired by) +(\S.*?)(?:  .*)?", line) for line in drawn.splitlines())
    return {row[1]: row[2] for row in rows if row is not None}


def test_who_got_nothing_and_who_has_nothing_is_said_in_a_code(demo: Command) -> None:
    assert demo("call", "--sub-agent", "Nobody", "listMcpShopInventory").returncode == 2
    assert demo("hand-on", "A/B").returncode == 2
    assert demo("hand-on", "Early").returncode == 4
