"""The *Deploy to Cloudflare* button of a README: it names the public repository that it stands in, which only a
checkout with a remote can know.

Source: developers.cloudflare.com/workers/platform/deploy-buttons (a public repository on GitHub or GitLab; a folder of
it by its `tree` address).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import quote

from demo.processes import environment
from deputize.errors import EnvironmentNotReady

BUTTON: Final = "https://deploy.workers.cloudflare.com"
SECONDS: Final = 10.0
_HOMES: Final = {"github.com": "tree", "gitlab.com": "-/tree"}
_REMOTE: Final = re.compile(
    r"(?:https://(?:[^@/]+@)?|ssh://git@|git@)(?P<host>[a-z.]+)[:/](?P<path>[\w.-]+(?:/[\w.-]+?)+?)(?:\.git)?/?"
)


def source(remote: str, branch: str, folder: str) -> str | None:
    """The address of a folder in a public repository, None where the remote is at neither of the two homes.

    Args:
        remote: as `git remote get-url` says it, by https or ssh.
        branch: which branch.
        folder: within the repository, with `/`.
    """
    found = _REMOTE.fullmatch(remote.strip())
    if found is None or found["host"] not in _HOMES:
        return None
    tree = _HOMES[found["host"]]
    return f"https://{found['host']}/{found['path']}/{tree}/{quote(branch)}/{quote(folder)}"


def markdown(worker: Path) -> str:
    """The button as a line of Markdown, for the repository that `worker` lies in.

    Raises:
        EnvironmentNotReady: it lies in none, or in one without a public home.
    """
    do = "push the repository to GitHub or GitLab, as a public one, then try again"
    top = _git(worker, "rev-parse", "--show-toplevel")
    remote = _git(worker, "remote", "get-url", "origin") if top is not None else None
    if top is None or remote is None:
        what = "this checkout has no remote called origin" if top is not None else f"{worker} lies in no git repository"
        raise EnvironmentNotReady(what, why="a button names the public repository that is deployed", do=do)
    branch = _git(worker, "rev-parse", "--abbrev-ref", "HEAD") or "main"
    where = source(remote, "main" if branch == "HEAD" else branch, worker.resolve().relative_to(top).as_posix())
    if where is None:
        raise EnvironmentNotReady("origin is not at GitHub or GitLab", why="a button can deploy from no other", do=do)
    return f"[![Deploy to Cloudflare]({BUTTON}/button)]({BUTTON}/?url={where})"


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, None where it says nothing or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=environment(),
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
