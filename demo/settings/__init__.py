"""The global options, settled once: a flag beats the environment, the environment beats demo.toml, that the default."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from demo.settings import trust
from demo.settings.client import ClientSettings, read_client
from demo.settings.model import ModelSettings, read_model
from demo.settings.tools import ToolMap, read_tools
from demo.settings.workos import WorkOSSettings, read_workos
from deputize import private
from deputize.errors import UsageError

APP = "machine-identity-demo"
private.ours |= {
    *("run.", "server.", "worker", "workos.json", "deployed.json", "trusted.json", "policy."),
    *("recordings", "wheel.", "presenter.", "audience"),
}
FILE = "demo.toml"
Trusted = Callable[[Path, bytes], bool]
"""Whether a person trusts what a `demo.toml` sets: asked with the file and its content."""


@dataclass(frozen=True)
class Settings:
    """What holds for a whole invocation.

    `server` is None for the local server, which is started when needed. `width` is in columns, None for the
    terminal's own. `state` is the folder that keeps the run, the local server's data and, without a keyring, tokens.
    `theme` is one of `demo/panels/themes.toml`.
    `repository` is the https address of your own code, for the closing link; None for the talk's first edition.
    `edge` says where a beat may run the shop as a Worker: "auto", "local" (never deployed), "off" (only described).
    `tools`, `client`, `workos` and `model` are tables of demo.toml: what a server calls the shop's verbs, who the agent
    is there, which WorkOS environment stands behind it, and which language model decides. `typed` are those of the
    command line's options that another command must repeat to mean the same server and the same state.
    """

    server: str | None = None
    profile: str | None = None
    state: Path = Path()
    json: bool = False
    plain: bool = False
    width: int | None = None
    theme: str = "terminal"
    quiet: bool = False
    wire: bool = False
    debug: bool = False
    port: int = 7327
    edge: str = "auto"
    repository: str | None = None
    tools: ToolMap = field(default_factory=ToolMap)
    client: ClientSettings = field(default_factory=ClientSettings)
    workos: WorkOSSettings = field(default_factory=WorkOSSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    typed: tuple[tuple[str, str], ...] = ()

    @property
    def local(self) -> bool:
        """Whether the bundled server on this machine is meant."""
        return self.server is None


_TYPES: Mapping[str, type] = {
    "server": str,
    "profile": str,
    "state": Path,
    "json": bool,
    "plain": bool,
    "width": int,
    "theme": str,
    "quiet": bool,
    "wire": bool,
    "debug": bool,
    "port": int,
    "edge": str,
    "repository": str,
}
REPEATED = ("server", "profile", "state")
"""Options that say which server and which state a command means."""
_TABLES = ("tools", "client", "workos", "model")
"""What stands in demo.toml alone, as a table; neither a flag nor a variable can hold it."""
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def settle(
    flags: Mapping[str, Any], environ: Mapping[str, str], file: Path | None, *, trusted: Trusted | None = None
) -> Settings:
    """Merge the layers.

    Args:
        flags: options given on the command line; None and False mean not given.
        environ: the process environment; `DEMO_SERVER`, `DEMO_STATE` and so on count. An empty one is not set: CI
            systems set every variable that they were not given so.
        file: `demo.toml`, which need not exist; None for no file at all. `[profiles.NAME]` tables are laid over its
            top level, and `[profiles.NAME.tools]`, `.client`, `.workos` and `.model` key by key over the tables of
            these names.
        trusted: asked where the file sets more than harmless things (`demo.settings.trust`); None takes it as trusted.

    Raises:
        UsageError: a value has the wrong type, the file is not TOML, the profile is unknown, or what the file sets
            takes a trust that nobody gave.
    """
    file = Path(os.devnull) if file is None else file
    content = _content(file)
    table = _parsed(file, content)
    profiles = table.pop("profiles", {})
    if not isinstance(profiles, dict):
        raise UsageError(f"{file.name}: profiles is no table", do="write each as [profiles.NAME]")
    given_flags = {name: value for name, value in flags.items() if value not in (None, False)}
    for name in (CHOICES.keys() | {"server"}) & given_flags.keys():
        _within(name, given_flags[name], f"--{name}")
    from_env = _from_environment(environ)
    tables = {name: table.pop(name) for name in _TABLES if name in table}
    profile = given_flags.get("profile") or from_env.get("profile") or table.get("profile")
    if profile is not None:
        if profile not in profiles:
            known = ", ".join(sorted(profiles)) or "none"
            raise UsageError(
                f"there is no profile {profile!r}", why=f"{file.name} has: {known}", do=f"add [profiles.{profile}]"
            )
        if not isinstance(profiles[profile], dict):
            raise UsageError(f"{file.name}: profiles.{profile} is no table", do=f"write it as [profiles.{profile}]")
        over = dict(profiles[profile])
        tables = _laid_over(tables, {name: over.pop(name) for name in _TABLES if name in over})
        table |= over
    named = list(trust.wanting(table | tables)) if trusted is not None else []
    if named and trusted is not None and not trusted(file, content):
        options = f" --state {shlex.quote(str(flags['state']))}" if flags.get("state") else ""
        raise trust.refusal(_state(flags, from_env), file, named, options)
    unknown = sorted(set(table) - set(_TYPES))
    if unknown:
        raise UsageError(
            f"{file.name}: unknown setting {unknown[0]!r}", do=f"use one of: {', '.join(sorted((*_TYPES, *_TABLES)))}"
        )
    from_file = {name: _parse(name, value, f"{file.name}: {name}") for name, value in table.items()}
    merged = from_file | from_env | given_flags
    state = merged.pop("state", None)
    settings = replace(Settings(), **{f.name: merged[f.name] for f in fields(Settings) if f.name in merged})
    settings = replace(
        settings,
        tools=read_tools(tables.get("tools", {}), f"{file.name}: tools"),
        client=read_client(tables.get("client", {}), f"{file.name}: client"),
        workos=read_workos(tables.get("workos", {}), f"{file.name}: workos"),
        model=read_model(tables.get("model", {}), f"{file.name}: model"),
        typed=tuple((name, str(given_flags[name])) for name in REPEATED if name in given_flags),
    )
    return replace(settings, state=_resolved(state) if state else default_state())


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    given = {name: environ.get(f"DEMO_{name.upper()}", "") for name in _TYPES}
    return {name: _parse(name, value, f"DEMO_{name.upper()}") for name, value in given.items() if value.strip()}


def _state(flags: Mapping[str, Any], from_env: Mapping[str, Any]) -> Path:
    """The state folder by everything but a file: what a person trusts is not kept where a file says."""
    state = flags.get("state") or from_env.get("state")
    return _resolved(state) if state else default_state()


def _resolved(state: str | Path) -> Path:
    try:
        return Path(state).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        # No such user, no home known, or the folder that the command stands in is gone.
        raise UsageError(
            f"the state folder {state} is nowhere", why=str(error), do="write it as a whole path, from / on"
        ) from error


def _laid_over(tables: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """The profile's tables over those of the top level, key by key; what is no table is refused where it is read."""
    both = {name: (tables.get(name), over.get(name)) for name in {**tables, **over}}
    return {
        name: {**below, **above}
        if isinstance(below, dict) and isinstance(above, dict)
        else below
        if above is None
        else above
        for name, (below, above) in both.items()
    }


def default_state() -> Path:
    """The platform's state folder for this program; `private.NO_HOME` where no home folder is known."""
    import platformdirs  # imported here: only an invocation without --state needs it

    try:
        found = Path(platformdirs.user_state_dir(APP, appauthor=False))
    except (OSError, RuntimeError, KeyError):
        return private.NO_HOME
    return found if found.is_absolute() else private.NO_HOME


def from_environment(flags: Mapping[str, Any], *, with_file: bool = True) -> Settings:
    """`settle` for this process: its environment and, with `with_file`, `demo.toml` in the folder it stands in, as far
    as that is trusted."""

    def trusted(file: Path, content: bytes) -> bool:
        return trust.is_trusted(_state(flags, _from_environment(os.environ)), file, content)

    return settle(flags, os.environ, Path(FILE) if with_file else None, trusted=trusted)


def trust_file(state: Path, file: Path = Path(FILE)) -> list[str]:
    """Trust a `demo.toml` with its present content, in every profile.

    Args:
        state: the state folder by flag, environment or default, never by the file itself.

    Returns:
        What it sets that takes trust.

    Raises:
        UsageError: there is no such file, or it is not TOML.
        EnvironmentNotReady: that it is trusted cannot be remembered.
    """
    content = _content(file)
    if not content:
        raise UsageError(f"there is no {FILE} in this folder", do=f"go to the folder whose {FILE} you want to trust")
    table = _parsed(file, content)
    profiles = table.pop("profiles", {})
    named = list(trust.wanting(table))
    for name, profile in profiles.items() if isinstance(profiles, dict) else ():
        if isinstance(profile, dict):
            named += [f"profiles.{name}.{one}" for one in trust.wanting(profile)]
    trust.trust(state, file, content)
    return named


def _content(file: Path) -> bytes:
    """A file's bytes; none where there is no file, or where this user may not look."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except PermissionError as error:
        if _may_look(file):
            raise UsageError(f"{file.name} cannot be read", why=str(error), do="check its permissions") from error
        return b""
    except OSError as error:
        raise UsageError(f"{file.name} cannot be read", why=str(error), do="check its permissions") from error


def _may_look(file: Path) -> bool:
    # In a folder that may not be searched (sudo -u other, from a home) nobody can tell whether the file is there.
    try:
        file.stat()
    except OSError:
        return False
    return True


def _parsed(file: Path, content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    import tomllib  # most invocations have no file to read

    try:
        # Editors of Windows put a byte order mark in front, which TOML has no place for.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.name} is not UTF-8 text", why=str(error), do="save it as UTF-8") from error
    except ValueError as error:  # TOMLDecodeError is one; a whole number of thousands of digits is another
        raise UsageError(f"{file.name} is not valid TOML", why=str(error), do="fix the line it names") from error
    except RecursionError as error:
        raise UsageError(f"{file.name} is nested too deep", do="write it flatter") from error


def _parse(name: str, value: Any, where: str) -> Any:
    wanted = _TYPES[name]
    if wanted is Path and isinstance(value, str) and value:
        return Path(value)
    if wanted is bool and isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    if wanted is int and isinstance(value, str) and value.isascii() and value.isdigit():
        return _within(name, int(value), where)
    if type(value) is wanted and value != "":
        return _within(name, value, where)
    raise UsageError(f"{where} is {value!r}", why=f"it must be {_WORDS[wanted]}", do=f"change or remove {where}")


CHOICES: Mapping[str, tuple[str, ...]] = {
    "edge": ("auto", "local", "off"),
    "theme": ("terminal", "projector", "light", "colour-blind"),
}
"""What a word may be."""

RANGES: Mapping[str, tuple[int, int]] = {"width": (20, 400), "port": (0, 65535)}
"""What a number may be; port 0 is any free one."""


_PAGE = re.compile(r"(?=.{1,200}$)https://[A-Za-z0-9.-]+(?::\d+)?(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/?#-]*)?")
"""An address that a QR code and a terminal can show as it is: no user, nothing unprintable."""


def _within(name: str, value: Any, where: str) -> Any:
    if name in CHOICES and value not in CHOICES[name]:
        why = f"it must be one of: {', '.join(CHOICES[name])}"
        raise UsageError(f"{where} is {value!r}", why=why, do=f"change or remove {where}")
    if name == "repository" and not _PAGE.fullmatch(value):
        why = "it must be an https URL, of at most 200 characters so that its QR code can be scanned"
        raise UsageError(f"{where} is {value!r}", why=why, do="write it as https://github.com/YOU/TALK")
    if name == "server" and not _is_url(value):
        if re.match(r"[a-z]+://[^/?#]*@", value, re.IGNORECASE):
            why = "it would be shown, and kept; an agent proves itself by a token that a human granted"
            raise UsageError(
                f"{where} holds a user name or a password", why=why, do="leave out what stands before the @"
            )
        do = "give one that starts with https://, or on this machine http://"
        raise UsageError(f"{where} is {value!r}, which is no server's URL", do=do)
    least, most = RANGES.get(name, (0, 0))
    if name in RANGES and not least <= value <= most:
        why = f"it must be from {least} to {most}"
        raise UsageError(f"{where} is {value}", why=why, do=f"change or remove {where}")
    return value


def _is_url(value: str) -> bool:
    """Whether it has a scheme, a host, no port that is none, and no user, space (RFC 3986 section 2) or fragment
    (RFC 8707 section 2). What may be fetched there is the client's to say."""
    from urllib.parse import urlsplit  # most invocations name no server

    try:
        parts = urlsplit(value)
        written = value.isprintable() and " " not in value and "#" not in value and "@" not in parts.netloc
        return written and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_WORDS: Mapping[type, str] = {str: "text", int: "a whole number", bool: "true or false", Path: "a folder's path"}
