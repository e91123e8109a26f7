"""A talk's files may be wrong in many ways: each is refused with its file, its line and what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.errors import USAGE, UsageError
from talk.script import load_talk

BUY = """\
+++
title = "It buys"
say = "It bought."
topics = ["buy-shirt"]
needs = ["ask"]

[[steps]]
id = "first"
do = "call"
tool = "buyMcpShopItem"
args = { company = "Acme" }
expect = { status = 200, order = true }

[[steps]]
id = "again"
do = "call"
tool = "buyMcpShopItem"
same_as = "first"
show = ["order"]

[steps.expect]
replayed = true
balance = 3500
+++
Notes.
"""
ASK = """\
+++
title = "It asks"
say = "It asked."

[[steps]]
id = "login"
do = "login"
scopes = ["openid", "shop:buy"]
spending = 6000
expect = { granted = true, scopes_has = ["openid"] }

[[steps]]
id = "take"
do = "link"
title = "The code"
url = "https://example.com/"
+++
"""
PLAN = """\
title = "Short"
minutes = 3

[[sections]]
title = "One"
minutes = 1
beats = [
    { id = "ask", minutes = 1, speaker = "Ada" },
]

[[sections]]
title = "Two"
minutes = 2

[[sections.beats]]
id = "buy"
minutes = 2
speaker = "Ada"
"""
SPARE = """\
+++
title = "It waits"
say = "It waited."

[[steps]]
id = "say"
do = "say"
text = "Later."
+++
"""
NEEDY = SPARE.replace("+++\n", '+++\nneeds = ["spare"]\n', 1)
BUY_MD, ASK_MD, SHORT_TOML = "beats/buy.md", "beats/ask.md", "plans/short.toml"
FILES = {BUY_MD: BUY, ASK_MD: ASK, SHORT_TOML: PLAN, "beats/spare.md": SPARE, "beats/needy.md": NEEDY}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def refusal(folder: Path) -> UsageError:
    with pytest.raises(UsageError) as refused:
        load_talk(folder)
    assert refused.value.exit_code == USAGE
    return refused.value


def test_the_talk_that_the_others_spoil_is_itself_in_order(tmp_path: Path) -> None:
    assert set(load_talk(write(tmp_path / "mine", FILES)).beats) == {"ask", "buy", "spare", "needy"}


CASES = {
    # name: (file, what stands there, what is written instead, where and what, the mend)
    "an unknown kind of step": (
        BUY_MD,
        'id = "first"\ndo = "call"',
        'id = "first"\ndo = "cal"',
        "9: unknown step kind 'cal'",
        "did you mean call?",
    ),
    "an unknown key of a beat": (BUY_MD, "topics =", "topic =", "4: unknown key 'topic'", "did you mean topics?"),
    "an unknown key of a step": (BUY_MD, "args =", "arg =", "11: unknown key 'arg'", "did you mean args?"),
    "an option of another kind of step": (BUY_MD, "same_as =", "spending =", "18: unknown key 'spending'", "same_as"),
    "an option of the wrong type": (ASK_MD, "spending = 6000", 'spending = "60"', "9: 'spending' is '60'", "a whole"),
    "true where a number is due": (ASK_MD, "spending = 6000", "spending = true", "9: 'spending' is True", "a whole"),
    "a list of numbers where texts are due": (
        ASK_MD,
        '["openid", "shop:buy"]',
        "[1, 2]",
        "8: 'scopes' is [1, 2]",
        "a list of texts",
    ),
    "an amount below zero": (ASK_MD, "spending = 6000", "spending = -1", "9: 'spending' is -1", "zero or more"),
    "an empty list of scopes": (ASK_MD, '["openid", "shop:buy"]', "[]", "8: 'scopes' is empty", "write it out"),
    "a choice that is not one": (
        BUY_MD,
        "args =",
        'door = "opened"\nargs =',
        "11: 'door' is 'opened'",
        "write one of: protected, open; did you mean open?",
    ),
    "a missing option": (ASK_MD, 'url = "https://example.com/"\n', "", "12: the option 'url' is missing", "write url"),
    "a missing title of a link": (ASK_MD, 'title = "The code"\n', "", "12: 'title' is missing", "write title"),
    "a panel that the kind does not have": (
        BUY_MD,
        'show = ["order"]',
        'show = ["orders"]',
        "19: a 'call' step has no panel 'orders'",
        "did you mean order?",
    ),
    "a show that is no list": (BUY_MD, 'show = ["order"]', 'show = "order"', "19: 'show' is not a list", "write show"),
    "an expectation that the kind cannot observe": (
        BUY_MD,
        "balance = 3500",
        "ballance = 3500",
        "23: a 'call' step cannot observe 'ballance'",
        "did you mean balance?",
    ),
    "an expectation of the wrong type": (
        BUY_MD,
        "balance = 3500",
        'balance = "35.00"',
        "23: 'balance' expects '35.00'",
        "write a whole number",
    ),
    "an expectation within an inline table": (
        BUY_MD,
        "order = true }",
        "order = 1 }",
        "12: 'order' expects 1",
        "true or false",
    ),
    "a matcher for lists on a number": (
        BUY_MD,
        "balance = 3500",
        "balance_has = [3500]",
        "23: 'balance' cannot be matched by 'balance_has'",
        "_has is for lists",
    ),
    "a matcher for numbers on a text": (
        BUY_MD,
        "balance = 3500",
        "rule_min = 3",
        "23: 'rule' cannot be matched by 'rule_min'",
        "write rule = a text",
    ),
    "a matcher that nothing could fail": (
        ASK_MD,
        'scopes_has = ["openid"]',
        "scopes_has = []",
        "10: 'scopes_has' expects nothing",
        "name what the list must contain",
    ),
    "a step that speaks without an expectation": (
        BUY_MD,
        "expect = { status = 200, order = true }\n",
        "",
        "7: a 'call' step without an expectation",
        "write expect = { ... } of: status",
    ),
    "an empty expectation": (
        BUY_MD,
        "{ status = 200, order = true }",
        "{}",
        "7: a 'call' step without an expectation",
        "write expect",
    ),
    "an expectation that is no table": (
        BUY_MD,
        "{ status = 200, order = true }",
        "200",
        "12: 'expect' is not a table",
        "[steps.expect]",
    ),
    "an expectation of a step that does not speak": (
        ASK_MD,
        'title = "The code"',
        'title = "The code"\nexpect = { status = 200 }',
        "16: a 'link' step cannot observe 'status'",
        "take it away",
    ),
    "two steps of one name": (BUY_MD, '"again"', '"first"', "15: two steps are called 'first'", "line 7 has"),
    "a step's id that is none": (BUY_MD, '"again"', '"Again!"', "15: 'Again!' cannot be an id", "small letters"),
    "a step without an id": (BUY_MD, 'id = "again"\n', "", "14: 'id' is missing", 'write id = "..."'),
    "a repeated purchase that repeats nothing": (
        BUY_MD,
        'same_as = "first"',
        'same_as = "frist"',
        "18: same_as names no earlier purchase 'frist'",
        "did you mean buy/first?",
    ),
    "a repeated purchase of another beat that has none": (
        BUY_MD,
        'same_as = "first"',
        'same_as = "ask/login"',
        "18: same_as names no earlier purchase 'ask/login'",
        "write one of: buy/first",
    ),
    "a repeated call of something that is no purchase": (
        BUY_MD,
        'tool = "buyMcpShopItem"\nsame_as',
        'tool = "getUserInfo"\nsame_as',
        "18: same_as on a call of 'getUserInfo'",
        "buyMcpShopItem",
    ),
    "a repeated purchase with arguments of its own": (
        BUY_MD,
        'same_as = "first"',
        'same_as = "first"\nargs = { company = "Other" }',
        "19: args beside same_as",
        "leave args out",
    ),
    "a need that is no beat": (BUY_MD, '["ask"]', '["asks"]', "5: needs names an unknown beat 'asks'", "mean ask?"),
    "a need of itself": (BUY_MD, '["ask"]', '["ask", "buy"]', "5: the beat 'buy' needs itself", "take its own id"),
    "an unknown topic": (BUY_MD, '"buy-shirt"', '"by-shirt"', "4: unknown topic 'by-shirt'", "did you mean buy-shirt?"),
    "an empty sentence to say": (BUY_MD, '"It bought."', '" "', "3: 'say' is empty", "1 to 100 characters"),
    "no sentence to say": (BUY_MD, 'say = "It bought."\n', "", "2: 'say' is missing", 'write say = "..."'),
    "a sentence too long to say": (
        BUY_MD,
        "It bought.",
        "It bought. " * 10,
        "3: 'say' has 110 characters",
        "shorten it to 100",
    ),
    "a title too long for the header": (BUY_MD, "It buys", "buy " * 16, "2: 'title' has 64", "shorten it to 60"),
    "a title that is no text": (BUY_MD, '"It buys"', "1", "2: 'title' is not a text", "write title"),
    "a control character that would reach the terminal": (
        BUY_MD,
        "It buys",
        r"It \u001b[2Jbuys",
        "2: 'title' has U+001B, a control character, at character",
        "on one line",
    ),
    "a beat without steps": (
        BUY_MD,
        BUY[BUY.index("[[steps]]") : BUY.index("+++\nNotes")],
        "",
        "2: no [[steps]]",
        "at least one",
    ),
    "steps that are no tables": (
        BUY_MD,
        BUY[BUY.index("[[steps]]") : BUY.index("+++\nNotes")],
        'steps = ["call"]\n',
        "7: no [[steps]]",
        "at least one [[steps]] table",
    ),
    "no front matter": (BUY_MD, "+++\ntitle", "title", "1: no front matter", "two lines of +++"),
    "front matter without an end": (BUY_MD, "+++\nNotes.", "Notes.", "1: the front matter has no end", "two lines of"),
    "broken TOML in a beat": (BUY_MD, 'say = "It bought."', "say = It bought.", "3: not TOML", "fix the syntax"),
    "a TOML table that is said twice": (
        BUY_MD,
        "balance = 3500",
        "replayed = false",
        "23: not TOML",
        "fix the syntax",
    ),
    "broken TOML at the very end": (SHORT_TOML, 'speaker = "Ada"\n', "speaker", "18: not TOML", "fix the syntax"),
    "a plan with an unknown beat": (SHORT_TOML, '"buy"', '"by"', "16: unknown beat 'by'", "did you mean buy?"),
    "an unknown beat in an inline table": (SHORT_TOML, '"ask"', '"aks"', "8: unknown beat 'aks'", "did you mean ask?"),
    "a beat twice in a plan": (
        SHORT_TOML,
        '    { id = "ask", minutes = 1, speaker = "Ada" },\n',
        '    { id = "ask", minutes = 0.5, speaker = "Ada" },\n    { id = "ask", minutes = 0.5, speaker = "Ada" },\n',
        "9: the beat 'ask' is in this plan twice",
        "leave one of them out",
    ),
    "a need that does not come before": (
        SHORT_TOML,
        '{ id = "ask", minutes = 1, speaker = "Ada" }',
        '{ id = "buy", minutes = 1, speaker = "Ada" }',
        "8: the beat 'buy' needs 'ask', which does not come before it",
        "put ask somewhere before buy",
    ),
    "an encore that is no beat": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = ["byu"]',
        "3: unknown beat 'byu'",
        "did you mean buy?",
    ),
    "an encore that is in the plan already": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = ["buy"]',
        "3: the encore 'buy' is in this plan already",
        "take it out of one of the two",
    ),
    "encores that are no list": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = "buy"',
        "3: 'encores' is not a list of texts",
        "write encores = [",
    ),
    "an encore twice": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = ["spare", "spare"]',
        "3: the encore 'spare' is named twice",
        "leave one of them out",
    ),
    "an encore whose need is not in the plan": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = ["needy"]',
        "3: the encore 'needy' needs 'spare', which is not in this plan",
        "put spare into the plan",
    ),
    "a section whose beats do not add up": (
        SHORT_TOML,
        'id = "buy"\nminutes = 2',
        'id = "buy"\nminutes = 1.5',
        "13: the section 'Two' lasts 2 minutes, but its beats add up to 1.5",
        "write minutes = 1.5 here",
    ),
    "sections that do not add up to the plan": (
        SHORT_TOML,
        "minutes = 3",
        "minutes = 15",
        "2: the plan lasts 15 minutes, but its sections add up to 3",
        "write minutes = 3 here",
    ),
    "minutes that are no number": (SHORT_TOML, "minutes = 3", 'minutes = "3"', "2: 'minutes' is '3'", "above zero"),
    "no minutes": (SHORT_TOML, 'id = "buy"\nminutes = 2', 'id = "buy"', "15: 'minutes' is missing", "above zero"),
    "minutes without end": (SHORT_TOML, "minutes = 3", "minutes = inf", "2: 'minutes' is inf", "above zero"),
    "no speaker": (
        SHORT_TOML,
        'minutes = 2\nspeaker = "Ada"\n',
        "minutes = 2\n",
        "15: 'speaker' is missing",
        "speaker",
    ),
    "an unknown key of a plan": (
        SHORT_TOML,
        "minutes = 3",
        "minutes = 3\npace = 1",
        "3: unknown key 'pace'",
        "sections",
    ),
    "an unknown key of a section": (
        SHORT_TOML,
        'title = "Two"',
        'title = "Two"\nby = "me"',
        "13: unknown key 'by'",
        "",
    ),
    "an unknown key of a place": (
        SHORT_TOML,
        'speaker = "Ada" },',
        'speaker = "Ada", speeker = "Ada" },',
        "8: unknown key 'speeker'",
        "did you mean speaker?",
    ),
    "an empty plan": (SHORT_TOML, PLAN[PLAN.index("\n[[sections]]") :], "\n", "1: no [[sections]]", "at least one"),
    "an empty section": (
        SHORT_TOML,
        PLAN[PLAN.index("\n[[sections.beats]]") :],
        "\n",
        "11: no [[sections.beats]]",
        "at least one [[sections.beats]] table",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_file_line_and_mend(name: str, tmp_path: Path) -> None:
    file, there, instead, what, do = CASES[name]
    text = FILES[file]
    assert there in text, "the case must spoil something"
    error = refusal(write(tmp_path / "mine", {**FILES, file: text.replace(there, instead, 1)}))
    assert error.what.startswith(f"mine/{file}:{what}")
    assert do in error.do


@pytest.mark.parametrize("name", CASES)
def test_one_slip_is_told_as_one_problem(name: str, tmp_path: Path) -> None:
    two_slips = {"a need that does not come before"}  # that beat then stands twice in the plan as well
    file, there, instead, *_ = CASES[name]
    error = refusal(write(tmp_path / "mine", {**FILES, file: FILES[file].replace(there, instead, 1)}))
    assert ("more problem" in error.why) <= (name in two_slips), error.why


def test_all_problems_are_counted_and_the_first_of_the_first_file_is_told(tmp_path: Path) -> None:
    files = {
        BUY_MD: BUY.replace('title = "It buys"', 'title = ""').replace("balance = 3500", "ballance = 3500"),
        ASK_MD: ASK.replace('do = "link"', 'do = "lnk"'),
        SHORT_TOML: PLAN.replace("minutes = 3", "minutes = 4"),
    }
    error = refusal(write(tmp_path / "mine", files))
    assert error.what == "mine/beats/ask.md:14: unknown step kind 'lnk'"
    assert error.why == "3 more problems in this talk's files"


def test_a_broken_beat_is_one_problem_and_not_also_one_of_the_plan(tmp_path: Path) -> None:
    error = refusal(write(tmp_path / "mine", {**FILES, ASK_MD: "nothing"}))
    assert error.what == "mine/beats/ask.md:1: no front matter"
    assert error.why == ""


@pytest.mark.parametrize(
    ("missing", "what"), [("beats", "no beats in mine/beats"), ("plans", "no plans in mine/plans")]
)
def test_a_folder_without_beats_or_without_plans_is_refused(missing: str, what: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", {name: text for name, text in FILES.items() if not name.startswith(missing)})
    error = refusal(folder)
    assert error.what == what
    assert "put at least one" in error.do


def test_a_folder_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nowhere")
    assert "nowhere" in error.what


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", FILES)
    (folder / BUY_MD).write_bytes(b'+++\ntitle = "\xff\xfe"\n+++\n')
    error = refusal(folder)
    assert error.what == "mine/beats/buy.md:1: cannot be read"
    assert "UTF-8" in error.do


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (BUY_MD, "beats/Buy It.md", "'Buy It' cannot be a beat's id"),
        (SHORT_TOML, "plans/Short.toml", "'Short' cannot be a plan's id"),
    ],
)
def test_a_file_whose_name_cannot_be_typed_as_an_id_is_refused(old: str, new: str, what: str, tmp_path: Path) -> None:
    files = {new if name == old else name: text for name, text in FILES.items()}
    error = refusal(write(tmp_path / "mine", files))
    assert error.what == f"mine/{new}:1: {what}"


@pytest.mark.parametrize(
    ("escape", "what"),
    [
        ("\\u0007", "U+0007, a control character, at character 3"),
        ("\\n", "U+000A, a line break, at character 3"),
        ("\\t", "U+0009, a tab, at character 3"),
        ("\\u0085", "U+0085, a line break, at character 3"),
        ("\\u2028", "U+2028, LINE SEPARATOR, at character 3"),
        ("\\u202e", "U+202E, RIGHT-TO-LEFT OVERRIDE, at character 3"),
        ("\\u2066", "U+2066, LEFT-TO-RIGHT ISOLATE, at character 3"),
    ],
)
@pytest.mark.parametrize("key", ["title", "say"])
def test_a_sign_that_a_line_cannot_hold_is_named_with_its_place(
    escape: str, what: str, key: str, tmp_path: Path
) -> None:
    text = re.sub(
        rf'^{key} = ".*"$', f'{key} = "It{escape}buys"'.replace("\\", "\\\\"), BUY, count=1, flags=re.MULTILINE
    )
    error = refusal(write(tmp_path / "mine", FILES | {BUY_MD: text}))
    assert f"'{key}' has {what}" in error.what


@pytest.mark.parametrize(
    "title",
    [
        "Qui a dit oui\u00a0?",
        "می\u200cخواهم",
        "क्\u200dष",
        "👨\u200d👩\u200d👧 buy",
        "e\u0301té",
        "שלום\u200f!",
        "\u3000東京",
    ],
)
def test_what_a_language_or_an_emoji_needs_is_a_title(title: str, tmp_path: Path) -> None:
    talk = load_talk(write(tmp_path / "mine", FILES | {BUY_MD: BUY.replace('title = "It buys"', f'title = "{title}"')}))
    assert talk.beat("buy").title == title


@pytest.mark.parametrize(
    ("number", "what"),
    [
        ("1" * 4301, "a number of thousands of digits"),
        ("1" * 400, "'balance' has a number beyond 64 bits"),
        ("0x" + "f" * 5000, "'balance' has a number beyond 64 bits"),
        (str(2**63), "'balance' has a number beyond 64 bits"),
    ],
)
def test_a_number_that_no_machine_holds_is_refused_with_its_line(number: str, what: str, tmp_path: Path) -> None:
    text = BUY.replace("balance = 3500", f"balance = {number}")
    line = next(at for at, one in enumerate(text.split("\n"), 1) if "balance = " in one)
    error = refusal(write(tmp_path / "mine", FILES | {BUY_MD: text}))
    assert error.what == f"mine/beats/buy.md:{line}: {what}"


def test_what_is_nested_too_deep_is_refused_with_its_file(tmp_path: Path) -> None:
    text = BUY.replace("balance = 3500", f"balance = {'[' * 5000}")
    assert refusal(write(tmp_path / "mine", FILES | {BUY_MD: text})).what.startswith("mine/beats/buy.md:")
