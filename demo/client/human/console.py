"""The human's own console: list what agents may do, revoke it, restore an agent's standing, read the audit trail."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlencode, urlsplit

from demo.client.agent import Agent
from demo.client.human.reading import listed, read_answer, read_delivery, read_explanation, read_session
from demo.client.mcp.reading import read_decision
from demo.evidence.grants import AnswerView, Delivery, SessionView
from demo.evidence.shop import Decision, Explanation
from deputize.errors import AuthorizationRefused, ServerUnreachable
from deputize.http.bounded import TICK
from deputize.http.errors import OAuthRefused
from deputize.http.fetch import Answer, fetch
from deputize.http.sanitizing import safe_data, safe_text
from deputize.oauth.challenge import read_challenge
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.store import Store
from deputize.tokens.stored import StoredToken

if TYPE_CHECKING:
    from demo.client.human.sample_human import SampleHuman

SCOPES = ("openid", "audit:read", "sessions:manage", "offline_access")
PAGE, MOST_PAGES = 200, 50
"""Of sessions."""
CLIENT = "demo-console"


def console_identity(key: tuple[str, str] | None) -> ClientIdentity:
    """The console at the bundled authorization server, which knows it by its key (RFC 7523 section 2.2).

    Args:
        key: the issuer that it is for, and the PEM; None where there is none, and then no console is let in.
    """
    if key is None:
        return ClientIdentity(CLIENT)
    return ClientIdentity(CLIENT, private_key=key[1], method="private_key_jwt", issuer=key[0])


_NOT_THERE: Final = "demo doctor; a local server that was started before an update: demo stop, then again"


class NoSuchRoute(ServerUnreachable):
    """This server has no such API."""


class Console:
    """The human in control at one server, with a token of the human's own: it acts for nobody, so it has no `act`.

    What was granted is revoked where it was granted, and also at the shop, where that has an admin route of its own: a
    shop that does not ask its authorization server at each call would go on believing a token until it expires.

    Args:
        server: a shop, by its base URL or its MCP endpoint.
        store: where its token is kept, in the slot "console".
        issuer: the issuer of the shop's authorization server, which offers the account API of docs/wire.md; by default
            the shop's own server is it.
        client: which client the console is at that authorization server, and what proves it: at the bundled one a key
            (`console_identity`).
        timeout: seconds for one method.
    """

    def __init__(
        self,
        server: str,
        *,
        store: Store,
        issuer: str | None = None,
        client: ClientIdentity | None = None,
        timeout: float = 15.0,
    ) -> None:
        identity = client or ClientIdentity(CLIENT)
        self.agent = Agent(server, store=store, slot="console", identity=identity, name="Control room", timeout=timeout)
        self.shop = "{0.scheme}://{0.netloc}".format(urlsplit(self.agent.endpoint()))
        self.issuer = (issuer or self.shop).rstrip("/")
        self._tokens: dict[str, StoredToken] = {}

    def signed_in(self) -> bool:
        """Whether there is a token that the authorization server still renews, or that has not ended yet."""
        try:
            self.agent.token()
            return all(self._token_for(resource).access_token for resource in self._resources())
        except AuthorizationRefused:
            return False

    def sign_in(self, human: SampleHuman) -> StoredToken:
        """Sign `human` in on the authorization server's pages.

        Raises:
            AuthorizationRefused: the authorization server refuses.
        """
        self._tokens.clear()
        login = self.agent.start_login(SCOPES, resources=(self.agent.endpoint(), *self._resources()))
        human.decide(
            login.code.verification_uri_complete or login.code.verification_uri, login.code.user_code, approve=True
        )
        # Decided already: the answer is there, and nobody need wait the interval out.
        decided = replace(login, code=replace(login.code, interval=TICK))
        return self.agent.finish_login(decided, timeout=30.0)

    def sessions(self) -> tuple[SessionView, ...]:
        """The sessions that the human's consents opened, oldest first; of more than ten thousand the newest.

        Raises:
            AuthorizationRefused, ServerUnreachable: the account API does not open, or does not answer.
        """
        pages: list[tuple[SessionView, ...]] = []
        before: object = None
        while len(pages) < MOST_PAGES:
            query = urlencode({"limit": PAGE} | ({"before": before} if before else {}))
            told = self._account_call("GET", f"/account/sessions?{query}", None).json or {}
            found = listed(told.get("sessions"))
            pages.append(tuple(read_session(safe_data(entry)) for entry in found if isinstance(entry, dict)))
            # Another server may have no pages, and gives all at once.
            if not isinstance(before := told.get("before"), str) or not pages[-1]:
                break
        return tuple(session for page in reversed(pages) for session in page)

    def answers(self) -> tuple[AnswerView, ...] | None:
        """What the human said no to, and yes to one purchase, oldest first; None where the authorization server keeps
        none of it.

        Raises:
            as `sessions`.
        """
        try:
            told = self._account_call("GET", "/account/answers", None).json or {}
        except (OAuthRefused, NoSuchRoute) as refused:
            if isinstance(refused, OAuthRefused) and refused.oauth_error not in ("not_found", "http_404"):
                raise
            return None
        return tuple(read_answer(safe_data(entry)) for entry in listed(told.get("answers")) if isinstance(entry, dict))

    def revoke(self, kind: str, id: str) -> tuple[Delivery, ...] | None:
        """Revoke what a session, an agent or a user may do; how the resource servers came to know, None where the
        authorization server does not say.

        Raises:
            AuthorizationRefused: there is no such one, or it is not this human's.
        """
        answer = self._account_call("POST", "/account/revoke", {"kind": kind, "id": id})
        self._at_shop("revoke", kind, id)
        told = (answer.json or {}).get("delivered")
        if not isinstance(told, list):
            return None
        return tuple(delivery for delivery in map(read_delivery, told) if delivery is not None)

    def reinstate(self, kind: str, id: str) -> bool:
        """Reinstate an agent or a user; whether it had been revoked.

        Raises:
            as `revoke`.
        """
        answer = self._account_call("POST", "/account/reinstate", {"kind": kind, "id": id})
        lifted = self._at_shop("reinstate", kind, id)
        return lifted or (answer.json or {}).get("lifted") is True

    def audit(
        self,
        after: str | None = None,
        limit: int = 200,
        *,
        user: str | None = None,
        agent: str | None = None,
        verdict: str | None = None,
        since: float | None = None,
    ) -> tuple[Decision, ...]:
        """The audit trail, oldest first.

        Args:
            after: only entries later than this one.
            limit: how many at most.
            user: only those about this human, by id or readable name.
            agent: only those about this agent, by its id or its software's.
            verdict: only those, `allow` or `deny`.
            since: only those from this moment on, in POSIX seconds.

        Raises:
            AuthorizationRefused: the token does not open it.
        """
        asked = {"after": after, "user": user, "agent": agent, "verdict": verdict}
        given: dict[str, Any] = {name: value for name, value in asked.items() if value}
        query = urlencode({"limit": limit} | given | ({} if since is None else {"since": f"{since:.6f}"}))
        answer = self._request(self._reading(), "GET", f"{self.shop}/audit?{query}", None)
        entries = (answer.json or {}).get("entries")
        found = (read_decision(entry) for entry in listed(entries))
        return tuple(decision for decision in found if decision is not None)

    def read_trail(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """What the shop says at one of the audit log's own routes, exactly as it says it: what is hashed must not be
        made fit for a terminal first.

        Raises:
            AuthorizationRefused: the token does not open it.
            NoSuchRoute: the shop does not prove its audit trail.
            ServerUnreachable: it does not answer as it must.
        """
        url = f"{self.shop}{path}?{urlencode(query)}"
        try:
            answer = self._request(self._reading(), "GET", url, None)
        except (OAuthRefused, NoSuchRoute) as refused:
            if isinstance(refused, OAuthRefused) and refused.oauth_error not in ("not_found", "http_404"):
                raise
            raise NoSuchRoute(
                f"{self.shop}{path} does not exist",
                why="this server does not prove its audit trail",
                do=_NOT_THERE,
            ) from None
        try:
            told = json.loads(answer.text)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise ServerUnreachable(f"{url} does not answer with a JSON object", do="demo doctor")
        return told

    def set_door(
        self,
        door: Literal["open", "protected"],
        *,
        stock: int | None = None,
        open: bool | None = None,
        description: str | None = None,
    ) -> dict[str, Any]:
        """Restock a door of the shop, set the text of its listing, or switch the open one; what is None stays. An empty
        text is the shop's own again. Gives the door as it is then.

        Raises:
            AuthorizationRefused: the human is no admin of this shop, or nobody is signed in.
            ServerUnreachable: the shop has no such route, or does not answer as it must.
        """
        own = self.admin or f"{self.shop}/account"
        body = {"door": door, "stock": stock, "open": open, "description": description}
        wanted = {name: value for name, value in body.items() if value is not None}
        told = self._call(own, "POST", f"{own}/door", wanted).json or {}
        left, opened, text = told.get("stock"), told.get("open"), told.get("description")
        if not isinstance(left, int) or not isinstance(opened, bool):
            raise ServerUnreachable(f"{own}/door does not say what it did", do="demo doctor")
        if description is not None and not isinstance(text, str):
            raise ServerUnreachable(f"{own}/door sets no text of a listing", do=_NOT_THERE)
        return {"door": door, "open": opened, "stock": left, "description": safe_text(str(text or ""))}

    def explain(self, question: dict[str, Any]) -> Explanation:
        """What the shop's gates would say of a call, by the policy in force (docs/wire.md, `POST /policy/explain`).

        Raises:
            AuthorizationRefused: it is about somebody else, and this human is no admin of the shop.
            ServerUnreachable: the shop explains nothing, or does not answer as it must.
        """
        account = f"{self.issuer}/account"
        try:
            told = self._call(account, "POST", f"{self.shop}/policy/explain", question).json or {}
        except OAuthRefused as refused:
            if refused.oauth_error not in ("not_found", "http_404"):
                raise
            raise ServerUnreachable(
                f"{self.shop} does not explain its decisions",
                why="the bundled shop does; a deployed one has its rules in its variables",
                do="read the refusal itself: it names gate, rule and remedy",
            ) from refused
        found = read_explanation(safe_data(told))
        if found is None:
            raise ServerUnreachable(f"{self.shop} does not explain what was asked", do="demo doctor")
        return found

    @cached_property
    def admin(self) -> str | None:
        """The resource identifier of the shop's own admin route, if it has one (RFC 9728); the bundled shop has none,
        since it asks its authorization server at each call."""
        if self.shop == self.issuer:
            return None
        return admin_resource(self.agent)

    def _at_shop(self, what: Literal["revoke", "reinstate"], kind: str, id: str) -> bool:
        """The same at the shop's own admin route, where it has one: whether anything was lifted there."""
        if (shop := self.admin) is None:
            return False
        answer = self._call(shop, "POST", f"{shop}/{what}", {"kind": kind, "id": id})
        return (answer.json or {}).get("lifted") is True

    def _reading(self) -> StoredToken:
        """The token that opens the audit trail."""
        return self.agent.token()

    def _resources(self) -> tuple[str, ...]:
        """What it speaks to beside the shop's tools; each wants a token of its own (RFC 8707 section 2.2)."""
        account = f"{self.issuer}/account"
        return (account,) if self.admin is None else (account, self.admin)

    def _token_for(self, resource: str) -> StoredToken:
        held = self._tokens.get(resource)
        if held is None or held.expires_at - 5 < time.time():
            held = self._tokens[resource] = self.agent.refresh(resource=resource, keep=False)
        return held

    def _account_call(self, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        return self._call(f"{self.issuer}/account", method, f"{self.issuer}{path}", body)

    def _call(self, resource: str, method: str, url: str, body: dict[str, Any] | None) -> Answer:
        return self._request(self._token_for(resource), method, url, body)

    def _request(self, token: StoredToken, method: str, url: str, body: dict[str, Any] | None) -> Answer:
        from deputize.oauth.token_auth import presented  # it loads the HTTP library

        held = presented(token)
        answer = self.agent.http(lambda http: fetch(http, method, url, server=self.shop, auth=held, body=body))
        if answer.status == 404 and answer.json is None:
            raise NoSuchRoute(f"{url} does not exist", why="this server has no such API", do=_NOT_THERE)
        if answer.status >= 500:
            raise ServerUnreachable(
                f"{url} answers HTTP {answer.status}", why=answer.oauth_why, do="try again in a moment, or demo doctor"
            )
        if answer.status != 200:
            told = read_challenge(answer.status, (answer.headers.get("www-authenticate", ""),))
            raise OAuthRefused(
                f"{urlsplit(url).path} refuses",
                oauth_error=answer.oauth_error or f"http_{answer.status}",
                why=(told.get("error_description") if told else None) or answer.oauth_why,
                do="have an admin of this shop do it"
                if answer.oauth_error == "access_denied"
                else "name what exists: demo token shows the ids of session, agent and user"
                if answer.status == 404
                else "sign in again: demo login --console",
            )
        return answer


def admin_resource(agent: Agent) -> str | None:
    """The resource identifier of the admin route of the agent's shop, None where it publishes none.

    Raises:
        ServerUnreachable: it does not answer, or neither yes nor no.
    """
    shop = "{0.scheme}://{0.netloc}".format(urlsplit(agent.endpoint()))
    url = f"{shop}/.well-known/oauth-protected-resource/admin"
    answer = agent.http(lambda http: fetch(http, "GET", url, server=shop))
    if answer.status in (404, 405, 410):
        return None
    if answer.status != 200:
        # Not to know is no "there is none": a revocation that did nothing must not pass for one.
        raise ServerUnreachable(f"{url} answers HTTP {answer.status}", do="try again in a moment, or demo doctor")
    told = (answer.json or {}).get("resource")
    return told if told == f"{shop}/admin" else None
