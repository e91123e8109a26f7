"""At a server that nobody here wrote, what it cannot do is skipped with the reason; what it does wrong is still red."""

from __future__ import annotations

import io
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from demo.errors import advice
from demo.settings import Settings
from demo.settings.tools import ServersTool, ToolMap
from demo.settings.workos import WorkOSSettings
from deputize.http.errors import GrantNotAllowed
from talk.cast import Cast
from talk.director import Director
from talk.results import BeatResult, StepResult
from talk.run import Run
from talk.script import load_talk
from talk.stage.login import LoggingIn
from talk.stage.screen import Stage
from tests.conftest import HANGS
from tests.unit.client.fakes import faking
from tests.unit.talk.foreign_servers import AuthServer, corner_shop, listening

if TYPE_CHECKING:
    from talk.stage.prompts import Human

PLANS = ("problem-first", "context-first")
NAMES = ToolMap(
    {
        "listMcpShopInventory": ServersTool("list_items"),
        "buyMcpShopItem": ServersTool("buy", {"tshirtSize": "size", "mailingAddress": "address", "company": None}),
        "listMcpShopOrders": ServersTool("history"),
    }
)


class Approving:
    """A person who approves in a browser of theirs."""

    account = "somebody"

    def decide(self, uri: str, user_code: str, approve: bool) -> object:
        assert approve
        urllib.request.urlopen(f"{uri}?code={user_code}", timeout=HANGS).close()
        return None

    def authorize(self, url: str, approve: bool) -> tuple[object, str]:
        assert approve

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        try:
            urllib.request.build_opener(Stay).open(url, timeout=HANGS)
        except urllib.error.HTTPError as answer:
            return None, answer.headers["location"]
        raise AssertionError("the authorization server did not send the browser back")


class WithSomebody(Stage):
    """A stage with a person in front of it, who needs no terminal."""

    def __init__(self) -> None:
        self.written = io.StringIO()
        super().__init__(Console(file=self.written, width=100, color_system=None), person=True, fallback="stop")

    def show(self, name: str, renderable: object) -> None:
        self.console.print(renderable)

    def answered_by(self, human: Human | None, *, ask: bool) -> tuple[Human | None, bool]:
        return Approving(), False


def played(
    url: str,
    state: Path,
    *,
    plan: str = PLANS[0],
    stage: Stage | None = None,
    tools: ToolMap = NAMES,
    only: tuple[str, ...] = (),
    workos: WorkOSSettings | None = None,
) -> dict[str, BeatResult]:
    """The plan played at a server, or some of its beats: the results by beat."""
    settings = Settings(server=url, state=state, port=0, tools=tools, workos=workos or WorkOSSettings())
    with Run.open(state) as run, run.performing():
        director = Director(run, load_talk(None), settings, stage or WithSomebody(), plan=plan, strict=True)
        every = (*director.plan.beats, *director.plan.encores)
        beats = [planned for planned in every if not only or planned.beat.id in only]
        results = [director.play(planned) for planned in beats]
    return {result.id: result for result in results}


def steps(beats: dict[str, BeatResult]) -> dict[str, StepResult]:
    """Every step by beat and name."""
    return {f"{beat.id}/{step.id}": step for beat in beats.values() for step in beat.steps}


def red(beats: dict[str, BeatResult]) -> list[str]:
    return [f"{name}: {step.error or step.failed}" for name, step in steps(beats).items() if not step.ok]


@pytest.fixture
def auth_server() -> AuthServer:
    return AuthServer(revocation=True)


@pytest.fixture
def guarded(auth_server: AuthServer) -> Iterator[str]:
    with listening(corner_shop(), auth_server) as url:
        yield url


@pytest.mark.parametrize("plan", PLANS)
def test_at_a_server_without_auth_the_open_beats_play_and_the_rest_says_why_not(plan: str, tmp_path: Path) -> None:
    with listening(corner_shop()) as url:
        beats = played(url, tmp_path, plan=plan)
    assert not red(beats)
    found = steps(beats)
    assert beats["authless"].skipped is None
    assert found["authless/purchase"].http_status == 200
    assert found["authless/everybody"].observed["count"] >= 2
    assert beats["mcp"].skipped is None
    for name in ("failure/refused", "challenge/follow", "login/granted", "buy/first", "whoami/token"):
        assert "asks nobody for a token" in (found[name].skipped or ""), name
        assert "answered 200" in (found[name].skipped or ""), name
    assert "GET /audit answered 404" in (found["audit/trail"].skipped or "")
    for name in ("who-manages-identity/user", "audit/told", "agent-identity/pass", "agent-identity/ended"):
        assert "no [workos] in demo.toml" in (found[name].skipped or ""), name


def test_nothing_is_bought_where_a_refusal_is_meant(tmp_path: Path) -> None:
    with listening(corner_shop()) as url:
        found = steps(played(url, tmp_path, only=("failure", "authless")))
    assert found["failure/refused"].skipped
    assert found["authless/everybody"].observed["count"] == 2, "the two of the open door and no third"


@pytest.mark.parametrize("plan", PLANS)
def test_behind_oauth_with_a_device_flow_and_names_of_its_own(
    plan: str, guarded: str, auth_server: AuthServer, tmp_path: Path
) -> None:
    beats = played(guarded, tmp_path, plan=plan)
    assert not red(beats)
    found = steps(beats)
    assert "/open/mcp does not answer as an MCP server: HTTP 404" in (beats["authless"].skipped or "")
    assert beats["failure"].skipped is None
    assert found["failure/refused"].http_status == 401
    assert set(found["failure/refused"].unchecked) == {
        *("gate", "rule", "attributed", "audited", "differs", "names_error")
    }
    assert found["challenge/follow"].observed["trusted"] is True
    assert found["challenge/follow"].observed["device_flow"] is True
    assert found["login/granted"].observed["granted"] is True
    assert found["login/granted"].unchecked["human"]
    assert "opaque" in found["whoami/token"].unchecked["verified"]
    assert "nothing more to ask for" in (found["scopes/step-up"].skipped or "")
    assert found["buy/first"].observed["verdict"] == "allow"
    assert "no order in the shop's form" in found["buy/first"].unchecked["order"]
    assert "buy twice" in (found["buy/again"].skipped or "")
    assert "limits.quota" in (found["limits/third"].skipped or "")
    assert "flooded" in (found["limits/too-fast"].skipped or "")
    assert "no standard" in (found["revoke/suspend"].skipped or "")
    assert (found["revoke/end"].observed["before"], found["revoke/end"].observed["after"]) == ("allow", "deny")
    assert found["revoke/end"].http_status == 401
    assert auth_server.asked_scopes == ["items purchase"] * len(auth_server.asked_scopes)


def test_behind_oauth_with_a_login_in_the_browser_only(tmp_path: Path) -> None:
    stage = WithSomebody()
    with listening(corner_shop(), AuthServer(device=False, code=True)) as url:
        beats = played(url, tmp_path, stage=stage)
    assert not red(beats)
    found = steps(beats)
    assert "login in the browser" in found["challenge/follow"].unchecked["device_flow"]
    assert found["login/granted"].observed["granted"] is True
    assert "asks to act for you, in the browser" in stage.written.getvalue()
    assert found["buy/first"].observed["verdict"] == "allow"
    assert "no revocation_endpoint (RFC 7009)" in (found["revoke/end"].skipped or "")


def test_a_device_flow_that_is_not_for_this_client_gives_way_to_the_code_flow(tmp_path: Path) -> None:
    auth_server = AuthServer(code=True, devices_refused=True)
    stage = WithSomebody()
    with listening(corner_shop(), auth_server) as url:
        found = steps(played(url, tmp_path, stage=stage, only=("login", "buy")))
    assert found["login/granted"].observed["granted"] is True
    assert found["buy/first"].observed["verdict"] == "allow"
    assert "browser flow: the device flow (RFC 8628) is not for this client" in stage.written.getvalue()
    assert len(auth_server.registered) == 2


def test_a_device_flow_that_somebody_asked_for_is_not_replaced_by_another(tmp_path: Path) -> None:
    auth_server = AuthServer(code=True, devices_refused=True)
    with listening(corner_shop(), auth_server) as url:
        cast = Cast(url, tmp_path, is_local=False, port=0)
        logins = LoggingIn(cast.agent(), WithSomebody(), human=None)
        with pytest.raises(GrantNotAllowed) as refused:
            logins.by(logins.choose("device"), ("items",))
    assert advice(refused.value).endswith("demo login --browser")
    assert len(auth_server.registered) == 1


def test_without_a_person_there_is_nobody_to_decide(guarded: str, tmp_path: Path) -> None:
    beats = played(guarded, tmp_path, stage=Stage(Console(quiet=True)), only=("failure", "login", "buy"))
    assert not red(beats)
    assert "nobody can decide" in (beats["login"].skipped or "")
    assert "no token for this server" in (beats["buy"].skipped or "")
    assert beats["failure"].skipped is None


def test_a_tool_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with listening(corner_shop()) as url:
        found = steps(played(url, tmp_path, tools=ToolMap(), only=("authless",)))
    why = found["authless/purchase"].skipped or ""
    assert "no tool buyMcpShopItem" in why
    assert "list_items, buy, history" in why
    assert "[tools]" in why


def test_an_argument_that_its_tool_does_not_take_is_named(tmp_path: Path) -> None:
    half = ToolMap({**NAMES.tools, "buyMcpShopItem": ServersTool("buy", {"tshirtSize": "size"})})
    with listening(corner_shop()) as url:
        found = steps(played(url, tmp_path, tools=half, only=("authless",)))
    assert "takes size, address, not company, mailingAddress" in (found["authless/purchase"].skipped or "")


def test_a_tool_that_refuses_what_it_was_given_is_red(tmp_path: Path) -> None:
    """The tool is there, and the call fails: that is no missing capability."""
    wrong = ToolMap(
        {
            **NAMES.tools,
            "buyMcpShopItem": ServersTool("buy", {"company": "size", "mailingAddress": "address", "tshirtSize": None}),
        }
    )
    with listening(corner_shop()) as url:
        found = steps(played(url, tmp_path, tools=wrong, only=("authless",)))
    assert "verdict" in found["authless/purchase"].failed


def test_a_server_that_admits_a_token_it_took_back_is_red(tmp_path: Path) -> None:
    with listening(corner_shop(), AuthServer(revocation=True, obeys_revocation=False)) as url:
        beats = played(url, tmp_path, only=("login", "revoke"))
    end = steps(beats)["revoke/end"]
    assert not end.ok
    assert {"after", "status"} <= set(end.failed)
    assert len(red(beats)) == 1


def test_metadata_for_another_issuer_is_red_at_the_challenge(tmp_path: Path) -> None:
    class Liar(AuthServer):
        def metadata(self) -> dict[str, object]:
            return super().metadata() | {"issuer": "http://127.0.0.1:1"}

    with listening(corner_shop(), Liar()) as url:
        found = steps(played(url, tmp_path, only=("challenge",)))
    assert "trusted" in found["challenge/follow"].failed


def test_a_purchase_without_a_key_is_not_made_twice(guarded: str, tmp_path: Path) -> None:
    settings = Settings(server=guarded, state=tmp_path, port=0, tools=NAMES)
    with Run.open(tmp_path) as run, run.performing():
        director = Director(run, load_talk(None), settings, WithSomebody(), strict=True)
        for beat in ("login", "buy", "buy"):
            planned = director.plan.find(beat)
            assert planned is not None
            result = director.play(planned, afresh=True)
    assert "buy twice" in (result.steps[0].skipped or "")


@pytest.mark.parametrize("plan", ["problem-first", pytest.param("context-first", marks=pytest.mark.long)])
def test_the_bundled_shop_by_its_url_plays_all_but_its_restart(plan: str, base_url: str, tmp_path: Path) -> None:
    beats = played(base_url, tmp_path, plan=plan, stage=Stage(Console(quiet=True)), tools=ToolMap())
    assert not red(beats)
    skipped = {name for name, step in steps(beats).items() if step.skipped}
    found = steps(beats)
    assert skipped == {
        *("where-agents-run/restart", "revoke/nobody-to-ask"),
        *("who-manages-identity/user", "audit/told", "future/gone"),
        *(f"agent-identity/{step}" for step in ("pass", "live", "ended")),
        *(f"agent-asks/{step}" for step in ("owner", "refused", "no", "yes", "used", "back")),
    }
    skipped -= {"agent-asks/used"}  # there is no token of what nobody approved
    assert all("this state folder" in (found[name].skipped or "") for name in skipped)
    unchecked = {name for name, step in steps(beats).items() if step.unchecked}
    assert unchecked == {"where-agents-run/edge", "deploy/button"}, "what is only described is not checked"


def test_the_reason_is_in_the_json_and_on_the_screen(guarded: str, tmp_path: Path) -> None:
    from talk.report import as_json

    stage = WithSomebody()
    beats = played(guarded, tmp_path, stage=stage, only=("authless", "failure"))
    told = as_json("problem-first", guarded, list(beats.values()), 1.0)
    failure = next(beat for beat in told["beats"] if beat["id"] == "failure")["steps"][0]
    assert "demo/decision" in failure["unchecked"]["rule"]
    authless = next(beat for beat in told["beats"] if beat["id"] == "authless")
    assert "/open/mcp does not answer as an MCP server: HTTP 404" in authless["skipped"]
    screen = re.sub(r"\s+", " ", stage.written.getvalue())
    assert "not checked in refused: gate, rule, attributed, audited" in screen
    assert "skipped inventory: this server has no door without auth" in screen


def test_a_mapping_is_for_another_server_only(base_url: str, tmp_path: Path) -> None:
    stage = Stage(Console(quiet=True))
    beats = played(base_url, tmp_path, stage=stage, tools=NAMES, only=("authless", "login", "buy"))
    assert not red(beats)
    assert not any(beat.skipped for beat in beats.values())


def test_workos_is_asked_nothing_about_a_human_whom_no_token_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth_server = AuthServer()
    monkeypatch.setenv("WORKOS_API_KEY", "sk_test_not_a_real_one")
    with faking() as workos, listening(corner_shop(), auth_server) as url:
        told = WorkOSSettings(authkit=auth_server.issuer, client_id="client_x", base_url=workos.base)
        found = steps(played(url, tmp_path, only=("login",), plan=PLANS[1], workos=told))
        found |= steps(played(url, tmp_path, only=("who-manages-identity",), plan=PLANS[1], workos=told))
        assert workos.requests == []
    assert found["login/granted"].observed["granted"] is True
    (skipped,) = {step.skipped for name, step in found.items() if name.endswith("/user")}
    assert "opaque" in (skipped or "")
