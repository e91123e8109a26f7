"""Which beat comes next, and whether the world is still the one that the run remembers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.errors import ExpectationFailed
from demo.local_server import local
from deputize.errors import AuthorizationRefused, ExplainedError, UsageError
from talk.cast import Cast
from talk.cut_off import end_a_ban, let_in, put_policy_back
from talk.playing import AHEAD, KINDS
from talk.playing.kind import Step
from talk.results import BeatResult
from talk.run import OWN_WORKER, Run
from talk.runner import Instead, Runner
from talk.script import Plan, PlannedBeat, Talk
from talk.script.notes import to_say
from talk.stage.screen import AsideStage, Stage
from talk.trouble import error_of, in_words

if TYPE_CHECKING:
    from demo.deploy.local_worker import LocalWorker
    from demo.settings import Settings

BEATS_AHEAD = 2
"""How many beats before its own something is made ready: a minute of speaking, in most places of a plan."""


class Director:
    """Leads one run: finds the beat, draws its title at once, then makes server, grant and needs ready.

    Args:
        strict: the dry run: a first performance from a clean start, in which nothing is repaired.
        worker: the Worker that the settings' server is, where it was started for this run.
        logins: the state folder with the login that is borrowed at a named server; else the run has its own.
    """

    def __init__(
        self,
        run: Run,
        talk: Talk,
        settings: Settings,
        stage: Stage,
        *,
        plan: str | None = None,
        strict: bool = False,
        worker: LocalWorker | None = None,
        logins: Path | None = None,
    ) -> None:
        self.run, self.talk, self.settings, self.stage, self.strict = run, talk, settings, stage, strict
        about = run.about()
        if about is not None and plan is not None and plan != about["plan"]:
            raise UsageError(
                f"a run of the plan {about['plan']!r} is under way",
                do="go on with it: leave --plan out. Or begin again: demo reset, then this command once more",
            )
        folder = str(talk.folder) if talk.folder else None
        if about is not None and folder != about["talk"]:
            raise UsageError(
                "a run of another talk is under way",
                do="go on with it: leave --talk out. Or begin again: demo reset, then this command once more",
            )
        self.plan: Plan = talk.plan(about["plan"] if about is not None else plan or talk.default)
        self._folder = folder
        self._worker = worker
        self._left = self._leaves(about) if about is not None else ""
        self._logins = logins
        self.narrates = False
        """Whether each beat's words are shown before its panels, for who watches alone."""
        self._cast: Cast | None = None
        self._unkept_said = False
        self.asides: list[BeatResult] = []
        """What was played aside for the sake of other beats."""

    def _leaves(self, about: Mapping[str, Any]) -> str:
        """The server that the run leaves for the one that is named now; empty where it stays, or knew none.

        Nothing shown may come from two servers. So a run belongs to its server from the first step that was played
        there, and until then, as after a mistyped --server that nothing answered, it goes wherever it is told to.

        Raises:
            UsageError: it belongs to another server than the one that is named.
        """
        was, here = about["server"], bool(about["world"])
        named = self.settings.server if self._worker is None else None
        if not was and not here:
            return ""
        if self._worker is not None:
            stays = self.run.at_own_worker
        else:
            stays = (not here and _base(was) == _base(named)) if named is not None else here
        if stays:
            return ""
        if not self.run.has_asked(lambda kind: KINDS[kind].speaks):
            return str(was)
        if not here:
            raise UsageError(
                f"the run under way is at {was}",
                do=f"go on there: demo next --server {was}. Or begin again: demo reset",
            )
        option, begin = (
            ("--worker", "demo run --worker") if named is None else ("--server", f"demo next --server {named}")
        )
        raise UsageError(
            f"the run under way is at the {'Worker' if self.run.at_own_worker else 'local server'} of this machine",
            do=f"go on without {option}. Or begin again: demo reset, then {begin}",
        )

    @property
    def server(self) -> str:
        """The server's base URL; empty before it is known."""
        return str((self.run.about() or {}).get("server") or "")

    def upcoming(self) -> PlannedBeat | None:
        """The beat that `next` plays: the interrupted one, the one after the cursor, or None at the end."""
        cursor = self.run.cursor
        beats = self.plan.beats
        if cursor.beat is None:
            return beats[0]
        if (here := self.plan.find(cursor.beat)) is not None:
            at = self.plan.position(here.id)
            return here if not cursor.done else (beats[at + 1] if at + 1 < len(beats) else None)
        # The beat was taken out of the plan since: go on after the last one of this plan that was played.
        played = self.run.beats_played()
        done = [at for at, planned in enumerate(beats) if planned.id in played]
        at = max(done) + 1 if done else 0
        self.stage.note(f"beat {cursor.beat} is no longer in the plan {self.plan.id}")
        return beats[at] if at < len(beats) else None

    def current(self) -> PlannedBeat | None:
        """The beat on which the cursor stands."""
        beat = self.run.cursor.beat
        return self.plan.find(beat) if beat else None

    def play(self, planned: PlannedBeat, *, afresh: bool = False) -> BeatResult:
        """Draw the title, see to the world, play the beat. The first beat begins the run.

        Args:
            afresh: play it from its beginning, also where an interruption left it half played. An encore always is.
        """
        server, world = self.settings.server or "", OWN_WORKER if self._worker is not None else ""
        if self.run.id is None:
            self.run.begin(plan=self.plan.id, talk=self._folder, server=server, world=world)
        elif self._left:
            there = server or "the local server"
            self.stage.note(f"the run goes on at {there}: nothing of it was played at {self._left}")
            self.run.settle(server=server, world=world)
            self._left = ""
        self.record()
        encore = self.plan.encore(planned.id) is not None
        if afresh or encore:
            self._abandon(planned)
        if not encore:
            # Before what it builds on is played aside: an interruption of that is resumed from here, too.
            self.run.place(planned.id, done=False)
        runner = Runner(
            self.run,
            self.plan,
            _NO_CAST,
            self.stage,
            strict=self.strict,
            talk=self.talk.folder,
            revived=self.cast,
        )
        self.stage.header(runner.header(planned))
        if self.narrates:
            self.stage.narrate(to_say(planned.beat.notes))
        try:
            unasked = self._prepare(planned, runner)
        except Instead as chosen:
            return runner.instead(planned, chosen, moves_cursor=not encore)
        if unasked is not None:
            return unasked
        # An encore is no place in the plan: the run goes on from where it stood.
        result = runner.play(planned, headed=True, moves_cursor=not encore)
        if self._cast is not None and (notice := self._cast.server.store.notice):
            self.stage.notice(notice)
            self._cast.server.store.notice = None
        self._look_ahead(planned)
        if self.run.unkept is not None and not self._unkept_said:
            self._unkept_said = True
            self.stage.note(
                f"There is no room on the disk ({self.run.unkept}): the run is in memory only, and the next command "
                "begins where this one began; demo goto BEAT goes on."
            )
        return result

    def _look_ahead(self, planned: PlannedBeat) -> None:
        """Have ready in the background what the next beats would wait for, and end what is past; not in the dry run.
        After this beat, since it takes a moment and the presenter speaks now."""
        if self.strict or self._cast is None or planned not in self.plan.beats:
            return
        at = self.plan.position(planned.id)
        for name in AHEAD:
            having = [one for one in self.plan.beats if any(step.do == name for step in one.beat.steps)]
            ahead = KINDS[name].ahead
            if having and ahead is not None:
                # What is wrong with it is said where it is needed, by the beat itself.
                with contextlib.suppress(Exception):
                    ahead(self._cast, any(one in self.plan.beats[at : at + 1 + BEATS_AHEAD] for one in having))

    @staticmethod
    def speaks(planned: PlannedBeat) -> bool:
        """Whether a beat does more than speak to the room: it wants a server, or what others did there."""
        return bool(planned.beat.needs) or any(KINDS[step.do].speaks for step in planned.beat.steps)

    def _prepare(self, planned: PlannedBeat, runner: Runner) -> BeatResult | None:
        """See to server, grant and needs; where that fails on stage, as the presenter chooses.

        Returns:
            What the beat then is where the human was asked for the grant that it needs, and gave none.
        """
        while True:
            try:
                if self.speaks(planned):
                    runner.cast = self.cast()
                    put_policy_back(runner.cast, planned, self.stage)
                    unasked = self._fulfil_needs(planned, runner)
                    if unasked is None:
                        end_a_ban(self.run, planned, runner.cast)
                    return unasked
                if self._cast is None and self.settings.local:
                    # Words only: nobody waits for a server, but the next beat will be glad of one.
                    with contextlib.suppress(ExplainedError, OSError):  # which that beat will say
                        local.begin(self.settings.state, port=self.settings.port)
                return None
            except (UsageError, BrokenPipeError, Instead):
                raise
            except Exception as error:
                if not runner.recovered(planned, error_of(error)):
                    raise

    def record(self) -> None:
        """Begin the recording of this run, or carry on with it."""
        about, run = self.run.about(), self.run.id
        if self.stage.recording is not None and about is not None and run is not None:
            self.stage.recording.begin(
                run,
                plan=about["plan"],
                talk=about["talk"],
                server=about["server"] or "",
                started_at=about["started_at"],
            )

    def cast(self) -> Cast:
        """The actors at the run's server, which is started when it is the local one and does not run; on stage also
        where it does not run any more. In the dry run a server that ends is red."""
        if self._cast is not None and not self.strict and not self._cast.server.revive(self.stage.waiting):
            self._cast = None
        if self._cast is None:
            if self.settings.server is not None:
                self._cast = self._named_cast(self.settings.server)
                self.run.settle(server=self.settings.server, world=OWN_WORKER if self._worker is not None else "")
            else:
                self._cast = self._local_cast()
            self._cast.repository = self.settings.repository
            self._cast.humans.grantor = self._grantor()
        return self._cast

    def _named_cast(self, server: str) -> Cast:
        state, port, edge = self.settings.state, self.settings.port, self.settings.edge
        if self._worker is not None:
            # The talk's own shop, whatever demo.toml says of others: what it lacks is red, not skipped.
            return Cast(server, state, is_local=False, port=port, edge=edge, worker=self._worker)
        login = None
        if self._logins is not None:
            from demo.logins import token_store

            login = token_store(self._logins, server=server)
        return Cast(
            server,
            state,
            is_local=False,
            port=port,
            tools=self.settings.tools,
            client=self.settings.client,
            edge=edge,
            workos=self.settings.workos,
            login=login,
        )

    def _local_cast(self) -> Cast:
        state, port = self.settings.state, self.settings.port
        server, note = local.ensure(state, port=port, waiting=self.stage.waiting)
        if note:
            self.stage.note(note)
        cast = Cast(server.base_url, state, is_local=True, port=port, edge=self.settings.edge, world=server.world)
        about = self.run.about() or {}
        if about.get("world") and about["world"] != server.world:
            self.stage.note(
                "the local server's data is not that of this run any more: what was granted is asked for again"
            )
            cast.server.store.clear()
        elif about.get("server") and about["server"] != server.base_url:
            self.stage.note(f"the local server moved from {about['server']} to {server.base_url}")
        self.run.settle(server=server.base_url, world=server.world)
        return cast

    def _fulfil_needs(self, planned: PlannedBeat, runner: Runner) -> BeatResult | None:
        """See that what the beat builds on was played and stands; what it is where no human gave the grant for it."""
        needs = [one for one in self.plan.beats if one.id in _all_needs(self.talk, planned.id)]
        # At another server a beat that is red stays red: to play it aside again would be to stop there for good.
        played = {beat for beat, ok in self.run.beats_played().items() if ok or self._goes_on}
        logins = [one for one in needs if _logs_in(one) and one.id in played]
        # In a beat of revocations that was cut in two, the grant is as the steps already played have left it.
        half = bool(self.run.results(planned.id, self.run.open_play(planned.id) or 0))
        leave = half and any(step.do == "revoke" for step in planned.beat.steps)
        encore = self.plan.encore(planned.id) is not None
        # At another server nobody can be asked aside: a person decides there, on the stage. The dry run shows what went
        # wrong; but what ended the grant before an encore is the talk itself, with its last revocation.
        repairs = self.cast().server.ours and (not self.strict or encore)
        openly = self.stage.person and self.stage.pace == "stage"
        if logins and encore and not self.cast().server.ours and not self._grant_stands():
            why = "the agent's grant has ended since; demo goto login asks for another"
            self.stage.end(planned.id, ok=True, skipped=why)
            beat = planned.beat
            return BeatResult(beat.id, beat.title, beat.topics, True, 0.0, (), why)
        if logins and not leave and repairs and not self._grant_stands():
            self._abandon(planned)
            login = _consent_of(logins[-1])
            if openly:
                self.stage.note("the agent's grant has ended since: the human is asked again")
                if (unasked := self._ask(login, planned, runner)) is not None:
                    return unasked
            else:
                self.stage.note("the agent's grant has ended since: the sample human is asked again, aside")
                self._play_aside(login)
        for need in needs:
            if need.id in played:
                continue
            if openly and repairs and self._was_refused(need):
                # What the room has refused nobody grants behind its back.
                self.stage.note("the agent has no grant yet: the human is asked again")
                if (unasked := self._ask(_consent_of(need), planned, runner)) is not None:
                    return unasked
            else:
                self.stage.note(f"this beat builds on {need.id}, which was not played live yet: playing it aside")
                self._play_aside(need)
        return None

    def _ask(self, login: PlannedBeat, planned: PlannedBeat, runner: Runner) -> BeatResult | None:
        """Ask the human for a grant on the screen of the beat that needs it, which then begins.

        Returns:
            What the beat is where no grant was given: it is not played, and the run stays at it.
        """
        self._abandon(login)
        asked = runner.perform(login, [], moves_cursor=False)
        if not asked.ok:
            raise ExpectationFailed(
                "the human could not be asked",
                why=next((in_words(step) for step in asked.steps if not step.ok), ""),
                do=f"ask once more: demo goto {planned.id}",
            )
        if asked.ungranted:
            self.stage.end(planned.id, ok=True, skipped="no grant was given")
            beat = planned.beat
            return BeatResult(beat.id, beat.title, beat.topics, True, asked.seconds, asked.steps, "no grant was given")
        self.stage.header(runner.header(planned))
        return None

    def _grantor(self) -> str | None:
        """Who gave the agent its grant in this run, by their address; None where nobody has, or it was not told."""
        steps = {(beat.id, step.id) for beat in self.talk.beats.values() for step in beat.steps if _grants(step)}
        granted = [one for one in self.run.results_of(steps) if one.observed.get("granted") is True]
        human = granted[-1].observed.get("human") if granted else None
        return str(human) if human else None

    def _was_refused(self, planned: PlannedBeat) -> bool:
        """Whether the last consent that this beat asked for on stage was not given."""
        results = self.run.results_of({(planned.id, step.id) for step in planned.beat.steps if _grants(step)})
        return bool(results) and results[-1].ungranted

    def _abandon(self, planned: PlannedBeat) -> None:
        """End what an interruption left half played of this beat: it is not resumed."""
        while (play := self.run.open_play(planned.id)) is not None:
            self.run.end_beat(planned.id, play, ok=False, moves_cursor=False)

    def leave(self, planned: PlannedBeat, *, out: bool = False) -> None:
        """Break off a beat that the presenter leaves: it is not resumed, but played from its beginning.

        Args:
            out: it is left out, and the talk goes on after it.
        """
        self._abandon(planned)
        if out and self.plan.find(planned.id) is not None:
            self.run.place(planned.id, done=True)
        self.stage.end(planned.id, ok=False, skipped="the presenter left it")

    def _play_aside(self, planned: PlannedBeat) -> None:
        self._abandon(planned)
        result = self._aside().play(planned, moves_cursor=False)
        red = next((step for step in result.steps if not step.ok), None)
        if red is not None and not self.strict and not self._goes_on:
            raise ExpectationFailed(
                f"beat {result.id}, played aside, is not as expected at its step {red.id}",
                why=in_words(red),
                do=f"look at it: demo goto {result.id}. Or begin again: demo reset",
            )
        self.asides.append(result)

    @property
    def _goes_on(self) -> bool:
        """Whether a beat that builds on a red one is played all the same."""
        return not self.strict and not self.cast().server.ours

    def _aside(self) -> Runner:
        stage = AsideStage(self.stage)
        return Runner(self.run, self.plan, self.cast(), stage, strict=self.strict)

    def _grant_stands(self) -> bool:
        try:
            let_in(self.run, self.plan, self.cast(), self.stage)
            return self.cast().agent().tools().status in (200, 429)  # 429: called too often, by a grant that stands
        except AuthorizationRefused:
            return False


def _all_needs(talk: Talk, beat: str) -> set[str]:
    found: set[str] = set()
    waiting = list(talk.beats[beat].needs)
    while waiting:
        need = waiting.pop()
        if need not in found:
            found.add(need)
            waiting.extend(talk.beats[need].needs)
    return found


def _grants(step: Step) -> bool:
    return step.do == "login" and step.options["who"] == "agent" and step.options["decide"] == "approve"


def _consent_of(planned: PlannedBeat) -> PlannedBeat:
    """The beat's consents alone: what is asked, and the answer. What is said of it belongs to its own place."""
    steps = tuple(
        replace(step, show=("device", "answer"), pause=("answer",)) for step in planned.beat.steps if _grants(step)
    )
    beat = replace(planned.beat, steps=steps, say="", instead="", rests_on=())
    return replace(planned, beats={planned.id: beat})


def _logs_in(planned: PlannedBeat) -> bool:
    return any(_grants(step) for step in planned.beat.steps)


def _base(server: str) -> str:
    """A server's URL without what names the same one in other words."""
    return server.rstrip("/").removesuffix("/mcp")


_NO_CAST = Cast("", Path(), is_local=False, port=0)
