"""The bench of the Durable Objects, as lines to read: each figure beside the one that it is a ratio to."""

from __future__ import annotations

from bench.figures import Kind, Made, Outcome, Size, Woken
from bench.load import PATIENCE

MIB = 1024 * 1024

WHAT_IT_IS = (
    "One machine, one workerd, one thread for all objects, the load on the same processors, wrangler's proxy in front.",
    "It shows whether objects disturb each other and what the shared one adds; not how fast Cloudflare is, nor that",
    "many objects do more than one: there they are spread over machines, here they take turns.",
)


def lines(outcome: Outcome) -> list[str]:
    """The report."""
    found = [f"Durable Objects under workerd, {outcome.in_flight} calls in flight", *WHAT_IT_IS]
    if outcome.sizes:
        found += ["", "calls spread over N users' objects, to as many calls to one user's object (1.00: the same)"]
        found += ["    N   calls of each   p50 of a user   p99 of a user   worst p50  |  p50   p99   calls/s"]
        found += [_size(size) for size in outcome.sizes]
        found += [
            "(N = 1 is like against like: what is off 1.00 is noise. Of fewer than 100 calls a p99 is the slowest.)"
        ]
    if outcome.made:
        found += [
            "",
            "a first call, which makes the object, to a call to one that is there; memory of workerd, to one user's",
        ]
        found += ["    N   p50 of a first call  |  to a later call   memory    MiB   KiB for each new object"]
        found += [_made(made, outcome.made[0]) for made in outcome.made]
    if outcome.woken is not None:
        found += ["", _woken(outcome.woken)]
    if outcome.kinds:
        found += ["", "what asks the one stock room and what writes in it, to what stays in the user's own object"]
        found += ["                              p50         p99  |  p50   p99   calls/s"]
        found += [_kind(kind, outcome.kinds[0]) for kind in outcome.kinds]
    found += [f"time did not allow: {what}" for what in outcome.missing]
    if outcome.lost:
        found += [
            f"{outcome.lost} calls are in no figure: wrangler's proxy lost them, or no answer came in {PATIENCE:.0f} s"
        ]
    return found


def _size(size: Size) -> str:
    many, one = size.many, size.one
    return (
        f"{size.users:5} {many.calls / many.users:15.0f} {_ms(many.user_p50, 15)} {_ms(many.user_p99, 15)}"
        f" {_ms(many.worst_p50, 11)}  | {many.p50 / one.p50:4.2f}  {many.p99 / one.p99:4.2f}"
        f"      {many.per_second / one.per_second:4.2f}"
    )


def _made(made: Made, first: Made) -> str:
    said = f"{made.users:5} {_ms(made.new.p50, 21)}  | {made.new.p50 / made.same.p50:16.2f}"
    if made.memory is None or first.memory is None:
        return f"{said}   cannot be read on this system"
    held, ours = made.memory.after_new, first.memory.after_new
    return f"{said} {held / ours:8.2f} {held / MIB:6.0f} {made.memory.per_object / 1024:+25.0f}"


def _woken(one: Woken) -> str:
    return (
        f"a call to an object that was idle for {one.idle:.0f} s and so was put away, to one that was not:"
        f" p50 {one.woken.p50 / one.awake.p50:.2f}, p99 {one.woken.p99 / one.awake.p99:.2f}"
    )


def _kind(kind: Kind, own: Kind) -> str:
    figures, base = kind.figures, own.figures
    return (
        f"{kind.tool:21} {_ms(figures.p50, 11)} {_ms(figures.p99, 11)}  | {figures.p50 / base.p50:4.2f}"
        f"  {figures.p99 / base.p99:4.2f}      {figures.per_second / base.per_second:4.2f}"
    )


def _ms(seconds: float, width: int) -> str:
    return f"{1000 * seconds:{width - 3}.1f} ms"
