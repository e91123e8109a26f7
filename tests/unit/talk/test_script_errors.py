"""A talk's files may be wrong in many ways: each is refused with its file, its line and what to write instead."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from demo.errors import USAGE
from deputize.errors import UsageError
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
SENTENCES = Path(__file__).with_name("sentences.txt")
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
    # name: (file, what stands there, what is written instead, the line that is named)
    "an unknown kind of step": (
        BUY_MD,
        'id = "first"\ndo = "call"',
        'id = "first"\ndo = "cal"',
        9,
    ),
    "an unknown key of a beat": (BUY_MD, "topics =", "topic =", 4),
    "an unknown key of a step": (BUY_MD, "args =", "arg =", 11),
    "an option of another kind of step": (BUY_MD, "same_as =", "spending =", 18),
    "an option of the wrong type": (ASK_MD, "spending = 6000", 'spending = "60"', 9),
    "true where a number is due": (ASK_MD, "spending = 6000", "spending = true", 9),
    "a list of numbers where texts are due": (
        ASK_MD,
        '["openid", "shop:buy"]',
        "[1, 2]",
        8,
    ),
    "an amount below zero": (ASK_MD, "spending = 6000", "spending = -1", 9),
    "an empty list of scopes": (ASK_MD, '["openid", "shop:buy"]', "[]", 8),
    "a choice that is not one": (
        BUY_MD,
        "args =",
        'door = "opened"\nargs =',
        11,
    ),
    "a missing option": (ASK_MD, 'url = "https://example.com/"\n', "", 12),
    "a missing title of a link": (ASK_MD, 'title = "The code"\n', "", 12),
    "a panel that the kind does not have": (
        BUY_MD,
        'show = ["order"]',
        'show = ["ordr"]',
        19,
    ),
    "a see in a step that shows nothing": (
        BUY_MD,
        'show = ["order"]',
        'show = []\nsee = ["Bought"]',
        20,
    ),
    "a see of no text": (
        BUY_MD,
        'show = ["order"]',
        'show = ["order"]\nsee = [" "]',
        20,
    ),
    "a show that is no list": (BUY_MD, 'show = ["order"]', 'show = "order"', 19),
    "an expectation that the kind cannot observe": (
        BUY_MD,
        "balance = 3500",
        "ballance = 3500",
        23,
    ),
    "an expectation of the wrong type": (
        BUY_MD,
        "balance = 3500",
        'balance = "35.00"',
        23,
    ),
    "an expectation within an inline table": (
        BUY_MD,
        "order = true }",
        "order = 1 }",
        12,
    ),
    "a matcher for lists on a number": (
        BUY_MD,
        "balance = 3500",
        "balance_has = [3500]",
        23,
    ),
    "a matcher for numbers on a text": (
        BUY_MD,
        "balance = 3500",
        "rule_min = 3",
        23,
    ),
    "a matcher that nothing could fail": (
        ASK_MD,
        'scopes_has = ["openid"]',
        "scopes_has = []",
        10,
    ),
    "a step that speaks without an expectation": (
        BUY_MD,
        "expect = { status = 200, order = true }\n",
        "",
        7,
    ),
    "an empty expectation": (
        BUY_MD,
        "{ status = 200, order = true }",
        "{}",
        7,
    ),
    "an expectation that is no table": (
        BUY_MD,
        "{ status = 200, order = true }",
        "200",
        12,
    ),
    "an expectation of a step that does not speak": (
        ASK_MD,
        'title = "The code"',
        'title = "The code"\nexpect = { status = 200 }',
        16,
    ),
    "two steps of one name": (BUY_MD, '"again"', '"first"', 15),
    "a step's id that is none": (BUY_MD, '"again"', '"Again!"', 15),
    "a step without an id": (BUY_MD, 'id = "again"\n', "", 14),
    "a repeated purchase that repeats nothing": (
        BUY_MD,
        'same_as = "first"',
        'same_as = "frist"',
        18,
    ),
    "a repeated purchase of another beat that has none": (
        BUY_MD,
        'same_as = "first"',
        'same_as = "ask/login"',
        18,
    ),
    "a repeated call of something that is no purchase": (
        BUY_MD,
        'tool = "buyMcpShopItem"\nsame_as',
        'tool = "getUserInfo"\nsame_as',
        18,
    ),
    "a repeated purchase without its tool": (BUY_MD, 'tool = "buyMcpShopItem"\nsame_as', "same_as", 14),
    "a repeated purchase with arguments of its own": (
        BUY_MD,
        'same_as = "first"',
        'same_as = "first"\nargs = { company = "Other" }',
        19,
    ),
    "a need that is no beat": (BUY_MD, '["ask"]', '["asks"]', 5),
    "a need of itself": (BUY_MD, '["ask"]', '["ask", "buy"]', 5),
    "an unknown topic": (BUY_MD, '"buy-shirt"', '"by-shirt"', 4),
    "an empty sentence to say": (BUY_MD, '"It bought."', '" "', 3),
    "no sentence to say": (BUY_MD, 'say = "It bought."\n', "", 2),
    "a sentence too long to say": (
        BUY_MD,
        "It bought.",
        "It bought. " * 10,
        3,
    ),
    "a title too long for the header": (BUY_MD, "It buys", "buy " * 16, 2),
    "a title that is no text": (BUY_MD, '"It buys"', "1", 2),
    "a control character that would reach the terminal": (
        BUY_MD,
        "It buys",
        r"It \u001b[2Jbuys",
        2,
    ),
    "a beat without steps": (
        BUY_MD,
        BUY[BUY.index("[[steps]]") : BUY.index("+++\nNotes")],
        "",
        2,
    ),
    "steps that are no tables": (
        BUY_MD,
        BUY[BUY.index("[[steps]]") : BUY.index("+++\nNotes")],
        'steps = ["call"]\n',
        7,
    ),
    "no front matter": (BUY_MD, "+++\ntitle", "title", 1),
    "front matter without an end": (BUY_MD, "+++\nNotes.", "Notes.", 1),
    "broken TOML in a beat": (BUY_MD, 'say = "It bought."', "say = It bought.", 3),
    "a TOML table that is said twice": (
        BUY_MD,
        "balance = 3500",
        "replayed = false",
        23,
    ),
    "broken TOML at the very end": (SHORT_TOML, 'speaker = "Ada"\n', "speaker", 18),
    "a plan with an unknown beat": (SHORT_TOML, '"buy"', '"by"', 16),
    "an unknown beat in an inline table": (SHORT_TOML, '"ask"', '"aks"', 8),
    "a beat twice in a plan": (
        SHORT_TOML,
        '    { id = "ask", minutes = 1, speaker = "Ada" },\n',
        '    { id = "ask", minutes = 0.5, speaker = "Ada" },\n    { id = "ask", minutes = 0.5, speaker = "Ada" },\n',
        9,
    ),
    "a need that does not come before": (
        SHORT_TOML,
        '{ id = "ask", minutes = 1, speaker = "Ada" }',
        '{ id = "buy", minutes = 1, speaker = "Ada" }',
        8,
    ),
    "optional that is no yes or no": (
        SHORT_TOML,
        '{ id = "ask", minutes = 1, speaker = "Ada" }',
        '{ id = "ask", minutes = 1, speaker = "Ada", optional = "yes" }',
        8,
    ),
    "an optional beat that a later one needs": (
        SHORT_TOML,
        '{ id = "ask", minutes = 1, speaker = "Ada" }',
        '{ id = "ask", minutes = 1, speaker = "Ada", optional = true }',
        16,
    ),
    "an encore that is no beat": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = ["byu"]',
        3,
    ),
    "an encore that is in the plan already": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = ["buy"]',
        3,
    ),
    "encores that are no list": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = "buy"',
        3,
    ),
    "an encore twice": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = ["spare", "spare"]',
        3,
    ),
    "an encore whose need is not in the plan": (
        SHORT_TOML,
        "minutes = 3",
        'minutes = 3\nencores = ["needy"]',
        3,
    ),
    "a section whose beats do not add up": (
        SHORT_TOML,
        'id = "buy"\nminutes = 2',
        'id = "buy"\nminutes = 1.5',
        13,
    ),
    "sections that do not add up to the plan": (
        SHORT_TOML,
        "minutes = 3",
        "minutes = 15",
        2,
    ),
    "minutes that are no number": (SHORT_TOML, "minutes = 3", 'minutes = "3"', 2),
    "no minutes": (SHORT_TOML, 'id = "buy"\nminutes = 2', 'id = "buy"', 15),
    "minutes without end": (SHORT_TOML, "minutes = 3", "minutes = inf", 2),
    "no speaker": (
        SHORT_TOML,
        'minutes = 2\nspeaker = "Ada"\n',
        "minutes = 2\n",
        15,
    ),
    "an unknown key of a plan": (
        SHORT_TOML,
        "minutes = 3",
        "minutes = 3\npace = 1",
        3,
    ),
    "an unknown key of a section": (
        SHORT_TOML,
        'title = "Two"',
        'title = "Two"\nby = "me"',
        13,
    ),
    "an unknown key of a place": (
        SHORT_TOML,
        'speaker = "Ada" },',
        'speaker = "Ada", speeker = "Ada" },',
        8,
    ),
    "an empty plan": (SHORT_TOML, PLAN[PLAN.index("\n[[sections]]") :], "\n", 1),
    "an empty section": (
        SHORT_TOML,
        PLAN[PLAN.index("\n[[sections.beats]]") :],
        "\n",
        11,
    ),
}


def spoilt(name: str, root: Path) -> UsageError:
    """How a case is refused."""
    file, there, instead, _ = CASES[name]
    assert there in FILES[file], "the case must spoil something"
    return refusal(write(root / "mine", {**FILES, file: FILES[file].replace(there, instead, 1)}))


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_file_and_line_and_what_to_write_instead(name: str, tmp_path: Path) -> None:
    error = spoilt(name, tmp_path)
    assert error.what.startswith(f"mine/{CASES[name][0]}:{CASES[name][3]}: ")
    assert error.do


@pytest.mark.parametrize("name", CASES)
def test_one_slip_is_one_problem(name: str, tmp_path: Path) -> None:
    two_slips = {"a need that does not come before"}  # that beat then stands twice in the plan as well
    error = spoilt(name, tmp_path)
    assert ("more problem" in error.why) <= (name in two_slips), error.why


def sentences(root: Path) -> str:
    """Every case with how it is refused."""
    said: list[str] = []
    for at, name in enumerate(CASES):
        error = spoilt(name, root / str(at))
        said += [f"## {name}", error.what, *([f"why: {error.why}"] if error.why else []), f"do: {error.do}", ""]
    return "\n".join(said)


def test_the_sentences_are_as_they_were_written_down(tmp_path: Path) -> None:
    """No other test holds them. Changed one on purpose? `.venv/bin/python -m tests.unit.talk.test_script_errors`."""
    assert sentences(tmp_path) == SENTENCES.read_text("utf-8")


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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        SENTENCES.write_text(sentences(Path(folder)), "utf-8")
