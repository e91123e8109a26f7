"""Another server than the bundled one: what it has and what is missing there, by one look and its tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.settings.tools import VERBS, ToolMap
from deputize.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from demo.client.agent import Agent
    from demo.client.capabilities import Survey
    from demo.evidence.shop import Tool
    from deputize.evidence import AuthorizationServerMetadata


class NotHere(ExplainedError):
    """A step that the server at hand cannot do: it is skipped with the reason, not failed."""


IDEMPOTENCY = "idempotencyKey"
"""The argument with which asking twice does not buy twice."""


class OtherServer:
    """Another server as one look at it gave it, and its tools as they are seen at the time.

    Args:
        seen: the look.
        agent: the talk's agent there.
        names: what its tools are called.
        no_console: says why the human has no console there, or None.
        lent: whether the agent's login is the user's own, which has to outlive the talk.
    """

    def __init__(
        self,
        seen: Survey,
        agent: Agent,
        names: ToolMap,
        *,
        no_console: Callable[[], str | None],
        lent: bool = False,
    ) -> None:
        self.seen, self.agent, self.names = seen, agent, names
        self.no_console = no_console
        self.lent = lent
        self._listed: dict[str, tuple[Tool, ...] | None] = {}

    def door(self, door: str) -> str:
        """Which door to go to: where nobody is asked for a token, the one door there is."""
        return "protected" if door == "open" and self.seen.requires_token is False else door

    def no_door(self, door: str) -> str | None:
        """Why there is no such door, or None."""
        if door != "open":
            # One that publishes its authorization server, or what its gates decide, has to be protected.
            guarded = self.seen.resource is not None or self.seen.reports_decisions
            if self.seen.requires_token is False and not guarded:
                return f"this server asks nobody for a token: {self._answer_without_token()}"
            return None
        if self.seen.requires_token is False:
            return None
        opened = self.seen.open_door
        if opened is not None and opened.status == 200:
            return None
        url = self.agent.endpoint("open")
        how = f"{url} answered {opened.status}" if opened is not None else self.seen.failure("open door")
        return f"this server has no door without auth: {how or f'{url} is its own endpoint'}"

    def _answer_without_token(self) -> str:
        """How it answered a call without a token, as evidence in a sentence."""
        answer = self.seen.anonymous
        if answer is None:
            return self.seen.failure("endpoint")
        return f"POST {self.seen.endpoint} tools/list without a token answered {answer.status}"

    def no_caller(self, who: str) -> str | None:
        """Why `who` cannot call here, or None."""
        return self.no_console() if who == "console" else None

    def no_token(self) -> str | None:
        """Why the agent has no token here, or None."""
        if self.agent.stored() is not None:
            return None
        return f"{self.agent.name} has no token for this server: nobody granted it one here"

    def authorization_server(self) -> AuthorizationServerMetadata | str:
        """Its authorization server's metadata, or why there is none."""
        found = self.seen.authorization_server
        if found is None:
            failed = self.seen.failure("metadata")
            failed = failed or "no authorization server metadata (RFC 8414) at its well-known places"
            return f"there is no authorization server to ask: {failed}"
        return found

    def tools(self, door: str, *, stored: bool) -> tuple[Tool, ...] | None:
        """The tools at a door as the caller sees them; None where they cannot be seen.

        Args:
            door: "open" or "protected".
            stored: whether the caller comes with the stored token.
        """
        if self.door(door) == "open":
            opened = self.seen.open_door
            return opened.tools if opened is not None and opened.status == 200 else None
        if self.seen.requires_token is False:
            return self.seen.anonymous.tools if self.seen.anonymous is not None else None
        held = self.agent.stored() if stored else None
        if held is None:
            return None
        if held.access_token not in self._listed:
            listed = self.agent.tools()
            self._listed = {held.access_token: listed.tools if listed.status == 200 else None}
        return self._listed[held.access_token]

    def no_tool(self, verb: str, arguments: dict[str, Any], door: str, *, stored: bool) -> str | None:
        """Why this verb cannot be said to this server with these arguments, or None (also where it is not known)."""
        if self.seen.reports_decisions and verb in VERBS:
            return None  # a shop like ours has the shop's tools, or is broken
        listed = self.tools(door, stored=stored)
        if listed is None:
            return None
        name, given = self.names.call(verb, arguments)
        tool = next((one for one in listed if one.name == name), None)
        fix = "demo.toml can name it in [tools]"
        if tool is None:
            has = ", ".join(one.name for one in listed) or "none"
            return f"this server has no tool {name}: tools/list names {has}; {fix}"
        unknown = [one for one in given if one not in tool.arguments and one != self._key(verb)]
        if unknown:
            takes = ", ".join(tool.arguments) or "no arguments"
            return f"its tool {name} takes {takes}, not {', '.join(unknown)}; {fix}"
        return None

    def scopes(self, wished: Sequence[str]) -> tuple[str, ...]:
        """What to ask its authorization server for: what is wished and known there, else what the server names."""
        from deputize.oauth.challenge import OFFLINE, scopes_wanted, union

        resource, auth_server = self.seen.resource, self.seen.authorization_server
        known = (resource.scopes_supported if resource else ()) or (auth_server.scopes_supported if auth_server else ())
        asked = tuple(scope for scope in wished if scope in known)
        if asked and OFFLINE in wished and auth_server is not None and OFFLINE in auth_server.scopes_supported:
            # A refresh token is the authorization server's to give: a resource does not list the scope for it (MCP
            # 2026-07-28, authorization: refresh tokens).
            asked = union(asked, (OFFLINE,))
        if asked or auth_server is None or self.seen.reports_decisions:
            return asked or tuple(wished)
        return scopes_wanted(self.seen.challenge, auth_server)

    @property
    def by_role(self) -> bool:
        """Whether a human's role says what its agents may do, as at AuthKit: it asks for no scope of its tools."""
        resource, listed = self.seen.resource, self.seen.tools
        wanted = {tool.scope for tool in listed.tools if tool.scope} if listed is not None else set()
        asked = resource.scopes_supported if resource is not None else ()
        return bool(wanted and asked) and not wanted & set(asked)

    def takes_key(self, verb: str, door: str, *, stored: bool) -> bool:
        """Whether its tool knows an idempotency key; where the tools cannot be seen, it is not counted on."""
        listed = self.tools(door, stored=stored) or ()
        tool = next((one for one in listed if one.name == self.names.name(verb)), None)
        return tool is not None and self._key(verb) in tool.arguments

    def _key(self, verb: str) -> str:
        """What it calls the idempotency key."""
        return next(iter(self.names.call(verb, {IDEMPOTENCY: ""})[1]), "")
