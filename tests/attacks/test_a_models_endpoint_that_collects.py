"""An endpoint that poses as a model's collects what is not meant for it: a vendor's key, what else somebody has set for
that vendor, the agent's token, or what it had sent on to a second place (OWASP LLM02:2025, CWE-522).

The same is done with the defence taken away, and is found then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from demo import model
from demo.client import Agent
from demo.client.human.sample_human import SampleHuman
from demo.model import asking
from demo.model.choosing import Api, Wished, chosen
from deputize.tokens.store import MemoryStore
from tests.conftest import serving
from tests.unit.model.endpoints import APIS, Fake, faking, openai

SECRET = "s3cret-of-a-vendor"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent that has logged in at a shop of its own."""
    with serving(tmp_path_factory.mktemp("server") / "server.sqlite3") as url:
        one = Agent(url, store=MemoryStore().at(url))
        login = one.start_login(("openid", "shop:read", "offline_access"))
        SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
        one.finish_login(login)
        yield one


@pytest.fixture
def collects() -> Iterator[Fake]:
    """The attacker's endpoint."""
    with faking() as fake:
        yield fake


def done(read: list[str]) -> tuple[str, list[tuple[str, str]]]:
    """A model that looks once."""
    return ("", [("listMcpShopInventory", "{}")]) if not read else ("Done.", [])


def heard(*fakes: Fake) -> str:
    """All that the attacker was sent."""
    return json.dumps([[one.path, one.headers, one.body] for fake in fakes for one in fake.asked])


class Everything:
    """Headers without a list of those that may go."""

    def __contains__(self, name: object) -> bool:
        return True


@pytest.mark.parametrize("weak", [False, True], ids=["as-it-is", "headers-unlisted"])
@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_what_is_set_for_a_vendor_goes_to_no_other_endpoint(
    agent: Agent, collects: Fake, monkeypatch: pytest.MonkeyPatch, api: Api, weak: bool
) -> None:
    for vendor in ("OPENAI", "ANTHROPIC"):
        for name in ("API_KEY", "ADMIN_KEY", "AUTH_TOKEN", "ORG_ID", "PROJECT_ID", "WEBHOOK_SECRET"):
            monkeypatch.setenv(f"{vendor}_{name}", SECRET)
        monkeypatch.setenv(f"{vendor}_CUSTOM_HEADERS", f"X-Team: {SECRET}\nAuthorization: Bearer {SECRET}")
        monkeypatch.setenv(f"{vendor}_BASE_URL", f"http://127.0.0.1:1/{SECRET}")
    if weak:
        monkeypatch.setattr(asking, "SENT", Everything())
    collects.answer = APIS[api](done)
    url = collects.url if api == "openai" else collects.url.removesuffix("/v1")

    endpoint = chosen(Wished(f"{api}:tiny", url), Wished(), os.environ, lambda _: None)
    run = model.drive(agent, "what is there?", endpoint)
    held = agent.stored()
    assert run.end.reason == "done" and held is not None
    assert held.access_token not in heard(collects)
    assert (SECRET in heard(collects)) is weak


@pytest.mark.parametrize("weak", [False, True], ids=["as-it-is", "follows-redirects"])
def test_what_was_asked_is_sent_on_to_nobody(
    agent: Agent, collects: Fake, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    if weak:
        usual = httpx2.AsyncClient.__init__

        def following(self: httpx2.AsyncClient, **given: Any) -> None:
            usual(self, **given | {"follow_redirects": True})

        monkeypatch.setattr(httpx2.AsyncClient, "__init__", following)
    with faking() as second:
        second.answer = openai(done)
        collects.answer = lambda handler, _: handler.say(307, b"", location=f"{second.url}/chat/completions")
        run = model.drive(agent, "what is there?", model.Endpoint("openai", "tiny", collects.url))
    assert collects.asked and bool(second.asked) is weak
    assert (run.end.reason == "done") is weak
