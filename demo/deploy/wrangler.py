"""Wrangler's commands as far as a deployment needs them: bundle, who is logged in, secrets, deploy.

What wrangler decided is read from what it writes for machines (`whoami --json`, its output file), never from its prose.
A secret's value goes to `wrangler secret put` on stdin, so that no list of processes shows it.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from demo.deploy import process
from demo.deploy.tools import Tools
from demo.local_server.local import Waiting, quietly
from deputize.errors import AuthorizationRefused, EnvironmentNotReady, ExplainedError

BUNDLE_SECONDS: Final = 120.0
ASK_SECONDS: Final = 45.0
DEPLOY_SECONDS: Final = 240.0


def log_in(tools: Tools) -> str:
    """What to do where nobody is logged in."""
    return f"log in: npx wrangler login (in {tools.worker}); or set CLOUDFLARE_API_TOKEN"


@dataclass(frozen=True)
class Bundle:
    """What would be uploaded: the files wrangler made, and their size in bytes."""

    files: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Account:
    """Who is logged in at Cloudflare, as wrangler says it; `email` is empty for a token that may not tell."""

    email: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Deployed:
    """What is online now."""

    name: str
    url: str
    version: str


def bundle(tools: Tools, waiting: Waiting = quietly) -> Bundle:
    """Bundle the Worker as a deployment would, with no account and no network.

    Raises:
        EnvironmentNotReady: it cannot be bundled; the reason is wrangler's.
    """
    with tempfile.TemporaryDirectory(prefix="demo-bundle-") as folder:
        waiting("wrangler to bundle the Worker", BUNDLE_SECONDS)
        _wrangler(
            tools,
            ["deploy", "--dry-run", "--outdir", folder],
            seconds=BUNDLE_SECONDS,
            failed="the Worker cannot be bundled",
            do="fix what it names in the Worker's sources, then try again",
        )
        made = sorted(file for file in Path(folder).rglob("*") if file.is_file())
        code = [file for file in made if file.suffix in (".js", ".mjs", ".wasm")]
        if not code:
            raise EnvironmentNotReady("the Worker cannot be bundled", why="wrangler ended well and made no file")
        return Bundle(tuple(file.name for file in code), sum(file.stat().st_size for file in code))


def account(tools: Tools, waiting: Waiting = quietly) -> Account | None:
    """Who is logged in; None where nobody is.

    Raises:
        EnvironmentNotReady: wrangler does not say, for example without a network.
    """
    waiting("wrangler to say who is logged in", ASK_SECONDS)
    ended = _run(tools, ["whoami", "--json"], seconds=ASK_SECONDS)
    try:
        output = json.loads(ended.out[ended.out.index("{") : ended.out.rindex("}") + 1])
        if output["loggedIn"] is not True:
            return None
        names = tuple(str(one["name"]) for one in output.get("accounts") or [])
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise EnvironmentNotReady(
            "wrangler does not say who is logged in",
            why=ended.last_words() or f"exit code {ended.code}",
            do=log_in(tools),
        ) from error
    return Account(str(output.get("email") or ""), names)


def secret_names(tools: Tools) -> tuple[str, ...]:
    """The names of the secrets that the Worker has already; none where it does not exist yet."""
    ended = _run(tools, ["secret", "list", "--format", "json"], seconds=ASK_SECONDS)
    try:
        listed = json.loads(ended.out[ended.out.index("[") : ended.out.rindex("]") + 1])
        return tuple(str(one["name"]) for one in listed)
    except (ValueError, RecursionError, KeyError, TypeError):
        return ()


def put_secret(tools: Tools, name: str, value: str, waiting: Waiting = quietly) -> None:
    """Store one secret at Cloudflare.

    Raises:
        EnvironmentNotReady: it is not stored; the reason never holds the value.
    """
    waiting(f"wrangler to store the secret {name}", ASK_SECONDS)
    try:
        _wrangler(
            tools,
            ["secret", "put", name],
            seconds=ASK_SECONDS,
            failed=f"the secret {name} was not stored",
            do="fix what wrangler says, then try again",
            given=value,
        )
    except ExplainedError as error:
        error.why = error.why.replace(value, "***") if value else error.why
        raise


def deploy(tools: Tools, variables: dict[str, str], waiting: Waiting = quietly) -> Deployed:
    """Put the Worker online, with these variables over those of its configuration.

    Raises:
        AuthorizationRefused: nobody is logged in, or Cloudflare refuses who is.
        EnvironmentNotReady: it is not online; the reason is wrangler's.
    """
    changed = [part for name, value in variables.items() for part in ("--var", f"{name}:{value}")]
    with tempfile.TemporaryDirectory(prefix="demo-deploy-") as folder:
        file = Path(folder) / "output.ndjson"
        waiting("wrangler to deploy", DEPLOY_SECONDS)
        _wrangler(
            tools,
            ["deploy", *changed],
            seconds=DEPLOY_SECONDS,
            failed="the Worker was not deployed",
            do="fix what wrangler says, then try again; nothing is lost by deploying twice",
            output=file,
        )
        output = _deployment(file)
    url = next((target for target in map(_as_url, output.get("targets") or ()) if target), "")
    if not url:
        raise EnvironmentNotReady(
            "the Worker was deployed and has no address",
            why="neither a workers.dev subdomain nor a route is set for it",
            do="turn workers.dev on for it in the dashboard, or add a route to wrangler.jsonc",
        )
    return Deployed(str(output.get("worker_name") or ""), url, str(output.get("version_id") or ""))


def _as_url(target: Any) -> str:
    """A target as a URL: wrangler writes workers.dev ones whole, and routes as patterns."""
    text = str(target).strip()
    if text.startswith(("https://", "http://")):
        return text.rstrip("/")
    bare = text.split(" ", 1)[0].removesuffix("/*")
    return f"https://{bare}" if "." in bare and "*" not in bare else ""


def _deployment(file: Path) -> dict[str, Any]:
    try:
        lines = file.read_text("utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise EnvironmentNotReady(
            "wrangler does not say what it deployed", why=str(error), do="look with: npx wrangler deployments list"
        ) from error
    found = next((one for one in reversed(entries) if isinstance(one, dict) and one.get("type") == "deploy"), None)
    if found is None:
        raise EnvironmentNotReady(
            "wrangler does not say what it deployed", do="look with: npx wrangler deployments list"
        )
    return found


def _wrangler(
    tools: Tools,
    arguments: list[str],
    *,
    seconds: float,
    failed: str,
    do: str,
    given: str | None = None,
    output: Path | None = None,
) -> process.Ended:
    ended = _run(tools, arguments, seconds=seconds, given=given, output=output)
    if ended.code == 0:
        return ended
    why = ended.last_words()
    said = f"{ended.out}\n{ended.err}"
    if "Authentication error" in said or "CLOUDFLARE_API_TOKEN" in said or "wrangler login" in said:
        raise AuthorizationRefused(failed, why=why or "nobody is logged in at Cloudflare", do=log_in(tools))
    raise EnvironmentNotReady(failed, why=why or f"wrangler ended with {ended.code}", do=do)


def _run(
    tools: Tools, arguments: list[str], *, seconds: float, given: str | None = None, output: Path | None = None
) -> process.Ended:
    more = {"WRANGLER_OUTPUT_FILE_PATH": str(output)} if output is not None else {}
    try:
        return process.run(
            tools.command(*arguments),
            folder=tools.worker,
            environment=tools.environment(**more),
            seconds=seconds,
            given=given,
        )
    except process.TooSlow as error:
        raise EnvironmentNotReady(
            f"wrangler {arguments[0]} did not end within {seconds:.0f} s", do="see to the network, then try again"
        ) from error
    except OSError as error:
        raise EnvironmentNotReady("wrangler cannot be started", why=error.strerror or str(error)) from error
