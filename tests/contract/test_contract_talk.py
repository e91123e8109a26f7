"""The talk at the Worker: every decision as at the local shop, and red when the Worker stops enforcing one."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from demo.deploy.local_worker import LocalWorker
from demo.deploy.tools import AGENT, Tools
from demo.local_server import local
from demo.settings import Settings
from talk.director import Director
from talk.results import BeatResult
from talk.run import Run
from talk.script import load_talk
from talk.stage.screen import Stage

pytestmark = pytest.mark.worker

NO_SECRETS = {"INTROSPECTION_CLIENT_ID": "", "INTROSPECTION_CLIENT_SECRET": "", "WAREHOUSE": ""}
"""A Worker that may not ask about a token (RFC 7662), nor exchange one: it believes a signature until it ends."""
BY_ID = {"ALLOWLIST": "user_alice"}
"""Without the authorization server's word a token names its user by id only."""


def performed(state: Path, tools: Tools, variables: dict[str, str], *beats: str) -> list[BeatResult]:
    """The dry run of these beats, and what they need, at a Worker of these variables."""
    server, _ = local.ensure(state, port=0)
    try:
        with LocalWorker(state, server.base_url, worker=tools.worker, variables=variables) as here:
            settings = Settings(state=state, server=here.base_url, port=0)
            with Run.open(state) as run, run.performing():
                stage = Stage(Console(quiet=True), pace="none", person=False)
                director = Director(run, load_talk(None), settings, stage, strict=True, worker=here)
                wanted = beats or [planned.beat.id for planned in director.plan.beats]
                plan = director.plan
                places = [plan.find(beat) or plan.encore(beat) for beat in wanted]
                assert None not in places
                played = [director.play(place) for place in places if place is not None]
                return [*director.asides, *played]
    finally:
        local.stop(state)


def red(results: list[BeatResult]) -> set[str]:
    return {f"{beat.id}/{step.id}" for beat in results for step in beat.steps if not step.ok}


def test_the_whole_talk_plays_at_the_worker_with_nothing_left_out(
    tmp_path: Path, installed: Tools, agents_tools: Tools
) -> None:
    assert agents_tools.worker == installed.worker / AGENT
    played = performed(tmp_path, installed, {})
    assert red(played) == set()
    assert not [step for beat in played for step in beat.steps if step.skipped or step.unchecked]
    assert len(played) == len(load_talk(None).plan("problem-first").beats)


def test_the_agent_asks_at_the_worker_and_one_that_does_not_have_it_ask_is_red(
    tmp_path: Path, installed: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = performed(tmp_path / "asks", installed, {}, "agent-asks")
    assert red(played) == set()
    assert "agent-asks" in {beat.id for beat in played}
    assert not [step for beat in played for step in beat.steps if step.skipped or step.unchecked]
    restart = LocalWorker.restart
    with monkeypatch.context() as patched:
        patched.setattr(LocalWorker, "restart", lambda worker, _: restart(worker, {}))
        assert "agent-asks/refused" in red(performed(tmp_path / "asks not", installed, {}, "agent-asks"))


def test_where_the_worker_asks_nobody_its_admin_route_revokes(tmp_path: Path, installed: Tools) -> None:
    played = performed(tmp_path, installed, NO_SECRETS | BY_ID, "revoke")
    assert red(played) == set()


@pytest.mark.parametrize(
    ("variables", "beat", "step"),
    [
        ({"ALLOWLIST": "alice@example.com,mallory@example.org"}, "limits", "limits/not-on-the-list"),
        ({"RATE_CALLS": "100000"}, "limits", "limits/too-fast"),
        ({"PURCHASES_PER_CONSENT": "100"}, "limits", "limits/third"),
        ({"TOKEN_TYPES": "jwt"}, "buy", "buy/first"),
        ({"WAREHOUSE": "http://127.0.0.1:9/nobody"}, "audit", "audit/trail"),
        (NO_SECRETS | BY_ID | {"CONSOLE_CLIENTS": ""}, "revoke", "revoke/suspend"),
    ],
    ids=["everybody may", "no rate", "no quota", "no access token fits", "nothing is told", "nobody may take it back"],
)
def test_a_worker_that_stops_enforcing_turns_the_talk_red(
    variables: dict[str, str], beat: str, step: str, tmp_path: Path, installed: Tools
) -> None:
    assert step in red(performed(tmp_path, installed, variables, beat))
