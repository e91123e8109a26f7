"""The whole talk at servers that nobody here wrote, as a person plays it: `demo next` in a terminal, to the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deputize.net import free_port
from talk.results import StepResult
from talk.run import Run
from talk.script import load_talk
from tests.peers.installed import Peers, PythonPeers
from tests.peers.our_agent import OurAgent, Server, server
from tests.peers.visitor import visit

if TYPE_CHECKING:
    from tests.conftest import Command

PLAN = "problem-first"
BEATS = [planned.beat.id for planned in load_talk(None).plan(PLAN).beats]


@dataclass(frozen=True)
class Turn:
    """One `demo next`: its exit code, the beat at which the run then stands, that beat's steps, and the screen."""

    code: int
    beat: str | None
    steps: dict[str, StepResult]
    screen: str


def turn(agent: OurAgent, *command: str) -> Turn:
    """One command that plays a beat to its end. A step that is red ends it, and nobody is asked how it goes on."""
    code, screen = agent.watched(*command, "--fallback", "stop", width=80, height=24)
    with Run.open(agent.demo.state) as run:
        assert run.cursor.done, screen
        beat = run.cursor.beat or ""
        # A beat that was played aside before has its first play there.
        steps = next(found for play in range(9, 0, -1) if (found := run.results(beat, play)))
    return Turn(code, beat, steps, screen)


@contextmanager
def started(name: str, peers: Peers, python_peers: PythonPeers) -> Iterator[Server]:
    """A server by its name here."""
    ports = str(free_port()), str(free_port())
    commands = {
        "fastmcp": lambda: python_peers.script("servers/fastmcp_shop.py"),
        "simple-auth": lambda: python_peers.script("servers/simple_auth.py"),
        "oidc-provider": lambda: peers.script("servers/oidc_provider.mjs", *ports, "600", "bearer"),
        "no-refresh": lambda: peers.script("servers/oidc_provider.mjs", *ports, "600", "no-refresh"),
    }
    with server(commands[name](), os.environ) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "revoked", "red"),
    [
        ("fastmcp", ("allow", "deny"), set()),
        # It has no revocation endpoint: that step is skipped.
        ("simple-auth", None, set()),
        # Its access tokens are JWTs, which its shop accepts until they expire: what the beat says does not hold there.
        ("oidc-provider", ("allow", "allow"), {"revoke"}),
    ],
)
def test_the_whole_talk_is_played_to_its_end(
    demo: Command,
    tmp_path: Path,
    peers: Peers,
    python_peers: PythonPeers,
    name: str,
    revoked: tuple[str, str] | None,
    red: set[str],
) -> None:
    at_the_page = partial(visit, login="alice", password="any") if name == "oidc-provider" else visit
    with started(name, peers, python_peers) as running:
        agent = OurAgent(demo, running.url, tmp_path, at_the_page)
        *beats, after = [turn(agent, "next") for _ in range(len(BEATS) + 1)]
    # Each turn went on by one beat, and the one after the last plays nothing.
    assert [one.beat for one in beats] == BEATS
    assert (after.code, after.beat) == (0, BEATS[-1])
    # The exit code says whether the beat was as expected; what the server cannot do is skipped, with its reason.
    failed = {one.beat for one in beats if not all(step.ok for step in one.steps.values())}
    assert failed == red, [one.screen for one in beats if one.beat in failed ^ red]
    assert {one.beat for one in beats if one.code == 1} == red
    assert {one.code for one in beats} <= {0, 1}
    found = {f"{one.beat}/{id}": step for one in beats for id, step in one.steps.items()}
    # What is there was really done.
    assert found["failure/refused"].http_status == 401
    assert found["challenge/follow"].observed["trusted"] is True
    assert found["login/granted"].observed["granted"] is True
    assert found["buy/first"].observed["verdict"] == "allow"
    end = found["revoke/end"]
    assert (None if end.skipped else (end.observed["before"], end.observed["after"])) == revoked


def test_a_revocation_that_is_always_refused_is_red_and_the_talk_goes_on(
    demo: Command, tmp_path: Path, peers: Peers, python_peers: PythonPeers
) -> None:
    """Without a refresh token there is a JWT to revoke, and oidc-provider answers 400 to that (RFC 7009 2.2.1)."""
    with started("no-refresh", peers, python_peers) as running:
        agent = OurAgent(demo, running.url, tmp_path, partial(visit, login="alice", password="any"))
        assert turn(agent, "goto", "login").steps["granted"].observed["granted"] is True
        revoked, after = turn(agent, "goto", "revoke"), turn(agent, "next")
    assert (revoked.code, revoked.beat) == (1, "revoke"), revoked.screen
    assert "unsupported_token_type" in (revoked.steps["end"].error or "")
    assert (after.code, after.beat) == (0, BEATS[BEATS.index("revoke") + 1])
