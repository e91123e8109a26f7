"""A refusal read aloud, field by field: what each parameter means, which standard says so, and where it leads."""

from __future__ import annotations

from demo.panels.page import Canvas, Page
from demo.panels.values import many
from deputize.evidence import Challenge

MEANINGS: dict[str, tuple[str, str, str]] = {
    "realm": ("which part of the server this is", "RFC 9110", "11.5"),
    "error": ("what was wrong with the token", "RFC 6750", "3.1"),
    "error_description": ("the same for a developer to read", "RFC 6750", "3"),
    "error_uri": ("a page about this error", "RFC 6750", "3"),
    "scope": ("what a token needs to pass", "RFC 6750", "3"),
    "resource_metadata": ("where to read who can grant it", "RFC 9728", "5.1"),
    "max_age": ("how fresh the sign-in must be", "RFC 9470", "3"),
    "acr_values": ("how strong the sign-in must be", "RFC 9470", "3"),
    "algs": ("how a proof may be signed", "RFC 9449", "7.1"),
}
"""Parameter to its meaning, and the standard and section that define it."""

NONE_SENT = {"error": "its word for a missing token: none was sent"}
"""What a parameter means where the server speaks of a token and none was sent."""

ERRORS = {
    "invalid_token": "Refused: this token is not good here",
    "insufficient_scope": "Refused: this takes more than was granted",
    "invalid_request": "Refused: the request is malformed",
}
"""RFC 6750 section 3.1."""


def challenge(given: Challenge) -> Page:
    """The challenge's parameters with their meanings, then what the agent found by following them."""

    def draw(canvas: Canvas) -> None:
        error = given.get("error")
        if given.anonymous and error == "invalid_token":
            error = None  # no token was sent that could be invalid: RFC 6750 section 3.1 wants no code then
        answer = ERRORS.get(
            error or "", f"Refused: {error}" if error else "Refused: no token, and told where to get one"
        )
        canvas.title("refused", answer, aside="" if canvas.narrow else f"{given.status} {given.scheme}")
        problems = [
            found.problem
            for found in (given.resource, given.authorization_server)
            if found is not None and found.problem
        ]
        for problem in problems:
            canvas.prose(f"{canvas.glyphs.refused} Do not follow it: {problem}", "strong refused")
        canvas.gap()
        tail = 5
        room = len(given.parameters) if canvas.narrow else max(1, (canvas.left - tail) // 2)
        kept = given.parameters if len(given.parameters) <= room else given.parameters[: max(1, room - 1)]
        for name, value in kept:
            meaning = NONE_SENT.get(name) if given.anonymous and given.get("error") == "invalid_token" else None
            _parameter(name, value, canvas, meaning)
        if len(kept) < len(given.parameters):
            canvas.line(
                (f"{canvas.glyphs.ellipsis} {many(len(given.parameters) - len(kept), 'more parameter')}", "quiet")
            )
        canvas.gap()
        _leads(given, canvas)

    return Page(draw)


def _parameter(name: str, value: str, canvas: Canvas, told: str | None) -> None:
    meaning, standard, number = MEANINGS.get(name, ("this server's own extension", "", ""))
    meaning = told or meaning
    section = f"{standard} {canvas.glyphs.section}{number}" if standard else ""
    width, source, shown = 19, 16, value or "(empty)"
    if canvas.narrow:
        canvas.line((canvas.short(name, canvas.room), "strong"))
        _value(name, shown, canvas)
        canvas.line((canvas.short(f"{meaning} {section}", canvas.room - 2), "quiet"), indent=4)
    else:
        about = canvas.cell(meaning, canvas.room - width - source)
        canvas.line((canvas.cell(name, width), "strong"), (about, "quiet"), (f"{section:>{source}}", "quiet"))
        _value(name, shown, canvas)


def _value(name: str, shown: str, canvas: Canvas) -> None:
    if name == "scope":  # what is asked for next is typed: demo login --scope
        for line in canvas.wrapped(shown, canvas.room - 2, 3):
            canvas.line(line, indent=4)
    else:
        canvas.line(canvas.short(shown, canvas.room - 2), indent=4)


def _leads(given: Challenge, canvas: Canvas) -> None:
    """Where the challenge leads: the resource, its authorization server, and the login, each with its standard."""
    steps: list[tuple[str, str, str]] = []
    if given.resource is not None:
        steps.append(("resource", given.resource.resource, "RFC 9728"))
        if given.authorization_server is None:
            steps += [("issuer", issuer, "unasked") for issuer in given.resource.authorization_servers[:1]]
    if given.authorization_server is not None:
        steps.append(("issuer", given.authorization_server.issuer, "RFC 8414"))
        device = given.authorization_server.device_authorization_endpoint
        if device:
            steps.append(("device login", device, "RFC 8628"))
        elif given.authorization_server.authorization_endpoint:
            steps.append(("browser login", given.authorization_server.authorization_endpoint, "RFC 6749"))
    if not steps:
        canvas.line(("not followed yet", "quiet"))
        return
    width, note = (0, 0) if canvas.narrow else (16 if not canvas.wide else 19, 10)
    for label, value, section in steps:
        if canvas.narrow:
            canvas.line((f"{canvas.glyphs.arrow} {label}", "quiet"))
            canvas.line(canvas.short(value, canvas.room - 2), indent=4)
        else:
            name = canvas.cell(f"{canvas.glyphs.arrow} {label}", width)
            canvas.line(
                (name, "quiet"), canvas.cell(value or "(none)", canvas.room - width - note), ("  " + section, "quiet")
            )
