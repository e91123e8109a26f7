"""A run of a language model: its task and bounds, what it said, called and read, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from demo.evidence.shop import Decision, LimitUse, Order, Verdict
from deputize.evidence import Money

MadeBy = Literal["script", "recording", "model"]
"""Who decides in a model's place: lines that somebody wrote, a model's own of an earlier run, a model now."""


@dataclass(frozen=True)
class ModelBounds:
    """What one run of a model may take; what is used up ends the run, and the screen says so.

    `spending` is what the purchases of this run may come to, with none before a price is known; the shop holds the
    human's own limit whatever is here. None: that limit alone.
    """

    steps: int = 12
    """Answers of the model."""
    calls: int = 24
    """Calls of tools, those that came to nothing included."""
    tokens: int = 60_000
    """What the endpoint counts, of all requests and answers together."""
    seconds: float = 300.0
    """The whole run, without the time that a human takes to decide."""
    answer_seconds: float = 120.0
    """One answer of the model."""
    answer_bytes: int = 1_000_000
    """One answer of the model, as it arrives."""
    spending: Money | None = None


@dataclass(frozen=True)
class ModelTask:
    """What a human asked a model to do, and which model. Only a login that a run begins with comes before it."""

    prompt: str
    model: str
    """Its name, as `openai:gpt-4o-mini`, or the name of the script."""
    made_by: MadeBy
    where: str
    """Who reads what is asked and what the tools answer: the endpoint's origin; empty where nobody does."""
    server: str
    tools: tuple[str, ...]
    """Those that the model is told of."""
    bounds: ModelBounds


@dataclass(frozen=True)
class ModelWords:
    """What the model said, in its own words: a claim of the model's, and of nobody else's."""

    step: int
    text: str


@dataclass(frozen=True)
class ModelCall:
    """What the model decided to call, before anybody was asked.

    `arguments` is JSON, as the model wrote it; `problem` says why nothing was sent: no such tool, no JSON.
    """

    step: int
    tool: str
    arguments: str
    problem: str = ""


@dataclass(frozen=True)
class ModelRead:
    """What came of a call: what the server decided, and the text that the model was given to read.

    `status` and `decision` are None where nothing was sent.
    """

    step: int
    tool: str
    text: str
    status: int | None = None
    decision: Decision | None = None
    is_error: bool = False
    order: Order | None = None
    limits: tuple[LimitUse, ...] = ()


@dataclass(frozen=True)
class HumanAsked:
    """The server wanted a scope that the agent has not got, or a human's approval of this one call; a human was asked.

    `scopes` are the new ones; `approval` is what kind of approval it was (a type of RFC 9396), empty for none.
    """

    step: int
    scopes: tuple[str, ...]
    said: Literal["yes", "no", "nothing"]
    """"nothing": nobody decided, or nobody could be asked."""
    approval: str = ""


@dataclass(frozen=True)
class CallMade:
    """A call of a model with what came of it: None where that is not known yet; and the human who was asked for it."""

    call: ModelCall
    read: ModelRead | None = None
    asked: HumanAsked | None = None


@dataclass(frozen=True)
class ModelStep:
    """One answer of a model, with what came of its calls."""

    step: int
    model: str
    made_by: MadeBy
    words: str = ""
    calls: tuple[CallMade, ...] = ()


Ending = Literal[
    "done",
    "steps",
    "calls",
    "tokens",
    "seconds",
    "spending",
    "repeats",
    "mistakes",
    "human",
    "model",
    "server",
    "script",
    "interrupted",
]
"""Why a run of a model ended: it said that it is done; a bound; the same refused call again and again; calls that were
none; the human said no or was not there; the model's endpoint failed; the server did; a script has no line for
this, or cannot find it in time; Ctrl-C."""


@dataclass(frozen=True)
class ModelEnd:
    """How a run of a model ended, and what it took; the last event of a run."""

    reason: Ending
    why: str
    steps: int
    calls: int
    refused: int
    """How many of the calls a gate refused."""
    tokens_read: int
    tokens_written: int
    seconds: float
    spent: Money | None
    """What the purchases of this run came to; None where nothing was bought."""


ModelEvent = ModelTask | ModelWords | ModelCall | ModelRead | HumanAsked | ModelEnd
"""What happens in a run of a model, in its order."""


@dataclass(frozen=True)
class DrivenCall:
    """One call that a model decided on, and what became of it; `rule` is empty where nothing was decided."""

    tool: str
    arguments: str
    """JSON, as the model wrote it."""
    verdict: Verdict | None
    rule: str
    luring: bool = False
    """Whether it does what a text that the model had read told it to do."""


@dataclass(frozen=True)
class Driven:
    """One run of a model as a whole: what it was asked, what somebody else's text told it, what it tried."""

    prompt: str
    model: str
    """Its name; empty for a script."""
    made_by: MadeBy
    calls: tuple[DrivenCall, ...]
    orders: int
    ended: str
    said: str = ""
    """Its last words, which are a claim."""
    lure: str = ""
    """What somebody else wrote, as it stood in what the model read; empty where it read nothing of it."""
