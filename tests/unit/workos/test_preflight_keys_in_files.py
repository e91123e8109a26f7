"""A key in a file that git would commit is a fault; one that git ignores, and code that reads a variable, is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from demo.preflight import keys_in_files
from demo.preflight.doctor import further
from demo.preflight.keys_in_files import examine_files
from demo.settings import Settings
from tests.conftest import ROOT

KEY = "sk_" + "live_" + "a1B2c3D4e5F6g7H8i9J0k1"
TOKEN = "v1-" + "0123456789abcdefABCDEF-_0123456789ab"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=10)
    (tmp_path / ".gitignore").write_text(".env\nsecrets/\n")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        f'key = "{KEY}"',
        f"WORKOS_API_KEY={TOKEN}",
        f'export CLOUDFLARE_API_TOKEN="{TOKEN}"',
        f'  "CLOUDFLARE_API_TOKEN": "{TOKEN}",',
    ],
)
def test_a_key_is_found_by_file_and_line_and_not_repeated(repository: Path, line: str) -> None:
    (repository / "config").mkdir()
    (repository / "config" / "it.txt").write_text(f"first\n{line}\n")
    found = examine_files(repository / "config", {})
    assert found.mark == "bad" and "config/it.txt line 2" in found.detail
    assert KEY not in repr(found) and TOKEN not in repr(found)
    assert "wrangler secret" in found.fix


def test_a_key_of_this_machine_is_found_whatever_it_looks_like(repository: Path) -> None:
    (repository / "notes.md").write_text("the door opens to hunter2-hunter2\n")
    assert examine_files(repository, {}).mark == "ok"
    assert examine_files(repository, {"WORKOS_API_KEY": "hunter2-hunter2"}).mark == "bad"
    assert examine_files(repository, {"OTHER": "hunter2-hunter2"}, ["OTHER"]).mark == "bad"


def test_what_git_ignores_it_would_not_commit(repository: Path) -> None:
    (repository / ".env").write_text(f"WORKOS_API_KEY={KEY}\n")
    assert examine_files(repository, {}).mark == "ok"
    subprocess.run(["git", "-C", str(repository), "add", "-f", ".env"], check=True, timeout=10)
    assert examine_files(repository, {}).mark == "bad", "added by force, it is ignored no longer"


@pytest.mark.parametrize(
    "line",
    [
        'WORKOS_API_KEY = "sk_test_your_key_goes_in_here_please"',
        "key = os.environ['WORKOS_API_KEY_OF_THE_WHOLE_ENVIRONMENT']",
        "const key = env.WORKOS_API_KEY",
        "WORKOS_API_KEY=$SOME_OTHER_VARIABLE_THAT_IS_LONG",
        "WORKOS_API_KEY: process_environment_of_worker.WORKOS_API_KEY",
        "sk_test_...",
    ],
)
def test_placeholders_and_code_are_no_keys(repository: Path, line: str) -> None:
    (repository / "code.txt").write_text(line + "\n")
    assert examine_files(repository, {}).mark == "ok"


def test_odd_files_are_passed_over(repository: Path) -> None:
    (repository / "picture.bin").write_bytes(bytes(range(256)) * 100)
    (repository / "long.txt").write_text("x" * (1024 * 1024 + 1))
    (repository / "gone").symlink_to(repository / "nowhere")
    assert examine_files(repository, {}).mark == "ok"


def test_outside_of_a_repository_there_is_nothing_to_commit(tmp_path: Path) -> None:
    assert examine_files(tmp_path, {}).mark == "skip"


def test_this_repository_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_in_files, "SECONDS", 120.0)  # all of it, on whatever machine
    assert examine_files(ROOT, {}).mark in ("ok", "skip")


def test_the_doctor_gets_one_line_of_it(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.chdir(repository)
    (repository / "demo.toml").write_text(f'[workos]\napi_key = "{KEY}"\n')
    assert [finding.mark for finding in further(Settings(), None)] == ["bad"]
