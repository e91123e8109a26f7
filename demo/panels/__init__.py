"""Panels: pure functions from evidence to what is drawn. Each answers one question, and its title is the answer.

A panel is the function in the module of its name: `decision` in `_decision.py`. Its first argument is the evidence that
it draws. To add one write that module and its line below, which type checkers read. The leading underscore is there
because a submodule takes its own name in the package: `demo.panels.header` must stay the function. The other modules
are what panels are drawn with.

Every panel is a `Page` (`demo.panels.page`), a Rich renderable; `Page.within(rows)` asks one to be shorter. A page
knows of which evidence it was made, so that a recording can keep that and draw it again: parameters are plain data,
with annotations that hold at run time. None is imported until it is used, because `demo next` has a tenth of a second
to show its header.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.panels._answer import answer as answer
    from demo.panels._audit import audit as audit
    from demo.panels._audit_log import audit_log as audit_log
    from demo.panels._browser import browser as browser
    from demo.panels._capabilities import capabilities as capabilities
    from demo.panels._chain import chain as chain
    from demo.panels._challenge import challenge as challenge
    from demo.panels._changed_byte import changed_byte as changed_byte
    from demo.panels._checklist import checklist as checklist
    from demo.panels._closing import closing as closing
    from demo.panels._comparison import comparison as comparison
    from demo.panels._decision import decision as decision
    from demo.panels._device import device as device
    from demo.panels._driven import driven as driven
    from demo.panels._exchange import exchange as exchange
    from demo.panels._explanation import explanation as explanation
    from demo.panels._failure import failure as failure
    from demo.panels._header import header as header
    from demo.panels._limits import limits as limits
    from demo.panels._link import link as link
    from demo.panels._model_run import model_run as model_run
    from demo.panels._model_step import model_step as model_step
    from demo.panels._model_task import model_task as model_task
    from demo.panels._notes import notes as notes
    from demo.panels._order import order as order
    from demo.panels._orders import orders as orders
    from demo.panels._permissions import permissions as permissions
    from demo.panels._result import result as result
    from demo.panels._revocation import revocation as revocation
    from demo.panels._sessions import sessions as sessions
    from demo.panels._spans import spans as spans
    from demo.panels._statement import statement as statement
    from demo.panels._token import token as token
    from demo.panels._tools import tools as tools
    from demo.panels._trace import trace as trace
    from demo.panels._trail import trail as trail
    from demo.panels._user import user as user
    from demo.panels._verification import verification as verification


def __getattr__(name: str) -> Any:
    home = f"{__name__}._{name}"
    try:
        found = getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name != home:
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from error
    globals()[name] = made = _remembering(name, found)
    return made


def _remembering(name: str, panel: Callable[..., Any]) -> Callable[..., Any]:
    """The panel, whose pages know of what they were made (`demo.panels.page.Made`)."""
    from dataclasses import replace

    from demo.panels.page import Made, Page

    signature = inspect.signature(panel)

    @functools.wraps(panel)
    def draw(*given: Any, **named: Any) -> Any:
        page = panel(*given, **named)
        if not isinstance(page, Page):
            return page
        return replace(page, made=Made(name, signature.bind(*given, **named).arguments))

    return draw
