"""The talk played at the Worker while that is deployed again, and killed, between two beats: it just goes on.

For the Worker only: that the local server may go at any instant is held by `tests/journeys/test_killed_in_mid_beat.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from demo.deploy import tools
from demo.settings import Settings
from talk.director import Director
from talk.run import Run
from talk.script import load_talk
from talk.stage.screen import Stage
from tests.contract.issuer import ALICE, GRACE, Issuer
from tests.contract.process import WorkerShop

pytestmark = pytest.mark.worker


def test_the_talk_goes_on_over_deployments_and_a_kill(troubled: Issuer, tmp_path: Path, installed: tools.Tools) -> None:
    with WorkerShop(troubled, tmp_path / "worker", installed) as worker:

        def deploy(**settings: str) -> Callable[[], None]:
            def again() -> None:
                worker.stop()
                worker.start(**settings)

            return again

        def killed() -> None:
            worker.kill()
            worker.start()

        before: dict[str, Callable[[], None]] = {
            "whoami": deploy(ALLOWLIST=f"{ALICE},{GRACE}"),
            "buy": deploy(STOCK_AT_FIRST="7"),
            "audit": killed,
        }
        worker.start()
        settings = Settings(server=f"{worker.base}/mcp", state=tmp_path / "state", port=0, edge="off")
        (tmp_path / "state").mkdir()
        played: dict[str, object] = {}
        with Run.open(settings.state) as run, run.performing():
            director = Director(
                run, load_talk(None), settings, Stage(Console(quiet=True), pace="none", person=False), strict=True
            )
            for planned in director.plan.beats:
                before.pop(planned.beat.id, lambda: None)()
                result = director.play(planned)
                red = {
                    step.id: (step.error or step.failed, step.observed, step.expected)
                    for step in result.steps
                    if not step.ok
                }
                assert not red, (planned.beat.id, red)
                played |= {f"{planned.beat.id}/{step.id}": step.skipped for step in result.steps}
        assert not before, "every restart came"
        after = (
            "whoami/token",
            "buy/first",
            "buy/again",
            "limits/second",
            "agent-decides/decides",
            "where-agents-run/orders",
        )
        assert [played[step] for step in after] == [None] * len(after), "played, and not skipped"
