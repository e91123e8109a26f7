"""`demo deploy --agent`: the agent that lives on Cloudflare, on an account of yours, by wrangler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.cli.context import console_for, say_json, waiting_aloud
from demo.cli.deployment import confirmed, preview, store_secrets
from demo.errors import OK
from deputize.errors import AuthorizationRefused, EnvironmentNotReady, UsageError

if TYPE_CHECKING:
    from demo.settings import Settings


def deploy_agent(settings: Settings, folder: Path, shop: str | None, *, dry_run: bool, yes: bool) -> int:
    """Preview, confirm, deploy and check the agent; start nothing: that is for its owner.

    Args:
        shop: where it buys. None: where it bought before, else the shop that was deployed last from this state.
    """
    from demo import panels
    from demo.deploy import agent, blueprint, checking, record, tools, wrangler
    from demo.evidence.screen import Link

    plan = blueprint.read(folder)
    last = record.recall(settings.state, record.AGENT)
    variables = dict(last.variables) if last is not None and last.worker == str(folder) else {}
    if shop is not None:
        variables[agent.SHOP] = agent.address(shop)
    elif agent.SHOP not in variables and (sold := record.recall(settings.state)) is not None:
        variables[agent.SHOP] = f"{sold.url}/mcp"
    plan = plan.with_variables(variables)
    console, waiting = console_for(settings), waiting_aloud(settings)
    built = tools.install(folder, waiting)
    bundled = wrangler.bundle(built, waiting)
    preview(console, settings, plan, f"{bundled.size / 1024:.0f} KiB in {', '.join(bundled.files)}")
    where = dict(plan.variables).get(agent.SHOP)
    answer: dict[str, Any] = {"schema": 1, "dry_run": dry_run, **plan.to_dict(), "bytes": bundled.size}
    if dry_run:
        if settings.json:
            say_json({**answer, "url": None})
        elif not where:
            console.print("SHOP is empty: --shop https://YOUR-SHOP.workers.dev/mcp", style="bold", markup=False)
        console.print("Bundled. Nothing was deployed: this was a dry run.", markup=False)
        return OK
    if not where:
        raise UsageError("nobody said where the agent buys", do="name an MCP server: --shop https://SHOP/mcp")
    account = wrangler.account(built, waiting)
    if account is None:
        raise AuthorizationRefused("nobody is logged in at Cloudflare", do=wrangler.log_in(built))
    whose = ", ".join(account.names) or account.email or "the account of this token"
    if not confirmed(console, plan, whose, yes=yes, asks=not settings.json):
        console.print("Nothing was deployed.", markup=False)
        return OK
    asks = not yes and not settings.json
    if missing := store_secrets(built, plan, waiting, asks=asks, check=agent.check_secret):
        # Without it nobody could start the agent, nor stop it.
        do = f"set it in the environment, or store it first: npx wrangler secret put {missing[0]} (in {built.worker})"
        raise EnvironmentNotReady(f"{' and '.join(missing)} is not set", why="its owner signs in with it", do=do)
    online = wrangler.deploy(built, variables, waiting)
    record.remember(settings.state, record.Record(online.url, str(built.worker), variables), record.AGENT)
    found = agent.look(online.url, where, waiting)
    wrong = checking.problem(found)
    if settings.json:
        checks = [dict(zip(("mark", "name", "detail", "fix"), row, strict=True)) for row in found]
        say_json({**answer, "url": online.url, "version": online.version, "ok": wrong is None, "checks": checks})
    console.print(panels.link(Link("Live on Cloudflare", online.url, "Start it there: any name, and OWNER_SECRET")))
    console.print(panels.checklist(found))
    if wrong is not None:
        raise wrong
    return OK
