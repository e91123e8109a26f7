"""A whole talk in one session: the presenter says which beat comes next, and nothing that fails ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talk.stage.control import Order, Redirected
from talk.stage.sheet import title_card
from talk.trouble import error_of, in_words

if TYPE_CHECKING:
    from talk.director import Director
    from talk.prefetching import Prefetching
    from talk.script import PlannedBeat
    from talk.stage.live import LiveStage

OVER = "The talk is over. r plays the last beat again, g goes to any, Ctrl-Q ends the session."
FIRST = "This is the first beat."


class Show:
    """Leads a session of one run, in the talk's own thread, which is the one that has opened the run.

    Args:
        director: of the run.
        stage: where it plays.
        prefetching: what is made ready beside it, and waits while a beat does more than speak to the room.
    """

    def __init__(self, director: Director, stage: LiveStage, prefetching: Prefetching | None = None) -> None:
        self.director, self.stage, self._prefetching = director, stage, prefetching

    def run(self) -> None:
        """Play what the presenter asks for, until they end the session."""
        self._front()
        while True:
            order: Order | None = self.stage.control.await_order()
            while order is not None:
                if order.do == "close":
                    self.stage.say(state="closed")
                    return
                order = self._obey(order)
            self.stage.played = frozenset(self.director.run.beats_played())
            self.stage.between()

    def _front(self) -> None:
        plan, following = self.director.plan, self.director.upcoming()
        self.stage.played = frozenset(self.director.run.beats_played())
        below = "space begins"
        if self.director.run.id is not None:
            below = f"space goes on with: {following.beat.title}" if following is not None else OVER
            self.director.record()
            self.stage.opened()
        self.stage.front(title_card(plan.title, below))
        self.stage.between()

    def _obey(self, order: Order) -> Order | None:
        """Do what the presenter asks. Returns what they ask for in the middle of it, None where it came to its end."""
        if order.do == "skip":
            if (left_out := self.director.upcoming()) is not None:
                self.director.leave(left_out, out=True)
                self.stage.note(f"left out: {left_out.beat.title}")
            return None
        planned = self._meant(order)
        if planned is None:
            return None
        if self._prefetching is not None and self.director.speaks(planned):
            self.stage.headed = self._prefetching.hold  # once its title is on the screen
        try:
            self.director.play(planned, afresh=order.do != "next")
        except Redirected as turned:
            return self._turned(planned, turned.order)
        except Exception as error:  # whatever it is, and nobody chose otherwise: the session goes on
            self.stage.note(f"{in_words(error_of(error))}. space tries again")
        finally:
            self.stage.headed = None
            if self._prefetching is not None:
                self._prefetching.release()
        return None

    def _meant(self, order: Order) -> PlannedBeat | None:
        """The beat that is asked for; None, which is said, where there is none."""
        plan = self.director.plan
        if order.do == "goto":
            return plan.find(order.beat) or plan.encore(order.beat)
        if order.do == "next" or (current := self.director.current()) is None:
            following = self.director.upcoming()
            if following is None:
                self.stage.note(OVER)
            return following
        if order.do == "again":
            return current
        at = plan.position(current.id)
        if at == 0:
            self.stage.note(FIRST)
            return current
        return plan.beats[at - 1]

    def _turned(self, planned: PlannedBeat, order: Order) -> Order | None:
        """The presenter has turned elsewhere while this beat played."""
        if order.do == "close":
            return order  # the next session goes on in the middle of it
        if order.do == "skip":
            self.director.leave(planned, out=True)
            return None
        self.director.leave(planned)
        return order
