"""A request to a model's endpoint: over a transport that records and is bounded, and what went wrong in plain words."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import anyio
import httpx2

from demo.model.choosing import HOME, Endpoint
from demo.model.script import OutOfLines, Script
from deputize.errors import AuthorizationRefused, ExplainedError, ServerUnreachable, UsageError
from deputize.http.bounded import TICK, OnWait
from deputize.http.environment import NotSent
from deputize.http.exchange import HttpExchange
from deputize.http.fetch import is_html, own_words, retry_seconds
from deputize.http.recorder import Recorder
from deputize.http.sanitizing import safe_text
from deputize.http.transport import AnswerTooLong, RecordingTransport

CONNECT_SECONDS = 10.0
NO_KEY = "none"
"""What the libraries are given in the place of a key where there is none: they insist on one, and it is not sent."""
SENT: Final = frozenset(
    (
        *("host", "content-type", "content-length", "accept", "accept-encoding", "connection", "user-agent"),
        *("anthropic-version", "anthropic-beta"),
    )
)
"""Headers that go to an endpoint, beside the one with its key. The vendors' libraries add others from variables of the
environment: the organization, the project, and whatever somebody has set for the vendor alone."""


class TooMuch(Exception):
    """An answer went beyond its bound: `answer_bytes` or `answer_seconds`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def late(model: Endpoint | Script, seconds: float) -> TooMuch:
    """The answer did not come in time."""
    where = f" from {model.origin}" if isinstance(model, Endpoint) else ""
    return TooMuch(f"no whole answer came{where} within {seconds:.0f} s")


async def tick(seconds: float, on_wait: OnWait | None) -> None:
    """Say that the model is awaited, until it is not."""
    until = anyio.current_time() + seconds
    while on_wait is not None:
        on_wait(max(0.0, until - anyio.current_time()), "the model")
        await anyio.sleep(TICK)


async def ask(
    endpoint: Endpoint, request: Callable[[Any], Awaitable[Any]], recorder: Recorder, answer_bytes: int
) -> Any:
    """Send one request.

    Args:
        request: takes the model, and awaits its answer.
        answer_bytes: the longest answer that is read.

    Raises:
        TooMuch: the answer is longer.
        ExplainedError: there is none.
    """
    if endpoint.key is not None:
        recorder.guard(endpoint.key.value)
    transport = _Bounded(RecordingTransport(recorder), endpoint, answer_bytes)
    timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)  # the whole of it is bounded from outside
    with recorder.collect() as exchanges:
        async with httpx2.AsyncClient(transport=transport, timeout=timeout) as client:
            try:
                return await request(_model(endpoint, client))
            except Exception as error:  # an answer of another shape than a library foresaw breaks it in any way
                failure = error
        raise _explained(endpoint, failure, exchanges[-1] if exchanges else None, recorder) from None


def _model(endpoint: Endpoint, client: httpx2.AsyncClient) -> Any:
    # All that may name a place or a key is given: no variable of the environment is looked at for them.
    key = endpoint.key.value if endpoint.key is not None else NO_KEY
    if endpoint.api == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        theirs = AnthropicProvider(api_key=key, base_url=endpoint.url, http_client=client)
        return AnthropicModel(endpoint.name, provider=theirs)
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    if endpoint.url == HOME["openai"]:
        return OpenAIChatModel(endpoint.name, provider=OpenAIProvider(api_key=key, http_client=client))
    like = OpenAICompatibleProvider("endpoint", base_url=endpoint.url, api_key=key, http_client=client)
    return OpenAIChatModel(endpoint.name, provider=like)


def _explained(endpoint: Endpoint, error: Exception, exchange: HttpExchange | None, recorder: Recorder) -> Exception:
    causes = list(_causes(error))
    if (script := next((one for one in causes if isinstance(one, OutOfLines)), None)) is not None:
        return script
    if (long := next((one for one in causes if isinstance(one, AnswerTooLong)), None)) is not None:
        return TooMuch(str(long))
    if (unsent := next((one for one in causes if isinstance(one, NotSent)), None)) is not None:
        return unsent.fault
    if exchange is None or exchange.status is None:
        late = any(isinstance(one, httpx2.TimeoutException) for one in causes)
        told = (exchange.error if exchange is not None else None) or str(error) or type(error).__name__
        why = f"no connection within {CONNECT_SECONDS:.0f} s" if late else recorder.masked(told)
        return ServerUnreachable(
            f"{safe_text(endpoint.origin, one_line=True)} cannot be reached",
            why=safe_text(why, one_line=True),
            do="start what serves the model, or name another address with --base-url; without --model a script plays",
        )
    return _refused(endpoint, error, exchange, recorder)


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def _refused(endpoint: Endpoint, error: Exception, exchange: HttpExchange, recorder: Recorder) -> ExplainedError:
    """What an answer says that is none of a model."""
    status, where = exchange.status or 0, safe_text(endpoint.origin, one_line=True)
    said = recorder.masked(own_words(exchange.text, exchange.json))
    why = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if is_html(exchange.header("content-type"), exchange.text):
        return ServerUnreachable(
            f"{where} answered with a web page in a model's place",
            why=why,
            do="check the base URL: it often ends in /v1",
        )
    if status in (401, 403) and endpoint.key is None:
        return AuthorizationRefused(
            f"{where} wants a key, and was sent none",
            why=why,
            do="set DEMO_MODEL_KEY (a vendor's own variable goes to that vendor alone), or have a key kept: --keep-key",
        )
    if status in (401, 403):
        return AuthorizationRefused(
            f"{where} refuses the key", why=why, do="check the key; docs/agent.md says where it is looked for"
        )
    if status == 404:
        return UsageError(
            f"{where} has no model {safe_text(endpoint.name, one_line=True)!r}, or no such API at this base URL",
            why=why,
            do="check --model and the base URL, which often ends in /v1",
        )
    if status == 429:
        wait = retry_seconds(exchange.header("retry-after"), exchange.header("date"), exchange.started_at)
        again = f"in {math.ceil(wait)} s" if wait is not None else "later"
        return ServerUnreachable(
            f"{where} takes no more requests now",
            why=why,
            do=f"try again {again}, or see to the quota of this key",
        )
    if status >= 500:
        return ServerUnreachable(f"{where} is in trouble", why=why, do="try again in a moment")
    if status >= 400:
        return ServerUnreachable(
            f"{where} does not take the request", why=why, do="try another model: it must be able to call tools"
        )
    return ServerUnreachable(
        f"{where} answered with something that is no model's answer",
        why=f"HTTP {status}, and nothing in it that the API reference of a model has",
        do="check the base URL, and whether it speaks OpenAI's Chat Completions or Anthropic's Messages",
    )


class _Bounded(httpx2.AsyncBaseTransport):
    """Sends what is meant for this endpoint, and reads no more of an answer than its bound."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, endpoint: Endpoint, most: int) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() in SENT]
        if (key := self._endpoint.key) is not None and self._endpoint.api == "anthropic":
            headers.append(("x-api-key", key.value))
        elif key is not None:
            headers.append(("authorization", f"Bearer {key.value}"))
        request = httpx2.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, self._most)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._left = most
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise AnswerTooLong(f"the answer is longer than {self._most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
