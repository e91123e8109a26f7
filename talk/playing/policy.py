"""The step in which the shop's owner changes its policy for a beat, and takes the change back.

The policy is a file of the state folder that the running shop reads again. A Worker's is its variables: the Worker that
the talk itself started is started again with another value, as a deployment would. What it was is kept in the state
folder, with the beat that it was changed for: where a beat is cut off, the next one finds it and puts it back.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from demo import panels
from demo.evidence.screen import Comparison
from deputize import private
from deputize.errors import EnvironmentNotReady
from deputize.evidence import Money
from talk.playing.kind import Kind, Option, Step
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.deploy.local_worker import LocalWorker
    from demo.policy_file import Written

KEPT = "policy.before"
"""What the policy was before a beat changed it, and which beat did; of a Worker, what its variables are meanwhile."""
APPROVE_ABOVE = "APPROVE_ABOVE"
"""The Worker's variable (worker/README.md): cents, or `none`."""
IN_FORCE_SECONDS = 8.0
"""How long is waited for a change to hold: the shop looks at the file once a second, and twice where it is gone."""
_ABOVE = re.compile(r"^above = \d+", re.MULTILINE)


def policy(step: Step, scene: Scene) -> Played:
    """Change the policy, or put it back, and wait until the shop goes by it."""
    from demo import policy_file

    if scene.cast.server.worker is not None:
        return _at_the_worker(step, scene, scene.cast.server.worker)
    state, above = scene.cast.server.state, step.options["approve_above"]
    before = _written(state)
    if above:
        _keep(state, scene.beat)
        _write(state, _changed(before.text, above))
    else:
        put_back(state)
    now = _written(state)
    held = _in_force(scene, now.digest)
    return _played(above, _above(before), _above(now), held, f"{policy_file.NAME}, read again while the shop runs")


def _at_the_worker(step: Step, scene: Scene, worker: LocalWorker) -> Played:
    state, above = scene.cast.server.state, step.options["approve_above"]
    changed = {APPROVE_ABOVE: str(above)} if above else {}
    before = _cents(worker)
    if above:
        _keep(state, scene.beat, changed)
    was = worker.look()
    worker.restart(changed)
    # It reads its variables when it starts: another instance goes by these.
    held = worker.look().instance != was.instance
    if not above:
        put_back(state)
    where = f"{APPROVE_ABOVE}, a variable of the Worker, which was started again with it"
    return _played(above, before, _cents(worker), held, where)


def _cents(worker: LocalWorker) -> int | None:
    told = worker.variable(APPROVE_ABOVE)
    return int(told) if told.isdecimal() else None


def _played(above: int, before: int | None, now: int | None, held: bool, where: str) -> Played:
    title = f"The shop's owner: above {Money(above)}, ask a human" if above else "The policy is as it was"
    played = Played({"in_force": held, "approve_above": now or 0})
    rows = (("asks a human above", _told(before), _told(now)),)
    played.panels["comparison"] = lambda: panels.comparison(Comparison(title, rows, where))
    return played


def put_back(state: Path, worker: LocalWorker | None = None) -> None:
    """Have the policy be what it was before a beat changed it, also at this Worker; nothing where none did."""
    if worker is not None and worker.changed:
        worker.restart({})
    from demo.policy_file import NAME

    kept = state / KEPT
    try:
        text = json.loads(kept.read_text("utf-8"))["text"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        text = None  # it cannot be read any more: the policy that ships is never too open
    if isinstance(text, str):
        private.write(state / NAME, text)
    else:
        (state / NAME).unlink(missing_ok=True)
    kept.unlink(missing_ok=True)


def changed_for(state: Path) -> str | None:
    """The beat for which the policy was changed and not put back; None where it is as its owner has it."""
    kept = state / KEPT
    if not kept.exists():
        return None
    try:
        return str(json.loads(kept.read_text("utf-8"))["beat"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return ""


def variables_kept(state: Path) -> dict[str, str]:
    """The variables of the talk's Worker as a beat has changed them that did not come to its end."""
    try:
        found = json.loads((state / KEPT).read_text("utf-8"))["variables"]
        return {str(name): str(value) for name, value in found.items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return {}


def _keep(state: Path, beat: str, variables: dict[str, str] | None = None) -> None:
    from demo.policy_file import NAME

    if changed_for(state) is not None and variables_kept(state) == (variables or {}):
        return  # played again: what was there before is what was there before
    put_back(state)
    path = state / NAME
    text = path.read_text("utf-8") if path.exists() else None
    try:
        private.write(state / KEPT, json.dumps({"beat": beat, "text": text, "variables": variables or {}}))
    except OSError as error:
        raise _unwritable(state / KEPT, error) from error


def _write(state: Path, text: str) -> None:
    from demo.policy_file import NAME

    try:
        private.write(state / NAME, text)
    except OSError as error:
        raise _unwritable(state / NAME, error) from error


def _unwritable(path: Path, error: OSError) -> EnvironmentNotReady:
    why = error.strerror or str(error)
    return EnvironmentNotReady(f"{path} cannot be written", why=why, do="choose another --state DIR")


def _changed(text: str, above: int) -> str:
    """The policy's text with another amount, its comments kept; the table is added where it has none."""
    if "[approval]" not in text:
        return f"{text.rstrip()}\n\n[approval]\nabove = {above}\n"
    head, table, rest = text.partition("[approval]")
    return head + table + _ABOVE.sub(f"above = {above}", rest, count=1)


def _written(state: Path) -> Written:
    """The policy in the state folder, or the one that ships.

    Raises:
        EnvironmentNotReady: the one in the folder is none.
    """
    from demo import policy_file

    try:
        content = policy_file.of_folder(state)
        return policy_file.SHIPPED if content is None else policy_file.read(content)
    except (OSError, policy_file.PolicyWrong) as error:
        raise EnvironmentNotReady(
            f"{state / policy_file.NAME} is no policy", why=str(error), do="fix it, then: demo policy check"
        ) from error


def _above(written: Written) -> int | None:
    return written.policy.approval.above if written.policy.approval is not None else None


def _told(above: int | None) -> str:
    return str(Money(above)) if above is not None else "no amount"


def _in_force(scene: Scene, digest: str) -> bool:
    """Wait until the shop says that this is what it decides by."""
    from demo.local_server import local

    deadline = time.monotonic() + IN_FORCE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        told = local.health(scene.cast.server.url)
        about = (told or {}).get("policy")
        if isinstance(about, dict) and about.get("digest") == digest:
            return True
        scene.stage.waiting("the shop to read its policy", left)
        time.sleep(0.2)
    return False


POLICY = Kind(
    "policy",
    "The shop's owner has a human approve each purchase above so many cents, for the rest of this beat; 0 puts the "
    "policy back. Only at the bundled shop, and at the Worker that demo run --worker started.",
    policy,
    {"approve_above": Option(int, required=True)},
    {"in_force": bool, "approve_above": int},
    ("comparison",),
    why_not=lambda step, other, past: "the policy of another server is its owner's",
    of_this_folder=True,
)
