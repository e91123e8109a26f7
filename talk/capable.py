"""Why a step cannot be played at a stranger's server: what is missing there, and by which evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talk.beat import PURCHASE
from talk.house import IDEMPOTENCY, House
from talk.script import Step
from talk.steps import SAMPLES

if TYPE_CHECKING:
    from demo.evidence import AuthorityMetadata


@dataclass(frozen=True)
class Past:
    """What this run has done before: attempted this very step, and been granted authority in another one."""

    attempted: bool = False
    granted: bool = False


STANDARD = ("token.missing", "token.audience", "token.expired", "open.anonymous", "allowed")
"""Rules that any server behind OAuth, or without auth, may be expected to keep; the others are the shop's own."""


def why_not(step: Step, house: House, past: Past) -> str | None:
    """The reason why this server cannot do this step, in words for the screen and the JSON; None where it can.

    Only what is not there is a reason. What is there and does not do what the step expects is for the step to find.
    """
    if step.options.get("who") in SAMPLES:
        return "it is played by a sample human of the bundled authority"
    look = _LOOKS.get(step.do)
    return look(step, house, past) if look is not None else None


def _tools(step: Step, house: House, _: Past) -> str | None:
    return _console(step, house) or house.no_door(step.options["door"])


def _call(step: Step, house: House, past: Past) -> str | None:
    options = step.options
    door, verb, nobody = options["door"], options["tool"], options["who"] == "nobody"
    why = _console(step, house) or house.no_door(door) or _rule(step, house)
    if why is None and door == "protected" and not nobody:
        why = _no_token(house)
    if why is not None:
        return why
    stored = door == "protected" and not nobody
    arguments = dict(options.get("args", {}))
    if (why := house.no_tool(verb, arguments, door, stored=stored)) is not None:
        return why
    buys = verb == PURCHASE and step.expect.get("status", 200) == 200
    if buys and ("same_as" in options or past.attempted) and not house.takes_key(verb, door, stored=stored):
        return f"asking twice would buy twice: its tool {house.names.name(verb)} takes no {IDEMPOTENCY}"
    return _special_token(step, house)


def _challenge(step: Step, house: House, _: Past) -> str | None:
    return house.no_door("protected")


def _burst(step: Step, house: House, _: Past) -> str | None:
    if not house.seen.tells_decisions:
        return "a stranger's server is not flooded: it does not say that it limits a rate for each agent"
    return (
        house.no_door("protected")
        or _no_token(house)
        or house.no_tool(step.options["tool"], {}, "protected", stored=True)
    )


def _login(step: Step, house: House, past: Past) -> str | None:
    from demo.client.oauth.challenge import OFFLINE

    if (why := house.no_door("protected")) is not None:
        return why
    authority = _authority(house)
    if isinstance(authority, str):
        return authority
    held, asked = house.agent.stored(), house.scopes(step.options["scopes"])
    # Not every authorization server repeats the scope of a refresh token in its answer.
    granted = {*held.scope, *((OFFLINE,) if held.refresh_token else ())} if held is not None else set()
    if past.granted and held is not None and set(asked) <= granted:
        names = " ".join(asked) or "none in particular"
        return f"there is nothing more to ask for: of the scopes known there it holds all it would ask ({names})"
    return None


def _whoami(step: Step, house: House, _: Past) -> str | None:
    return _console(step, house) or house.no_door("protected") or _no_token(house)


def _audit(_: Step, house: House, __: Past) -> str | None:
    if (why := house.no_console()) is None:
        return None
    answer = house.seen.audit
    how = f"GET /audit answered {answer.status}" if answer is not None else house.seen.failure("audit")
    return f"{why}; here {how}"


def _sessions(_: Step, house: House, __: Past) -> str | None:
    if house.no_console() is None:
        return None
    authority = _authority(house)
    named = authority if isinstance(authority, str) else f"{authority.issuer} is another"
    return f"a list of what a human granted is in no standard; only the bundled authority has one ({named})"


def _revoke(step: Step, house: House, _: Past) -> str | None:
    if (why := house.no_door("protected") or _no_token(house)) is not None:
        return why
    if house.lent:
        return "the stored login is only borrowed for this run: the next one needs it, too"
    if house.no_console() is None:
        return house.no_tool(step.options["tool"], {}, "protected", stored=True)
    if step.options["what"] not in ("session", "token"):
        return (
            f"taking back all that a human gave an {step.options['what']} is in no standard; RFC 7009 revokes a token"
        )
    authority = _authority(house)
    if isinstance(authority, str):
        return authority
    if authority.revocation_endpoint is None:
        return f"its authority revokes nothing: no revocation_endpoint (RFC 7009) in {authority.url}"
    return house.no_tool(step.options["tool"], {}, "protected", stored=True)


def _reinstate(_: Step, house: House, __: Past) -> str | None:
    if house.no_console() is None:
        return _no_token(house)
    return "giving standing back is in no standard; only the bundled authority does it"


def _rival(_: Step, house: House, __: Past) -> str | None:
    return house.no_door("protected") or "the rival agent is registered at the bundled authority only"


def _outage(_: Step, __: House, ___: Past) -> str | None:
    return "only the authorization server of this state folder can be put out of order from here"


def _restart(_: Step, __: House, ___: Past) -> str | None:
    return "only the server of this state folder can be restarted from here"


_LOOKS: Mapping[str, Callable[[Step, House, Past], str | None]] = {
    "tools": _tools,
    "call": _call,
    "challenge": _challenge,
    "burst": _burst,
    "login": _login,
    "whoami": _whoami,
    "audit": _audit,
    "sessions": _sessions,
    "revoke": _revoke,
    "reinstate": _reinstate,
    "rival": _rival,
    "reuse": _rival,
    "outage": _outage,
    "restart": _restart,
}


def _console(step: Step, house: House) -> str | None:
    return house.no_console() if step.options.get("who") == "console" else None


def _rule(step: Step, house: House) -> str | None:
    rule = step.expect.get("rule")
    if rule == "scope.insufficient" and house.by_role:
        return "no scope can be missing here: what an agent may do is what its human's role permits"
    if rule is None or rule in STANDARD or house.seen.tells_decisions:
        return None
    return f"the rule {rule} is the shop's own, and this server does not say what its gates decide (no demo/decision)"


def _no_token(house: House) -> str | None:
    if house.agent.stored() is not None:
        return None
    return f"{house.agent.name} has no token for this server: nobody gave it authority here"


def _authority(house: House) -> AuthorityMetadata | str:
    found, seen = house.seen.authority, house.seen
    if found is None:
        failed = seen.failure("metadata") or "no authorization server metadata (RFC 8414) at its well-known places"
        return f"there is nobody to ask for authority: {failed}"
    return found


def _special_token(step: Step, house: House) -> str | None:
    kind = step.options["token"]
    if kind == "stored":
        return None
    from demo.client.tokens import claims

    held = house.agent.stored()
    if kind == "forged":
        opaque = held is None or claims.take_apart(held.access_token) is None
        return "its tokens are opaque: there is no claim in them to forge" if opaque else None
    if held is None or held.refresh_token is None:
        return "such a token is made by a refresh, and this authority gave no refresh token"
    if claims.take_apart(held.access_token) is None:
        return "its tokens are opaque: which audience and life another one has cannot be seen"
    authority = _authority(house)
    if kind == "other-audience" and not isinstance(authority, str) and authority.userinfo_endpoint is None:
        return f"there is no other resource to ask a token for: no userinfo_endpoint in {authority.url}"
    return None
