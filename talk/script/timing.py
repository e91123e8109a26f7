"""How long a beat takes: its words at the pace of a speaker, what it plays, and the human's answer."""

from __future__ import annotations

from talk.script.beat import Beat
from talk.script.notes import to_say
from talk.script.plan import PlannedBeat

WORDS_A_MINUTE = 140
"""At which people speak on a stage and are understood by those who hear the language as their second one."""
ANSWER_SECONDS = 10.0
"""That a person takes to read a consent and to answer it."""
_SLACK_SECONDS = 0.5


def seconds_to_say(beat: Beat) -> float:
    """How long the words of a beat take: what its notes say, and the sentence at its end."""
    words = [word for word in f"{to_say(beat.notes)} {beat.written()}".split() if any(map(str.isalnum, word))]
    return 60 * len(words) / WORDS_A_MINUTE


def seconds_to_play(beat: Beat, played: float = 0.0) -> float:
    """How long it takes beside its words.

    Args:
        played: seconds that it took where nobody was waited for.
    """
    return played + ANSWER_SECONDS * sum(step.do == "login" and step.options["ask"] is True for step in beat.steps)


def too_long(planned: PlannedBeat, played: float = 0.0) -> str | None:
    """Why a beat does not fit into its minutes; None where it does.

    Args:
        played: as for `seconds_to_play`.
    """
    say, play = seconds_to_say(planned.beat), seconds_to_play(planned.beat, played)
    if say + play <= 60 * planned.minutes + _SLACK_SECONDS:
        return None
    takes = f"takes {say + play:.0f}: {say:.0f} to say at {WORDS_A_MINUTE} words a minute, {play:.0f} to play"
    return f"has {60 * planned.minutes:.0f} s and {takes}"
