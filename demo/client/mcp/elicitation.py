"""Answering what a server asks in mid-call: elicitation (2025-11-25), multi round trips (2026-07-28, SEP-2322)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from demo.client.mcp.reading import mapping
from deputize.errors import UsageError
from deputize.http.sanitizing import safe_data, safe_text

if TYPE_CHECKING:
    import anyio
    from mcp.types import ElicitRequestParams, ElicitResult

ROUNDS = 10
"""Times that one call may ask; a server that goes on asking gets no answer any more."""

ANSWERING = 300.0
"""Seconds that anyone who answers may take, over one conversation."""


AGAIN = 0.1
"""Seconds before a call that was only asked to come again is sent again."""


@dataclass(frozen=True)
class ElicitationRequest:
    """What a server asks of the human in mid-call (MCP 2025-11-25 and 2026-07-28, Client Features, "Elicitation").

    Attributes:
        message: its question, safe to show.
        schema: the form's JSON Schema (`properties` are flat), safe to show; empty where a URL is to be opened.
        url: a page that the server wants opened instead of a form, None for a form. Never open it unasked.
        defaults: the values that the form begins with (SEP-1034), as the server sent them.
    """

    message: str
    schema: dict[str, Any]
    url: str | None = None
    defaults: dict[str, Any] = field(default_factory=dict, repr=False)


Elicit = Callable[[ElicitationRequest], dict[str, Any] | None]
"""Answers: the form's values (those left out get their defaults), or for a URL an empty dict once it has been dealt
with; None to decline."""


class Answerer:
    """Has an `Elicit` answer within its bounds. One for each conversation.

    Args:
        elicit: called in a thread of its own, since it may ask a human.
        clean: makes a server's text safe and free of secrets.

    While somebody answers, `clock`, which bounds the request, stands still. What `elicit` raises is kept in `failure`.
    """

    def __init__(self, elicit: Elicit, clean: Callable[[str], str]) -> None:
        self._elicit = elicit
        self._clean = clean
        self._asked = 0
        self.clock: anyio.CancelScope | None = None
        self.failure: Exception | None = None

    def begin(self) -> None:
        """Another call begins."""
        self._asked = 0

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        """Answer one request, as the MCP SDK's callback."""
        from mcp.types import ElicitResult

        self._asked += 1
        request = self._read(params.model_dump(by_alias=True, mode="json", exclude_none=True))
        if request is None or self._asked > ROUNDS or self.failure is not None:
            return ElicitResult(action="cancel")
        try:
            given = await self._ask(request)
            if given is None:
                return ElicitResult(action="decline")
            if request.url is not None:
                return ElicitResult(action="accept")
            return ElicitResult(action="accept", content=request.defaults | given)
        except ValueError as error:
            self.failure = UsageError(
                "the answer to the server's question cannot be sent", why=safe_text(str(error)), do="give plain values"
            )
        except Exception as error:
            self.failure = error
        return ElicitResult(action="cancel")

    async def _ask(self, request: ElicitationRequest) -> dict[str, Any] | None:
        import anyio
        import anyio.to_thread

        clock, left = self.clock, 0.0
        if clock is not None:
            left = clock.deadline - anyio.current_time()
            clock.deadline = anyio.current_time() + ANSWERING
        try:
            return await anyio.to_thread.run_sync(self._elicit, request, abandon_on_cancel=True)
        finally:
            if clock is not None:
                clock.deadline = anyio.current_time() + left

    def _read(self, params: dict[str, Any]) -> ElicitationRequest | None:
        schema = mapping(params.get("requestedSchema"))
        names = mapping(schema.get("properties"))
        if list(mapping(safe_data(names))) != list(names):
            return None  # a field whose very name drives the terminal cannot be shown, and so not be answered
        url = params.get("url") if params.get("mode") == "url" else None
        return ElicitationRequest(
            message=self._clean(str(params.get("message", ""))),
            schema=mapping(safe_data(schema)),
            url=safe_text(url, one_line=True) if isinstance(url, str) else None,
            defaults={name: mapping(one)["default"] for name, one in names.items() if "default" in mapping(one)},
        )


async def next_round(request: Any, result: dict[str, Any], answerer: Answerer) -> Any | None:
    """The `tools/call` that carries on after an `input_required` result, None where it cannot be carried on.

    The state that the server gave goes back as it came, and only with the call that it belongs to (SEP-2322).

    Args:
        request: the `CallToolRequest` that was answered so.
        result: its result.
    """
    import anyio
    from mcp.types import CallToolRequest, ElicitRequest, InputRequiredResult
    from pydantic import ValidationError

    try:
        wanted = InputRequiredResult.model_validate(result, by_name=False)
    except ValidationError:
        return None
    answers: dict[str, Any] = {}
    for name, asked in (wanted.input_requests or {}).items():
        if not isinstance(asked, ElicitRequest):
            return None  # a model's answer or a list of folders: this agent said that it has neither
        answers[name] = await answerer(None, asked.params)
    if not answers:
        await anyio.sleep(AGAIN)  # it asks for nothing but that one comes again
    if answerer.failure is not None or not isinstance(request, CallToolRequest):
        return None
    given = {"input_responses": answers or None, "request_state": wanted.request_state}
    return CallToolRequest(params=request.params.model_copy(update=given))
