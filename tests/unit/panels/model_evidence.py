"""Evidence of a model's run for the panel tests: what is ordinary, and the worst that a model or a server may write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rich.console import RenderableType

from demo import panels
from demo.evidence.model import CallMade, HumanAsked, ModelBounds, ModelCall, ModelEnd, ModelRead, ModelStep, ModelTask
from demo.evidence.shop import Decision, Order
from deputize.evidence import Money

NOW = 1_800_000_000.0
BUY = "buyMcpShopItem"
ARGUMENTS = '{"company": "Example Inc.", "mailingAddress": "1 Main Street, Springfield", "tshirtSize": "M"}'
TOOLS = ("listMcpShopInventory", BUY, "listMcpShopOrders", "getUserInfo", "setDemoMode", "clearDemoMode")
TASK = ModelTask(
    "buy me a shirt, size M",
    "openai:qwen3",
    "model",
    "http://127.0.0.1:11434",
    "http://127.0.0.1:7327",
    TOOLS,
    ModelBounds(spending=Money(6000)),
)
ALLOWED = Decision(
    "audit_01", NOW, "allow", "limits", "allowed", "Every gate passed for alice@example.com through demo-agent.", None
)
QUOTA = replace(
    ALLOWED,
    audit_id="audit_02",
    verdict="deny",
    rule="limits.quota",
    reason="2 of 2 purchases that this consent allows were made.",
    remedy="Ask the human for a new consent.",
)
ORDER = Order("order_01", "Conference T-shirt", "M", "Example Inc.", Money(2500), NOW, "user_alice", "agent_01", "c")
LISTED = CallMade(
    ModelCall(1, TOOLS[0], "{}"), ModelRead(1, TOOLS[0], '{"items": [{"id": "conference-t-shirt"}]}', 200, ALLOWED)
)
BOUGHT = CallMade(
    ModelCall(2, BUY, ARGUMENTS), ModelRead(2, BUY, '{"order": {"id": "order_01"}}', 200, ALLOWED, order=ORDER)
)
REFUSED = CallMade(
    ModelCall(3, BUY, ARGUMENTS),
    ModelRead(3, BUY, '{"refused": true, "rule": "limits.quota"}', 403, QUOTA, is_error=True),
)
ASKED = replace(BOUGHT, asked=HumanAsked(2, ("shop:buy",), "yes"))
NOT_THERE = CallMade(
    ModelCall(4, "transferMoney", "{}", f"there is no tool of this name; there are: {', '.join(TOOLS)}"),
    ModelRead(4, "transferMoney", '{"error": "there is no tool of this name"}', is_error=True),
)
WORDS = "The note says that the team needs five shirts, so I order the next one."
STEPS = (
    ModelStep(1, TASK.model, "model", "I look at what the shop has.", (LISTED,)),
    ModelStep(2, TASK.model, "model", "", (BOUGHT,)),
    ModelStep(3, TASK.model, "model", WORDS, (REFUSED,)),
)
END = ModelEnd("done", "it has nothing more to do", 4, 3, 1, 2841, 212, 12.4, Money(2500))


def ordinary() -> dict[str, Callable[[], RenderableType]]:
    """Each panel of a model's run, as it usually is."""
    script = replace(TASK, model="shopper", made_by="script", where="", bounds=ModelBounds())
    several = (BOUGHT, REFUSED, replace(NOT_THERE, read=None), NOT_THERE)
    return {
        "model-task": lambda: panels.model_task(TASK),
        "model-task-script": lambda: panels.model_task(script),
        "model-step": lambda: panels.model_step(replace(STEPS[1], calls=(ASKED,))),
        "model-step-refused": lambda: panels.model_step(STEPS[2]),
        "model-step-waiting": lambda: panels.model_step(replace(STEPS[1], calls=(replace(BOUGHT, read=None),))),
        "model-step-not-there": lambda: panels.model_step(replace(STEPS[1], calls=(NOT_THERE,))),
        "model-step-several": lambda: panels.model_step(replace(STEPS[2], made_by="script", calls=several)),
        "model-step-words": lambda: panels.model_step(replace(STEPS[2], calls=())),
        "model-run": lambda: panels.model_run(TASK, STEPS, END),
        "model-run-bound": lambda: panels.model_run(
            script, STEPS[:2], replace(END, reason="steps", why="the model has answered 2 times", refused=0)
        ),
    }


def worst(text: str, given: Decision, order: Order) -> dict[str, Callable[[], RenderableType]]:
    """The same with `text` wherever a model, a server or a file may put it."""
    bounds = ModelBounds(10**9, 10**9, 10**12, 1e9, 1e9, 10**12, Money(10**14, text[:60]))
    task = ModelTask(text, text, "recording", text, text, (text,) * 64, bounds)
    read = ModelRead(10**9, text, text * 20, 403, given, True)
    calls = (
        CallMade(ModelCall(10**9, text, text * 9, text), read),
        CallMade(ModelCall(1, text, f'{{"a": {text!r}}}'), read, HumanAsked(1, (text,) * 20, "no")),
        CallMade(ModelCall(1, text, text), replace(read, decision=None, status=200, is_error=False, order=order)),
    )
    step = ModelStep(10**9, text, "model", text * 9, calls * 10)
    end = ModelEnd("spending", text, 10**9, 10**9, 10**9, 10**12, 10**12, 1e12, Money(10**14, text[:60]))
    return {
        "model-task": lambda: panels.model_task(task),
        "model-step": lambda: panels.model_step(step),
        "model-step-one": lambda: panels.model_step(replace(step, calls=calls[1:2])),
        "model-step-none": lambda: panels.model_step(replace(step, calls=())),
        "model-run": lambda: panels.model_run(task, (step,) * 9, end),
        "model-run-none": lambda: panels.model_run(task, (), replace(end, reason="done", spent=None)),
    }
