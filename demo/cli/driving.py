"""The command in which a language model decides what the agent calls: agent."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from demo.cli.agent import ELSEWHERE, OpenOption, approving, asking
from demo.cli.context import cast_for, console_for, say_json, settings_of
from demo.cli.identity import money
from demo.errors import EXPECTATION, OK, UNREACHABLE
from demo.evidence.model import (
    HumanAsked,
    ModelBounds,
    ModelCall,
    ModelEnd,
    ModelEvent,
    ModelRead,
    ModelStep,
    ModelTask,
    ModelWords,
)
from deputize.errors import AuthorizationRefused, UsageError

if TYPE_CHECKING:
    from demo.model import Drive, Endpoint, Script
    from demo.settings import Settings
    from deputize.evidence import Money
    from deputize.oauth.step_up import Approve, Obtain
    from deputize.tokens.store import TokenStore
    from deputize.tokens.stored import StoredToken
    from talk.cast import Cast
    from talk.stage.screen import Stage

KINDS: Final = {
    ModelTask: "task",
    ModelWords: "words",
    ModelCall: "call",
    ModelRead: "read",
    HumanAsked: "human",
    ModelEnd: "end",
}
"""What each event is called in `--json`."""
USUAL: Final = ModelBounds()
LONGEST_PROMPT: Final = 8_000
"""Characters."""


def agent(
    context: typer.Context,
    prompt: Annotated[
        str, typer.Argument(help='What you want done, e.g. "buy me a shirt, size M".', show_default=False)
    ] = "",
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="openai:NAME, anthropic:NAME, ollama:NAME, script:FILE; see docs/agent.md."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Ask the model there, as http://127.0.0.1:8080/v1.")
    ] = None,
    keep_key: Annotated[
        bool, typer.Option("--keep-key", help="Keep this model's API key in the keyring: type it unseen, or pipe it.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what the model answers, to be played as script:FILE.")
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask/--no-ask", help="Ask the human where the agent lacks a scope; else stop there.")
    ] = True,
    open_: OpenOption = False,
    spend: Annotated[
        str | None, typer.Option("--spend", metavar="USD", help="End the run before it spends more, e.g. 60.00.")
    ] = None,
    steps: Annotated[
        int, typer.Option(help="Stop after this many answers of the model.", min=1, max=200)
    ] = USUAL.steps,
    calls: Annotated[int, typer.Option(help="Stop after this many tool calls.", min=1, max=1000)] = USUAL.calls,
    tokens: Annotated[
        int, typer.Option(help="Stop after this many tokens, as the endpoint counts them.", min=1, max=10_000_000)
    ] = USUAL.tokens,
    seconds: Annotated[
        float, typer.Option(help="Stop after this many seconds, those of the human not counted.", min=1, max=86400)
    ] = USUAL.seconds,
    answer_seconds: Annotated[
        float, typer.Option("--answer-seconds", help="Wait this many seconds for one answer.", min=1, max=3600)
    ] = USUAL.answer_seconds,
    answer_bytes: Annotated[
        int, typer.Option("--answer-bytes", help="Read at most this many bytes of one answer.", min=1000, max=4_000_000)
    ] = USUAL.answer_bytes,
) -> int:
    """Have a language model do something with the agent's authority; without one a script plays."""
    settings = settings_of(context)
    from demo import model as driving

    wished = driving.Wished(model, base_url)
    if keep_key:
        return _keep_key(settings, wished)
    if not prompt.strip() or len(prompt) > LONGEST_PROMPT:
        raise UsageError(
            "nothing was asked for" if not prompt.strip() else f"more than {LONGEST_PROMPT} characters were asked for",
            do='say what you want, in a sentence: demo agent "buy me a shirt, size M"',
        )
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "what was asked for cannot be sent",
            why="it holds half a character (a surrogate), or bytes that are not UTF-8",
            do="give text that is valid Unicode",
        ) from None
    driving.ready()
    decides = _chosen(settings, wished)
    if record is not None:
        _can_record(record, decides)
    bounds = ModelBounds(
        steps, calls, tokens, seconds, answer_seconds, answer_bytes, None if spend is None else _limit(spend)
    )
    run = _drive(settings, prompt.strip(), decides, bounds, ask=ask, open_=open_, record=record)
    if run.fault is not None:
        raise run.fault
    if run.end.reason in ("server", "model"):
        return UNREACHABLE
    return OK if run.end.reason == "done" else EXPECTATION


def _drive(
    settings: Settings,
    prompt: str,
    decides: Endpoint | Script,
    bounds: ModelBounds,
    *,
    ask: bool,
    open_: bool,
    record: Path | None,
) -> Drive:
    from demo import panels
    from demo.model import Steps, drive
    from talk.stage.keys import interactive
    from talk.stage.screen import Stage

    cast = cast_for(settings)
    agent = cast.agent()
    console = console_for(settings)
    stage = Stage(console, person=interactive() and not settings.json, plain=settings.plain, quiet=settings.quiet)

    def shown(step: ModelStep) -> None:
        stage.clear_status()
        if not settings.quiet:
            console.print(panels.model_step(step))
            console.print()
            if settings.wire:
                for exchange in agent.recorder.take():
                    console.print(panels.exchange(exchange))

    steps = Steps(shown)
    events: list[ModelEvent] = []

    def happened(event: ModelEvent) -> None:
        events.append(event)
        steps.take(event)
        if isinstance(event, ModelTask) and not settings.quiet:
            stage.clear_status()
            console.print(panels.model_task(event))
            console.print()

    def before_asking() -> None:
        if steps.now is not None:
            shown(steps.now)  # what it is for, before the human is asked

    try:
        return drive(
            agent,
            prompt,
            decides,
            bounds,
            on_event=happened,
            ask_human=_asking(cast, stage, bounds.spending, before_asking) if ask else _nobody,
            approve=_approving(cast, stage, before_asking) if ask else _nobody_approves,
            names=cast.tools.call,
            door=cast.door("open" if open_ else "protected"),
            token="none" if open_ else "stored",
            patience=0.0 if cast.server.ours else ELSEWHERE,
            on_wait=lambda left, what: stage.waiting(what, left),
        )
    finally:
        stage.clear_status()
        _over(settings, events, record)  # after Ctrl-C, too: what was bought stays bought, and what was said is kept


def _over(settings: Settings, events: list[ModelEvent], record: Path | None) -> None:
    """Say how a run ended, and keep what the model answered."""
    from demo import panels
    from demo.model import keep, steps_of

    task = next((event for event in events if isinstance(event, ModelTask)), None)
    end = next((event for event in events if isinstance(event, ModelEnd)), None)
    if task is None or end is None:
        return
    console_for(settings).print(panels.model_run(task, steps_of(events), end))
    if settings.json:
        told = [{"event": KINDS[type(event)], **asdict(event)} for event in events]
        say_json({"schema": 1, "reason": end.reason, "events": told})
    if record is not None and any(isinstance(event, ModelWords | ModelCall) for event in events):
        keep(events, record)


def _asking(cast: Cast, stage: Stage, limit: Money | None, before: Callable[[], None]) -> Obtain:
    def obtain(scopes: tuple[str, ...]) -> StoredToken:
        stage.clear_status()
        before()
        spending = limit if limit is not None else _limit("60.00") if cast.server.ours else None
        return asking(cast, stage, spending)(scopes)

    return obtain


def _approving(cast: Cast, stage: Stage, before: Callable[[], None]) -> Approve:
    def approve(details: tuple[dict[str, Any], ...], scopes: tuple[str, ...]) -> StoredToken:
        stage.clear_status()
        before()
        return approving(cast, cast.agent(), stage)(details, scopes)

    return approve


def _nobody_approves(details: tuple[dict[str, Any], ...], scopes: tuple[str, ...]) -> StoredToken:
    raise AuthorizationRefused(
        "the server wants a human to approve this call, and none may be asked",
        why="--no-ask was given",
        do="leave --no-ask out",
    )


def _nobody(scopes: tuple[str, ...]) -> StoredToken:
    raise AuthorizationRefused(
        "the agent lacks a scope, and no human may be asked",
        why=f"the server wants {' '.join(scopes) or 'a login'}, and --no-ask was given",
        do="leave --no-ask out, or log in first: demo login",
    )


def _limit(spend: str) -> Money:
    nothing = spend != "" and not spend.strip("0.")
    try:
        found = None if nothing else money(spend)
    except UsageError as error:  # whose remedy has a 0, which is no amount here
        raise UsageError(error.what, do="write an amount in USD, such as 60.00") from None
    if found is None:
        raise UsageError("a run that may spend nothing", do="leave --spend out, or give an amount: --spend 60.00")
    return found


def _chosen(settings: Settings, wished: Any, *, key: bool = True) -> Endpoint | Script:
    from demo.model import Wished, chosen

    table = Wished(settings.model.name, settings.model.base_url, settings.model.key_env if key else None)
    return chosen(wished, table, os.environ, lambda url: _store(settings, url).kept(_slot()) if key else "none")


def _store(settings: Settings, url: str) -> TokenStore:
    from demo.logins import token_store

    return token_store(settings.state, server=url)


def _slot() -> str:
    from demo.model.choosing import KEY_SLOT

    return KEY_SLOT


def _keep_key(settings: Settings, wished: Any) -> int:
    """Keep the key of the model that was named, for its address and no other."""
    from demo.model import Endpoint

    decides = _chosen(settings, wished, key=False)
    if not isinstance(decides, Endpoint):
        raise UsageError("a script has no key", do="name the model that has: --model openai:NAME --keep-key")
    given = typer.prompt("API key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    if not given.strip() or not given.strip().isascii() or any(sign.isspace() for sign in given.strip()):
        raise UsageError("this is no API key", why="a key is ASCII without spaces", do="copy it from the vendor's page")
    store = _store(settings, decides.url)
    store.keep(_slot(), given.strip())
    if settings.json:
        say_json({"schema": 1, "kept": True, "for": decides.url})
    else:
        console_for(settings).print(store.notice or f"The key is kept, for {decides.url}.", markup=False)
    return OK


def _can_record(file: Path, decides: Endpoint | Script) -> None:
    """See before anything is bought that what was answered can be kept."""
    from demo.model import Endpoint

    if not isinstance(decides, Endpoint):
        raise UsageError("there is no model whose answers could be kept", why="a script plays", do="name one: --model")
    if os.path.lexists(file):  # a link to nothing yet, too: somebody else may have put it there
        raise UsageError(f"{file} is there already", do="name another file, or remove it")
    if not os.access(file.absolute().parent, os.W_OK):
        raise UsageError(f"{file} cannot be written", why="its folder is not there, or not yours", do="name another")
