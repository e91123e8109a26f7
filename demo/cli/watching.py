"""`demo check --watch`: a talk held against its rules, its minutes and its screen, again at each save."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from demo.cli.context import console_for, say_json
from demo.cli.throwaway import throwaway_world
from demo.errors import OK, advice
from demo.panels.values import many
from deputize.errors import ExplainedError, UsageError
from talk.measuring import DESIGN_SIZE, MeasuringStage
from talk.run import Run
from talk.script import BUNDLED, Talk, load_talk
from talk.script.timing import too_long
from talk.stage.screen import shortened

if TYPE_CHECKING:
    from rich.console import RenderableType
    from watchfiles import Change

    from demo.evidence.screen import BeatHeader
    from demo.panels._checklist import Check
    from demo.settings import Settings
    from talk.script import PlannedBeat

World = Callable[[], AbstractContextManager[Path]]
"""Gives a state folder in which nothing was played, and takes it away afterwards."""
DEBOUNCE_MS, STEP_MS, LOOK_MS = 400, 50, 300
"""Milliseconds: saves that come together are one; how long nothing must follow; how often the first look is waited for.
An editor writes a file in several strokes."""
MOST = 3
"""Beats that are played for one change: who changes more wants `demo check`, which plays them all."""


@dataclass
class Round:
    """What one look at the talk found; `drawn` is what the beats that were played have shown."""

    checks: list[Check] = field(default_factory=list)
    drawn: list[RenderableType] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    error: ExplainedError | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.error is None and all(mark != "bad" for mark, *_ in self.checks)


def watch(settings: Settings, folder: Path | None) -> int:
    """Look at the talk now and after each save, until Ctrl-C.

    Args:
        folder: the talk's; None for the bundled one.
    """
    root = folder or BUNDLED
    if not root.is_dir():
        raise UsageError(f"there is no folder {folder}", do="name a folder with beats/ and plans/ in it")
    try:
        with _Worlds() as worlds:
            for changed in _changes(root):
                _show(settings, root, look(settings, folder, changed, worlds.one))
                worlds.ready()
    except KeyboardInterrupt:
        if not settings.json:
            console_for(settings).print()
    return OK


class _Worlds:
    """Throwaway worlds, one after the other; the server of the next one starts while nobody waits for it."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._next: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def ready(self) -> None:
        """Have one ready."""
        from demo.local_server import local

        if self._next is None:
            self._next = self._open.enter_context(throwaway_world())
            local.begin(self._next, port=0)

    @contextmanager
    def one(self) -> Iterator[Path]:
        """A world that nothing was played in."""
        self.ready()
        state, self._next = self._next, None
        assert state is not None
        try:
            yield state
        finally:
            self._open.close()


def look(settings: Settings, folder: Path | None, changed: Iterable[Path], world: World = throwaway_world) -> Round:
    """What is to be said of a talk: whether it loads, whether its words fit the minutes, and how the beats play that
    were changed, with what they need, each in a `world` of its own."""
    found = Round()
    try:
        talk = load_talk(folder)
    except UsageError as error:
        found.error = error
        return found
    loads = f"{many(len(talk.beats), 'beat')}, {many(len(talk.plans), 'plan')}"
    found.checks.append(("ok", "loads", loads, None))
    late = [
        f"{plan.id}: beat {planned.id} {why}"
        for plan in talk.plans.values()
        for planned in plan.beats
        if (why := too_long(planned)) is not None
    ]
    found.checks += [("bad", "minutes", why, "shorten what is said, or give it more minutes") for why in late]
    if not late:
        found.checks.append(("ok", "minutes", "what is said fits into them", None))
    beats = sorted({path.stem for path in changed if path.suffix == ".md" and path.stem in talk.beats})
    for beat in beats[:MOST]:
        _play(settings, talk, beat, found, world)
    if beats[MOST:]:
        found.checks.append(("skip", "not played", ", ".join(beats[MOST:]), "demo check plays every beat"))
    return found


def _play(settings: Settings, talk: Talk, beat: str, found: Round, world: World) -> None:
    """Play one beat from a clean start, and note what is wrong with it."""
    from talk.director import Director
    from talk.report import failure

    where = _place(talk, beat)
    if where is None:
        found.checks.append(("skip", beat, "it is in no plan, and was not played", "name it in a plan"))
        return
    plan, planned = where
    started = time.monotonic()
    wrong: list[tuple[str, str | None]] = []
    stage = DrawingStage(console_for(replace(settings, json=True)), talk)
    try:
        with world() as state, Run.open(state) as run, run.performing():
            here = replace(settings, state=state, server=None, port=0)
            director = Director(run, talk, here, stage, plan=plan, strict=True)
            result = director.play(planned)
            every = [*director.asides, result]
            wrong += [(f"{one.id} / {s.id}: {failure(s)}", None) for one in every for s in one.steps if not s.ok]
            steps = len(result.steps)
    except ExplainedError as error:
        wrong, steps = [(f"{error.what}: {error.why}" if error.why else error.what, advice(error))], 0
    wrong += [(why, None) for why in (*stage.overflows, *stage.unseen)]
    if (late := too_long(planned, result.seconds if steps else 0.0)) is not None and too_long(planned) is None:
        wrong.append((f"{plan}: it {late}", None))
    found.played.append(beat)
    found.drawn += stage.drawings
    found.checks += [("bad", beat, why, fix) for why, fix in wrong]
    if not wrong:
        seconds, size = time.monotonic() - started, "{}x{}".format(*DESIGN_SIZE)
        done = f"{many(steps, 'step')} as expected, {many(stage.drawn, 'panel')} fit {size}, {seconds:.1f} s"
        found.checks.append(("ok", beat, done, None))


def _place(talk: Talk, beat: str) -> tuple[str, PlannedBeat] | None:
    for plan in (talk.plans[talk.default], *talk.plans.values()):
        if (planned := plan.find(beat) or plan.encore(beat)) is not None:
            return plan.id, planned
    return None


class DrawingStage(MeasuringStage):
    """Measures a beat, and keeps what it draws; what is played aside is neither."""

    def __init__(self, console: Any, talk: Talk) -> None:
        super().__init__(console, (DESIGN_SIZE,), talk.beats)
        self.drawings: list[RenderableType] = []

    def header(self, header: BeatHeader, *, recorded: bool = False) -> None:
        """The top of the screen."""
        from demo import panels

        super().header(header, recorded=recorded)
        self.drawings.append(panels.header(header))

    def show(self, name: str, renderable: RenderableType) -> None:
        """A panel, as short as the design's screen needs it."""
        super().show(name, renderable)
        self.drawings.append(shortened(name, renderable, DESIGN_SIZE[1]))

    def closing(self, sentence: str) -> None:
        """The sentence at the end."""
        from demo import panels

        super().closing(sentence)
        self.drawings.append(panels.closing(sentence))


def _changes(root: Path) -> Iterator[set[Path]]:
    """The files of a talk that were changed; first nothing, as soon as no later change can be missed."""
    from watchfiles import watch as watching

    def of_the_talk(_: Change, path: str) -> bool:
        file = Path(path)
        kind = {"beats": ".md", "plans": ".toml"}.get(file.parent.name)
        return file.suffix == kind and not file.name.startswith(".")

    begun = False
    for changes in watching(
        root,
        watch_filter=of_the_talk,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
    ):
        if changes or not begun:
            begun = True
            yield {Path(path) for _, path in changes}


def _show(settings: Settings, root: Path, found: Round) -> None:
    if settings.json:
        checks = [dict(zip(("mark", "name", "detail", "fix"), check, strict=True)) for check in found.checks]
        error = found.error
        said = {"what": error.what, "why": error.why, "do": advice(error)} if error is not None else None
        say_json({"schema": 1, "ok": found.ok, "error": said, "checks": checks, "played": found.played}, lines=True)
        return
    from demo import panels

    console = console_for(settings)
    if console.is_terminal and not settings.plain:
        console.clear()
    drawn = console_for(replace(settings, width=DESIGN_SIZE[0]))
    for renderable in found.drawn:
        drawn.print(renderable)
    if found.drawn:
        drawn.print()
    console.print(panels.failure(found.error) if found.error is not None else panels.checklist(found.checks))
    console.print(f"\n{time.strftime('%H:%M:%S')}, watching {root}", markup=False, soft_wrap=True)
    console.print("Save a beat to see it. Ctrl-C ends this.", markup=False)
