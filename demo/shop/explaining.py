"""Explaining: what the gates would say of a call that nobody makes, and by which line of the policy.

The gates are asked, not described: `admit` and `within_limits` of `demo.shop.policy`, on the facts as they are now.
Nothing is counted, recorded or done.
"""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic import dataclasses as checked

from demo.evidence.shop import GATES, LimitUse
from demo.policy_file import Written
from demo.shop import ledger, policy
from demo.shop.approval import Wanted
from demo.shop.catalog import BUY, TOOLS
from demo.shop.facts import Case, Standing, TokenFacts
from demo.shop.gatehouse import Gatehouse, limits_of
from demo.shop.policy import Ruling
from deputize.evidence import Money

LONGEST: Final = 300
"""Characters of a name or an id that is asked about."""
SECONDS: Final = 60.0
"""How long the token lives that is supposed."""
SEARCHED: Final = 10_000
"""Entries of the audit log, the newest, in which somebody is looked up by name."""
KEYS: Final = {
    "limits.rate": "rate.calls",
    "limits.quota": "quota.purchases_per_consent",
    "limits.approval": "approval.above",
}


class Unclear(Exception):
    """A question that cannot be asked so, in words for who asks."""


Text = Annotated[str, Field(min_length=1, max_length=LONGEST)]


def _tool(name: str) -> str:
    if name not in TOOLS:
        raise ValueError(f"one of {', '.join(TOOLS)}")
    return name


@checked.dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Question:
    """Who would call what, on which grant, as the body of `POST /policy/explain` has it.

    Args:
        user: an email address, or a user id.
        scope: what was granted, with spaces between; None: nothing was, so there is no token to call with.
        revoked: what of it was revoked.
    """

    user: Text
    tool: Annotated[str, AfterValidator(_tool)]
    agent: Text | None = None
    client: Text | None = None
    session: Text | None = None
    consent: Text | None = None
    scope: Annotated[str, Field(max_length=10 * LONGEST)] | None = None
    spending_limit: Money | None = None
    revoked: Literal["session", "agent", "user", "token"] | None = None

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes one by one; none where nothing was granted."""
        return frozenset((self.scope or "").split())


_QUESTION: Final = TypeAdapter(Question)


def read(body: bytes) -> Question:
    """Read a question.

    Raises:
        Unclear: what is wrong with it.
    """
    try:
        return _QUESTION.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Unclear(
            ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, "))))
        ) from None


def explain(connection: sqlite3.Connection, house: Gatehouse, question: Question, asker: Case) -> dict[str, Any]:
    """What the gates say, on the facts of this moment.

    Args:
        asker: who asks, as the gates know them: of themselves the authorization server has just told name and roles.
    """
    written = house.policy.written
    case = _case(connection, house, question, asker)
    ruling = house.admit(case)
    limits: tuple[LimitUse, ...] = ()
    if ruling.verdict == "allow":
        usage = house.usage(connection, case.token)
        usage = replace(usage, rate_ok=usage.rate.left > 0)
        if question.tool == BUY:
            usage = house.with_approvals(connection, case, usage, Wanted("", "", "", usage.price))
        ruling, limits = policy.within_limits(case, usage), limits_of(usage)
    return {
        **vars(ruling),
        "user": case.token.user or question.user,
        "username": case.standing.username if case.standing else None,
        "agent": question.agent,
        "client": question.client,
        "tool": question.tool,
        "needs": case.scope,
        "scopes": sorted(question.scopes) if question.scope is not None else None,
        "gates": [_gate(gate, case, ruling, written) for gate in GATES],
        "limits": [asdict(limit) for limit in limits],
        "policy": {"digest": written.digest, "source": house.policy.source},
    }


def _case(connection: sqlite3.Connection, house: Gatehouse, question: Question, asker: Case) -> Case:
    config, now = house.config, house.config.clock()
    about_oneself = is_about(question, asker)
    roles: tuple[str, ...] = ()
    if about_oneself and asker.standing is not None:
        user, username, roles = asker.token.user, asker.standing.username, asker.standing.roles
    else:
        user, username = _named(connection, question.user)
    token = TokenFacts(
        fault=None if question.scope is not None else "missing",
        type="at+jwt",
        issuer=config.issuer,
        audience=(config.resource,),
        expires_at=now + SECONDS,
        user=user,
        chain=() if question.agent is None else (question.agent,),
        client=question.client,
        session=question.session,
        consent=question.consent,
        organization=asker.token.organization if about_oneself else None,
        token_id=None,
        scopes=question.scopes,
        spending_limits=() if question.spending_limit is None else ((None, question.spending_limit),),
    )
    standing = Standing(
        known=True,
        active=question.revoked is None,
        revoked=question.revoked,
        username=username,
        roles=roles,
        banned=ledger.is_banned(connection, token.caller),
    )
    rules = house.rules()
    return Case(
        token, now, rules, "tools/call", question.tool, house.policy.current().scope_of(question.tool), standing
    )


def is_about(question: Question, asker: Case) -> bool:
    """Whether somebody asks about themselves."""
    username = asker.standing.username if asker.standing else None
    return question.user == asker.token.user or (
        username is not None and policy.spelled(question.user) == policy.spelled(username)
    )


def _named(connection: sqlite3.Connection, named: str) -> tuple[str | None, str | None]:
    """User id and email address of somebody, as far as the shop has heard of both; what was asked for stands for the
    one that it looks like."""
    by_name = "@" in named
    row = connection.execute(
        "SELECT json_extract(decision, '$.user') AS user, json_extract(decision, '$.username') AS username FROM"
        " (SELECT rowid AS number, decision FROM shop_audit ORDER BY rowid DESC LIMIT ?)"
        " WHERE (CASE WHEN ? THEN username ELSE user END) = ? COLLATE NOCASE AND user IS NOT NULL"
        " ORDER BY number DESC LIMIT 1",
        (SEARCHED, by_name, named),
    ).fetchone()
    if row is not None:
        return row[0], row[1]
    return (None, named) if by_name else (named, None)


def _gate(gate: str, case: Case, ruling: Ruling, written: Written) -> dict[str, Any]:
    asked = GATES.index(ruling.gate)
    said = "passed" if GATES.index(gate) < asked or ruling.verdict == "allow" else "refused"
    if GATES.index(gate) > asked:
        said = "not asked"
    key = _key(gate, case, ruling if gate == ruling.gate else None)
    line = written.line(key) if key is not None else None
    if gate == "allowlist":
        # Who else is on the list is nobody's business.
        line, text = (_entry(case, written) if said == "passed" else None) or (line, None)
    else:
        text = written.text.splitlines()[line - 1].partition(" #")[0].strip() if line is not None else None
    return {"gate": gate, "said": said, "key": key, "line": line, "text": text}


def _key(gate: str, case: Case, ruling: Ruling | None) -> str | None:
    """What in the policy a gate goes by; None where others decide: the authorization server, or the human."""
    if gate == "allowlist":
        return "allowlist"
    if gate == "scope":
        return f"scopes.{case.tool}"
    if gate != "limits":
        return None
    if ruling is not None and ruling.verdict == "deny":
        return KEYS.get(ruling.rule)
    return KEYS["limits.quota" if case.tool == BUY else "limits.rate"]


def _entry(case: Case, written: Written) -> tuple[int, str] | None:
    """The entry that lets this human in, and its line."""
    names = set(map(policy.spelled, policy.names_of(case)))
    entry = next((one for one in written.policy.allowlist if policy.spelled(one) in names), None)
    start = written.line("allowlist") or 1
    for number, line in enumerate(written.text.splitlines()[start - 1 :], start):
        if entry is not None and entry in line.replace("'", '"').split('"')[1::2]:
            return number, f'"{entry}"'
    return None
