"""Play a beat: each step in turn, its expectations checked, everything written down as it happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from demo import tracing
from demo.evidence.screen import BeatHeader
from deputize.errors import EnvironmentNotReady, ExplainedError, ServerUnreachable, UsageError
from talk.cast import Cast
from talk.expected import allowing_for_another_consent, allowing_for_repeats, allowing_for_the_room
from talk.playing import KINDS
from talk.playing.kind import Step, base_key, holds
from talk.playing.other_server import NotHere
from talk.playing.scene import Played, Scene
from talk.results import BeatResult, StepResult
from talk.run import Run
from talk.script import Beat, Plan, PlannedBeat
from talk.script.beat import filled
from talk.skipping import other_consent, stale_limits, unprepared, why_not
from talk.stage.screen import Stage
from talk.trouble import error_of, in_words

if TYPE_CHECKING:
    from pathlib import Path

    from deputize.evidence import Exchange
    from talk.recording.reader import Take


class Instead(Exception):
    """A live step failed, and the presenter chose to go on without it.

    Args:
        how: how it goes on.
        trouble: what went wrong, in a line.
    """

    def __init__(self, how: Literal["recorded", "skip"], trouble: str) -> None:
        super().__init__(trouble)
        self.how, self.trouble = how, trouble


class Runner:
    """Plays beats of one plan in one run.

    Args:
        strict: the dry run: nothing is repaired on the way, and only a first play counts.
        talk: the folder of a talk of one's own, where its recorded takes are; None for the bundled one.
        revived: gives the actors for another try of what failed, at a server that runs again; by default the same ones.
    """

    def __init__(
        self,
        run: Run,
        plan: Plan,
        cast: Cast,
        stage: Stage,
        *,
        strict: bool = False,
        talk: Path | None = None,
        revived: Callable[[], Cast] | None = None,
    ) -> None:
        self.run, self.plan, self.cast, self.stage, self.strict = run, plan, cast, stage, strict
        self._talk, self._revived = talk, revived

    def header(self, planned: PlannedBeat) -> BeatHeader:
        """The top of the screen for this beat: cheap, so that it is drawn before anything heavy is imported."""
        beat = planned.beat
        if self.plan.find(beat.id) is None:
            return BeatHeader(beat.id, beat.title, 0, 0, planned.section, 0.0, beat.topics)
        number = 1 + self.plan.position(beat.id)
        return BeatHeader(
            beat.id, beat.title, number, len(self.plan.beats), planned.speaker, planned.minutes, beat.topics
        )

    def play(self, planned: PlannedBeat, *, headed: bool = False, moves_cursor: bool = True) -> BeatResult:
        """Play a beat to its end. One that a crash interrupted goes on at the step that has no result yet.

        Args:
            headed: the header is on the screen already.
            moves_cursor: whether the run then stands on this beat.
        """
        started = time.monotonic()
        results: list[StepResult] = []
        if not headed:
            self.stage.header(self.header(planned))
        try:
            return self.perform(planned, results, moves_cursor=moves_cursor)
        except Instead as chosen:
            return self.instead(planned, chosen, results, started=started, moves_cursor=moves_cursor)

    def perform(self, planned: PlannedBeat, results: list[StepResult], *, moves_cursor: bool) -> BeatResult:
        """Play a beat's steps; each result is added to `results` as it comes.

        Raises:
            Instead: a live step failed, and the presenter chose to go on without the rest.
        """
        beat, started = planned.beat, time.monotonic()
        play = self.run.open_play(beat.id)
        done: dict[str, StepResult] = {}
        if play is None:
            play = self.run.start_beat(beat.id, moves_cursor=moves_cursor)
        else:
            done = self._done(beat, play)
        with tracing.span(f"beat {beat.id}"), self.cast.one_session():
            for step in beat.steps:
                results.append(done.get(step.id) or self._live(planned, step, play))
                if results[-1].ungranted:
                    break
        skipped = next((result.skipped for result in results if result.skipped), None)
        ok = all(result.ok for result in results)
        waits = bool(results) and results[-1].ungranted
        if not waits:
            self.run.end_beat(beat.id, play, ok=ok, moves_cursor=moves_cursor)
        elif moves_cursor:
            # The run stays at this consent: the next play of the beat asks again.
            self.run.place(beat.id, done=False)
        if sentence := closing(beat, {result.id: result for result in results}):
            self.stage.closing(sentence)
        if waits:
            self.stage.note(_ungranted(results[-1]))
        self.stage.end(beat.id, ok=ok, skipped=skipped)
        seconds = time.monotonic() - started
        return BeatResult(beat.id, beat.title, beat.topics, ok, seconds, tuple(results), skipped, sentence)

    def _done(self, beat: Beat, play: int) -> dict[str, StepResult]:
        """What was played already of a play that was not ended, and why it goes on. A consent is asked for again, and a
        step that had failed is tried again."""
        results = self.run.results(beat.id, play)
        done = {name: result for name, result in results.items() if result.ok and not result.ungranted}
        if any(result.ungranted for result in results.values()):
            self.stage.note("the human is asked once more")
        elif done:
            self.stage.note(
                f"going on after an interruption: {len(done)} of {len(beat.steps)} steps were done "
                "(demo again plays it whole)"
            )
        return done

    def instead(
        self,
        planned: PlannedBeat,
        chosen: Instead,
        results: Sequence[StepResult] = (),
        *,
        started: float | None = None,
        moves_cursor: bool = True,
    ) -> BeatResult:
        """End a beat in which a live step failed, with its recorded take or without. The run goes on after it; for what
        builds on it, it was not played."""
        beat, began = planned.beat, time.monotonic() if started is None else started
        how = chosen.how if chosen.how == "skip" or self._recorded(planned) else "skip"
        play = self.run.open_play(beat.id) or self.run.start_beat(beat.id, moves_cursor=moves_cursor)
        self.run.end_beat(beat.id, play, ok=False, moves_cursor=moves_cursor)
        if how == "skip":
            self.stage.note(f"{beat.id} is skipped: {chosen.trouble}")
            self.stage.end(beat.id, ok=False, skipped=chosen.trouble)
        skipped = chosen.trouble if how == "skip" else None
        seconds = time.monotonic() - began
        return BeatResult(beat.id, beat.title, beat.topics, False, seconds, tuple(results), skipped, recovered=how)

    def _take(self) -> Take:
        """The recorded take of the plan: the one that ships with the talk, or lies beside a talk of one's own."""
        from talk.recording.finding import SHIPPED
        from talk.recording.reader import read

        folder = self._talk / SHIPPED.name if self._talk is not None else SHIPPED
        return read(folder / f"{self.plan.id}.jsonl")

    def _has_take(self, planned: PlannedBeat) -> bool:
        """Whether there is a recording that this beat can be played from."""
        try:
            return planned.id in self._take().beats()
        except UsageError:
            return False

    def _recorded(self, planned: PlannedBeat) -> bool:
        """Play the recorded take of a beat; False where there is none, or it is broken, which is said."""
        from talk.recording.playing import play_beat

        try:
            play_beat(self._take(), planned.id, self.stage)
        except UsageError as error:
            self.stage.note(f"the recorded take cannot be played: {in_words(error)}")
            return False
        return True

    def recovered(self, planned: PlannedBeat, failed: ExplainedError | StepResult) -> bool:
        """Have the presenter choose how it goes on after a failure: whether it is tried again.

        Returns:
            False where it is to end there.

        Raises:
            Instead: the recorded take was chosen, or to go on without this beat.
        """
        if self.strict:
            return False
        self.stage.takes = self._has_take(planned)
        skew = self.cast.skew
        trouble = in_words(failed, server=self.cast.server.url, ahead=None if skew is None else -skew)
        how = self.stage.recover(trouble)
        if how in ("recorded", "skip"):
            raise Instead(how, trouble)
        return how == "again"

    def _live(self, planned: PlannedBeat, step: Step, play: int) -> StepResult:
        """Play a step; where it fails on stage, as the presenter chooses."""
        tries = 0
        while True:
            try:
                tries += 1
                if tries > 1 and self._revived is not None:
                    self.cast = self._revived()
                result = self._step(planned, step, play)
            except (UsageError, BrokenPipeError):
                raise  # the talk's own fault; nobody reads any more
            except Exception as error:
                if not self.recovered(planned, error_of(error)):
                    raise
            else:
                if result.ok or not self.recovered(planned, result):
                    return result

    def _step(self, planned: PlannedBeat, step: Step, play: int) -> StepResult:
        beat, kind = planned.id, KINDS[step.do]

        stale = None if self.strict else stale_limits(self.run, self.plan, self.cast, planned, step)
        if (why := stale or unprepared(self.run, self.cast, beat, step, play)) is not None:
            return self._skip(beat, step, play, why)
        # Said before the server is looked at, too: that takes its time where it hardly answers.
        self.stage.begin_step(step.id, step.do, step.title)
        scene = Scene(self.run.id or "", beat, self.cast, self.stage, self.run.all_results, self.strict)
        started, attempts = time.monotonic(), None
        speaks = kind.speaks and not self.cast.server.is_local
        # Before `try`: where the server is not there, no step is red, and that is what is said.
        other = self.cast.other if speaks else None
        try:
            if (why := why_not(self.run, self.cast, beat, step, other)) is not None:
                return self._skip(beat, step, play, why)
            attempts = self.run.attempt(beat, step.id)
            played = kind.play(step, scene)
        except NotHere as reason:
            return self._skip(beat, step, play, f"{reason.what}: {reason.why}")
        except ExplainedError as error:
            if getattr(error, "oauth_error", None) == "not_logged_in" and not self.cast.server.ours:
                # The login was skipped, or refused, at a server that is not ours: what builds on it is not played.
                return self._skip(beat, step, play, f"{error.what}: {error.why}")
            if not self._goes_on(error, self.run.attempt(beat, step.id) if attempts is None else attempts):
                own = self.cast.server.is_local or self.cast.server.worker is not None
                if isinstance(error, ServerUnreachable) and own:
                    error.do, error.remedy = "go on from here: demo next starts the server again", None
                raise
            why = f"{error.what}. {error.why}".strip()
            result = StepResult(
                step.id,
                step.do,
                False,
                time.monotonic() - started,
                expected=dict(step.expect),
                failed=tuple(step.expect) or ("played",),
                error=why,
            )
            self._record(beat, play, result)
            return result
        outcome = None if self.strict else played.outcome
        wanted = dict(step.expect) if self.strict else self._expected(planned, step, played, attempts)
        unchecked = {key: why for key in wanted if (why := played.unobservable.get(base_key(key))) is not None}
        wanted = {key: value for key, value in wanted.items() if key not in unchecked}
        failed = tuple(key for key, value in wanted.items() if not holds(key, value, played.observed))
        result = StepResult(
            step.id,
            step.do,
            not failed,
            time.monotonic() - started,
            expected=dict(step.expect),
            observed=played.observed,
            failed=failed,
            http_status=played.status,
            decision=played.decision.to_dict() if played.decision else None,
            decisions=tuple(decision.to_dict() for decision in played.decisions),
            unchecked=unchecked,
            outcome=outcome,
        )
        # Written down before it is shown: what was done must not be done again because nobody saw it.
        self._record(beat, play, result)
        exchanges = self.cast.take_exchanges()
        self.stage.exchanged(exchanges)
        self._show(step, played.panels, exchanges, shown=None if self.strict else played.shown)
        self._show_wire(exchanges)
        for why in dict.fromkeys(() if played.said else unchecked.values()):
            keys = ", ".join(key for key, reason in unchecked.items() if reason == why)
            self.stage.note(f"not checked in {step.id}: {keys} ({why})")
        for key in failed if self.strict else ():
            seen = played.observed.get(base_key(key), "nothing")
            self.stage.note(f"expected {key} = {wanted[key]!r}, saw {seen!r} (step {step.id})")
        return result

    def _expected(self, planned: PlannedBeat, step: Step, played: Played, attempts: int) -> Mapping[str, Any]:
        """What to expect of a step on stage."""
        wanted: Mapping[str, Any] = allowing_for_repeats(step, played.observed, attempts)
        granted = played.observed.get("granted") is True
        wanted = allowing_for_the_room(wanted, played.outcome, granted=granted, grantor=self.cast.humans.grantor)
        if step.do == "burst" and other_consent(self.run, self.plan, self.cast, planned):
            wanted = allowing_for_another_consent(wanted)
        return wanted

    def _show_wire(self, exchanges: list[Exchange]) -> None:
        if self.stage.wire:
            from demo import panels

            for exchange in exchanges:
                self.stage.show("exchange", panels.exchange(exchange))

    def _goes_on(self, error: ExplainedError, attempts: int) -> bool:
        """Whether a step that failed is red and the beat goes on; else the error ends the command, and the next one
        begins at this step.

        The dry run always goes on, so that one report names everything that changed. So does a talk at another server
        that refuses what it is asked: to ask again would be to stop there for good. One that did not answer may answer
        the next time, and is given that one chance. What is wrong with this machine, or with the talk's own server,
        is put right first.
        """
        if self.strict:
            return True
        if self.cast.server.ours or isinstance(error, EnvironmentNotReady):
            return False
        return attempts > 0 or not isinstance(error, ServerUnreachable)

    def _skip(self, beat: str, step: Step, play: int, why: str) -> StepResult:
        result = StepResult(step.id, step.do, True, 0.0, skipped=why)
        self.stage.note(f"skipped {step.id}: {why}")
        self._record(beat, play, result)
        return result

    def _record(self, beat: str, play: int, result: StepResult) -> None:
        self.run.record(beat, play, result)
        self.stage.result(result)

    def _show(
        self,
        step: Step,
        made: Mapping[str, Callable[[], Any]],
        exchanges: list[Exchange],
        *,
        shown: tuple[str, ...] | None,
    ) -> None:
        for name in step.show if shown is None else shown:
            if name in made:
                self.stage.show(name, made[name]())
                # An answer that is not the script's ends the beat, unless more is shown of it: nothing follows a pause.
                if name in step.pause if shown is None else name != shown[-1]:
                    self.stage.look()
        if shown is not None:
            return
        # Where a panel cannot be drawn, what was on the wire is shown; a login draws its own as it goes.
        missing = [name for name in step.show if name not in made]
        if missing and exchanges and not KINDS[step.do].draws_itself and "exchange" not in step.show:
            from demo import panels

            self.stage.show("exchange", made["exchange"]() if "exchange" in made else panels.exchange(exchanges[-1]))


def closing(beat: Beat, results: Mapping[str, StepResult]) -> str:
    """What is said after a play of the beat; empty where nothing can be.

    Its sentence where every step it rests on was played, as expected, with nothing left unchecked; where one was not,
    what the beat has `instead`; so it is where a human gave no grant. After a step that is red, nothing.
    """
    if any(not result.ok for result in results.values()):
        return ""
    rests_on = beat.rests_on if beat.rests_on is not None else tuple(step.id for step in beat.steps)
    rested = [results.get(step) for step in rests_on]
    seen = all(one is not None and one.skipped is None and not one.unchecked and not one.ungranted for one in rested)

    def observed(step: str, name: str) -> Any:
        return results[step].observed.get(name) if step in results else None

    sentence = filled(beat.say, observed) if seen else None
    return sentence or filled(beat.instead, observed) or ""


def _ungranted(result: StepResult) -> str:
    """How it goes on after a consent that was not given, or was of no use."""
    human = result.observed.get("human")
    why = f"{human} may not come in here, so the grant was handed back. " if human else ""
    return f"{why}To ask again: demo next"
