"""What is expected of a step on stage: less than the script says where it is played again, where a human answers as
they like, or where a new consent came between. In the dry run the script holds as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from talk.humans import HUMAN
from talk.playing.kind import Step, base_key
from talk.results import Outcome

_OF_A_HUMAN = ("human", "role", "others", "hidden")
"""What names a human, says what they are, or tells theirs from others' in what they may read."""
_OF_AN_ANSWER = ("scopes", "left_out", "spending")
"""What the human who answers decides."""
_OF_A_CONSENT = ("balance", "money_left", "purchases_left")
"""What a new consent begins again."""


def allowing_for_repeats(step: Step, observed: Mapping[str, Any], attempts: int) -> Mapping[str, Any]:
    """What to expect of a step that was attempted before, in this play or an earlier one.

    Its purchase finds the earlier order again: that is what an idempotency key is for. The balance may have moved on.
    Its revocation finds the grant gone already: an interrupted attempt had revoked it.
    """
    wanted = dict(step.expect)
    if not attempts:
        return wanted
    if observed.get("replayed") is True and "replayed" in wanted:
        wanted["replayed"] = True
        wanted = allowing_for_another_consent(wanted)
    if step.do == "revoke" and observed.get("before") == "deny" == observed.get("after"):
        wanted.pop("before", None)
    return wanted


def allowing_for_another_consent(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What to expect of one whose purchases were not all made under the same consent."""
    return {key: value for key, value in wanted.items() if base_key(key) not in _OF_A_CONSENT}


def allowing_for_the_room(
    wanted: Mapping[str, Any], outcome: Outcome | None, *, granted: bool, grantor: str | None
) -> Mapping[str, Any]:
    """What to expect on stage, where the room decides who says yes, and whether: of an answer that is not the
    script's nothing that it settles, and after another human's yes nothing that names the script's."""
    if outcome is not None and not granted:
        return {}
    if grantor in (None, HUMAN):
        return wanted
    settled = {*_OF_A_HUMAN, *(_OF_AN_ANSWER if outcome is not None else ())}
    return {key: value for key, value in wanted.items() if base_key(key) not in settled}
