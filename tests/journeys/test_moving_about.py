"""Moving about in a run: again, back, goto, an edited plan, a world that changed behind the run's back."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import HANGS
from tests.journeys.terminal import ROOT, Terminal
from tests.unit.talk.foreign_servers import AuthServer, corner_shop, listening

if TYPE_CHECKING:
    import subprocess

    from tests.conftest import Command


def fine(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def status(demo: Command) -> tuple[str, bool]:
    told = json.loads(fine(demo("status", "--json")))
    return told["beat"], told["done"]


def orders(demo: Command) -> list[str]:
    finished = demo("orders", "--json")
    deadline = time.monotonic() + HANGS
    while '"limits.rate"' in finished.stdout and time.monotonic() < deadline:
        time.sleep(1)  # a beat just before has used up its agent's calls of ten seconds
        finished = demo("orders", "--json")
    return [order["id"] for order in json.loads(fine(finished))["result"]["orders"]]


def test_a_purchase_played_again_is_the_same_order_and_says_so(demo: Command) -> None:
    aside = fine(demo("goto", "buy"))
    assert "playing it aside" in aside
    bought = orders(demo)
    assert len(bought) == 1
    assert fine(demo("again")).count("The same order, nothing bought twice") == 2
    assert orders(demo) == bought
    assert status(demo) == ("buy", True)


def test_a_new_consent_does_not_make_a_second_purchase_of_a_repeated_one(demo: Command) -> None:
    fine(demo("goto", "buy"))
    bought = orders(demo)
    fine(demo("revoke", "--session"))
    assert demo("orders").returncode == 4
    again = fine(demo("again"))
    assert "asked again, aside" in again
    assert orders(demo) == bought


@pytest.mark.long
def test_what_a_sub_agent_did_in_another_process_is_on_record_as_its_own(demo: Command) -> None:
    fine(demo("goto", "hand-on"))
    fine(demo("goto", "hand-on"))  # the same sub-agents, in another session
    read = fine(demo("goto", "audit"))  # red where an order does not lead back to the consent
    through = [line.split() for line in read.splitlines() if "buyMcpShopItem" in line]
    told = {(row[3], row[-1]) for row in through if row[2] == "Alice"}
    assert {("Scout", "scope"), ("Buyer", "bought")} <= told
    assert len(orders(demo)) <= 2, "the agent's own, and none of a sub-agent"
    assert "Buyer" in fine(demo("goto", "future"))


def test_revocation_can_be_played_again(demo: Command) -> None:
    fine(demo("goto", "revoke"))
    assert "asked again, aside" in fine(demo("again"))
    assert status(demo) == ("revoke", True)


def test_back_and_next_walk_the_plan(demo: Command) -> None:
    fine(demo("next"))
    fine(demo("next"))
    assert status(demo) == ("mcp", True)
    fine(demo("back"))
    assert status(demo) == ("opening", True)
    assert demo("back").returncode == 2
    fine(demo("next"))
    assert status(demo) == ("mcp", True)


def test_data_reset_behind_the_runs_back_is_noticed_and_mended(demo: Command) -> None:
    fine(demo("goto", "login"))
    fine(demo("stop"))
    for file in demo.state.glob("server.sqlite3*"):
        file.unlink()
    told = fine(demo("next"))
    assert "not that of this run any more" in " ".join(told.split())
    assert "playing it aside" in told
    assert status(demo) == ("whoami", True)


def test_an_edited_plan_shifts_nothing(demo: Command, tmp_path: Path) -> None:
    talk = tmp_path / "talk"
    for part in ("beats", "plans"):
        shutil.copytree(ROOT / "talk" / part, talk / part)
    plan = talk / "plans" / "short.toml"

    def write(*beats: str) -> None:
        listed = ", ".join(f'{{ id = "{beat}", minutes = 1, speaker = "Me" }}' for beat in beats)
        section = f'[[sections]]\ntitle = "All"\nminutes = {len(beats)}\nbeats = [{listed}]\n'
        plan.write_text(f'title = "Short"\nminutes = {len(beats)}\n{section}')

    write("opening", "mcp", "deploy", "wrap")
    fine(demo("next", "--talk", str(talk), "--plan", "short"))
    fine(demo("next"))
    assert status(demo) == ("mcp", True)
    write("code", "opening", "mcp", "wrap", "deploy")  # others before and behind: the cursor is a beat, not a number
    fine(demo("next"))
    assert status(demo) == ("wrap", True)
    write("opening", "mcp", "deploy", "code")  # the beat itself is gone
    assert "no longer in the plan" in fine(demo("next"))
    assert status(demo) == ("deploy", True)


def test_again_plays_a_half_played_beat_from_its_beginning(demo: Command) -> None:
    fine(demo("goto", "login"))
    terminal = Terminal(demo, "goto", "buy")
    try:
        terminal.until(r"Enter goes on")  # the order is on the screen, the chain is not yet
        terminal.type("\x03")
        assert terminal.wait() == 130
    finally:
        terminal.close()
    assert status(demo) == ("buy", False)
    assert "bought Conference" in fine(demo("again"))
    assert status(demo) == ("buy", True)
    assert len(orders(demo)) == 1


def test_at_the_end_it_says_so(demo: Command, tmp_path: Path) -> None:
    fine(demo("goto", "code"))
    assert "The talk is over" in fine(demo("next"))
    assert status(demo) == ("code", True)


def test_after_an_encore_the_talk_goes_on_where_it_was(demo: Command) -> None:
    listed = json.loads(fine(demo("list", "--json")))
    assert "agent-identity" in [encore["id"] for encore in listed["encores"]]
    assert "agent-identity" not in [beat["id"] for beat in listed["beats"]]
    assert "Encores" in fine(demo("list")) and "act.sub" in fine(demo("notes", "agent-identity"))
    fine(demo("goto", "agent-identity"))
    assert demo("again").returncode == 2, "the talk has not begun"
    first = json.loads(fine(demo("next", "--json")))["beats"][0]["id"]
    assert first == listed["beats"][0]["id"]
    shown = fine(demo("goto", "agent-identity"))
    assert "session_revoked" in shown and "act.sub is the delegating human" in shown
    assert status(demo) == (first, True)
    assert "agent-identity" not in fine(demo("next", "--json"))
    assert status(demo) == (listed["beats"][1]["id"], True)
    fine(demo("again"))
    assert status(demo) == (listed["beats"][1]["id"], True)


def test_a_row_of_beats_holds_an_encore_only_where_one_is_named(demo: Command) -> None:
    def played(*given: str) -> list[str]:
        return [beat["id"] for beat in json.loads(fine(demo("run", "--json", "-", "--pace", "none", *given)))["beats"]]

    assert played("--from", "agent-identity", "--to", "agent-identity") == ["agent-identity"]
    assert played("--from", "code", "--to", "agent-identity") == ["code", "agent-identity"]
    assert played("--from", "code") == ["code"]
    assert demo("run", "--from", "agent-identity", "--to", "code").returncode == 2


def test_the_dry_run_writes_what_was_promised(demo: Command, tmp_path: Path) -> None:
    told_at, junit_at = tmp_path / "talk.json", tmp_path / "talk.xml"
    fine(demo("run", "--ci", "--to", "challenge", "--json", str(told_at), "--junit", str(junit_at)))
    told = json.loads(told_at.read_text())
    assert (told["schema"], told["plan"], told["ok"]) == (1, "problem-first", True)
    assert set(told) == {"schema", "plan", "server", "ok", "played", "skipped", "seconds", "beats"}
    refused = next(beat for beat in told["beats"] if beat["id"] == "failure")["steps"][0]
    assert refused["http_status"] == 401
    assert set(refused["decision"]) == {"verdict", "rule", "reason", "user", "agent", "tool", "audit_id"}
    assert refused["decision"]["rule"] == refused["expected"]["rule"] == refused["observed"]["rule"]
    assert '<testsuite name="demo problem-first"' in junit_at.read_text()
    assert not (demo.state / "run.sqlite3").exists(), "the dry run left something in the presenter's own state"


@pytest.mark.long
def test_the_bundled_server_named_by_its_url_plays_all_but_its_restart(demo: Command, base_url: str) -> None:
    told = json.loads(fine(demo("run", "--ci", "--server", base_url, "--json", "-")))
    beats = {beat["id"]: beat for beat in told["beats"]}
    assert told["server"] == base_url
    left_out = [step["skipped"] for beat in told["beats"] for step in beat["steps"] if "skipped" in step]
    assert left_out
    assert all("state folder" in why for why in left_out), "what takes its own: a console, WorkOS, a restart, a drill"
    for played in ("authless", "failure", "challenge", "login", "buy"):
        assert beats[played]["skipped"] is None
        assert all(step["decision"] for step in beats[played]["steps"] if step["do"] == "call")
    assert "this state folder" in beats["where-agents-run"]["skipped"]


def test_at_another_server_what_it_cannot_do_is_skipped_with_the_reason(demo: Command) -> None:
    with listening(corner_shop(), AuthServer()) as url:
        refused = demo("run", "--ci", "--server", url, "--json", "-")
        told = json.loads(fine(demo("run", "--ci", "--server", url, "--json", "-", "--max-skipped", "90")))
    lacking = json.loads(refused.stdout)
    assert (refused.returncode, lacking["ok"], told["ok"]) == (1, False, True), "hardly anything was played"
    assert lacking["skipped"] == told["skipped"] > told["played"] > 0
    assert f"{told['skipped']} of" in lacking["too_little"]
    assert "--max-skipped" in refused.stderr
    beats = {beat["id"]: beat for beat in told["beats"]}
    assert beats["failure"]["skipped"] is None
    assert beats["failure"]["steps"][0]["http_status"] == 401
    assert "demo/decision" in beats["failure"]["steps"][0]["unchecked"]["rule"]
    assert "nobody can decide" in beats["login"]["skipped"]
    assert "has no token" in beats["buy"]["skipped"]
    assert "console" in beats["audit"]["skipped"]
