"""The dry run goes red, at the right beat, whenever the shop or the authority stops enforcing one rule."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

BROKEN = "tests.attacks.broken_server"
ROOT = Path(__file__).parent.parent.parent
EXPECTED = {
    "accepts_no_token": "failure/refused",
    "accepts_wrong_audience": "not-just-any-token/elsewhere",
    "accepts_expired_token": "not-just-any-token/too-late",
    "accepts_revoked_session": "revoke/suspend",
    "accepts_missing_scope": "scopes/too-much",
    "accepts_banned_user": "banned/out",
    "accepts_anybody": "limits/not-on-the-list",
    "no_rate_limit": "limits/too-fast",
    "no_quota": "limits/third",
    "no_spending_limit": "buy/first",
    "buys_twice": "buy/again",
    "accepts_forged_claims": "not-just-any-token/forged",
    "writes_no_audit_entry": "who-manages-identity/record",
    "writes_another_consent": "audit/trail",
    "lets_a_rival_use_the_consent": "not-just-any-token/stolen",
    "hides_the_limit_on_the_consent_page": "login/granted",
    "lists_no_sessions": "who-manages-identity/user",
    "workos_lists_no_sessions": "who-manages-identity/user",
    "workos_keeps_a_consent_that_was_taken_back": "future/gone",
    "workos_forgets_audit_events": "audit/told",
    "workos_keeps_audit_events_twice": "audit/told",
    "workos_names_somebody_for_an_anonymous_order": "audit/told",
    "workos_permits_beyond_the_ceiling": "agent-identity/pass",
    "workos_permits_beyond_the_role": "agent-identity/pass",
    "workos_holds_a_revoked_agent_session_valid": "agent-identity/ended",
}
"""For each breakage the step, as "beat/step", that must be the first to go red."""


def first_red(monkeypatch: pytest.MonkeyPatch, breakage: str | None, *, plan: str = "problem-first") -> str | None:
    """Play the dry run against a server broken in one way; the first red step as "beat/step", or None."""
    from rich.console import Console

    from demo import local
    from demo.cli.checking import throwaway_world
    from demo.settings import Settings
    from talk.director import Director
    from talk.run import Run
    from talk.script import load_talk
    from talk.stage import Stage

    if breakage is not None:

        def spawn(state: Path, port: int) -> subprocess.Popen[bytes]:
            with (state / "server.log").open("wb") as log:
                return subprocess.Popen(
                    [sys.executable, "-m", BROKEN, breakage, "--state", str(state), "--port", str(port)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=ROOT,
                )

        monkeypatch.setattr(local, "_spawn", spawn)
    talk = load_talk(None)
    with throwaway_world() as state, Run.open(state) as run, run.performing():
        stage = Stage(Console(file=io.StringIO(), width=80))
        director = Director(run, talk, Settings(state=state, port=0), stage, plan=plan, strict=True)
        for planned in (*director.plan.beats, *director.plan.encores):
            for step in director.play(planned).steps:
                if not step.ok:
                    return f"{planned.beat.id}/{step.id}"
    return None


def test_every_breakage_has_a_beat_that_must_go_red() -> None:
    from tests.attacks.broken_server import BREAKAGES

    assert set(EXPECTED) == set(BREAKAGES)


@pytest.mark.parametrize("plan", ["problem-first", "context-first"])
def test_an_honest_server_is_green(monkeypatch: pytest.MonkeyPatch, plan: str) -> None:
    assert first_red(monkeypatch, None, plan=plan) is None


@pytest.mark.parametrize("breakage", sorted(EXPECTED))
def test_a_broken_rule_turns_its_beat_red(monkeypatch: pytest.MonkeyPatch, breakage: str) -> None:
    assert first_red(monkeypatch, breakage) == EXPECTED[breakage]
