"""The step in which a human grants an agent something: by a code on any device, or in a browser on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.grants import Answer
from demo.evidence.screen import Comparison
from deputize.errors import AuthorizationRefused
from deputize.evidence import Money
from talk.playing.humans import NO_NAME, has_name, person_of, unreadable, username
from talk.playing.kind import SUB_AGENTS, WHO, Contradiction, Kind, Option, Past, Step
from talk.playing.other_server import NotHere
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.client.agent import Agent
    from demo.evidence.shop import Decision
    from deputize.evidence import TokenView
    from deputize.tokens.stored import StoredToken
    from talk.playing.other_server import OtherServer
    from talk.results import Outcome
    from talk.stage.login import Granted
    from talk.stage.screen import Consent


OUTCOMES: Mapping[str, Outcome] = {
    "access_denied": "declined",
    "expired_token": "unanswered",
    "timeout": "unanswered",
}
"""What a human answered, or that none did, by OAuth error code (RFC 8628 section 3.5, RFC 6749 section 4.1.2.1)."""


def login(step: Step, scene: Scene) -> Played:
    """Ask the human, and let them decide on the authorization server's pages."""
    from deputize.oauth.device_flow import DEVICE  # only now: it brings the whole agent
    from deputize.oauth.flows import ChosenFlow
    from talk.stage.login import LoggingIn

    agent, other = scene.cast.agent(step.options["who"]), scene.cast.other
    if other is not None and not (step.options["ask"] and scene.stage.person):
        # Whether a person is here to say yes or no: at another authorization server nobody else can.
        raise NotHere(
            "nobody can decide this login", why="no sample human signs in at this server's authorization server"
        )
    asked = tuple(step.options["scopes"]) if other is None else other.scopes(step.options["scopes"])
    before = agent.stored()
    logging_in = LoggingIn(
        agent,
        scene.stage,
        human=scene.cast.humans.human(step.options["account"]) if other is None else None,
        approve=step.options["decide"] == "approve",
        ask=step.options["ask"],
        spending=_spending(step, scene),
        bound=step.options["bound"],
        shown="device" in step.show,
        clicker=True,
    )
    try:
        flow = ChosenFlow(DEVICE, "it is the talk's") if other is None else agent.choose_flow()
        granted = logging_in.by(flow, asked)
    except AuthorizationRefused as refused:
        error = getattr(refused, "oauth_error", None)
        if error is None:
            raise
        if error == "unsupported" and other is not None:
            raise NotHere(refused.what, why=refused.why) from refused
        return _not_granted(step, scene, error, f"{refused.what}: {refused.why or error}", logging_in.answered_by)
    other_human = _another(step, scene, granted)
    if other_human is not None and (met := _kept_out(agent, scene)) is not None:
        return _handed_back(step, scene, granted.token, before, Answer(other_human, agent.name, "other"), met)
    if before is not None and other is None:
        # The new consent replaces the old one: what is not needed any more is revoked (RFC 7009). At another
        # authorization server that might end the whole grant, and the new token with it (section 2.1).
        agent.revoke(before)
        replaced = _is_gone(agent, before)
    played = _granted(agent, granted, asked, scene, limited=_spending(step, scene) is not None)
    if before is not None and other is None:
        played.observed["replaced"] = replaced
    elif before is not None:
        played.unobservable["replaced"] = "what becomes of an earlier consent is its authorization server's choice"
    if before is not None:
        more = _more(before.scope, played.observed["scopes"])
        played.panels["scopes"] = lambda: panels.comparison(more)
    human = str(played.observed.get("human") or "")
    if step.options["who"] == "agent":
        if other is None and human:
            scene.cast.humans.grantor = human
        limit = granted.token.spending_limit
        said = Answer(human, agent.name, "yes" if other_human is None else "other", limit, granted.token.scope)
        _answered(played, scene, said)
    if other_human is not None:
        played.outcome = "other_account"
        played.shown = tuple(dict.fromkeys(("answer", *step.show)))
    return played


def _not_granted(step: Step, scene: Scene, error: str, what: str, human: str | None) -> Played:
    """The end of a login without a grant: what the script has, an answer of the room, or a refusal of the server."""
    played = Played({"granted": False, "error": error})
    outcome = OUTCOMES.get(error)
    if outcome is None or step.options["who"] != "agent":
        scene.stage.note(what)
        return played
    asked = scene.cast.humans.account(step.options["account"]) if scene.cast.other is None else ""
    # Who has said no in a browser, nobody tells.
    who = asked if outcome == "unanswered" else human or ""
    agent = scene.cast.agent(step.options["who"])
    _answered(played, scene, Answer(who, agent.name, "no" if outcome == "declined" else "nothing"))
    if step.options["decide"] == "approve":
        played.outcome, played.shown = outcome, ("answer",)
    return played


def _another(step: Step, scene: Scene, granted: Granted) -> str | None:
    """Who has said yes where the script has somebody else; None where it was who was asked, or nobody can know."""
    if scene.strict or scene.cast.other is not None or step.options["who"] != "agent" or not has_name(granted.token):
        return None
    person = person_of(scene.cast.agent(), granted.token)
    human = username(person) if person is not None else ""
    return human if human not in ("", scene.cast.humans.account(step.options["account"])) else None


def _kept_out(agent: Agent, scene: Scene) -> Decision | None:
    """The decision by which the shop lets in nobody with this grant, whatever it allows: its human is not on the
    shop's list; None where it is let in."""
    met = scene.with_retries(lambda: agent.call("listMcpShopInventory", {}))[-1]
    return met.decision if met.decision is not None and met.decision.gate == "allowlist" else None


def _handed_back(
    step: Step, scene: Scene, token: StoredToken, before: StoredToken | None, answer: Answer, met: Decision
) -> Played:
    """A grant that is of no use is revoked (RFC 7009), and the agent goes on with what it had."""
    who = step.options["who"]
    scene.cast.agent(who).revoke(token)
    if before is not None:
        scene.cast.server.store.put(who, before)
    else:
        scene.cast.server.store.delete(who)
    played = Played({"granted": False, "human": answer.human}, decision=met, decisions=[met])
    played.outcome, played.shown = "other_account", ("answer", "decision")
    played.panels["decision"] = lambda: panels.decision(met)
    _answered(played, scene, answer)
    return played


def _answered(played: Played, scene: Scene, answer: Answer) -> None:
    """Note what the human has answered: for the recording, and as a panel."""
    states: dict[str, Consent] = {"yes": "yes", "no": "no", "nothing": "unanswered", "other": "other"}
    amount = str(answer.amount) if answer.amount is not None else ""
    scene.stage.consent(states[answer.said], human=answer.human, agent=answer.agent, amount=amount)
    played.panels["answer"] = lambda: panels.answer(answer)


def _is_gone(agent: Agent, token: StoredToken) -> bool:
    """Whether neither token of a login that was revoked is accepted any more."""
    renewed = token.refresh_token is not None and agent.redeem(token, client_id=token.client_id)[0] == 200
    return not renewed and agent.call("listMcpShopInventory", {}, token=token).status == 401


def _more(before: Sequence[str], after: Sequence[str]) -> Comparison:
    """What the agent had and what it has now, scope by scope; what is new comes first."""
    new = [scope for scope in after if scope not in before]
    lost = [scope for scope in before if scope not in after]
    titles = {0: "The same scopes as before", 1: "It asked for one thing more, and a human said yes"}
    title = titles.get(len(new), f"It asked for {len(new)} things more, and a human said yes")
    rows = [(scope, "no", "yes: new") for scope in new]
    rows += [(scope, "yes", "yes") for scope in after if scope in before]
    rows += [(scope, "yes", "no") for scope in lost]
    gone = f"The new consent leaves out what it had: {', '.join(lost)}."
    return Comparison(
        title,
        tuple(rows),
        gone if lost else "The new consent holds both: what it had, and what was added." if new else "",
    )


def _granted(agent: Agent, granted: Granted, asked: tuple[str, ...], scene: Scene, *, limited: bool) -> Played:
    token = granted.token
    view = agent.view(token)
    scopes = sorted(view.scopes)
    limit = token.spending_limit
    observed: dict[str, Any] = {
        "granted": True,
        "scopes": scopes,
        "left_out": sorted(set(asked) - set(scopes)),
        "spending": limit.amount if limit else 0,
        "verified": view.signature is not None and not view.problems,
        "delegated": view.claim("act.sub") is not None,
        "bound": view.holder == "key",
        "consent_matches": granted.matches and view.claim("client_id") == agent.client_id,
    }
    played = Played(observed, {"token": lambda: panels.token(view, time.time())})
    ours = scene.cast.other is None
    person = agent.userinfo(token) if ours and has_name(token) else None
    if person is not None:
        observed["human"] = username(person)
    elif ours:
        played.unobservable = {"human": NO_NAME}
    else:
        played.unobservable = _unobservable(view, asked, limited=limited)
    if view.kind == "jwt":
        chain = agent.chain(token, seen=view, person=person or ({} if ours else None))
        played.panels["chain"] = lambda: panels.chain(chain)
    else:
        # Who is in it cannot be seen: what can be known of it, and what not, is shown instead of a chain.
        played.panels["chain"] = played.panels["token"]
    return played


def _unobservable(view: TokenView, asked: tuple[str, ...], *, limited: bool) -> dict[str, str]:
    """What of a grant by another authorization server cannot be held against the talk's own."""
    names = " ".join(asked) or "none in particular"
    missing = {
        "human": "a person decided here, not the talk's sample human",
        "scopes": f"this server has scopes of its own: {names} was asked for",
        "left_out": f"this server has scopes of its own: {names} was asked for",
        "bound": "whether its tokens are bound to a key (RFC 9449) is for this server to say",
    }
    if not limited:
        missing["spending"] = (
            "no spending limit was asked for: the authorization server's metadata knows of none (RFC 9396)"
        )
    return missing | unreadable(view)


def _spending(step: Step, scene: Scene) -> Money | None:
    """The limit to ask for. A server that does not know such a detail must refuse it (RFC 9396 section 5)."""
    limit = step.options["spending"]
    if not limit:
        return None
    known = scene.cast.other is None or scene.cast.agent(step.options["who"]).limits_spending()
    return Money(limit) if known else None


def _cannot(step: Step, other: OtherServer, past: Past) -> str | None:
    from deputize.oauth.challenge import OFFLINE

    if (why := other.no_door("protected")) is not None:
        return why
    auth_server = other.authorization_server()
    if isinstance(auth_server, str):
        return auth_server
    held, asked = other.agent.stored(), other.scopes(step.options["scopes"])
    # Not every authorization server repeats the scope of a refresh token in its answer.
    granted = {*held.scope, *((OFFLINE,) if held.refresh_token else ())} if held is not None else set()
    if past.granted and held is not None and set(asked) <= granted:
        names = " ".join(asked) or "none in particular"
        return f"there is nothing more to ask for: of the scopes known there it holds all it would ask ({names})"
    return None


def _contradictions(given: Mapping[str, Any], step: Step) -> Iterator[Contradiction]:
    options, expect = step.options, step.expect
    if options["who"] in ("nobody", "console", *SUB_AGENTS):
        what = f"a login of '{options['who']}', to whom no human grants anything"
        yield Contradiction(("who",), what, "leave who out, or name an agent")
    if options["decide"] == "deny" or expect.get("granted") is False:
        why = "the human says no" if options["decide"] == "deny" else "nothing is granted"
        for key in expect:
            if key not in ("granted", "error") or (key == "granted" and expect[key] is True):
                what = f"'{key}' is expected of a login in which {why}"
                yield Contradiction(("expect", key), what, "leave one of the two out")
    elif expect.get("granted") is True and "error" in expect:
        yield Contradiction(
            ("expect", "error"), "an error is expected of a login that is granted", "leave one of the two out"
        )


LOGIN = Kind(
    "login",
    "The human is asked, and decides on the authorization server's pages (RFC 8628; or a browser). "
    "`spending` in cents; `bound = false` asks for a bearer token, as a client does that can prove no key.",
    login,
    {
        "who": WHO,
        "account": Option(default="alice@example.com"),
        "scopes": Option(list, required=True),
        "spending": Option(int, default=0),
        "decide": Option(default="approve", choices=("approve", "deny")),
        "ask": Option(bool, default=True),
        "bound": Option(bool, default=True),
    },
    {
        "granted": bool,
        "error": str,
        "scopes": list,
        "left_out": list,
        "spending": int,
        "human": str,
        "consent_matches": bool,
        "verified": bool,
        "delegated": bool,
        "bound": bool,
        "replaced": bool,
    },
    ("device", "answer", "token", "chain", "scopes"),
    names={"account": "account", "scopes": "scope", "left_out": "scope"},
    why_not=_cannot,
    contradictions=_contradictions,
    draws_itself=True,
    holds=("device", "browser"),
)
