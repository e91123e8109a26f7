"""The talk played at the Worker while that is deployed anew, and killed, between two beats: it just goes on.

For the Worker only: that the local server may go at any instant is held by `tests/journeys/test_killed_in_mid_beat.py`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from demo.client.sample_human import SampleHuman
from demo.deploy import tools
from demo.settings import Settings
from talk.browsing import Browsing
from talk.deciding import Decider
from talk.director import Director
from talk.run import Run
from talk.script import load_talk
from talk.stage import Stage
from tests.contract.issuer import ALICE, GRACE, Issuer
from tests.contract.process import WorkerShop

if TYPE_CHECKING:
    from demo.client.oauth.browser import BrowserLogin
    from demo.evidence import DeviceCode

pytestmark = pytest.mark.worker


class WithAlice(Stage):
    """A stage with a person at a browser of hers: at an authority that is not the talk's own nobody else answers."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO(), width=100, color_system=None), person=True)

    def decider(self, code: DeviceCode, human: object, *, approve: bool, ask: bool, shown: bool = True) -> Decider:
        return Decider(self, code, SampleHuman(ALICE), approve=approve, ask=False, shown=shown)

    def browsing(self, login: BrowserLogin, human: object, *, approve: bool, ask: bool) -> Browsing:
        return Browsing(self, login, SampleHuman(ALICE), approve=approve, ask=False)


def test_the_talk_goes_on_over_deployments_and_a_kill(troubled: Issuer, tmp_path: Path, installed: tools.Tools) -> None:
    with WorkerShop(troubled, tmp_path / "worker", installed) as worker:

        def deploy(**settings: str) -> Callable[[], None]:
            def anew() -> None:
                worker.stop()
                worker.start(**settings)

            return anew

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
            director = Director(run, load_talk(None), settings, WithAlice(), strict=True)
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
        after = ("whoami/token", "buy/first", "buy/again", "limits/second", "banned/in", "where-agents-run/orders")
        assert [played[step] for step in after] == [None] * len(after), "played, and not skipped"
