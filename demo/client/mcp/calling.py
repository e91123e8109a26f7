"""Calling a server's tools with a token, and what the agent does about a refusal when it may."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from demo.client.http.bounded import OnWait
from demo.client.http.connection import Connection, Door
from demo.client.http.sanitizing import safe_text
from demo.client.mcp.mcp_session import Speaker
from demo.client.mcp.outcome import CallOutcome, ToolsOutcome, call_outcome, expired, tools_outcome
from demo.client.mcp.patience import Patience
from demo.client.mcp.reply import Reply
from demo.client.oauth.authorizer import Authorizer
from demo.client.oauth.step_up import Obtain, StepUp
from demo.client.tokens.stored import Secret, StoredToken
from demo.errors import AuthorizationRefused, UsageError

if TYPE_CHECKING:
    import httpx2

Seen = TypeVar("Seen", CallOutcome, ToolsOutcome)
Bearer = Literal["stored", "none"] | str | Secret | StoredToken
"""Which token a call goes out with: the stored one, renewed when it is due; none; or this one, as it is."""

PAGES = 20
"""Pages of `tools/list` that are read at most."""


class Caller:
    """Calls tools over one connection.

    Args:
        connection: to the server; what was on its wire is in its recorder.
        speaker: speaks MCP over it.
        authorizer: the agent's authority there.
    """

    def __init__(self, connection: Connection, speaker: Speaker, authorizer: Authorizer) -> None:
        self._connection = connection
        self._speaker = speaker
        self._authorizer = authorizer

    def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        door: Door = "protected",
        token: Bearer = "stored",
        refresh: bool = True,
        obtain: Obtain | None = None,
        patience: float = 0.0,
        on_wait: OnWait | None = None,
    ) -> CallOutcome:
        """Call a tool, once.

        Args:
            token: the stored one, none, or this one.
            refresh: whether a stored token near its end, or refused as expired, is renewed; False presents it as it is.
            obtain: gets a token for more scopes where the server asks for it (401, or 403 with `insufficient_scope`;
                MCP 2026-07-28, authorization); the call is then made again, a bounded number of times.
            patience: seconds that may be waited, all waits together, where the server asks to come again (429, 503).
            on_wait: told the seconds left of such a wait and its state, at least four times a second.

        Raises:
            AuthorizationRefused: the stored token is wanted and there is none, or it cannot be renewed.
            EnvironmentNotReady: something on this machine keeps the request from being sent.
            ServerUnreachable: no answer, or not an MCP server's.
            UsageError: an argument cannot be sent.
        """
        check_arguments(tool, arguments)
        patient = Patience(patience, on_wait)

        def once(held: StoredToken | Secret | None) -> CallOutcome:
            return patient(lambda: self._calls(tool, arguments, door, held, at_most=1)[-1])

        if obtain is not None:
            return self._insist(once, obtain)
        bearer = self._bearer(token, refresh=refresh)
        outcome = once(bearer)
        if token == "stored" and refresh and isinstance(bearer, StoredToken) and expired(outcome):
            # By our clock it was good for longer: the clock has been set since. Not carried out, so tried again.
            try:
                fresh = self._authorizer.credentials.refresh(instead_of=bearer.access_token)
            except AuthorizationRefused:
                return outcome
            outcome = once(fresh)
        return outcome

    def burst(self, tool: str, arguments: dict[str, Any], *, at_most: int) -> tuple[CallOutcome, ...]:
        """Call a tool in one session again and again, until the first call that is not allowed, or `at_most` times.

        Raises:
            as `call`.
        """
        check_arguments(tool, arguments)
        return self._calls(tool, arguments, "protected", self._bearer("stored", refresh=True), at_most=at_most)

    def tools(
        self, door: Door = "protected", token: Bearer = "stored", *, obtain: Obtain | None = None
    ) -> ToolsOutcome:
        """The door's tools, all pages.

        Args:
            obtain: as in `call`.

        Raises:
            as `call`.
        """

        def pages() -> Generator[tuple[Any, Any], Reply, None]:
            from mcp.types import ListToolsRequest, ListToolsResult, PaginatedRequestParams

            cursor: str | None = None
            for _ in range(PAGES):
                request = ListToolsRequest(params=PaginatedRequestParams(cursor=cursor))
                reply = yield request, ListToolsResult
                cursor = (reply.result or {}).get("nextCursor")
                if not isinstance(cursor, str):
                    return

        def once(bearer: StoredToken | Secret | None) -> ToolsOutcome:
            listed = self._speaker.converse(
                self._connection.endpoint(door), _presented(bearer), pages, whose=_whose(bearer)
            )
            return tools_outcome(listed, self._connection.recorder)

        return self._insist(once, obtain) if obtain is not None else once(self._bearer(token, refresh=True))

    def _calls(
        self, tool: str, arguments: dict[str, Any], door: Door, bearer: StoredToken | Secret | None, *, at_most: int
    ) -> tuple[CallOutcome, ...]:
        def calls() -> Generator[tuple[Any, Any], Reply, None]:
            from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult

            request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
            for _ in range(at_most):
                reply = yield request, CallToolResult
                if not call_outcome(tool, reply, self._connection.recorder).allowed:
                    return

        answered = self._speaker.converse(
            self._connection.endpoint(door), _presented(bearer), calls, at_most=at_most, whose=_whose(bearer)
        )
        return tuple(call_outcome(tool, one, self._connection.recorder) for one in answered)

    def _insist(self, once: Callable[[StoredToken | None], Seen], obtain: Obtain) -> Seen:
        attempts = StepUp(self._authorizer, obtain)
        held = attempts.held()
        outcome = once(held)
        while (held := attempts.after(outcome.status, outcome.challenge, held)) is not None:
            outcome = once(held)
        return outcome

    def _bearer(self, token: Bearer, *, refresh: bool) -> StoredToken | Secret | None:
        if isinstance(token, Secret):
            self._connection.recorder.guard(token.value)
            return token
        if isinstance(token, StoredToken):
            self._connection.recorder.guard(*token.secrets)
            return token
        if token == "none":
            return None
        if token != "stored":
            raise ValueError("a raw token goes in a Secret, so that it is not shown by accident")
        held = None if refresh else self._authorizer.credentials.stored()
        return held or self._authorizer.credentials.token()


def check_arguments(tool: str, arguments: Mapping[str, Any]) -> None:
    """See that a call can be sent at all, before anything is.

    Raises:
        UsageError: the name or an argument cannot be written as JSON (RFC 8259) as deep as the MCP SDK writes it.
    """
    from mcp.types import CallToolRequestParams

    def written(name: str, given: dict[str, Any]) -> None:
        json.dumps(given, allow_nan=False)  # the SDK would send null in the place of NaN
        params = CallToolRequestParams(name=name, arguments=given).model_dump(by_alias=True, mode="json")
        json.dumps(params, ensure_ascii=False).encode("utf-8")

    for name, value in (("", None), *arguments.items()):
        try:
            written("" if name else tool, {name: value} if name else {})
        except (ValueError, TypeError, RecursionError) as error:
            what = f"the argument {name!r}" if name else f"the tool's name {tool!r}"
            raise UsageError(
                f"{safe_text(what, one_line=True)} cannot be sent",
                why=_unsendable(error),
                do="give JSON of ordinary depth, with text that is valid Unicode and numbers that are finite",
            ) from None


def _unsendable(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it holds half a character (a surrogate), or bytes that are not UTF-8"
    if isinstance(error, RecursionError) or "depth" in str(error) or "Circular" in str(error):
        return "it is nested too deeply to be written as JSON"
    return safe_text(str(error), one_line=True)


def _whose(bearer: StoredToken | Secret | None) -> str:
    """Tells who presents one token from who presents another, or none, without being one."""
    if bearer is None:
        return ""
    token = bearer.value if isinstance(bearer, Secret) else bearer.access_token
    return hashlib.sha256(token.encode("utf-8", errors="surrogatepass")).hexdigest()


def _presented(bearer: StoredToken | Secret | None) -> httpx2.Auth | None:
    if bearer is None:
        return None
    from demo.client.oauth.token_auth import BearerToken, presented

    return BearerToken(bearer.value) if isinstance(bearer, Secret) else presented(bearer)
