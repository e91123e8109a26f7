"""The registry of step kinds: each is found by its name, and what it says of itself fits together."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from talk.playing import KINDS, faults
from talk.playing.kind import Kind
from talk.script.source import fits
from tests.conftest import HANGS


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_a_kind_is_found_by_its_own_name(kind: Kind) -> None:
    assert KINDS[kind.name] is kind


def test_a_default_is_of_its_options_type_and_one_of_its_choices(kind: Kind) -> None:
    for name, option in kind.options.items():
        if option.default is None:
            continue
        value = dict(option.default) if option.type is dict else option.default
        assert fits(list(value) if option.type is list else value, option.type), name
        assert not option.required, name
        assert not option.choices or option.default in option.choices, name


def test_names_that_the_shop_must_know_are_those_of_options_or_observables(kind: Kind) -> None:
    assert set(kind.names) <= {*kind.options, *kind.observes}


def test_what_speaks_to_a_server_can_be_refused_with_a_reason_or_can_always_be_played(kind: Kind) -> None:
    assert kind.shows, "a step that does not say which panel it shows, shows its kind's first"
    assert not kind.of_this_folder or kind.speaks


def test_a_kind_that_there_is_not_is_not_found() -> None:
    assert "dance" not in KINDS
    assert KINDS.get("dance") is None


def test_a_kind_is_imported_when_a_step_of_it_is_met() -> None:
    program = (
        "import sys; from talk.script import load_talk; talk = load_talk(whole=False);"
        "talk.plan('problem-first').beats[0].beat;"
        "print(sorted({'talk.playing.words', 'talk.playing.login', 'talk.playing.worker'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANGS, check=True)
    assert done.stdout.strip() == "['talk.playing.words']"


def test_an_order_that_was_told_twice_is_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    bought = [SimpleNamespace(order_id=one) for one in ("order_1", "order_2", "order_2", None)]
    monkeypatch.setattr(faults, "trail", lambda scene: bought)
    humans = SimpleNamespace(console=lambda: SimpleNamespace(sessions=tuple))
    scene: Any = SimpleNamespace(cast=SimpleNamespace(humans=humans))
    assert faults._remembered(scene)[0] == ["order_1", "order_2"]
