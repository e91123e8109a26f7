"""The command's exit codes (docs/cli.md), its words for what would help, and the one error that is the talk's own."""

from __future__ import annotations

from deputize.errors import (
    AuthorizationRefused,
    EnvironmentNotReady,
    ExplainedError,
    Remedy,
    ServerUnreachable,
    UsageError,
)

OK = 0
EXPECTATION = 1
USAGE = UsageError.exit_code
ENVIRONMENT = EnvironmentNotReady.exit_code
REFUSED = AuthorizationRefused.exit_code
UNREACHABLE = ServerUnreachable.exit_code
INTERRUPTED = 130


class ExpectationFailed(ExplainedError):
    """A beat's expectation did not hold."""

    exit_code = EXPECTATION


_OPTIONS = {
    "check_server": "--server",
    "choose_folder": "--state DIR, or DEMO_STATE",
    "name_resource": 'in demo.toml: [client] resource = "URI", or "none"',
    "register_client": "in demo.toml: [client] id, secret_env and issuer",
    "restart_server": "the demo's own: demo stop, then demo next",
}
_COMMANDS = {
    "call_without_token": "demo call TOOL",
    "check_machine": "demo doctor",
    "forget_and_log_in": "demo logout, then demo login",
    "read_token": "demo token",
}


def advice(error: ExplainedError) -> str:
    """What to do about an error: the library's words for it, with the command or the setting that does it here."""
    remedy = error.remedy
    if remedy is None or remedy.action == "approve":
        return error.do
    if remedy.action == "log_in":
        command = login(remedy)
        return command if error.do == "log in" else f"{error.do}: {command}"
    if (command := _COMMANDS.get(remedy.action, "")) != "":
        return f"{error.do}: {command}"
    option = f"--server {remedy.server}" if remedy.server else _OPTIONS[remedy.action]
    return f"{error.do} ({option})"


def login(remedy: Remedy) -> str:
    """The command by which a human authorizes the agent: by a flow and for scopes, where they are named."""
    words = ["demo login", *([f"--{remedy.flow}"] if remedy.flow else [])]
    return " ".join([*words, *(f"--scope {scope}" for scope in remedy.scopes)])


def perhaps_bought(error: ServerUnreachable) -> ServerUnreachable:
    """The same error of a purchase that has no answer: it may have been made, and trying again would make another."""
    error.do, error.remedy = f"see first whether it was bought: demo orders; then {advice(error)}", None
    return error


def in_own_words(error: ExplainedError) -> ExplainedError:
    """The same error, with `advice` for what to do."""
    error.do, error.remedy = advice(error), None
    return error
