"""What each deployment has in common: what would be created is shown, a person says yes, secrets are stored."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from deputize.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from demo.deploy.blueprint import Blueprint
    from demo.deploy.tools import Tools
    from demo.local_server.local import Waiting
    from demo.settings import Settings


def preview(console: Console, settings: Settings, plan: Blueprint, bundled: str) -> None:
    """Say what would be created."""
    if settings.quiet:
        return
    console.print("This would be created", style="bold", markup=False)
    for what, which in [*plan.rows(), ("code", bundled)]:
        console.print(f"  {what:<16}{which}", markup=False, soft_wrap=True)
    from demo.deploy.blueprint import ISSUER, ORGANIZATION, by_role

    variables = dict(plan.variables)
    if by_role(variables) and not variables.get(ORGANIZATION):
        note = "ORGANIZATION is empty, and the shop refuses that: set it in wrangler.jsonc, or workos.organization_id"
        console.print(note, style="bold", markup=False, soft_wrap=True)
    if not variables.get(ISSUER, "set"):
        note = "ISSUER is empty, so its protected door lets nobody in: --issuer https://NAME.authkit.app"
        console.print(note, style="bold", markup=False, soft_wrap=True)


def confirmed(console: Console, plan: Blueprint, whose: str, *, yes: bool, asks: bool) -> bool:
    """Whether a person said yes, now or beforehand."""
    if yes:
        return True
    if not asks or not sys.stdin.isatty():
        raise UsageError("deploying wants a yes, and nobody can be asked here", do="say it beforehand with --yes")
    console.print(f"On: {whose}", markup=False, soft_wrap=True)
    return typer.confirm(f"Deploy {plan.name}?", default=False)


def store_secrets(
    built: Tools, plan: Blueprint, waiting: Waiting, *, asks: bool, check: Callable[[str, str], None] | None = None
) -> list[str]:
    """Store what the Worker wants and does not have. Gives the names of needed ones that nobody gave.

    Args:
        check: called with name and value of each before any is stored; raises where a value will not do.
    """
    from demo.deploy import wrangler
    from demo.deploy.blueprint import INTROSPECTION

    held = wrangler.secret_names(built) if plan.secrets else ()
    given: dict[str, str] = {}
    for name, needed in plan.secrets:
        given[name] = os.environ.get(name, "")
        if not given[name] and name not in held and asks and sys.stdin.isatty():
            how = "" if needed else " (optional: Enter leaves it out)"
            given[name] = typer.prompt(f"{name}{how}", default="", hide_input=True, show_default=False)
    pair = [name for name in INTROSPECTION if name in given]
    if len({bool(given[name]) or name in held for name in pair}) > 1:
        raise UsageError(
            f"{' and '.join(pair)} go together",
            why="with only one of them the Worker refuses its settings",
            do="set both, or neither",
        )
    for name, value in given.items():
        if value and check is not None:
            check(name, value)
    for name, value in given.items():
        if value:
            wrangler.put_secret(built, name, value, waiting)
    return [name for name, needed in plan.secrets if needed and not given[name] and name not in held]
