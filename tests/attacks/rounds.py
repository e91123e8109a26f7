"""One round of all that is done at a local server, by everybody who may call it."""

from __future__ import annotations

import time

import httpx2

from demo.client import Agent, SampleHuman
from demo.client.human import console as human
from demo.client.workos.agents import AgentIdentity
from demo.client.workos.audit import AuditLog
from demo.client.workos.people import People
from demo.client.workos.preparing import prepare
from demo.evidence.shop import Decision
from deputize import MemoryStore
from tests.conftest import HANGS, console_at
from tests.unit.auth_server.conftest import Browser, Clock, House
from tests.unit.auth_server.handing_on import Parent, SubKey
from tests.unit.auth_server.test_auth_server_dpop import Holder, login
from tests.unit.workos.conftest import BUY, CEILING, World, log_in


def a_whole_round(world: World) -> None:
    """Log in, buy, read, renew, register, guess, administrate, revoke, reinstate."""
    with httpx2.Client(base_url=world.base, trust_env=False, timeout=HANGS) as http:
        agent = world.agent()
        outcome = agent.call("buyMcpShopItem", {**BUY, "idempotencyKey": "one"})
        assert outcome.decision is not None and outcome.allowed
        for tool in ("listMcpShopInventory", "listMcpShopOrders", "getUserInfo"):
            agent.call(tool, {})
        assert agent.call("buyMcpShopItem", BUY, door="open", token="none").status == 200
        assert agent.call("listMcpShopInventory", {}, token="none").status == 401
        agent.refresh()
        with_an_approval(agent)
        banned = Agent(world.base, store=MemoryStore(), client_id="demo-rival")
        log_in(banned, "grace@example.com", ("shop:read", "demo:mode", "user:read"), None, None)
        banned.call("setDemoMode", {"mode": "banned"})
        banned.call("prettyPlease", {})
        by_others(House(world.base, Clock(), world.state / "server.sqlite3", http))
        by_an_administrator(world, outcome.decision)
        console = console_at(world.base, MemoryStore())
        console.sign_in(SampleHuman("alice@example.com"))
        entries = console.audit()
        console.audit(after=entries[0].audit_id)
        console.audit(user=entries[0].user, agent="demo-agent", verdict="deny", since=entries[0].at)
        for log in console.read_trail("/audit/checkpoint", {})["logs"]:
            console.read_trail("/audit/log", {"id": log["log"]})
        pages, human.PAGE = human.PAGE, 1
        assert len(console.sessions()) > 2
        human.PAGE = pages
        asked = banned.start_login(("shop:read",))
        SampleHuman("alice@example.com").decide(asked.code.verification_uri, asked.code.user_code, approve=False)
        answers = console.answers()
        assert answers is not None
        assert answers[-1].client == "demo-rival"
        session = agent.view(agent.token()).claim("sid")
        assert session is not None
        console.revoke("session", session)
        console.revoke("user", "user_alice")
        assert console.reinstate("user", "user_alice")
        assert agent.call("listMcpShopInventory", {}).status == 401


def with_an_approval(agent: Agent) -> None:
    """Have a human approve one purchase, and make it."""
    chain = agent.chain(agent.token())
    detail = {
        "type": "shop_purchase",
        "actions": ["buy"],
        "locations": [agent.token().resource],
        "session": chain.session,
        "agent": chain.agent,
        "item": "Conference T-shirt",
        "size": BUY["tshirtSize"],
        "company": BUY["company"],
        "mailingAddress": BUY["mailingAddress"],
        "price": {"amount": 2500, "currency": "USD"},
    }
    login = agent.start_login(("shop:buy",), details=(detail,))
    SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
    outcome = agent.call("buyMcpShopItem", BUY, token=agent.finish_login(login, keep=False))
    assert outcome.allowed, outcome.text


def by_others(house: House) -> None:
    """A newcomer, a browser that approves, one that guesses, one that signs in and out."""
    assert house.register().status_code == 201
    code = house.code()
    assert house.exchange(code).status_code == 200
    assert house.exchange(code).status_code == 400
    holder = Holder(house)
    bound = login(holder)
    own = SubKey("Shirt Agent", holder.key)
    assert Parent(house, bound["access_token"], own).hand_on(SubKey("Another")).status_code == 200
    assert holder.refresh(bound["refresh_token"]).status_code == 200
    browser = Browser(house.base)
    for typed in ("WRNG-CDFX", str(house.ask().json()["user_code"])):
        browser.get("/device")
        browser.submit("/device", user_code=typed)


def by_an_administrator(world: World, decision: Decision) -> None:
    """WorkOS's API, by its SDK: people, agents, the audit log and events."""
    tenant = world.tenant()
    people = People(tenant)
    people.sessions("user_alice")
    people.grants("user_alice")
    people.find("alice@example.com")
    identity = AgentIdentity.ensure(tenant, name="Shirt Agent", permissions=CEILING)
    held = identity.deputize(world.console().access_token)
    identity.validate(held.access_token)
    identity.revoke(held.session)
    prepare(tenant, f"{world.base}/mcp")
    log = AuditLog(tenant, where="here")
    log.record_order(decision)
    log.export(time.time() - 60, time.time() + 60)
    log.events()
    agent = world.agent("grace@example.com")
    people.revoke_grant("user_grace", "demo-agent")
    assert agent.call("listMcpShopInventory", {}).status == 401
