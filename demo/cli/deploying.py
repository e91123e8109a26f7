"""`demo deploy`: the shop as a Worker on an account of yours, by wrangler; shown first, done after a yes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from demo.cli.context import console_for, say_json, settings_of, waiting_aloud
from demo.cli.deployment import confirmed, preview, store_secrets
from demo.errors import OK
from deputize.errors import AuthorizationRefused, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from demo.deploy.wrangler import Deployed
    from demo.local_server.local import Waiting
    from demo.settings import Settings


def deploy(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Bundle it, and deploy nothing; needs no account.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Deploy without asking; for scripts.")] = False,
    issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="Accept tokens of this issuer, e.g. https://NAME.authkit.app.")
    ] = None,
    scopes_from: Annotated[
        Literal["token", "role"] | None,
        typer.Option(
            help="Permit a tool by the token's scopes, or by the human's role at WorkOS; role by default at AuthKit."
        ),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Deploy the rules of this policy file; see demo policy.")
    ] = None,
    worker: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Deploy the Worker in this folder; the bundled one by default.")
    ] = None,
    agent: Annotated[
        bool, typer.Option("--agent", help="Deploy the agent that lives on Cloudflare, and not the shop.")
    ] = False,
    shop: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Let the agent buy at this MCP server; by default at the shop deployed last."),
    ] = None,
    button: Annotated[
        bool, typer.Option("--button", help="Print a Deploy button for a README, for this repository; deploy nothing.")
    ] = False,
) -> int:
    """Deploy the shop (or the agent) to Cloudflare Workers: preview, confirm, deploy, check, show the address.

    Secrets that it wants are taken from environment variables of the same names, or asked for; they go to
    `wrangler secret` and nowhere else.
    """
    settings = settings_of(context)
    from demo.deploy import blueprint, record, tools, wrangler

    folder = (worker or (tools.default_agent() if agent else tools.default_worker())).resolve()
    if button:
        return _say_button(settings, folder)
    if agent:
        from demo.cli.deploying_agent import deploy_agent

        if issuer is not None or scopes_from is not None or policy is not None:
            raise UsageError("--issuer, --scopes-from and --policy are the shop's", do="leave them out with --agent")
        return deploy_agent(settings, folder, shop, dry_run=dry_run, yes=yes)
    if shop is not None:
        raise UsageError("--shop says where the agent buys", do="add --agent")
    plan = blueprint.read(folder)
    # What an earlier deployment was given stands until something else is said: without it nobody would be let in.
    last = record.recall(settings.state)
    kept = last.variables if last is not None and last.worker == str(folder) and issuer is None else {}
    variables = kept | _variables(issuer, scopes_from, settings.workos.organization_id) | _policy(policy)
    plan = plan.with_variables(variables)
    console = console_for(settings)
    waiting = waiting_aloud(settings)
    built = tools.install(folder, waiting)
    bundled = wrangler.bundle(built, waiting)
    preview(console, settings, plan, f"{bundled.size / 1024:.0f} KiB in {', '.join(bundled.files)}")
    answer: dict[str, Any] = {"schema": 1, "dry_run": dry_run, **plan.to_dict(), "bytes": bundled.size}
    if dry_run:
        if settings.json:
            say_json({**answer, "url": None})
        console.print("Bundled. Nothing was deployed: this was a dry run.", markup=False)
        return OK
    account = wrangler.account(built, waiting)
    if account is None:
        raise AuthorizationRefused("nobody is logged in at Cloudflare", do=wrangler.log_in(built))
    whose = ", ".join(account.names) or account.email or "the account of this token"
    if not confirmed(console, plan, whose, yes=yes, asks=not settings.json):
        console.print("Nothing was deployed.", markup=False)
        return OK
    missing = store_secrets(built, plan, waiting, asks=not yes and not settings.json)
    online = wrangler.deploy(built, variables, waiting)
    record.remember(settings.state, record.Record(online.url, str(built.worker), variables))
    return _report(console, settings, {**answer, "missing_secrets": missing}, online, built.worker, waiting)


def _say_button(settings: Settings, folder: Path) -> int:
    from demo.deploy.button import markdown

    line = markdown(folder)
    if settings.json:
        say_json({"schema": 1, "button": line})
    else:
        console_for(settings).print(line, markup=False, soft_wrap=True)
    return OK


def _report(
    console: Console, settings: Settings, answer: dict[str, Any], online: Deployed, worker: Path, waiting: Waiting
) -> int:
    from demo import panels
    from demo.deploy import checking
    from demo.evidence.screen import Link

    base, url = online.url, f"{online.url}/mcp"
    seen = checking.look(base, settings.state, waiting)
    found = checking.rows(seen)
    wrong = checking.problem(found)
    if settings.json:
        checks = [dict(zip(("mark", "name", "detail", "fix"), row, strict=True)) for row in found]
        say_json({**answer, "url": url, "version": online.version, "ok": wrong is None, "checks": checks})
    console.print(panels.link(Link("Live on Cloudflare", url, f"Try it: demo doctor --server {base}")))
    console.print(panels.checklist(found))
    for name in answer["missing_secrets"]:
        console.print(f"still wanted: npx wrangler secret put {name} (in {worker})", markup=False)
    if wrong is not None:
        raise wrong
    return OK


def _variables(issuer: str | None, scopes_from: str | None, organization: str | None) -> dict[str, str]:
    """What the command line, and `[workos]`, set otherwise than the Worker's configuration."""
    from demo.deploy.blueprint import ISSUER, ORGANIZATION, SCOPES_FROM, is_authkit

    found = {} if issuer is None else {ISSUER: _issuer(issuer)}
    # AuthKit grants an agent the scopes of the login and no others: what it may do is its human's role.
    if scopes_from is None and issuer is not None and is_authkit(issuer):
        scopes_from = "role"
    if scopes_from is not None:
        found[SCOPES_FROM] = scopes_from
    if scopes_from == "role" and organization is not None:
        found[ORGANIZATION] = organization
    return found


def _policy(file: Path | None) -> dict[str, str]:
    """What a policy file sets otherwise than the Worker's configuration."""
    if file is None:
        return {}
    from demo.cli.policies import read_policy
    from demo.deploy.policy import variables

    return variables(read_policy(file).policy)


def _issuer(given: str) -> str:
    """An issuer as it is written: an https URL, with no query and no fragment (RFC 8414 section 2)."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(given)
        good = parts.scheme == "https" and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        good = False
    if not good or not given.isprintable() or " " in given or "@" in given:
        raise UsageError(
            f"{given!r} is no issuer for a shop on the internet",
            why="an issuer is an https URL without query and fragment (RFC 8414 section 2)",
            do="name your AuthKit domain: --issuer https://NAME.authkit.app",
        )
    return given
