"""One conversation with a model, over pydantic-ai: what it was told, and one answer after another, each bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from demo import tracing
from demo.evidence.model import ModelBounds
from demo.model import asking
from demo.model.choosing import Endpoint
from demo.model.script import Came, Player, Script, as_json
from demo.model.tools import OfferedTool
from deputize.http import bounded
from deputize.http.bounded import OnWait
from deputize.http.recorder import Recorder

LONGEST_ANSWER = 4_096
"""Tokens of one answer."""


@dataclass(frozen=True)
class Called:
    """A call that a model decided on."""

    id: str
    tool: str
    arguments: str | Mapping[str, Any] | None


@dataclass(frozen=True)
class Answer:
    """One answer: words, calls, and what the endpoint says that it took."""

    words: str
    calls: tuple[Called, ...]
    tokens_read: int
    tokens_written: int
    cut: bool = False
    """Whether it stops where it may not be longer, in the middle of what the model would have said."""


class Conversation:
    """What was said so far.

    Args:
        model: who answers.
        instructions: what holds for all of it (a system prompt).
        prompt: what the human asked for.
        tools: by the name that the model calls them.
        bounds: of them those of one answer.
        recorder: has the exchanges with the endpoint.
    """

    def __init__(
        self,
        model: Endpoint | Script,
        instructions: str,
        prompt: str,
        tools: Mapping[str, OfferedTool],
        bounds: ModelBounds,
        recorder: Recorder,
    ) -> None:
        self._model = model
        self._bounds = bounds
        self._recorder = recorder
        self._instructions = instructions
        self._messages: list[ModelMessage] = []
        self._next: list[ModelRequestPart] = [UserPromptPart(prompt)]
        self._parameters = ModelRequestParameters(
            function_tools=[
                ToolDefinition(
                    name=name,
                    parameters_json_schema=dict(tool.schema),
                    description=tool.description,
                    strict=False,
                )
                for name, tool in tools.items()
            ]
        )
        self._scripted = None if isinstance(model, Endpoint) else _played(Player(model), prompt, model.name)

    def answer(self, seconds: float, tokens: int, on_wait: OnWait | None = None) -> Answer:
        """The model's next answer.

        Args:
            seconds: how long it may take.
            tokens: how many it may write.
            on_wait: called during the wait, at least four times a second.

        Raises:
            OutOfLines: a script has no line for what came.
            asking.TooMuch: the answer is longer than its bound, or took longer.
            ExplainedError: the endpoint gave no answer.
        """
        self._messages.append(ModelRequest(self._next, instructions=self._instructions))
        self._next = []

        async def asked() -> ModelResponse:
            if isinstance(self._model, Endpoint):
                async with anyio.create_task_group() as ticking:
                    ticking.start_soon(asking.tick, seconds, on_wait)
                    response: ModelResponse = await asking.ask(
                        self._model, self._request, self._recorder, self._bounds.answer_bytes
                    )
                    ticking.cancel_scope.cancel()
                return response
            return await self._request(self._scripted)

        self._settings = ModelSettings(max_tokens=max(1, min(tokens, LONGEST_ANSWER)), max_retries=1)
        response = bounded.run(asked, seconds, lambda: asking.late(self._model, seconds))
        _make_sendable(response)
        self._messages.append(response)
        counted = isinstance(self._model, Endpoint)
        return Answer(
            "\n".join(part.content for part in response.parts if isinstance(part, TextPart) and part.content),
            tuple(
                Called(part.tool_call_id, part.tool_name, part.args)
                for part in response.parts
                if isinstance(part, ToolCallPart)
            ),
            response.usage.input_tokens if counted else 0,
            response.usage.output_tokens if counted else 0,
            response.finish_reason == "length",
        )

    async def _request(self, model: Any) -> ModelResponse:
        return await model_request(
            model,
            self._messages,
            model_settings=self._settings,
            model_request_parameters=self._parameters,
            instrument=_traced(),
        )

    def read(self, call: Called, came: Came) -> None:
        """What the model reads next: what its call came to."""
        self._next.append(
            ToolReturnPart(
                call.tool,
                came.text,
                call.id,
                metadata=came,
                outcome="success" if came.ended == "allowed" else "failed",
            )
        )


def _make_sendable(response: ModelResponse) -> None:
    """Replace half characters (lone surrogates): JSON may hold them, and what was said is sent again, in UTF-8."""
    for part in response.parts:
        for name, value in [*vars(part).items()]:
            if isinstance(value, str) and not value.isascii():
                setattr(part, name, value.encode("utf-8", "replace").decode("utf-8"))


def _played(player: Player, prompt: str, name: str) -> FunctionModel:
    """A script in a model's place."""

    def answer(messages: Sequence[ModelMessage], _: AgentInfo) -> ModelResponse:
        came = [
            part.metadata
            for message in messages
            if isinstance(message, ModelRequest)
            for part in message.parts
            if isinstance(part, ToolReturnPart) and isinstance(part.metadata, Came)
        ]
        line = player.next(prompt, came)
        words = [TextPart(line.says)] if line.says else []
        return ModelResponse([*words, *(ToolCallPart(one.tool, as_json(one.arguments)) for one in line.calls)])

    return FunctionModel(answer, model_name=name)


def _traced() -> InstrumentationSettings | bool:
    """How the library traces a question: with what it took, and never with what was said."""
    if not tracing.on():
        return False
    return InstrumentationSettings(
        tracer_provider=tracing.provider(),
        include_content=False,
        include_binary_content=False,
        include_model_request_parameters=False,
    )
