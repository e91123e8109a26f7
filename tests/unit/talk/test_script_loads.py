"""Loading a talk: what a beat and a plan become, and that anybody's folder will do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deputize.errors import UsageError
from talk.playing.kind import holds
from talk.script import Plan, Talk, load_talk
from tests.conftest import HANGS

HELLO = """\
+++
title = "A shirt for nobody"
say = "It bought a shirt."

[[steps]]
id = "look"
do = "tools"
expect = { status = 200, names_has = "buyMcpShopItem" }

[[steps]]
id = "buy"
do = "call"
tool = "buyMcpShopItem"
args = { company = "Acme", tshirtSize = "S" }
show = []

[steps.expect]
status = 200
order = true

[[steps]]
id = "twice"
do = "call"
tool = "buyMcpShopItem"
same_as = "buy"
expect = { replayed = true }
+++

# For the speaker

Breathe.
"""
BYE = """\
+++
title = "And again"
say = "It did not buy another one."
topics = ["buy-shirt"]
needs = ["hello"]

[[steps]]
id = "thrice"
do = "call"
tool = "buyMcpShopItem"
same_as = "hello/buy"
expect = { replayed = true }
+++
"""
PLAN = """\
title = "A lightning talk"
minutes = 2

[[sections]]
title = "All of it"
minutes = 2

[[sections.beats]]
id = "hello"
minutes = 1.2
speaker = "Ada"

[[sections.beats]]
id = "bye"
minutes = 0.8
speaker = "Grace"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Somebody else's talk, of two beats and a plan."""
    root = tmp_path / "lightning"
    (root / "beats").mkdir(parents=True)
    (root / "plans").mkdir()
    (root / "beats" / "hello.md").write_text(HELLO, encoding="utf-8")
    (root / "beats" / "bye.md").write_text(BYE, encoding="utf-8")
    (root / "plans" / "short.toml").write_text(PLAN, encoding="utf-8")
    return root


def short(folder: Path) -> tuple[Talk, Plan]:
    talk = load_talk(folder)
    return talk, talk.plan("short")


def test_somebody_elses_talk_loads_from_its_own_folder(folder: Path) -> None:
    talk, plan = short(folder)
    assert set(talk.beats) == {"hello", "bye"}
    assert talk.folder == folder
    assert [(p.beat.id, p.minutes, p.speaker, p.section) for p in plan.beats] == [
        ("hello", 1.2, "Ada", "All of it"),
        ("bye", 0.8, "Grace", "All of it"),
    ]
    assert (plan.id, plan.title, plan.minutes, [s.title for s in plan.sections]) == (
        "short",
        "A lightning talk",
        2.0,
        ["All of it"],
    )


def test_an_encore_is_beside_the_plan_and_takes_none_of_its_minutes(folder: Path) -> None:
    (folder / "beats" / "more.md").write_text(BYE.replace("And again", "One more"), encoding="utf-8")
    plan_file = folder / "plans" / "short.toml"
    plan_file.write_text(PLAN.replace("minutes = 2\n", 'minutes = 2\nencores = ["more"]\n', 1), encoding="utf-8")
    _, plan = short(folder)
    assert [one.beat.id for one in plan.beats] == ["hello", "bye"]
    assert [(one.beat.title, one.minutes) for one in plan.encores] == [("One more", 0.0)]
    assert plan.find("more") is None and plan.encore("more") == plan.encores[0]
    assert plan.encore("hello") is None


def test_the_bundled_talk_has_no_folder_of_its_own() -> None:
    assert load_talk().folder is None


def test_a_step_carries_its_options_with_defaults_and_its_expectations(folder: Path) -> None:
    look, buy, _ = load_talk(folder).beat("hello").steps
    assert dict(look.options) == {"door": "protected", "who": "agent"}
    assert dict(buy.options) == {
        "tool": "buyMcpShopItem",
        "args": {"company": "Acme", "tshirtSize": "S"},
        "door": "protected",
        "who": "agent",
        "token": "stored",
    }
    assert dict(buy.expect) == {"status": 200, "order": True}


def test_a_step_that_does_not_say_shows_its_kinds_first_panel_and_an_empty_list_shows_nothing(folder: Path) -> None:
    look, buy, _ = load_talk(folder).beat("hello").steps
    assert look.show == ("tools",)
    assert buy.show == ()


def test_a_repeated_purchase_takes_the_arguments_of_the_first_within_a_beat_and_across_beats(folder: Path) -> None:
    talk = load_talk(folder)
    for beat, step in (("hello", "twice"), ("bye", "thrice")):
        repeated = talk.beat(beat).step(step)
        assert repeated is not None
        assert repeated.options["same_as"] == "hello/buy"
        assert repeated.options["args"] == {"company": "Acme", "tshirtSize": "S"}


def test_what_was_loaded_cannot_be_changed(folder: Path) -> None:
    step = load_talk(folder).beat("hello").steps[1]
    with pytest.raises(TypeError):
        step.options["tool"] = "other"  # type: ignore[index]  # that it is refused is the claim
    with pytest.raises(TypeError):
        step.options["args"]["company"] = "Other"


def test_the_expectations_are_as_the_runner_matches_them(folder: Path) -> None:
    look = load_talk(folder).beat("hello").steps[0]
    seen = {"status": 200, "names": ["listMcpShopInventory", "buyMcpShopItem"]}
    assert all(holds(key, wanted, seen) for key, wanted in look.expect.items())
    assert not holds("names_has", look.expect["names_has"], {"names": ["listMcpShopInventory"]})


def test_the_notes_are_what_follows_the_front_matter(folder: Path) -> None:
    talk = load_talk(folder)
    assert talk.beat("hello").notes == "# For the speaker\n\nBreathe."
    assert talk.beat("bye").notes == ""


def test_a_file_saved_with_windows_line_ends_and_a_byte_order_mark_loads(folder: Path) -> None:
    path = folder / "beats" / "hello.md"
    path.write_bytes(b"\xef\xbb\xbf" + HELLO.replace("\n", "\r\n").encode())
    assert load_talk(folder).beat("hello").steps[1].id == "buy"
    path.write_bytes(path.read_bytes().replace(b'do = "tools"', b'do = "tool"'))
    with pytest.raises(UsageError) as refused:
        load_talk(folder)
    line = HELLO[: HELLO.index('do = "tools"')].count("\n") + 1
    assert f"hello.md:{line}" in str(refused.value)


def test_a_plan_knows_where_a_beat_stands(folder: Path) -> None:
    _, plan = short(folder)
    assert (plan.position("hello"), plan.position("bye")) == (0, 1)
    found = plan.find("bye")
    assert found is not None
    assert found.speaker == "Grace"
    assert plan.find("nowhere") is None
    with pytest.raises(KeyError):
        plan.position("nowhere")


def test_an_unknown_plan_is_refused_with_those_there_are(folder: Path) -> None:
    with pytest.raises(UsageError) as refused:
        load_talk(folder).plan("long")
    assert refused.value.what == "there is no plan 'long'"
    assert "short" in refused.value.do


def test_an_unknown_beat_is_refused_with_what_is_close() -> None:
    with pytest.raises(UsageError) as refused:
        load_talk().beat("chalenge")
    assert refused.value.what == "there is no beat 'chalenge'"
    assert refused.value.do.endswith("did you mean challenge?")


def test_loading_a_talk_imports_nothing_heavy() -> None:
    heavy = [
        "rich",
        "typer",
        "mcp",
        "workos",
        "authlib",
        "httpx2",
        "keyring",
        "uvicorn",
        "starlette",
        "pydantic",
        "segno",
    ]
    program = f"import sys, talk.script; talk.script.load_talk(); print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANGS, check=True)
    assert done.stdout.strip() == "[]"


def test_a_beat_that_nobody_asks_for_is_not_read_where_only_some_are_played(folder: Path) -> None:
    (folder / "beats" / "bye.md").write_text("no front matter", encoding="utf-8")
    talk = load_talk(folder, whole=False)
    plan = talk.plan("short")
    assert [one.id for one in plan.beats] == ["hello", "bye"]
    assert plan.beats[0].beat.title == "A shirt for nobody"
    with pytest.raises(UsageError) as refused:
        plan.beats[1].beat  # noqa: B018  asking for it reads it
    assert refused.value.what == "lightning/beats/bye.md:1: no front matter"
    with pytest.raises(UsageError):
        load_talk(folder)


def test_a_beat_is_read_with_those_that_it_needs(folder: Path) -> None:
    (folder / "beats" / "hello.md").write_text(HELLO.replace('do = "tools"', 'do = "tolls"'), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        load_talk(folder, whole=False).beat("bye")
    assert refused.value.what.startswith("lightning/beats/hello.md:7: unknown step kind")
