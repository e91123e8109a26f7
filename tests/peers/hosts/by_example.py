"""`by_example.py NAME URL`: run an example of `examples/`; where it wants a model, the one decision is written here.

What it returns is a line of JSON on stdout.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio

TOOL = "buyMcpShopItem"
SHIRT = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}

sys.path[:0] = [str(Path(__file__).parents[3] / folder) for folder in ("examples", "")]


def of_openai_agents() -> Any:
    """Calls the one tool, then says what it read."""
    from agents import Model, ModelResponse, Usage, set_tracing_disabled
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    set_tracing_disabled(True)

    class Decided(Model):
        async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:
            read = [item for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
            if not read:
                call = ResponseFunctionToolCall(
                    type="function_call", call_id="call_1", name=TOOL, arguments=json.dumps(SHIRT)
                )
                return ModelResponse(output=[call], usage=Usage(), response_id=None)
            said = ResponseOutputText(type="output_text", text=str(read[0]["output"]), annotations=[])
            message = ResponseOutputMessage(
                id="message_1", type="message", role="assistant", status="completed", content=[said]
            )
            return ModelResponse(output=[message], usage=Usage(), response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError("nothing is streamed here")

    return Decided()


def of_pydantic_ai() -> Any:
    """The same."""
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel

    def decided(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        read = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        return ModelResponse(parts=[TextPart(str(read[0].content)) if read else ToolCallPart(TOOL, SHIRT)])

    return FunctionModel(decided)


MODELS = {"with_openai_agents": of_openai_agents, "with_pydantic_ai": of_pydantic_ai}


async def main(name: str, url: str) -> None:
    more = [MODELS[name]()] if name in MODELS else []
    with anyio.fail_after(150):
        sys.stdout.write(f"{json.dumps({'returned': await import_module(name).main(url, *more)})}\n")


anyio.run(main, *sys.argv[1:])
