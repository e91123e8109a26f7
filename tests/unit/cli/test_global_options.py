"""Global options: anywhere on the line, and layered flag over environment over demo.toml over default."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.cli.commands import command_at
from demo.cli.context import appearance
from demo.cli.main import hoist
from demo.panels import theme
from demo.settings import _TYPES, settle
from deputize.errors import UsageError
from tests import in_process
from tests.conftest import HANGS, ROOT, Command


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["next", "--plain"], ["--plain", "next"]),
        (["--plain", "next"], ["--plain", "next"]),
        (["status", "--json", "--state", "x"], ["--json", "--state", "x", "status"]),
        (["status", "--state=x"], ["--state=x", "status"]),
        (["run", "--ci", "--json", "out.json"], ["run", "--ci", "--json", "out.json"]),
        (["--json", "run", "--ci"], ["--json", "run", "--ci"]),
        (["serve", "--port", "0"], ["serve", "--port", "0"]),
        (["call", "tool", "--", "--json"], ["call", "tool", "--", "--json"]),
        (["next", "--server"], ["--server", "next"]),
        # An option whose value may be left out.
        (["stage", "--audience"], ["stage", "--audience="]),
        (["stage", "--audience", "--plain"], ["--plain", "stage", "--audience="]),
        (["stage", "--audience", "192.168.1.20"], ["stage", "--audience", "192.168.1.20"]),
        (["stage", "--audience=192.168.1.20"], ["stage", "--audience=192.168.1.20"]),
        ([], []),
    ],
)
def test_a_global_option_may_stand_anywhere(given: list[str], wanted: list[str]) -> None:
    assert hoist(given) == wanted


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (["--profile", "workos", "--json", "whoami"], "whoami"),
        (["--profile=workos", "next"], "next"),
        (["next", "workos"], "next"),
        (["--width", "40"], None),
        (["--server"], None),
        (["--plain", "--", "next"], "--"),
        ([], None),
    ],
)
def test_a_profile_may_have_the_name_of_a_command(line: list[str], command: str | None) -> None:
    assert (line[command_at(line) :] or [None])[0] == command


def test_a_failure_is_drawn_as_asked_for_beside_such_a_profile() -> None:
    line = ["--profile", "workos", "--json", "--width", "40", "whoami"]
    assert (appearance(line).json, appearance(line).width) == (True, 40)


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "demo.toml"
    file.write_text('server = "http://file"\nwidth = 100\nquiet = true\n')
    environ = {"DEMO_SERVER": "http://environment", "DEMO_WIDTH": "90"}
    settings = settle({"server": "http://flag"}, environ, file)
    assert (settings.server, settings.width, settings.quiet) == ("http://flag", 90, True)
    assert settings.typed == (("server", "http://flag"),)
    # What the environment says holds for the next command, too: it need not be typed again.
    assert settle({}, environ, file).typed == ()


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_is_not_set(tmp_path: Path, empty: str) -> None:
    file = tmp_path / "demo.toml"
    file.write_text("width = 100\njson = true\n")
    environ = {f"DEMO_{name.upper()}": empty for name in _TYPES}
    assert settle({}, environ, file) == settle({}, {}, file)
    assert settle({}, environ, file).width == 100


def test_a_profile_is_laid_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "demo.toml"
    file.write_text('server = "http://a"\n[profiles.stage]\nserver = "http://b"\n')
    assert settle({}, {"DEMO_PROFILE": "stage"}, file).server == "http://b"
    assert settle({}, {}, file).server == "http://a"


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        ("width = 'wide'", {}, "demo.toml: width"),
        ("witdh = 80", {}, "unknown setting 'witdh'"),
        ("width = ", {}, "not valid TOML"),
        ("", {"DEMO_WIDTH": "wide"}, "DEMO_WIDTH"),
        ("", {"DEMO_WIDTH": "1"}, "DEMO_WIDTH is 1"),
        ("", {"DEMO_PORT": "99999"}, "DEMO_PORT is 99999"),
        ("profiles = 3", {}, "profiles is no table"),
        ("profiles.x = 1", {"DEMO_PROFILE": "x"}, "profiles.x is no table"),
        ("", {"DEMO_PLAIN": "maybe"}, "DEMO_PLAIN"),
        ("", {"DEMO_PROFILE": "nowhere"}, "no profile 'nowhere'"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, text: str, environ: dict[str, str], says: str) -> None:
    file = tmp_path / "demo.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        settle({}, environ, file)
    assert says in refused.value.what
    assert refused.value.do


@pytest.mark.skipif(not in_process.possible(), reason="what a process has chosen is gone with it")
def test_a_theme_holds_for_whatever_draws_and_for_this_command_alone(demo: Command) -> None:
    """`demo stage` and the pages draw on no console of the command line."""
    chosen = []
    for line in (("--theme", "light", "status", "--json"), ("status", "--json"), ("--theme", "nonsense", "status")):
        in_process.run(line, environment=demo.environment(), folder=ROOT, timeout=HANGS)
        chosen.append(theme.current().name)
    assert chosen == ["light", theme.TERMINAL, theme.TERMINAL]
