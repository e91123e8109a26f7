"""Who plays where: the talk's own client at the bundled server, at another the one that [client] names."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from demo.client.capabilities import Survey
from demo.client.capabilities.survey import OURS
from demo.settings.client import ClientSettings
from demo.settings.workos import WorkOSSettings
from deputize.errors import EnvironmentNotReady
from deputize.evidence import AuthorizationServerMetadata, Challenge
from talk.cast import Cast
from talk.playing.other_server import NotHere
from tests.conftest import HANGS
from tests.unit.talk.foreign_servers import AuthServer, corner_shop, listening


def cast_at(url: str, state: Path, client: ClientSettings | None = None) -> Cast:
    return Cast(url, state, is_local=False, port=0, client=client)


def logged_in(cast: Cast) -> str:
    """The client that a login was made as."""
    pending = cast.agent().start_login(("items",))
    urllib.request.urlopen(f"{pending.code.verification_uri}?code={pending.code.user_code}", timeout=HANGS).close()
    return cast.agent().finish_login(pending, timeout=HANGS).client_id


def test_at_another_authorization_server_the_agent_registers_itself(tmp_path: Path) -> None:
    auth_server = AuthServer()
    with listening(corner_shop(), auth_server) as url:
        cast = cast_at(url, tmp_path)
        assert logged_in(cast) == "client-1"
        assert not cast.server.ours
    assert len(auth_server.registered) == 1


def test_a_client_that_is_configured_is_used_and_nothing_registered(tmp_path: Path) -> None:
    auth_server = AuthServer()
    with listening(corner_shop(), auth_server) as url:
        assert logged_in(cast_at(url, tmp_path, ClientSettings(id="mine"))) == "mine"
    assert not auth_server.registered


def test_a_secret_that_is_named_and_not_set_is_told_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CORNER_SECRET", raising=False)
    with listening(corner_shop(), AuthServer()) as url:
        cast = cast_at(url, tmp_path, ClientSettings(id="mine", secret_env="CORNER_SECRET"))
        with pytest.raises(EnvironmentNotReady) as refused:
            cast.agent()
    assert "CORNER_SECRET" in refused.value.what


def test_sample_humans_answer_at_the_bundled_server_wherever_it_was_started(base_url: str, tmp_path: Path) -> None:
    cast = cast_at(base_url, tmp_path)
    assert cast.server.ours
    assert cast.humans.human().account == "alice@example.com"
    assert cast.agent().client_id == "demo-agent"
    with pytest.raises(NotHere):
        cast.server.restart(lambda *_: None)


def test_workos_is_asked_at_the_local_server_by_the_key_in_its_folder(base_url: str, tmp_path: Path) -> None:
    """Whatever demo.toml says of an account: a dry run asks nobody outside this machine."""
    account = WorkOSSettings(authkit="https://name.authkit.app")
    environment = Cast(base_url, tmp_path, is_local=True, port=0, workos=account).humans.tenant().environment
    assert (environment.base_url, environment.local, environment.client_id) == (base_url, True, "client_local")


def test_workos_is_asked_elsewhere_where_demo_toml_names_an_account(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = WorkOSSettings(authkit=base_url, client_id="client_1")
    cast = Cast(f"{base_url}/mcp", tmp_path, is_local=False, port=0, workos=account)
    monkeypatch.delenv("WORKOS_API_KEY", raising=False)
    with pytest.raises(EnvironmentNotReady, match="no WorkOS API key"):
        cast.humans.tenant()
    monkeypatch.setenv("WORKOS_API_KEY", "sk_test_0123456789")
    environment = cast.humans.tenant().environment
    assert (environment.base_url, environment.local, environment.client_id) == (
        "https://api.workos.com",
        False,
        "client_1",
    )


def test_workos_is_not_asked_where_nothing_says_that_it_stands_behind_the_server(base_url: str, tmp_path: Path) -> None:
    for server, why in ((base_url, "this state folder"), ("https://shop.example/mcp", "no [workos] in demo.toml")):
        with pytest.raises(NotHere) as reason:
            cast_at(server, tmp_path).humans.tenant()
        assert why in reason.value.why


def test_the_sdk_is_not_loaded_before_workos_is_asked(base_url: str, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from talk.cast import Cast; from talk.playing import KINDS;"
        f"Cast({base_url!r}, Path({str(tmp_path)!r}), is_local=True, port=0).humans.tenant();"
        "print('workos' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=HANGS, check=True)
    assert told.stdout.strip() == "False"


def test_sample_humans_do_not_answer_at_another_server(tmp_path: Path) -> None:
    with listening(corner_shop(), AuthServer()) as url:
        cast = cast_at(url, tmp_path)
        with pytest.raises(NotHere):
            cast.humans.human()
        with pytest.raises(NotHere):
            cast.humans.console()


def test_who_is_the_bundled_server_is_told_by_name_place_and_authority() -> None:
    """One that has the name, on this machine, is held to it; another authorization server makes it another one."""
    here, elsewhere = (
        AuthorizationServerMetadata("", issuer, "") for issuer in ("http://127.0.0.1:1", "http://127.0.0.1:2")
    )

    def seen(
        auth_server: AuthorizationServerMetadata | None = here,
        endpoint: str = "http://127.0.0.1:1/mcp",
        name: str = OURS,
        issuer: str | None = None,
    ) -> bool:
        challenge = Challenge(401, "Bearer", (), authorization_server=auth_server)
        beside = {"name": issuer} if issuer is not None else None
        return Survey(endpoint=endpoint, challenge=challenge, health={"name": name}, issuer_health=beside).ours

    assert seen()
    assert seen(None), "its metadata is gone: it is broken, and not another"
    assert seen(replace(elsewhere, problem="it says it is another"))
    assert seen(elsewhere, issuer=OURS), "the shop as a Worker beside the bundled authorization server"
    assert not seen(elsewhere), "the shop as a Worker with another authorization server"
    assert not seen(elsewhere, issuer="other")
    assert not seen(name="other")
    assert not seen(endpoint="https://shop.example/mcp")


def test_a_server_elsewhere_is_not_looked_at_just_to_know_that_it_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: object, **__: object) -> None:
        raise AssertionError("it was looked at")

    monkeypatch.setattr("demo.client.capabilities.survey", look)
    cast = Cast("https://shop.example/mcp", tmp_path, is_local=False, port=0)
    assert cast.server.ours is False
    assert cast.door("protected") == "protected"
    assert cast.agent().endpoint() == "https://shop.example/mcp"
    with pytest.raises(AssertionError, match="looked at"):
        cast.other  # noqa: B018  what it has is looked for when that is asked
