"""The talk as with an account: the Worker goes by roles, a person decides in a browser of hers, WorkOS is asked by its
SDK, and the human's console has a client of its own. `[workos]` says so, and the local
authorization server stands in for AuthKit.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from demo.client.human.console import console_identity
from demo.client.human.sample_human import SampleHuman
from demo.client.workos.environment import LOCAL_FILE
from demo.client.workos.people import People
from demo.deploy import workerd
from demo.deploy.tools import Tools
from demo.local_server import resources, world
from demo.settings import Settings
from demo.settings.workos import WorkOSSettings
from deputize.tokens import identity
from deputize.tokens.identity import ClientIdentity
from talk.cast import Cast
from talk.director import Director
from talk.results import BeatResult
from talk.run import Run
from talk.script import load_talk
from talk.stage.screen import Stage
from tests.conftest import HANGS
from tests.contract.issuer import ALICE, MALLORY, Issuer

if TYPE_CHECKING:
    from talk.stage.prompts import Human

pytestmark = pytest.mark.worker


class WithAlice(Stage):
    """A stage with a person at a browser of hers: where AuthKit is the authorization server nobody else answers."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO(), width=100, color_system=None), person=True)

    def answered_by(self, human: Human | None, *, ask: bool) -> tuple[Human | None, bool]:
        return SampleHuman(ALICE), False


@pytest.fixture
def profile(troubled: Issuer, installed: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """What demo.toml and the environment say, with a Worker that runs."""
    key = json.loads((troubled.state / LOCAL_FILE).read_text("utf-8"))["api_key"]
    monkeypatch.setenv("WORKOS_API_KEY", key)
    port = workerd.a_port()
    for path in ("mcp", "admin"):
        resources.add(troubled.state, f"http://127.0.0.1:{port}/{path}")
    variables = {
        "SCOPES_FROM": "role",
        "ORGANIZATION": "org_conference_shop",
        "WORKOS_API": troubled.url,
        "ALLOWLIST": f"{ALICE},{MALLORY}",
    }
    with workerd.running(
        installed,
        port=port,
        state=tmp_path / "worker",
        variables=workerd.local_variables(troubled.url) | variables,
        secrets={"WORKOS_API_KEY": key},
    ) as worker:
        workos = WorkOSSettings(
            authkit=troubled.url,
            base_url=troubled.url,
            console="demo-console",
            client_id="client_local",
            organization_id="org_conference_shop",
        )
        yield Settings(server=f"{worker.base_url}/mcp", state=tmp_path / "state", port=0, edge="off", workos=workos)


@pytest.fixture(autouse=True)
def _console_has_its_key(troubled: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """AuthKit's stand-in is the bundled authorization server, which takes a console by its key alone. At AuthKit it is
    a public Connect application."""
    honest = identity.ClientIdentity

    def proven(client_id: str, **given: Any) -> ClientIdentity:
        known = console_identity(world.console(troubled.state / "server.sqlite3"))
        return known if client_id == known.client_id else honest(client_id, **given)

    monkeypatch.setattr(identity, "ClientIdentity", proven)


def signed_in(cast: Cast) -> None:
    """As `demo login --console` does, with Alice at her browser."""
    console = cast.humans.hosted_console()
    login = console.agent.start_login(("openid", "offline_access"), resources=(console.resource,))
    SampleHuman(ALICE).decide(login.code.verification_uri, login.code.user_code, True)
    console.agent.finish_login(login, timeout=HANGS)


def played(settings: Settings, *, console: bool) -> tuple[list[BeatResult], Cast]:
    settings.state.mkdir()
    with Run.open(settings.state) as run, run.performing():
        director = Director(run, load_talk(None), settings, WithAlice(), strict=True)
        assert not director.cast().server.ours
        if console:
            signed_in(director.cast())
        return [director.play(planned) for planned in director.plan.beats], director.cast()


def test_with_a_console_the_human_reads_the_audit_log_and_revokes(profile: Settings) -> None:
    beats, cast = played(profile, console=True)
    steps = {f"{beat.id}/{step.id}": step for beat in beats for step in beat.steps}
    red = {name: (step.error or step.failed, step.observed) for name, step in steps.items() if not step.ok}
    assert not red, json.dumps(red, default=str, indent=1)
    told = (
        "audit/trail",
        "audit/told",
        "revoke/granted",
        "revoke/suspend",
        "revoke/reinstate",
        "revoke/end",
        "buy/first",
    )
    assert {name: steps[name].skipped for name in told} == dict.fromkeys(told)
    assert steps["audit/trail"].observed["missing"] == 0
    assert steps["revoke/suspend"].observed["rule"] == "standing.agent"
    assert steps["revoke/end"].observed["rule"] == "standing.session"
    held = cast.agent().stored()
    assert held is not None
    assert held.client_id not in [one.client_id for one in People(cast.humans.tenant()).grants("user_alice")], (
        "ended there, too"
    )


def test_without_one_what_needs_it_is_skipped_and_says_how_to_sign_in(profile: Settings) -> None:
    beats, _ = played(profile, console=False)
    steps = {f"{beat.id}/{step.id}": step for beat in beats for step in beat.steps}
    red = {name: (step.error or step.failed, step.observed) for name, step in steps.items() if not step.ok}
    # Handed back at the authorization server; the shop, which asks nobody about a token, believes it: that must show.
    assert set(red) == {"revoke/end", "future/gone"}, json.dumps(red, default=str, indent=1)
    assert "demo login --console" in (steps["audit/trail"].skipped or "")
