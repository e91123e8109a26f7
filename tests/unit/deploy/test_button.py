"""The *Deploy to Cloudflare* button: for the repository at hand, and what the button asks of a repository is there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from demo.deploy import blueprint
from demo.deploy.button import markdown, source
from demo.deploy.tools import default_worker
from deputize.errors import EnvironmentNotReady
from tests.conftest import HANGS

TREE = "https://github.com/ann/talk/tree/main/worker"


@pytest.mark.parametrize(
    ("remote", "found"),
    [
        ("https://github.com/ann/talk.git", TREE),
        ("https://github.com/ann/talk", TREE),
        ("https://token@github.com/ann/talk.git\n", TREE),
        ("git@github.com:ann/talk.git", TREE),
        ("ssh://git@github.com/ann/talk", TREE),
        ("git@gitlab.com:group/sub/talk.git", "https://gitlab.com/group/sub/talk/-/tree/main/worker"),
        ("https://git.example/ann/talk", None),
        ("/srv/git/talk", None),
        ("https://github.com/ann", None),
        ("https://github.com/ann/talk?x=](javascript:1)", None),
    ],
)
def test_a_remote_is_read_in_each_of_its_forms_and_no_secret_of_it_is_shown(remote: str, found: str | None) -> None:
    assert source(remote, "main", "worker") == found


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, timeout=HANGS)


def test_the_button_is_the_one_of_the_repository_at_hand(tmp_path: Path) -> None:
    worker = tmp_path / "worker"
    worker.mkdir()
    with pytest.raises(EnvironmentNotReady, match="no git repository"):
        markdown(worker)
    git(tmp_path, "init", "-q", "-b", "main")
    with pytest.raises(EnvironmentNotReady, match="no remote"):
        markdown(worker)
    git(tmp_path, "remote", "add", "origin", "/srv/git/talk")
    with pytest.raises(EnvironmentNotReady, match="not at GitHub or GitLab"):
        markdown(worker)
    git(tmp_path, "remote", "set-url", "origin", "git@github.com:ann/talk.git")
    assert markdown(worker) == (
        "[![Deploy to Cloudflare](https://deploy.workers.cloudflare.com/button)]"
        f"(https://deploy.workers.cloudflare.com/?url={TREE})"
    )


def test_what_the_button_asks_of_a_repository_is_there() -> None:
    """A lock file, a deploy script, resources without ids of ours, and words for each variable that it asks about."""
    worker = default_worker()
    package = json.loads((worker / "package.json").read_text("utf-8"))
    assert (worker / "package-lock.json").is_file()
    assert package["scripts"]["deploy"] == "wrangler deploy"
    plan = blueprint.read(worker)
    told = package["cloudflare"]["bindings"]
    asked = {name for name, value in plan.variables if not value.isdigit()}
    assert asked <= set(told), "each variable that is no number has words"
    assert all(one["description"] for one in told.values())
    text = (worker / "wrangler.jsonc").read_text("utf-8")
    assert "account_id" not in text and "database_id" not in text
