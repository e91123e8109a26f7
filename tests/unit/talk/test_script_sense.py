"""A step that makes no sense is refused where it stands: contradictory options, and names that nobody knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deputize.errors import UsageError
from talk.script import load_talk, vocabulary

ROOT = Path(__file__).parent.parent.parent.parent
BEAT = """\
+++
title = "One"
say = "It was tried."
{top}
[[steps]]
id = "ask"
do = "login"
scopes = ["openid", "shop:buy"]
expect = {{ granted = true }}

[[steps]]
id = "first"
do = "call"
tool = "buyMcpShopItem"
args = {{ company = "Acme", mailingAddress = "1 Road", tshirtSize = "L" }}
expect = {{ status = 200, order = true }}

[[steps]]
id = "tried"
{step}
+++
"""
PLAN = 'title = "Short"\nminutes = 1\n[[sections]]\ntitle = "One"\nminutes = 1\nbeats = [{ id = "one", minutes = 1 }]\n'


def load(folder: Path, step: str, top: str = "") -> None:
    (folder / "plans").mkdir(parents=True)
    (folder / "beats").mkdir()
    (folder / "plans" / "short.toml").write_text(PLAN.replace("1 }", '1, speaker = "Ada" }'), "utf-8")
    (folder / "beats" / "one.md").write_text(BEAT.format(step=step, top=top), "utf-8")
    load_talk(folder)


CALL = 'do = "call"\ntool = "listMcpShopInventory"\n'
CONTRADICTORY = {
    "an expired token of nobody": (CALL + 'who = "nobody"\ntoken = "expired"\nexpect = { status = 401 }', "token"),
    "a forged token at the open door": (CALL + 'door = "open"\ntoken = "forged"\nexpect = { status = 200 }', "token"),
    "the console at the open door": (CALL + 'door = "open"\nwho = "console"\nexpect = { status = 200 }', "who"),
    "an agent lists at the open door": ('do = "tools"\ndoor = "open"\nwho = "agent"\nexpect = { count = 7 }', "who"),
    "a departure from nothing": (
        'do = "call"\ntool = "buyMcpShopItem"\nbut = { tshirtSize = "S" }\nexpect = { status = 200 }',
        "but",
    ),
    "another caller's key": (
        'do = "call"\ntool = "buyMcpShopItem"\nsame_as = "first"\nwho = "twin"\nexpect = { replayed = true }',
        "same_as",
    ),
    "a key of the other door": (
        'do = "call"\ntool = "buyMcpShopItem"\nsame_as = "first"\ndoor = "open"\nexpect = { replayed = true }',
        "same_as",
    ),
    "nobody is deputized": ('do = "login"\nscopes = ["openid"]\nwho = "nobody"\nexpect = { granted = true }', "who"),
    "a no that grants": ('do = "login"\nscopes = ["openid"]\ndecide = "deny"\nexpect = { granted = true }', "expect"),
    "scopes of a no": (
        'do = "login"\nscopes = ["openid"]\ndecide = "deny"\nexpect = { granted = false, scopes = ["openid"] }',
        "expect",
    ),
    "nobody's token is read": ('do = "whoami"\nwho = "nobody"\nexpect = { problems = 0 }', "who"),
    "allowed with 403": (CALL + 'expect = { status = 403, verdict = "allow" }', "expect"),
    "a rule of another gate": (CALL + 'expect = { gate = "scope", rule = "token.missing" }', "expect"),
    "a refusing rule that allows": (CALL + 'expect = { verdict = "allow", rule = "limits.rate" }', "expect"),
    "an attributed nobody": (CALL + 'who = "nobody"\nexpect = { attributed = true }', "expect"),
    "an order of a refusal": (CALL + 'expect = { verdict = "deny", order = true }', "expect"),
    "least above most": (
        'do = "burst"\ntool = "listMcpShopInventory"\nexpect = { allowed_min = 9, allowed_max = 3 }',
        "expect",
    ),
    "before without an end": ('do = "validate"\nblueprint = "A"\nexpect = { before = true }', "expect"),
}


@pytest.mark.parametrize("step", CONTRADICTORY.values(), ids=CONTRADICTORY)
def test_what_contradicts_itself_is_refused_on_its_line(step: tuple[str, str], tmp_path: Path) -> None:
    text, key = step
    with pytest.raises(UsageError) as refused:
        load(tmp_path / "talk", text, top='server = "other"')
    lines = BEAT.format(step=text, top='server = "other"').split("\n")
    line = next(n for n, one in enumerate(lines, 1) if n > 20 and one.startswith(f"{key} = "))
    assert refused.value.what.startswith(f"talk/beats/one.md:{line}: ")
    assert refused.value.do


UNKNOWN = {
    "a tool": 'do = "call"\ntool = "buyMcpShopItm"\nexpect = { status = 200 }',
    "a tool of a burst": 'do = "burst"\ntool = "listMcpShopInventry"\nexpect = { status = 429 }',
    "an argument": 'do = "call"\ntool = "setDemoMode"\nargs = { mod = "banned" }\nexpect = { status = 200 }',
    "a size": 'do = "call"\ntool = "buyMcpShopItem"\nsame_as = "first"\nbut = { tshirtSize = "XXXL" }\n'
    "expect = { is_error = true }",
    "a rule": CALL + 'expect = { rule = "token.mising" }',
    "a gate": CALL + 'expect = { gate = "tokens" }',
    "a verdict": CALL + 'expect = { verdict = "denied" }',
    "a verdict before": 'do = "revoke"\nwhat = "agent"\ntool = "listMcpShopInventory"\nexpect = { before = "yes" }',
    "an error": CALL + 'expect = { error = "invalid_tokn" }',
    "an expected scope": CALL + 'expect = { scope = "shop:sell" }',
    "an account": 'do = "login"\nscopes = ["openid"]\naccount = "alice@example.org"\nexpect = { granted = true }',
    "a scope": 'do = "login"\nscopes = ["shop:bye"]\nexpect = { granted = true }',
    "a granted scope": 'do = "login"\nscopes = ["openid"]\nexpect = { scopes_has = "shop:bye" }',
    "a human": 'do = "sessions"\nexpect = { human = "alise@example.com" }',
    "a listed tool": 'do = "tools"\nexpect = { names_has = ["prettyPleas"] }',
}


@pytest.mark.parametrize("step", UNKNOWN.values(), ids=UNKNOWN)
def test_what_the_bundled_shop_does_not_know_is_refused_and_is_fine_for_another(step: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        load(tmp_path / "ours", step)
    assert re.match(r"ours/beats/one\.md:2\d: ", refused.value.what)
    assert 'server = "other"' in refused.value.why
    assert "write" in refused.value.do or "leave" in refused.value.do
    load(tmp_path / "theirs", step, top='server = "other"')


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "https://", "example.com", "https://a b/"]
)
@pytest.mark.parametrize("kind", ["link", "worker"])
def test_a_link_that_is_no_web_address_is_refused_for_any_server(url: str, kind: str, tmp_path: Path) -> None:
    expect = "expect = { order = true }" if kind == "worker" else ""
    with pytest.raises(UsageError) as refused:
        load(tmp_path / "talk", f'do = "{kind}"\ntitle = "It"\nurl = "{url}"\n{expect}', top='server = "other"')
    assert "no web address" in refused.value.what


@pytest.mark.parametrize("status", ["9999", "0", "99", "299"])
def test_a_status_that_is_none_is_refused_for_any_server(status: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        load(tmp_path / "talk", CALL + f"expect = {{ status = {status} }}", top='server = "other"')
    assert status in refused.value.what


@pytest.mark.parametrize(
    ("top", "what"),
    [
        ('rests_on = ["secnd"]', "rests on a step 'secnd'"),
        ('instead = "It has {first.tools} tools."', "observes no number 'tools'"),
        ('instead = "It has {frist.count} tools."', "names a step that this beat has not"),
        ('instead = "It has {count} tools."', "a brace that names no number"),
        ('server = "theirs"', "'server' is 'theirs'"),
    ],
)
def test_what_a_closing_sentence_rests_on_and_counts_is_in_its_beat(top: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        load(tmp_path / "talk", CALL + "expect = { status = 200 }", top=top)
    assert refused.value.what.startswith("talk/beats/one.md:4: ")
    assert what in refused.value.what


def test_the_talk_knows_the_shop_by_its_own_words() -> None:
    from demo.auth_server.state.accounts import ACCOUNTS
    from demo.policy_file import SHIPPED
    from demo.scopes import SCOPES
    from demo.shop import catalog

    assert set(vocabulary.SCOPES) == set(SCOPES) >= set(catalog.scopes_by(SHIPPED.policy))
    assert set(vocabulary.ACCOUNTS) == {account.email for account in ACCOUNTS}
    assert set(vocabulary.TOOLS) == set(catalog.TOOLS)
    assert vocabulary.VALUES["tshirtSize"] == catalog.SIZES
    # What is said of a policy itself answers no request.
    assert set(vocabulary.RULES) == {name for name, rule in catalog.RULES.items() if rule.gate != "policy"}
