"""The dry run goes red, at the right beat, whenever the shop or the authorization server breaks one rule of the talk.

Of each breakage only its beat is played, with the beats that this one builds on.
"""

from __future__ import annotations

import contextlib
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
    "takes_a_bound_token_as_any_other": "copied-token/card",
    "takes_a_proof_of_any_key": "copied-token/another-key",
    "answers_a_proof_with_a_bearer_token": "login/granted",
    "accepts_revoked_session": "revoke/suspend",
    "accepts_missing_scope": "scopes/too-much",
    "accepts_banned_user": "banned/no-shirt",
    "accepts_anybody": "limits/not-on-the-list",
    "no_rate_limit": "limits/too-fast",
    "no_quota": "limits/third",
    "no_spending_limit": "buy/first",
    "asks_for_no_approval": "agent-asks/refused",
    "takes_an_approval_twice": "agent-asks/used",
    "takes_an_approval_for_another_address": "agent-asks/yes",
    "says_another_price_where_it_is_approved": "agent-asks/yes",
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
    # Who authorized what, when, through which agent.
    "dates_decisions_an_hour_early": "failure/refused",
    "names_another_agent": "who-manages-identity/not-hers",
    "names_another_session": "who-manages-identity/not-hers",
    "names_another_token": "who-manages-identity/not-hers",
    "names_another_human": "who-manages-identity/not-hers",
    "names_another_tool": "failure/refused",
    "puts_the_address_on_record": "audit/trail",
    "answers_without_the_audit_id": "failure/refused",
    "shows_everybodys_trail": "who-manages-identity/record",
    "leaves_the_order_out_of_the_decision": "authless/purchase",
    "knows_the_anonymous": "authless/inventory",
    # What is sold, to whom, for how much.
    "writes_orders_under_another_consent": "buy/first",
    "writes_orders_for_another_agent": "buy/first",
    "sends_another_size": "authless/purchase",
    "charges_another_price": "authless/purchase",
    "takes_a_key_for_other_arguments": "buy/not-the-same",
    "buys_twice_and_says_that_it_did_not": "buy/again",
    # What a model reads, and what stops it.
    "keeps_an_admins_text_to_itself": "agent-fooled/listing",
    "adds_up_the_scopes_of_an_agents_sessions": "agent-fooled/listing",
    "writes_orders_under_the_agents_first_consent": "agent-decides/decides",
    # Limits, and what is said of them.
    "counts_money_and_does_not_enforce_it": "buy/too-dear",
    "counts_the_rate_for_each_session": "limits/too-fast",
    "counts_one_rate_for_everybody": "limits/too-fast",
    "says_to_wait_a_minute": "limits/too-fast",
    "tells_of_limits_that_nobody_has_used": "buy/first",
    "lets_a_banned_user_buy": "banned/no-shirt",
    "lets_a_banned_user_see_orders": "banned/no-orders",
    "lets_a_banned_user_lift_the_ban": "banned/no-way-around",
    "keeps_out_who_says_please": "banned/in",
    "challenges_a_banned_user": "banned/out",
    "forgets_what_would_help": "banned/out",
    # What a refusal says, and which scope a tool needs.
    "names_an_error_where_no_token_came": "failure/refused",
    "lists_a_scope_that_is_not_asked_for": "not-just-any-token/too-little",
    "lists_no_scope_of_what_spends_money": "mcp/tools",
    # Whether what was granted still stands.
    "waves_through_when_nobody_answers": "revoke/nobody-to-ask",
    "waves_through_when_the_answer_is_an_error": "revoke/nobody-to-ask",
    "remembers_standing_for_a_while": "revoke/suspend",
    "does_not_know_suspended_agents": "revoke/suspend",
    "suspends_for_good": "revoke/reinstate",
    "renews_what_was_revoked": "revoke/end",
    "takes_a_refresh_token_twice": "not-just-any-token/used-twice",
    "keeps_a_login_that_was_handed_back": "scopes/step-up",
    "keeps_the_refresh_token_of_what_was_handed_back": "scopes/step-up",
    # What the authorization server issues and tells.
    "says_expired_where_the_human_said_no": "login/declined",
    "tells_of_another_human": "login/granted",
    "issues_tokens_of_an_hour": "whoami/token",
    "signs_another_agents_name": "whoami/token",
    "grants_what_the_human_may_not": "limits/mallory",
    "lists_everybodys_sessions": "who-manages-identity/user",
    "forgets_its_trail_when_it_is_restarted": "where-agents-run/restart",
    "forgets_its_orders_when_it_is_restarted": "where-agents-run/orders",
    # An agent hands on less than it has.
    "hands_on_every_scope": "hand-on/scout",
    "leaves_the_agent_above_out_of_the_token": "hand-on/scout",
    "forgets_who_handed_on": "hand-on/looks",
    "hands_on_the_whole_limit": "hand-on/buyer",
    "lets_a_sub_agent_spend_what_the_agent_may": "hand-on/one",
    "lets_a_sub_agent_outlive_the_agent_above": "hand-on/below",
}
"""For each breakage the step, as "beat/step", that must be the first to go red in its beat and those it builds on."""
OF_EACH_KIND = {
    "accepts_no_token",
    "writes_another_consent",
    "charges_another_price",
    "hides_the_limit_on_the_consent_page",
    "waves_through_when_nobody_answers",
    "forgets_its_orders_when_it_is_restarted",
}
"""What `make test` plays of them; `make test-all` plays all."""
AFTER = {
    "workos_keeps_a_consent_that_was_taken_back": ("revoke",),
    "lists_no_sessions": ("login",),
    "adds_up_the_scopes_of_an_agents_sessions": ("scopes",),
    "writes_orders_under_the_agents_first_consent": ("buy",),
}
"""What is played before the beat, where that is more than it builds on."""


def first_red(
    monkeypatch: pytest.MonkeyPatch, breakage: str | None, *, plan: str = "problem-first", only: tuple[str, ...] = ()
) -> str | None:
    """Play the dry run against a server broken in one way; the first red step as "beat/step", or None.

    Args:
        only: the beats to play, each after those that it builds on; all where none is named.
    """
    from rich.console import Console

    from demo.cli.throwaway import throwaway_world
    from demo.local_server import local
    from demo.settings import Settings
    from talk.director import Director
    from talk.run import Run
    from talk.script import load_talk
    from talk.stage.screen import Stage

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
            if not only or planned.beat.id in only:
                played = director.play(planned)
                for beat in (*director.asides, played):
                    for step in beat.steps:
                        if not step.ok:
                            return f"{beat.id}/{step.id}"
    return None


def test_every_breakage_has_a_beat_that_must_go_red() -> None:
    from tests.attacks.broken_server import BREAKAGES

    assert set(EXPECTED) == set(BREAKAGES)


@pytest.mark.parametrize("plan", ["problem-first", pytest.param("context-first", marks=pytest.mark.long)])
def test_an_honest_server_is_green(monkeypatch: pytest.MonkeyPatch, plan: str) -> None:
    assert first_red(monkeypatch, None, plan=plan) is None


@pytest.mark.parametrize(
    "breakage", [one if one in OF_EACH_KIND else pytest.param(one, marks=pytest.mark.long) for one in sorted(EXPECTED)]
)
def test_a_broken_rule_turns_its_beat_red(monkeypatch: pytest.MonkeyPatch, breakage: str) -> None:
    beat = EXPECTED[breakage].partition("/")[0]
    assert first_red(monkeypatch, breakage, only=(*AFTER.get(breakage, ()), beat)) == EXPECTED[breakage]


def test_a_server_that_ends_in_mid_run_is_not_started_again_in_the_dry_run() -> None:
    from rich.console import Console

    from demo.cli.throwaway import throwaway_world
    from demo.local_server import local
    from demo.settings import Settings
    from deputize.errors import ServerUnreachable
    from talk.director import Director
    from talk.run import Run
    from talk.script import load_talk
    from talk.stage.screen import Stage

    with throwaway_world() as state, Run.open(state) as run, run.performing():
        stage = Stage(Console(file=io.StringIO(), width=80))
        director = Director(run, load_talk(None), Settings(state=state, port=0), stage, strict=True)
        needs_no_login = [one for one in director.plan.beats if not one.beat.needs and director.speaks(one)]
        assert director.play(needs_no_login[0]).ok
        local.stop(state)
        with contextlib.suppress(ServerUnreachable):
            assert not director.play(needs_no_login[1]).ok
        assert local.find(state) is None
