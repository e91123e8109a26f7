"""One performance with faults, in a process of its own: `python -m talk.rehearsal.playing`, a pass on stdin as JSON.

What happens is told on stdout, one JSON object a line, so that the rehearsal notices when nothing happens any more, and
can end this process whatever it hangs in.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deputize.errors import ExplainedError
from talk.rehearsal.faults import FAULTS, Clock, Fault, World
from talk.rehearsal.presenter import Presenter
from talk.rehearsal.wire import Wire
from talk.trouble import in_words

if TYPE_CHECKING:
    from talk.script import Plan, PlannedBeat

OUTSIDE: Final = "outside.log"
"""In the state folder: what this process and the local server tried to reach beyond this machine."""
LOGIN_SECONDS: Final = 4.0
"""How long a login waits for a human who does not answer: minutes on stage, and no rehearsal for those."""
USUAL_SECONDS: Final = 90.0
"""How long a beat without a fault may take, at most."""
HOW: Final[Mapping[str, str]] = {"recorded": "recorded", "skip": "skipped"}
"""What the table says of a beat that ended otherwise than live."""
ANSWERS: Final[Mapping[str, str]] = {
    "no": "the human said no",
    "unanswered": "nobody answered in time",
    "other": "another account said yes",
}
"""Consents that went otherwise than the script has it, and what is seen then."""
TRIES: Final = 3
"""How often the presenter gives the command, where one ends with an error."""


@dataclass(frozen=True)
class Cell:
    """A fault at a beat. `step`: 0 where it begins before the beat, else the number of the step at which it does."""

    beat: str
    fault: str
    step: int = 0


def in_order(plan: Plan) -> tuple[PlannedBeat, ...]:
    """The beats of a plan and then its encores, as a rehearsal plays them."""
    return (*plan.beats, *plan.encores)


@dataclass(frozen=True)
class Pass:
    """One performance: the beats of a plan up to one after the last cell, each cell's with its fault."""

    plan: str
    cells: tuple[Cell, ...]
    state: str
    port: int
    talk: str | None = None
    """The folder of a talk of one's own; None for the bundled one."""

    @classmethod
    def read(cls, text: str) -> Pass:
        """What `written` made, read again."""
        given = json.loads(text)
        return cls(**given | {"cells": tuple(Cell(**cell) for cell in given["cells"])})

    def written(self) -> str:
        """It as JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Outcome:
    """How a beat went.

    `fault` is empty where it was played without one. `how`: how it went on; "not felt" where the fault spoilt nothing.
    `wrong`: why that is no recovery, empty where it is one.
    """

    plan: str
    beat: str
    fault: str
    step: int
    how: str
    shown: str
    seconds: float
    wrong: str = ""
    lost: float | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Outcome:
        """From the JSON object that the other process wrote."""
        return cls(**given)


@dataclass
class _Ended:
    """How the commands of one beat ended."""

    errors: list[str] = field(default_factory=list)
    asked_again: bool = False
    how: str = ""
    broken: str = ""


class Performance:
    """Plays one pass.

    Args:
        world: where; its director plays.
        tell: writes one line about how it goes.
    """

    def __init__(self, given: Pass, tell: Any) -> None:
        self.given, self.tell = given, tell
        self.presenter = Presenter(self._step_begins, self._again)
        self._damage = ExitStack()
        self._fault: Fault | None = None
        self._from_step = 0
        self._begun = False

    def play(self) -> None:
        """Play it."""
        from demo.settings import Settings
        from talk.director import Director
        from talk.recording.writer import Recording
        from talk.run import Run
        from talk.script import load_talk

        state = Path(self.given.state)
        keyring = _keyring_of_memory()
        threading.excepthook = self._thread_broke
        self._threads: list[str] = []
        talk = load_talk(Path(self.given.talk) if self.given.talk else None)
        settings = Settings(state=state, port=self.given.port, edge="off")
        self.presenter.recording = Recording(state)
        with closing(Clock()) as clock, Wire(self.given.port) as wire, Run.open(state) as run, run.performing():
            director = Director(run, talk, settings, self.presenter, plan=self.given.plan)
            self.world = World(state, wire, self.presenter, director, keyring, clock)
            cells = {cell.beat: cell for cell in self.given.cells}
            beats = in_order(director.plan)
            last = max(at for at, one in enumerate(beats) if one.id in cells)
            for planned in beats[: last + 2]:
                self._beat(planned, cells.get(planned.id))
            self.tell({"outside": _lines(state / OUTSIDE)})

    def _beat(self, planned: PlannedBeat, cell: Cell | None) -> None:
        fault = FAULTS[cell.fault] if cell is not None else None
        named, seconds = (fault.name, fault.seconds) if fault is not None else ("", USUAL_SECONDS)
        self.tell({"begins": planned.id, "fault": named, "seconds": seconds})
        self.presenter.begin()
        self._threads.clear()
        self.world.struck = self.world.wire.spoilt = 0
        self._fault, self._begun = fault, False
        self._from_step = cell.step if cell is not None else 0
        started = time.monotonic()
        with ExitStack() as self._damage:
            if self._from_step == 0:
                self._strike()
            ended = self._command(planned)
            wide = self.presenter.too_wide()
        wrong = (
            ended.broken
            or (f"wider than the terminal: {wide}" if wide else "")
            or "; ".join(self._threads)
            or _bought_twice(self.world.state)
        )
        how, shown = self._told(ended)
        if not wrong and fault is None and how != "not felt":
            told = [*self.presenter.seen.troubles, *self.presenter.seen.notes]
            wrong = "\n  ".join([f"a beat without a fault: {how}", *dict.fromkeys(told)])
        took = round(time.monotonic() - started, 2)
        went = Outcome(self.given.plan, planned.id, named, self._from_step, how, shown, took, wrong)
        self.tell({"outcome": asdict(went)})

    def _command(self, planned: PlannedBeat) -> _Ended:
        """The presenter plays the beat, and where the command ends with an error, gives it again."""
        ended = _Ended()
        for _ in range(TRIES):
            try:
                played = self.world.director.play(planned)
                ended.how = played.recovered or ""
                if not played.ok and not ended.how:
                    red = next((step for step in played.steps if not step.ok), None)
                    ended.broken = f"the beat ended red: {in_words(red) if red is not None else 'no step of it'}"
                if not played.ungranted or ended.broken:
                    return ended
                ended.asked_again = True
                self._damage.close()  # the human thinks again
            except ExplainedError as error:
                ended.errors.append(f"{error.what}. {error.why}".strip())
                self._again()
            except Exception:  # whatever it is, a person would have seen a traceback
                ended.broken = "".join(traceback.format_exc(limit=-4)).strip()
                return ended
        ended.broken = ended.broken or (
            f"the command ends with an error, {TRIES} times: {ended.errors[-1]}" if ended.errors else "asked for ever"
        )
        return ended

    def _told(self, ended: _Ended) -> tuple[str, str]:
        """How it went on, and the one line that was shown."""
        seen = self.presenter.seen
        if ended.errors:
            return "command again", ended.errors[0]
        if seen.choices:
            return HOW.get(ended.how, "again"), seen.troubles[0]
        answered = [
            state
            for asked, state in itertools.pairwise(seen.consents)
            if asked == "asked" and state in ANSWERS  # a no that the script has is asked of nobody here
        ]
        if answered and (self._fault is None or self._fault.bites == "consent"):
            return "asked again" if ended.asked_again else "went on", ANSWERS[answered[-1]]
        retried = [what for what in seen.waits if "rate limit" in what or "Retry" in what]
        if retried and self.world.wire.spoilt:
            return "waited", f"waiting for {retried[0]}"
        return ("went on" if self.world.struck or self.world.wire.spoilt else "not felt"), ""

    def _step_begins(self, number: int) -> None:
        if number >= self._from_step > 0:
            self._strike()

    def _strike(self) -> None:
        if self._fault is not None and not self._begun:
            self._begun = True
            self._damage.enter_context(self._fault.inject(self.world))

    def _again(self) -> None:
        if self._fault is not None and self._fault.passes:
            self._damage.close()

    def _thread_broke(self, given: threading.ExceptHookArgs) -> None:
        self._threads.append(f"a thread ends with a traceback: {given.exc_type.__name__}: {given.exc_value}")


def _bought_twice(state: Path) -> str:
    """What was bought twice for one step of the talk; empty where nothing was.

    Each purchase of the talk has a key of run, beat and step. So one key has one order, and each order has a key.
    """
    from demo.local_server.world import DATABASE

    file = state / DATABASE
    if not file.is_file():
        return ""
    with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as database:
        try:
            twice = database.execute(
                "SELECT key FROM shop_keys GROUP BY key HAVING count(DISTINCT order_id) > 1"
            ).fetchall()
            loose = database.execute(
                "SELECT count(*) FROM shop_orders WHERE id NOT IN (SELECT order_id FROM shop_keys)"
            ).fetchone()
        except sqlite3.OperationalError:  # the server has not made its tables yet
            return ""
    if twice:
        return f"bought twice: {', '.join(key for (key,) in twice)}"
    return f"{loose[0]} orders are of no step of the talk" if loose[0] else ""


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except OSError:
        return []


def _keyring_of_memory() -> Any:
    """A keyring that is nobody's own, and that can be locked; in use from now on."""
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.errors import KeyringLocked, PasswordDeleteError

    class Memory(KeyringBackend):
        """Keeps passwords as long as the process."""

        priority = 1.0

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]  # keyring's
            self.kept: dict[tuple[str, str], str] = {}
            self.locked, self.refused = False, 0

        def _open(self) -> None:
            if self.locked:
                self.refused += 1
                raise KeyringLocked("Failed to unlock the collection!")

        def get_password(self, service: str, username: str) -> str | None:
            self._open()
            return self.kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self._open()
            self.kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            self._open()
            if self.kept.pop((service, username), None) is None:
                raise PasswordDeleteError(username)

    memory = Memory()
    keyring.set_keyring(memory)
    return memory


def main() -> None:
    """Play the pass that stands on stdin."""
    from talk.stage import login

    given = Pass.read(sys.stdin.read())
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # whatever else is printed is none of these lines
    patched: Any = login
    patched.LOGIN_SECONDS = LOGIN_SECONDS

    def tell(line: Mapping[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    Performance(given, tell).play()


if __name__ == "__main__":
    main()
