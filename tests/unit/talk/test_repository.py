"""The closing link: the talk's first edition, or where a setting says that your own code is."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from demo.settings import settle
from deputize.errors import UsageError
from talk.playing import words
from talk.script import load_talk

FIRST_EDITION = "https://github.com/workos/mcp-shop-cloudflare"


def shown(repository: str | None) -> str:
    beat = load_talk().beat("code")
    scene: Any = SimpleNamespace(cast=SimpleNamespace(repository=repository))
    out = Console(file=io.StringIO(), width=120)
    out.print(words.link(beat.steps[0], scene).panels["link"]())
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_it_names_the_first_edition_on_cloudflare() -> None:
    assert FIRST_EDITION in shown(None)


def test_a_setting_names_your_own() -> None:
    own = "https://github.com/ann/talk"
    found = shown(own)
    assert own in found and "workos" not in found


@pytest.mark.parametrize("source", ["environment", "file", "profile"])
def test_it_is_read_from_where_settings_are(tmp_path: Path, source: str) -> None:
    file, own = tmp_path / "demo.toml", "https://git.example:8443/ann/talk"
    if source == "file":
        file.write_text(f'repository = "{own}"', "utf-8")
    if source == "profile":
        file.write_text(f'profile = "me"\n[profiles.me]\nrepository = "{own}"', "utf-8")
    environment = {"DEMO_REPOSITORY": own} if source == "environment" else {}
    assert settle({}, environment, file).repository == own


@pytest.mark.parametrize(
    "wrong",
    ["github.com/ann/talk", "http://github.com/ann/talk", "javascript:alert(1)", "https://ann:secret@git.example/x",
     "https://git.example/a b", "https://git.example/\x1b[31m", "https://git.example/" + "a" * 300, "https://"],
)  # fmt: skip
def test_what_no_phone_could_open_is_refused_by_name(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UsageError) as told:
        settle({}, {"DEMO_REPOSITORY": wrong}, tmp_path / "demo.toml")
    assert "DEMO_REPOSITORY" in told.value.what
