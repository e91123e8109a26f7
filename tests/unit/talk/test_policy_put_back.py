"""A policy that a beat changed and did not put back: the same beat finds it as it left it, any other as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo.policy_file import NAME
from talk.cut_off import put_policy_back
from talk.playing import policy

CHANGED = {policy.APPROVE_ABOVE: "2000"}


@dataclass
class Deployed:
    """The talk's Worker, as far as its variables go."""

    changed: dict[str, str]
    started: list[dict[str, str]] = field(default_factory=list)

    def restart(self, changed: dict[str, str]) -> None:
        self.changed = changed
        self.started.append(changed)


def next_beat(state: Path, beat: str, worker: Deployed | None) -> list[str]:
    """What is said as the next beat begins."""
    said: list[str] = []
    cast: Any = SimpleNamespace(server=SimpleNamespace(state=state, worker=worker))
    put_policy_back(cast, SimpleNamespace(id=beat), SimpleNamespace(note=said.append))  # type: ignore[arg-type]  # parts
    return said


@pytest.mark.parametrize("own", [None, "# the owner's own\n"], ids=["no file", "a file"])
def test_at_the_worker_the_variables_last_over_a_crash_and_end_with_the_beat(tmp_path: Path, own: str | None) -> None:
    if own is not None:
        (tmp_path / NAME).write_text(own, "utf-8")
    policy._keep(tmp_path, "agent-asks", CHANGED)
    worker = Deployed(policy.variables_kept(tmp_path))
    assert worker.changed == CHANGED, "a Worker that is started after a crash goes by them"
    assert next_beat(tmp_path, "agent-asks", worker) == [] == worker.started, "in the beat that changed them"
    assert len(next_beat(tmp_path, "limits", worker)) == 1
    assert (worker.started, policy.variables_kept(tmp_path)) == ([{}], {})
    assert next_beat(tmp_path, "limits", worker) == [], "once"
    text = (tmp_path / NAME).read_text("utf-8") if (tmp_path / NAME).exists() else None
    assert text == own


def test_what_the_worker_was_changed_to_is_not_what_the_shop_on_this_machine_was(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("# first\n", "utf-8")
    policy._keep(tmp_path, "agent-asks")
    (tmp_path / NAME).write_text("# changed\n", "utf-8")
    policy._keep(tmp_path, "agent-asks")
    policy._keep(tmp_path, "agent-asks", CHANGED)  # the run goes on at the Worker
    assert (tmp_path / NAME).read_text("utf-8") == "# first\n"
    next_beat(tmp_path, "limits", Deployed(dict(CHANGED)))
    assert (tmp_path / NAME).read_text("utf-8") == "# first\n"


@pytest.mark.parametrize("text", ["", "[]", '{"beat": "agent-asks"}', '{"variables": [1]}', "[" * 50_000])
def test_what_cannot_be_read_changes_no_worker(tmp_path: Path, text: str) -> None:
    (tmp_path / policy.KEPT).write_text(text, "utf-8")
    assert policy.variables_kept(tmp_path) == {}
