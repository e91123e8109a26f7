"""Reading the audit trail whole, as it is chained: every log that the human may see, with its keys and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from demo.client.audit import remembered
from demo.client.audit.chain import Checkpoint, Reading, verify
from demo.client.human.console import Console
from demo.evidence.audit import Dispatched, LogCheck, TrailFinding
from deputize.errors import ServerUnreachable
from deputize.http.fetch import fetch
from deputize.http.origins import origin
from deputize.tokens import claims

PAGE: Final = 500
MOST_PAGES: Final = 20_000
MOST_ENTRIES: Final = 1_000_000
"""Of one trail, all logs together: read in minutes, and kept in a gigabyte. No shop of this kind has more."""


@dataclass(frozen=True)
class Trail:
    """The audit trail of one shop as one reader was given it."""

    server: str
    reader: str | None
    """Whose console it is, by its token."""
    logs: tuple[Reading, ...]
    jwks: Mapping[str, Any] | None
    """The shop's keys; None where it publishes none."""
    keys_at: str | None
    """Where they were read; of a copy, where it says that they were."""
    at: float | None = None
    """Of a copy, when it says that it was made, in POSIX seconds."""


def read(console: Console) -> Trail:
    """Read every log that the human at this console may see: their own, nobody's, and an admin everybody's.

    Raises:
        AuthorizationRefused: the token does not open them.
        ServerUnreachable: the shop has no such routes, or does not answer as it must.
    """
    jwks, keys_at = _keys(console)
    left = _Left(console.shop)
    logs = tuple(_log(console, told, left) for told in _listed(console, left))
    jwt = claims.take_apart(console.agent.token().access_token)
    reader = jwt.claims.get("sub") if jwt is not None else None
    return Trail(console.shop, reader if isinstance(reader, str) else None, logs, jwks, keys_at)


def dispatched(console: Console, order: str) -> Dispatched | None:
    """What the shop told the service behind it of an order; None where it tells nobody, as a shop without such a route.

    Raises:
        AuthorizationRefused: the token does not open it.
    """
    try:
        told = console.read_trail("/audit/dispatch", {"order": order})
    except ServerUnreachable:
        return None
    state, at = told.get("state"), told.get("at")
    if not isinstance(state, str) or not isinstance(at, int | float):
        return None
    txn, why, until = (told.get(name) for name in ("txn", "why", "until"))
    return Dispatched(
        state,
        txn if isinstance(txn, str) else None,
        why if isinstance(why, str) else None,
        float(at),
        float(until) if isinstance(until, int | float) else None,
    )


def check(trail: Trail, state: Path) -> tuple[LogCheck, ...]:
    """Verify a trail, also against what was verified before, and remember the logs in which nothing was found.

    Raises:
        OSError: that cannot be written down.
    """
    known = remembered.recall(state, trail.server)
    checks = tuple(verify(one, trail.jwks, known.get(one.user)) for one in trail.logs)
    remembered.remember(state, trail.server, checks)
    there = {one.user for one in trail.logs}
    return checks + tuple(_gone(user, known[user]) for user in (trail.reader, None) if user in known.keys() - there)


def check_copy(trail: Trail, state: Path) -> tuple[LogCheck, ...]:
    """Verify a copy of a trail, which may be older than what was verified of it since, and remember nothing of it.

    A log that was verified before the copy was made is in it. When that was, the copy's newest signature tells as well:
    who leaves a log out may write another time above the rest.
    """
    known = remembered.recall(state, trail.server)
    checks = tuple(verify(one, trail.jwks, known.get(one.user), copy=True) for one in trail.logs)
    made = max((one for one in (trail.at, *(check.signed_at for check in checks)) if one is not None), default=0.0)
    away = known.keys() - {one.user for one in trail.logs}
    left_out = (user for user in dict.fromkeys((trail.reader, None)) if user in away and known[user].at <= made)
    return checks + tuple(_gone(user, known[user]) for user in left_out)


def _gone(user: str | None, known: Checkpoint) -> LogCheck:
    what = f"the whole log is gone, whose {known.size} entries were verified before"
    finding = TrailFinding("cut", None, None, what)
    return LogCheck(known.log, user, 0, 0, 0, "", None, None, known.size, (finding,))


@dataclass
class _Left:
    """What may still be asked for: a server that always has one more entry, page or log must not go on for ever."""

    shop: str
    pages: int = MOST_PAGES
    entries: int = field(default_factory=lambda: MOST_ENTRIES)

    def take(self, *, entries: int = 0) -> None:
        """One more page, with so many entries.

        Raises:
            ServerUnreachable: there were too many.
        """
        self.pages, self.entries = self.pages - 1, self.entries - entries
        if min(self.pages, self.entries) < 0:
            why = f"it goes on after {MOST_ENTRIES} entries, or {MOST_PAGES} pages of them"
            raise ServerUnreachable(f"the audit trail of {self.shop} has no end", why=why, do="demo doctor")


def _listed(console: Console, left: _Left) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    while True:
        left.take()
        told = console.read_trail("/audit/checkpoint", {} if after is None else {"after": after})
        logs = told.get("logs")
        yield from (one for one in logs if isinstance(one, Mapping)) if isinstance(logs, list) else ()
        after = told.get("next")
        if not isinstance(after, str):
            return


def _log(console: Console, told: Mapping[str, Any], left: _Left) -> Reading:
    log, user = told.get("log"), told.get("user")
    size, pruned, pruned_link = told.get("size"), told.get("pruned"), told.get("pruned_link")
    checkpoint = told.get("checkpoint")
    if not isinstance(log, str) or type(size) is not int or type(pruned) is not int or not isinstance(pruned_link, str):
        raise ServerUnreachable(f"{console.shop}/audit/checkpoint does not describe a log as it must", do="demo doctor")
    entries: list[Mapping[str, Any]] = []
    signed: list[str] = []
    at = 0
    while True:
        page = console.read_trail("/audit/log", {"id": log, "after": at, "limit": PAGE})
        came = [one for one in page.get("entries") or () if isinstance(one, Mapping)]
        left.take(entries=len(came))
        entries += [one for one in came if _place(one) <= size]  # what is younger than the checkpoint is for next time
        signed += [one for one in page.get("checkpoints") or () if isinstance(one, str)]
        reached = max(map(_place, came), default=at)
        if not came or reached <= at or reached >= size:
            break
        at = reached
    return Reading(
        log,
        user if isinstance(user, str) else None,
        size,
        pruned,
        pruned_link,
        tuple(entries),
        checkpoint if isinstance(checkpoint, str) else None,
        tuple(signed),
    )


def _place(item: Mapping[str, Any]) -> int:
    entry = item.get("entry")
    seq = entry.get("seq") if isinstance(entry, Mapping) else None
    return seq if type(seq) is int else 0


def _keys(console: Console) -> tuple[Mapping[str, Any] | None, str | None]:
    """The shop's own keys, by its protected resource metadata (RFC 9728 section 2); at its own origin alone, since who
    could publish them elsewhere could sign for it."""
    url = f"{console.shop}/.well-known/oauth-protected-resource/mcp"
    told = console.agent.http(lambda http: fetch(http, "GET", url, server=console.shop)).json or {}
    uri = told.get("jwks_uri")
    if not isinstance(uri, str) or origin(uri) != origin(console.shop):
        return None, None
    answer = console.agent.http(lambda http: fetch(http, "GET", uri, server=console.shop))
    return (answer.json, uri) if answer.status == 200 else (None, uri)
