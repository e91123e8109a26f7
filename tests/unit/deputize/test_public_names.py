"""What a program needs of the library it imports from `deputize`: the names, and the types that options take."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from mcp.client.auth import TokenStorage

import deputize
from deputize.oauth import httpx_auth


def named(hint: Any) -> Iterator[type]:
    """The classes of the library in a type hint."""
    if isinstance(hint, type) and get_origin(hint) is None:
        if hint.__module__.startswith("deputize."):
            yield hint
        return
    for inner in hint if isinstance(hint, list) else get_args(hint):
        yield from named(inner)


@pytest.mark.parametrize("flow", [deputize.DeviceFlow, deputize.BrowserFlow, deputize.MachineFlow])
def test_each_type_that_an_option_takes_is_a_public_name(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx_auth, "TokenStorage", TokenStorage, raising=False)
    hints = [*get_type_hints(flow.__init__).values()]
    for options in (deputize.FlowOptions, deputize.HumanOptions):
        hints += get_type_hints(options, vars(httpx_auth) | vars(inspect.getmodule(options))).values()
    hints += [get_type_hints(part)["return"] for part in (flow.login, flow.logout, flow.recorder.fget)]
    wanted = {one for hint in hints for one in named(hint)}
    assert {deputize.Money, deputize.Store, deputize.ClientIdentity, deputize.StoredToken} <= wanted
    assert {one.__name__ for one in wanted} <= set(deputize.__all__)


def test_each_error_can_be_caught_by_a_public_name() -> None:
    assert {deputize.AuthorizationRefused, deputize.ServerUnreachable, deputize.EnvironmentNotReady} <= set(
        deputize.ExplainedError.__subclasses__()
    )
    assert issubclass(deputize.OAuthRefused, deputize.AuthorizationRefused)
    assert issubclass(deputize.LoginPending, deputize.ExplainedError)


@pytest.mark.parametrize("name", deputize.__all__)
def test_each_public_name_says_what_it_is(name: str) -> None:
    given = getattr(deputize, name)
    assert isinstance(given, type | types.UnionType)
    assert (given.__doc__ or "").strip()
