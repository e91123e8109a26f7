"""Device logins that outlive the request that began them: kept in the store, and polled by those who wait at the time.

A host may give a request five seconds, and a human needs thirty. So what was begun stays in the store until it is
decided or expires; a later request, thread or process joins it. Each poll is made under the store's lock and leaves the
time of the next one behind, so that all of them together keep to the authorization server's interval (RFC 8628
section 3.5), and none is cut short: an answer that nobody reads may have been the token.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self, TypeVar

from deputize.evidence import AuthorizationServerMetadata, DeviceCode, Money
from deputize.http.bounded import TICK
from deputize.http.errors import OAuthRefused
from deputize.oauth.authorizer import Authorizer
from deputize.oauth.device_flow import DeviceLogin, Pace, expired
from deputize.oauth.dpop import ProofKey
from deputize.oauth.login_flow import LoginRequest
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.store import Store
from deputize.tokens.stored import StoredToken

T = TypeVar("T")


@dataclass(frozen=True)
class Pending:
    """A login that waits for the human, and when it may be polled next (POSIX seconds)."""

    login: DeviceLogin
    pace: Pace
    due: float

    def covers(self, metadata: AuthorizationServerMetadata, scopes: tuple[str, ...], spending: Money | None) -> bool:
        """Whether who wants this gets it from that login."""
        asked = self.login.asked
        same = asked.metadata.issuer == metadata.issuer and asked.spending == spending
        return same and set(scopes) <= set(asked.scopes) and self.login.code.expires_at > time.time()

    def to_json(self) -> str:
        """For the store."""
        asked = self.login.asked
        kept = {
            "code": asdict(self.login.code),
            "device_code": self.login.device_code,
            "metadata": asdict(asked.metadata),
            "server": asked.server,
            "identity": asked.identity.to_json(),
            "name": asked.name,
            "scopes": asked.scopes,
            "resources": asked.resources,
            "spending": None if asked.spending is None else asdict(asked.spending),
            "key": None if asked.key is None else asked.key.to_json(),
            "interval": self.pace.interval,
            "odd": self.pace.odd,
            "due": self.due,
        }
        return json.dumps(kept)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Back from the store.

        Raises:
            ValueError: it is not what `to_json` wrote.
        """
        try:
            given = json.loads(text)
            spending = None if given["spending"] is None else Money(**given["spending"])
            asked = LoginRequest(
                metadata=_filled(AuthorizationServerMetadata, given["metadata"]),
                server=given["server"],
                identity=ClientIdentity.from_json(given["identity"]),
                name=given["name"],
                scopes=tuple(given["scopes"]),
                resources=tuple(given["resources"]),
                spending=spending,
                key=None if given["key"] is None else ProofKey.from_json(given["key"]),
            )
            code = replace(_filled(DeviceCode, given["code"]), spending_limit=spending)
            login = DeviceLogin(asked=asked, code=code, device_code=given["device_code"])
            return cls(login, Pace(float(given["interval"]), int(given["odd"])), float(given["due"]))
        except (KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a login: {error}") from None


class PendingLogins:
    """The one login of an agent that waits for its human.

    Args:
        authorizer: the agent's.
        store: where it is kept.
        slot: the agent's name there.
    """

    def __init__(self, authorizer: Authorizer, store: Store, slot: str) -> None:
        self._authorizer = authorizer
        self._store = store
        self._slot = f"pending {slot}"

    def now(self) -> DeviceLogin | None:
        """The login that waits, None where none does."""
        held = self._read()
        return None if held is None or held.login.code.expires_at <= time.time() else held.login

    def join(
        self,
        metadata: AuthorizationServerMetadata,
        scopes: tuple[str, ...],
        spending: Money | None,
        begin: Callable[[], DeviceLogin],
    ) -> DeviceLogin:
        """The login that waits where it is for all this, else one that begins now, and takes its place.

        Raises:
            as `begin`.
        """
        with self._store.refreshing(self._slot):
            held = self._read()
            if held is not None and held.covers(metadata, scopes, spending):
                return held.login
            login = begin()
            self._keep(Pending(login, Pace(login.code.interval), time.time() + login.code.interval))
            return login

    def wait(
        self, login: DeviceLogin, before: StoredToken | None, seconds: float, given_up: Callable[[], bool]
    ) -> StoredToken:
        """Wait until the human has decided.

        Args:
            before: the token that was held when the wait began, None for none.
            seconds: how long at most.
            given_up: asked several times a second; True ends the wait, and not the login.

        Raises:
            LoginPending: the wait has ended, and the login has not.
            AuthorizationRefused: the human said no, the code has expired, the authorization server refuses.
        """
        until = time.monotonic() + seconds
        while True:
            if given_up():
                raise login.left("the login was given up", oauth_error="given_up")
            found = self.step(before)
            if isinstance(found, StoredToken):
                return found
            next_poll = time.monotonic() + found
            while (left := min(next_poll, until) - time.monotonic()) > 0 and not given_up():
                time.sleep(min(left, TICK))
            if time.monotonic() >= until:
                raise login.left(f"nobody approved the login within {seconds:g} s", oauth_error="timeout")

    def step(self, before: StoredToken | None) -> StoredToken | float:
        """Poll if it is time: the token, or the seconds until the next poll.

        Args:
            before: the token that was held when the wait began, None for none.

        Raises:
            AuthorizationRefused: as `wait`; or there is no such login any more, and no token from it.
        """
        with self._store.refreshing(self._slot):
            held = self._read()
            if held is None:
                return self._ended(before)
            if held.login.code.expires_at <= time.time():
                self._store.delete(self._slot)
                raise expired()
            # A clock that was set back must not hold it up for longer than one interval.
            wait = min(held.due - time.time(), held.pace.interval)
            if wait > 0:
                return wait
            try:
                found = self._authorizer.poll(held.login, held.pace)
            except OAuthRefused:
                self._store.delete(self._slot)
                raise
            if isinstance(found, StoredToken):
                self._store.delete(self._slot)
                return found
            self._keep(Pending(held.login, found, time.time() + found.interval))
            return found.interval

    def _ended(self, before: StoredToken | None) -> StoredToken:
        """What another thread or process that waited for it has got."""
        token = self._authorizer.credentials.stored()
        if token is not None and (before is None or token.access_token != before.access_token):
            return token
        raise OAuthRefused(
            "the login has ended without a token",
            oauth_error="ended",
            why="another request, or another process, that waited for it was told so",
            do="log in again",
        )

    def _read(self) -> Pending | None:
        text = self._store.kept(self._slot)
        try:
            return None if text is None else Pending.from_json(text)
        except ValueError:
            return None

    def _keep(self, pending: Pending) -> None:
        self._store.keep(self._slot, pending.to_json())


def _filled(kind: type[T], given: dict[str, Any]) -> T:
    """A frozen dataclass of texts and lists of texts, back from JSON."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # mypy has no bound for dataclasses
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if name in known}
    )
