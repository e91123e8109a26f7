"""The global options, settled once: a flag beats the environment, the environment beats demo.toml, that the default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from demo.errors import UsageError
from demo.settings.client import ClientSettings, read_client
from demo.settings.tools import ToolMap, read_tools
from demo.settings.workos import WorkOSSettings, read_workos

APP = "machine-identity-demo"


@dataclass(frozen=True)
class Settings:
    """What holds for a whole invocation.

    `server` is None for the local server, which is started when needed. `width` is in columns, None for the
    terminal's own. `state` is the folder that keeps the run, the local server's data and, without a keyring, tokens.
    `repository` is the https address of your own code, for the closing link; None for the talk's first edition.
    `edge` says where a beat may run the shop as a Worker: "auto", "local" (never deployed), "off" (only described).
    `tools`, `client` and `workos` are tables of demo.toml: what a server calls the shop's verbs, who the agent is
    there, and which WorkOS environment stands behind it.
    """

    server: str | None = None
    profile: str | None = None
    state: Path = Path()
    json: bool = False
    plain: bool = False
    width: int | None = None
    quiet: bool = False
    wire: bool = False
    debug: bool = False
    port: int = 7327
    edge: str = "auto"
    repository: str | None = None
    tools: ToolMap = field(default_factory=ToolMap)
    client: ClientSettings = field(default_factory=ClientSettings)
    workos: WorkOSSettings = field(default_factory=WorkOSSettings)

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
    "quiet": bool,
    "wire": bool,
    "debug": bool,
    "port": int,
    "edge": str,
    "repository": str,
}
_TABLES = ("tools", "client", "workos")
"""What stands in demo.toml alone, as a table; neither a flag nor a variable can hold it."""
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def settle(flags: Mapping[str, Any], environ: Mapping[str, str], file: Path) -> Settings:
    """Merge the layers.

    Args:
        flags: options given on the command line; None and False mean not given.
        environ: the process environment; `DEMO_SERVER`, `DEMO_STATE` and so on count.
        file: `demo.toml`, which need not exist. `[profiles.NAME]` tables are laid over its top level, and
            `[profiles.NAME.tools]`, `.client` and `.workos` key by key over `[tools]`, `[client]` and `[workos]`.

    Raises:
        UsageError: a value has the wrong type, the file is not TOML, or the profile is unknown.
    """
    table = _read(file)
    profiles = table.pop("profiles", {})
    if not isinstance(profiles, dict):
        raise UsageError(f"{file.name}: profiles is no table", do="write each as [profiles.NAME]")
    given_flags = {name: value for name, value in flags.items() if value not in (None, False)}
    from_env = {
        name: _parse(name, environ[f"DEMO_{name.upper()}"], f"DEMO_{name.upper()}")
        for name in _TYPES
        if f"DEMO_{name.upper()}" in environ
    }
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
    )
    return replace(settings, state=Path(state).expanduser().resolve() if state else default_state())


def _laid_over(tables: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """The profile's tables over those of the top level, key by key; what is no table is told where it is read."""
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
    """The platform's state folder for this program."""
    import platformdirs  # imported here: only an invocation without --state needs it

    return Path(platformdirs.user_state_dir(APP, appauthor=False))


def from_environment(flags: Mapping[str, Any]) -> Settings:
    """`settle` for this process: its environment, and `demo.toml` in the folder it stands in."""
    return settle(flags, os.environ, Path("demo.toml"))


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    import tomllib  # most invocations have no file to read

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file.name} is not valid TOML", why=str(error), do="mend the line it names") from error
    except OSError as error:
        raise UsageError(f"{file.name} cannot be read", why=str(error), do="check its permissions") from error


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


CHOICES: Mapping[str, tuple[str, ...]] = {"edge": ("auto", "local", "off")}
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
    least, most = RANGES.get(name, (0, 0))
    if name in RANGES and not least <= value <= most:
        why = f"it must be from {least} to {most}"
        raise UsageError(f"{where} is {value}", why=why, do=f"change or remove {where}")
    return value


_WORDS: Mapping[type, str] = {str: "text", int: "a whole number", bool: "true or false", Path: "a folder's path"}
