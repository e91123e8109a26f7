"""A policy file at the Worker: the same rules as variables, and a refusal of what the Worker cannot have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from demo.deploy import blueprint, tools
from demo.deploy.policy import MOST_CALLS, variables
from demo.policy_file import SHIPPED, Policy, read
from deputize.errors import UsageError

OURS = SHIPPED.policy


def test_the_shipped_policy_is_what_the_workers_configuration_begins_with() -> None:
    configured = dict(blueprint.read(tools.default_worker()).variables)
    told = variables(OURS)
    assert told == {name: configured[name] for name in told}


def test_a_rule_that_was_changed_is_set() -> None:
    policy = replace(OURS, allowlist=("@example.com", "members"), rate=replace(OURS.rate, calls=3))
    assert variables(policy) | {"ALLOWLIST": "@example.com,members", "RATE_CALLS": "3"} == variables(policy)


@pytest.mark.parametrize(
    "change",
    [
        lambda: replace(OURS, scopes=replace(OURS.scopes, getUserInfo="audit:read")),
        lambda: replace(OURS, rate=replace(OURS.rate, open_calls=MOST_CALLS + 1)),
        lambda: replace(OURS, allowlist=tuple(f"person-{number}@example.com" for number in range(400))),
    ],
    ids=["a scope", "a rate", "a long allowlist"],
)
def test_what_the_worker_cannot_have_is_refused_and_not_left_out(change: Callable[[], Policy]) -> None:
    with pytest.raises(UsageError):
        variables(change())


def test_an_entry_is_one_entry_at_the_worker_too() -> None:
    """The variable has commas between them."""
    with pytest.raises(Exception, match="allowlist, entry 1"):
        read(SHIPPED.text.replace("alice@example.com", "a,mallory@example.org").encode())
