"""The talk's steps that ask WorkOS, where the dry run does not come: an account behind a shop elsewhere, a pass that
is gone, a human who signed in too long ago. What they do at the local server the dry run holds (tests/attacks)."""

from __future__ import annotations

import io
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from rich.console import Console

from demo.client import Agent
from demo.client.workos.audit import AuditLog
from demo.client.workos.preparing import audit_actions
from demo.client.workos.tenant import Tenant
from demo.evidence.grants import SessionView
from demo.panels.fit import drawn
from demo.settings.workos import WorkOSSettings
from deputize import MemoryStore
from deputize.errors import AuthorizationRefused
from talk.cast import Cast
from talk.playing import KINDS
from talk.playing.kind import Step
from talk.playing.other_server import NotHere
from talk.playing.scene import Played, Scene
from talk.results import StepResult
from talk.server import TalkServer
from talk.stage.screen import Stage
from tests.unit.workos.conftest import BUY, World, log_in

CEILING = ["shop:read", "shop:buy"]


def scene_of(cast: Cast, *seen: StepResult) -> Scene:
    return Scene("run", "beat", cast, Stage(Console(file=io.StringIO(), width=80)), lambda: list(seen), strict=True)


def written(scene: Scene) -> str:
    file = scene.stage.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def played(do: str, scene: Scene, **options: Any) -> Played:
    kind = KINDS[do]
    given = {name: one.default for name, one in kind.options.items() if one.default is not None} | options
    return kind.play(Step("step", do, "", MappingProxyType(given), MappingProxyType({}), ()), scene)


def bought(*decisions: Any) -> StepResult:
    return StepResult("buy", "call", True, 0.1, decisions=tuple(one.to_dict() for one in decisions))


@pytest.fixture
def elsewhere(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cast:
    """A shop elsewhere, with an account's environment behind it: here both are the local server, which says so to
    nobody."""
    monkeypatch.setattr(TalkServer, "ours", property(lambda _: False))
    monkeypatch.setenv("WORKOS_API_KEY", world.tenant().environment.api_key)
    account = WorkOSSettings(authkit=world.base, base_url=world.base)
    return Cast(world.shop, tmp_path / "state", is_local=False, port=0, workos=account)


@pytest.fixture
def here(world: World) -> Cast:
    return Cast(world.base, world.state, is_local=True, port=0)


def test_at_an_account_the_human_is_held_against_the_agents_token(world: World, elsewhere: Cast) -> None:
    log_in(elsewhere.agent(), "alice@example.com", ("openid", "shop:read", "offline_access"), None, None)
    told = played("user", scene_of(elsewhere))
    assert told.observed["human"] == "alice@example.com"
    assert (told.observed["same_user"], told.observed["consents_agree"]) == (True, True)
    assert (told.observed["sessions"], told.observed["consents"]) == (1, 1)
    assert set(told.unobservable) == {"human", "sessions_agree"}
    shown = " ".join(drawn(told.panels["user"](), 80))
    assert "both agree" in shown and "the agent's token" in shown


def test_at_an_account_a_consent_that_was_ended_does_not_agree(
    world: World, elsewhere: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo.client.workos.people import People

    log_in(elsewhere.agent(), "alice@example.com", ("openid", "shop:read", "offline_access"), None, None)
    monkeypatch.setattr(People, "grants", lambda *_: ())
    told = played("user", scene_of(elsewhere))
    assert told.observed["consents_agree"] is False
    assert "differ in the consents" in " ".join(" ".join(drawn(told.panels["user"](), 80)).split())


def test_at_an_account_nobody_is_asked_about_before_an_agent_has_a_token(elsewhere: Cast) -> None:
    with pytest.raises(NotHere):
        played("user", scene_of(elsewhere))


@pytest.mark.parametrize(("ended_ago", "agree"), [(1.0, True), (-60.0, False)])
def test_a_session_that_ended_by_itself_is_no_disagreement(
    world: World, here: Cast, monkeypatch: pytest.MonkeyPatch, ended_ago: float, agree: bool
) -> None:
    """The human's console lists it on, since nobody took it back; one that has not ended must be at WorkOS, too."""
    old = SessionView("session_0", "consent_0", "agent_0", "c", "C", (), 0.0, None, expires_at=time.time() - ended_ago)
    console = here.humans.console()
    honest = console.sessions
    monkeypatch.setattr(console, "sessions", lambda: (old, *honest()))
    told = played("user", scene_of(here))
    assert (told.observed["sessions_agree"], told.observed["consents_agree"]) == (agree, agree)


def test_at_an_account_orders_are_told_and_not_said_to_have_been_read_back(
    world: World, tenant: Tenant, elsewhere: Cast
) -> None:
    decision = world.buy(world.agent()).decision
    told = played("audit-log", scene_of(elsewhere, bought(decision)))
    assert told.observed["told"] == 1
    assert "session.created" in told.observed["events"]
    assert "missing" not in told.observed and "missing" in told.unobservable
    assert "not read back" in drawn(told.panels["audit-log"](), 80)[0]
    assert audit_actions(tenant) == {"shop.order.placed"}, "it needs no preparing"


def test_an_order_that_was_found_again_is_told_once_and_a_refusal_is_not(world: World, here: Cast) -> None:
    agent = world.agent()
    first, again = (agent.call("buyMcpShopItem", BUY | {"idempotencyKey": "k"}).decision for _ in range(2))
    refused = Agent(world.base, store=MemoryStore()).call("listMcpShopInventory", {}, token="none").decision
    told = played("audit-log", scene_of(here, bought(first, again, refused)))
    assert told.observed["told"] == 1
    assert (told.observed["missing"], told.observed["doubled"]) == (0, 0)
    assert told.observed["anonymous"] is False, "there was no order by nobody to see it by"


def test_without_an_order_nothing_is_claimed(here: Cast) -> None:
    told = played("audit-log", scene_of(here))
    assert (told.observed["told"], told.observed["traced"], told.observed["corroborated"]) == (0, False, False)
    assert "No order" in drawn(told.panels["audit-log"](), 80)[0]


def test_who_signed_in_too_long_ago_for_a_pass_signs_in_again(world: World, tenant: Tenant, here: Cast) -> None:
    from workos.agents.models import AgentBlueprintsCreateRequestSessionSetting as Settings

    brief = Settings(max_age_seconds=60, access_token_ttl_seconds=30, refresh_token_ttl_seconds=60)
    tenant.ask("no", lambda sdk: sdk.agents.create_blueprint(name="Brief", permissions=CEILING, session_settings=brief))
    before = here.humans.console().agent.token().access_token
    world.clock.ahead = 61
    scene = scene_of(here)
    told = played("blueprint", scene, name="Brief", ceiling=CEILING, wishes=CEILING)
    assert told.observed["permissions"] == sorted(CEILING)
    assert "signs in again at their own console: max_age_exceeded" in written(scene)
    assert here.humans.console().agent.token().access_token != before


def test_a_pass_is_kept_in_memory_alone_and_who_has_none_is_told_so(world: World, here: Cast) -> None:
    played("blueprint", scene_of(here), name="Shirt Agent", ceiling=CEILING, wishes=CEILING)
    _, held = here.passes["Shirt Agent"]
    for file in world.state.rglob("*"):
        assert not file.is_file() or held.access_token.encode() not in file.read_bytes(), file
    another = Cast(world.base, world.state, is_local=True, port=0)
    with pytest.raises(AuthorizationRefused, match="holds no pass"):
        played("validate", scene_of(another), blueprint="Shirt Agent")


def test_a_pass_whose_session_was_ended_is_not_used_again(tenant: Tenant, here: Cast) -> None:
    scene = scene_of(here)
    played("blueprint", scene, name="Shirt Agent", ceiling=CEILING, wishes=CEILING)
    ended = played("validate", scene, blueprint="Shirt Agent", revoke=True)
    assert (ended.observed["before"], ended.observed["valid"], ended.observed["signature"]) == (True, False, True)
    with pytest.raises(AuthorizationRefused, match="holds no pass"):
        played("validate", scene, blueprint="Shirt Agent")
    events = AuditLog(tenant, where="here").events(["agent.instance.session.revoked"])
    assert len(events) == 1
