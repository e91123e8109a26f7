"""Which model drives, and what it takes on this machine to ask one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal
from urllib.parse import urlsplit

from deputize.errors import EnvironmentNotReady
from deputize.tokens.stored import Secret

Api = Literal["openai", "anthropic"]
"""In which shapes an endpoint is asked: OpenAI's Chat Completions, or Anthropic's Messages."""

HOME = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


@dataclass(frozen=True)
class Endpoint:
    """A model behind an HTTP API.

    Args:
        api: the shapes that it speaks.
        name: the model's name there.
        url: where it is.
        key: what it is asked with; None for one that wants none, as most on this machine.
    """

    api: Api
    name: str
    url: str
    key: Secret | None = None

    @property
    def origin(self) -> str:
        """Who reads what is asked and what the tools answer."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def ready() -> None:
    """See that a model can be asked at all.

    Raises:
        EnvironmentNotReady: what it takes is not installed.
    """
    missing = [name for name in ("pydantic_ai", "openai", "anthropic") if find_spec(name) is None]
    if missing:
        raise EnvironmentNotReady(
            "no model can drive here",
            why=f"the extra `agent` is not installed (there is no {missing[0]})",
            do="python -m pip install 'machine-identity-demo[agent]', or in a checkout: make talk",
        )
