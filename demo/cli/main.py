"""The `demo` command's entry: global options anywhere, errors shown in one place, exit codes that mean something."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import re
import sys
import threading
import warnings
from collections.abc import Sequence

from demo.cli.commands import COMMANDS, VALUES, command_at
from demo.cli.streams import aside, finish, lead_nowhere, settle_streams
from demo.errors import INTERRUPTED, in_own_words
from deputize.errors import ExplainedError, UsageError
from deputize.signals import end_in_order, received

_FLAGS = frozenset({"--json", "--plain", "--quiet", "--wire", "--debug"})
_LONE = frozenset({"--audience"})
"""Options whose value may be left out, as `--audience` and `--audience=ADDRESS`: Typer has none such."""
_RESUMES = "demo next goes on from here"


def hoist(arguments: Sequence[str]) -> list[str]:
    """Bring the global options to the front, so that `demo next --plain` is `demo --plain next`.

    Everything after `--` stays where it is, and so does what the command has under the same name.
    """
    front: list[str] = []
    rest: list[str] = []
    own: frozenset[str] = frozenset()
    at = 0
    while at < len(arguments):
        word = arguments[at]
        name = word.partition("=")[0]
        if word == "--":
            rest.extend(arguments[at:])
            break
        if name in _FLAGS and name not in own and word == name:
            front.append(word)
        elif name in VALUES and name not in own:
            front.append(word)
            if word == name and at + 1 < len(arguments):
                at += 1
                front.append(arguments[at])
        else:
            if not word.startswith("-") and not [one for one in rest if not one.startswith("-")]:
                own = COMMANDS[word].own if word in COMMANDS else frozenset()
            alone = word in _LONE and (at + 1 == len(arguments) or arguments[at + 1].startswith("-"))
            rest.append(f"{word}=" if alone else word)
        at += 1
    return front + rest


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; never returns, never shows a traceback unless asked for with --debug."""
    gc.set_threshold(50_000)  # imports leave no garbage: to look for it at each 700 objects takes a tenth of a command
    given = hoist(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or os.environ.get("DEMO_DEBUG", "").strip().lower() in ("1", "true", "yes", "on")
    _drop_impossible_sizes()
    settle_streams()
    end_in_order()
    if not debug:
        # Ctrl-C may strike while a library cleans up; what it then leaves unsaid is not for the audience.
        sys.unraisablehook = lambda _: None
        threading.excepthook = _broke_beside
        if not sys.warnoptions:
            # Nor is what a library says to its programmers, such as of a model's answer that it cannot count.
            warnings.simplefilter("ignore")
    try:
        code = run(given)
    except ExplainedError as error:
        if debug:
            raise
        _show(error, given)
        code = error.exit_code
    except (KeyboardInterrupt, EOFError):
        code = INTERRUPTED
        if received() is None:
            aside(f"\ninterrupted{what_is_left(given)}\n")
    except BrokenPipeError:
        # Anyone who read our output has gone (`demo list | head`): leave without a word.
        lead_nowhere(sys.stdout)
        code = 0
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            full = error.filename or "the place that this command writes to"
            _show(ExplainedError(f"there is no room left: {full}", why=error.strerror or "", do="free some"), given)
            lead_nowhere(sys.stdout)
            raise SystemExit(ExplainedError.exit_code) from None
        _show(
            ExplainedError(
                f"something broke that should not have: {type(error).__name__}",
                why=str(error),
                do="try again; if it stays, report it with what --debug shows",
            ),
            given,
        )
        code = ExplainedError.exit_code
    if (trouble := finish()) is not None:
        why = trouble.strerror or str(trouble)
        _show(ExplainedError("what this command says cannot be written", why=why, do="see to stdout"), given)
        code = code or ExplainedError.exit_code
    raise SystemExit(code if (number := received()) is None else 128 + number)


def _broke_beside(broken: threading.ExceptHookArgs) -> None:
    """What a thread beside the command's own ended with. What waits for it has a bound, so the command goes on."""
    from deputize.http.sanitizing import safe_text

    if received() is None and not issubclass(broken.exc_type, KeyboardInterrupt | SystemExit):
        said = safe_text(f"{broken.exc_type.__name__}: {broken.exc_value}", one_line=True)
        aside(f"something broke beside this command, which goes on: {said}; --debug shows more\n")


def what_is_left(arguments: Sequence[str]) -> str:
    """How a run that was interrupted goes on: with the same options, as another state folder has another run."""
    name = _command(arguments)
    if not name or not COMMANDS[name].resumes or "--ci" in arguments:  # a dry run's world is gone with it
        return ""
    from demo.cli.context import appearance, repeated

    return f"; nothing is lost: {repeated(_RESUMES, appearance(arguments))}"


def _command(arguments: Sequence[str]) -> str:
    return next((word for word in arguments[command_at(arguments) :][:1] if word in COMMANDS), "")


def run(arguments: Sequence[str]) -> int:
    """Run one command line, its global options in front (`hoist`), without the care of `main` for signals and streams.

    Returns:
        The exit code.

    Raises:
        ExplainedError: it failed, or is no command line.
        KeyboardInterrupt: it was interrupted.
    """
    import typer
    from typer.exceptions import TyperException

    from demo.cli.app import app
    from demo.cli.context import begin

    begin()
    _dress_help(arguments)
    try:
        result = app(args=list(arguments) or ["--help"], prog_name="demo", standalone_mode=False)
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):  # Typer's answer to one is to exit with 1
            raise left.__context__ from None
        raise
    except typer.Abort as abort:
        raise KeyboardInterrupt from abort
    except TyperException as error:
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        said = said.replace(": Value error, ", ": ")  # what pydantic puts before the words of a choice
        said = re.sub(r": Input should be (.+?)(?:, unable to parse .*)?$", r": it must be \1", said.rstrip("."))
        raise UsageError(said.rstrip("."), do=_help_for(error)) from error
    except Exception as error:
        if _was_a_signal(error):
            raise KeyboardInterrupt from error
        raise
    if result == INTERRUPTED:  # what Typer makes of a KeyboardInterrupt
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


def _was_a_signal(error: Exception) -> bool:
    """Whether a signal was raised as this: Python 3.11 wraps what strikes the making of a class, and pydantic-core
    makes a text of what strikes the making of a model."""
    return received() is not None or isinstance(error.__cause__, KeyboardInterrupt) or "KeyboardInterrupt" in str(error)


def _help_for(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"see: {context.command_path} --help" if context is not None else "see: demo --help"


def _show(error: ExplainedError, arguments: Sequence[str]) -> None:
    from demo import panels
    from demo.cli.context import appearance, console_for, repeated, say_failure
    from demo.panels import theme

    settings = appearance(arguments)
    theme.use(settings.theme)
    error = in_own_words(error)
    error.do = repeated(error.do, settings)
    # Stdout of these two is a report, and the protocol that an MCP host reads.
    if settings.json and _command(arguments) != "run" and "--stdio" not in arguments:
        with contextlib.suppress(OSError, ValueError):  # its reader may have gone; the error is shown all the same
            say_failure(error)
    console_for(settings, stderr=True).print(panels.failure(error), soft_wrap=True)


def _drop_impossible_sizes() -> None:
    """Leave COLUMNS and LINES out where nothing could be drawn in them: some CI systems and terminals set them to 0."""
    for name, (least, most) in {"COLUMNS": (20, 1000), "LINES": (5, 1000)}.items():
        value = os.environ.get(name)
        if value is not None and not (value.isascii() and value.isdigit() and least <= int(value[:9]) <= most):
            del os.environ[name]


def _dress_help(arguments: Sequence[str]) -> None:
    """Have Typer draw its help as everything else is drawn: --plain and --width count there, too."""
    if (arguments and not {"--help", "-h"} & set(arguments)) or "_DEMO_COMPLETE" in os.environ:
        return
    from typer import rich_utils

    from demo.cli.context import appearance

    settings = appearance(arguments)
    rich_utils.MAX_WIDTH = settings.width or rich_utils.MAX_WIDTH
    if settings.plain:
        rich_utils.COLOR_SYSTEM, rich_utils.FORCE_TERMINAL = None, False
