"""The bundled talk: what its beats expect can fail, comes in a playable order, and speaks of every rule."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deputize.errors import UsageError
from talk.playing import KINDS
from talk.playing.kind import Step, base_key, holds
from talk.script import BUNDLED, Beat, Talk, load_talk

PLANS = ("problem-first", "context-first")
RULES = {
    "open.anonymous",
    "token.missing",
    "token.signature",
    "token.audience",
    "token.expired",
    "token.bound",
    "token.proof",
    "standing.agent",
    "standing.session",
    "standing.banned",
    "standing.token",
    "standing.unknown",
    "allowlist.user",
    "scope.insufficient",
    "limits.quota",
    "limits.rate",
    "limits.spending",
    "limits.approval",
}


@functools.cache
def talk() -> Talk:
    return load_talk()


def speaking() -> list[tuple[Beat, Step]]:
    return [(beat, step) for beat in talk().beats.values() for step in beat.steps if KINDS[step.do].speaks]


def named(pair: tuple[Beat, Step]) -> str:
    return f"{pair[0].id}/{pair[1].id}"


@pytest.mark.parametrize("pair", speaking(), ids=named)
def test_every_step_that_speaks_expects_something_and_each_expectation_can_fail(pair: tuple[Beat, Step]) -> None:
    _, step = pair
    assert step.expect
    for key, wanted in step.expect.items():
        kind = KINDS[step.do].observes[base_key(key)]
        others: dict[type, list[object]] = {bool: [not wanted], str: ["other"], int: [0, 9999], list: [[], ["other"]]}
        assert any(not holds(key, wanted, {base_key(key): other}) for other in others[kind]), key
        assert not holds(key, wanted, {}), "what the wire did not say holds nothing"


@pytest.mark.parametrize("pair", speaking(), ids=named)
def test_a_refusal_is_expected_by_its_rule_and_not_by_its_status_alone(pair: tuple[Beat, Step]) -> None:
    _, step = pair
    if step.do == "call" and step.expect.get("verdict") == "deny":
        assert {"status", "gate", "rule"} <= set(step.expect)


@pytest.mark.parametrize("name", PLANS)
def test_every_rule_of_the_talk_is_asserted_in_every_plan(name: str) -> None:
    beats = [planned.beat for planned in (*talk().plan(name).beats, *talk().plan(name).encores)]
    assert {str(step.expect["rule"]) for beat in beats for step in beat.steps if "rule" in step.expect} == RULES


def needed(beat: Beat) -> list[Beat]:
    """The beat's needs, theirs, and so on."""
    found: dict[str, Beat] = {}
    for need in beat.needs:
        found[need] = talk().beats[need]
        found |= {other.id: other for other in needed(talk().beats[need])}
    return list(found.values())


def uses_the_agents_token(step: Step) -> bool:
    if step.do in ("burst", "rival", "revoke", "reinstate"):
        return True
    who, door = step.options.get("who"), step.options.get("door", "protected")
    return step.do in ("call", "whoami", "tools") and who == "agent" and door == "protected"


def deputizes(step: Step) -> bool:
    return step.do == "login" and step.options["who"] == "agent" and step.options["decide"] == "approve"


@pytest.mark.parametrize("beat", talk().beats.values(), ids=lambda beat: beat.id)
def test_a_beat_that_uses_the_agents_token_needs_the_beat_that_grants_it(beat: Beat) -> None:
    granted = any(deputizes(step) for other in needed(beat) for step in other.steps)
    for step in beat.steps:
        assert granted or not uses_the_agents_token(step), step.id
        granted = granted or deputizes(step)


@pytest.mark.parametrize("name", PLANS)
def test_an_encore_plays_before_the_talk_as_well_as_after_it(name: str) -> None:
    """It uses nothing that a beat of the plan grants or takes back, unless it says so in its needs."""
    for encore in talk().plan(name).encores:
        uses = [step.id for step in encore.beat.steps if uses_the_agents_token(step)]
        assert not uses or "login" in encore.beat.needs, encore.id


@pytest.mark.parametrize("name", PLANS)
def test_nothing_uses_the_agents_token_after_its_session_was_ended(name: str) -> None:
    ended = False
    for planned in talk().plan(name).beats:
        for step in planned.beat.steps:
            assert not (ended and uses_the_agents_token(step)), f"{planned.beat.id}/{step.id}"
            ended = ended or (
                step.do == "revoke" and step.options["what"] == "session" and step.options["who"] == "agent"
            )
    assert ended


@pytest.mark.parametrize("name", PLANS)
def test_no_consent_comes_between_the_purchase_and_the_quota(name: str) -> None:
    """A new consent starts quota and budget afresh, and the third purchase would go through."""
    order = [(one.beat.id, step) for one in talk().plan(name).beats for step in one.beat.steps]
    bought = order.index(("buy", talk().beat("buy").steps[0]))
    refused = next(at for at, (_, step) in enumerate(order) if step.expect.get("rule") == "limits.quota")
    assert bought < refused
    assert not [named for named, step in order[bought:refused] if deputizes(step)]


def test_no_two_purchases_but_the_repeated_ones_share_a_key() -> None:
    buys = [(b, s) for b, s in speaking() if s.options.get("tool") == "buyMcpShopItem" and s.do == "call"]
    repeated = {str(step.options["same_as"]) for _, step in buys if "same_as" in step.options}
    assert repeated == {"buy/first"}
    first = [f"{beat.id}/{step.id}" for beat, step in buys if "same_as" not in step.options]
    assert len(first) == len(set(first))
    for _, step in buys:
        assert {"company", "mailingAddress", "tshirtSize"} == set(step.options["args"])
        assert step.options["args"]["tshirtSize"] in ("S", "M", "L", "XL", "XXL")


def expectations() -> list[tuple[Path, int, str]]:
    """Each expectation of the bundled beats as it is written: file, line, key."""
    found: list[tuple[Path, int, str]] = []
    for path in sorted((BUNDLED / "beats").glob("*.md")):
        inside = False
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if line.startswith("expect = "):
                found += [(path, number, key) for key in re.findall(r"(\w+) = ", line.removeprefix("expect = "))]
            inside = line == "[steps.expect]" or (inside and not line.startswith(("[", "+++")))
            if inside and (key := re.match(r"(\w+) = ", line)):
                found.append((path, number, key[1]))
    return found


def test_every_expectation_of_the_talk_is_found_where_it_is_written() -> None:
    assert len(expectations()) == sum(len(step.expect) for _, step in speaking())


def copied(folder: Path) -> Path:
    """The bundled talk's files, in a folder of their own."""
    for kind in ("beats", "plans"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for path in (BUNDLED / kind).iterdir():
            (folder / kind / path.name).write_bytes(path.read_bytes())
    return folder


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(expectations()),
    wrong=st.from_regex(r"\A[a-z]{3,12}\Z").filter(
        lambda key: all(base_key(key) not in kind.observes for kind in KINDS.values())
    ),
)
def test_any_expectation_misspelt_is_refused_on_its_line(
    place: tuple[Path, int, str], wrong: str, tmp_path: Path
) -> None:
    folder = copied(tmp_path / "talk")
    path, number, key = place
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[number - 1] = re.sub(rf"(?<!\w){key} = ", f"{wrong} = ", lines[number - 1], count=1)
    (folder / "beats" / path.name).write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        load_talk(folder)
    assert refused.value.what.startswith(f"talk/beats/{path.name}:{number}: ")
    assert f"cannot observe '{wrong}'" in refused.value.what


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_spoilt_file_is_refused_or_loads_and_never_crashes(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is cut out of a beat or put into it, the loader answers with a talk or with one `UsageError`."""
    folder = copied(tmp_path / "talk")
    path = data.draw(st.sampled_from(sorted((*folder.glob("beats/*.md"), *folder.glob("plans/*.toml")))))
    text = path.read_text(encoding="utf-8")
    start = data.draw(st.integers(min_value=0, max_value=len(text)))
    length = data.draw(st.integers(min_value=0, max_value=200))
    put = data.draw(st.sampled_from(["", '"', "[", "]]", "{", "= 1", "[[steps]]\n", "\n+++\n", "\x00", "show = [1]\n"]))
    path.write_text(text[:start] + put + text[start + length :], encoding="utf-8")
    try:
        loaded = load_talk(folder)
    except UsageError as error:
        assert re.match(r"talk/(beats|plans)/[\w-]+\.(md|toml):[1-9]\d*: ", error.what)
        told = int(error.what.split(":")[1])
        named = folder.parent / error.what.split(":")[0]
        assert told <= named.read_text(encoding="utf-8").count("\n") + 1
        assert error.do
    else:
        assert set(loaded.plans) == set(PLANS)
