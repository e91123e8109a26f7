"""The shop's policy as data: one TOML file, read strictly, with the line of each key.

`demo/policy.toml` is the one that ships. `demo/policy.schema.json` describes any (JSON Schema 2020-12), made from the
classes here. Whoever checks, shows or deploys a policy reads it by this module, as the shop does.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic import dataclasses as checked

from demo.scopes import SCOPES

NAME: Final = "policy.toml"
"""In the state folder, where there is one."""
MOST_BYTES: Final = 65_536
_SHIPPED: Final = Path(__file__).with_name(NAME)
SCHEMA: Final = Path(__file__).with_name("policy.schema.json")

HELD_BY_AGENTS: Final = tuple(scope for scope in SCOPES if scope not in ("openid", "offline_access", "sessions:manage"))
"""The scopes that a tool may need: no agent brings what is for signing in, or for the human's own console."""

_ENTRY: Final = r"^(@[^\s@*,]+|[Rr][Oo][Ll][Ee]:[\w.-]+|[^\s@*:,]+@[^\s@*,]+|[A-Za-z0-9][\w.|-]*)$"
_CLOSED: Final = ConfigDict(extra="forbid", strict=True)


def _known(scope: str) -> str:
    if scope not in HELD_BY_AGENTS:
        raise ValueError(f"must be one of {', '.join(HELD_BY_AGENTS)}")
    return scope


Scope = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(HELD_BY_AGENTS)})]
Entry = Annotated[str, Field(pattern=_ENTRY, max_length=320)]
Calls = Annotated[int, Field(ge=1, le=1_000_000_000)]


@checked.dataclass(frozen=True, config=_CLOSED)
class Scopes:
    """The scope that each tool of the shop needs."""

    listMcpShopInventory: Scope
    buyMcpShopItem: Scope
    listMcpShopOrders: Scope
    getUserInfo: Scope
    setDemoMode: Scope
    clearDemoMode: Scope
    prettyPlease: Scope


@checked.dataclass(frozen=True, config=_CLOSED)
class Rate:
    """How often may be called: by one agent, and by one address at the open door, in any so many seconds."""

    calls: Calls
    seconds: Annotated[int, Field(ge=1, le=86_400)]
    open_calls: Calls


@checked.dataclass(frozen=True, config=_CLOSED)
class Quota:
    """How much one consent of a human is good for."""

    purchases_per_consent: Annotated[int, Field(ge=0, le=1_000_000)]


@checked.dataclass(frozen=True, config=_CLOSED)
class Approval:
    """Which purchases a human approves one by one: those that cost more than `above`, in minor units."""

    above: Annotated[int, Field(ge=0, le=100_000_000)]


@checked.dataclass(frozen=True, config=_CLOSED)
class Policy:
    """What the shop decides by, as far as it is the shop's own to say.

    `allowlist` has email addresses, user ids, `@DOMAIN`, `role:SLUG` and `members`, compared without case.
    """

    version: Literal[1]
    allowlist: tuple[Entry, ...]
    scopes: Scopes
    rate: Rate
    quota: Quota
    approval: Approval | None = None
    """None: a purchase within the consent's limits needs no approval of its own."""

    def scope_of(self, tool: str | None) -> str | None:
        """The scope that a call of this tool needs; None where there is no such tool."""
        return vars(self.scopes).get(tool or "")

    @property
    def digest(self) -> str:
        """SHA-256 of what it says, in 64 hexadecimal digits: comments and order of the file do not change it."""
        return hashlib.sha256(_POLICY.dump_json(self, exclude_none=True)).hexdigest()


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a policy; `line` and `key` where they are known."""

    what: str
    key: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.key} {self.what}" if self.key else f"{where}{self.what}"


class PolicyWrong(Exception):
    """A text that is no policy. `faults` is all that is wrong with it, at least one."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(str(faults[0]))
        self.faults = faults

    def told(self) -> str:
        """The first fault, and how many more there are."""
        more = len(self.faults) - 1
        return f"{self.faults[0]} (and {more} more)" if more else str(self.faults[0])


@dataclass(frozen=True)
class Written:
    """A policy with the text that it was read from."""

    policy: Policy
    text: str
    digest: str

    def line(self, key: str) -> int | None:
        """Where a key stands, such as `rate.calls`: its line, from 1; None where that cannot be told."""
        return line_of(self.text, tuple(key.split(".")))


def read(content: bytes) -> Written:
    """Read a policy.

    Raises:
        PolicyWrong: what is wrong with it, all of it, each with its line.
    """
    if len(content) > MOST_BYTES:
        raise PolicyWrong((Fault(f"it is longer than {MOST_BYTES} bytes"),))
    try:
        text = content.decode("utf-8")
        data = tomllib.loads(text)
    except UnicodeDecodeError:
        raise PolicyWrong((Fault("it is not UTF-8"),)) from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyWrong((_not_toml(str(error)),)) from None
    except RecursionError:
        raise PolicyWrong((Fault("it is nested too deeply"),)) from None
    try:
        policy = _POLICY.validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise PolicyWrong(tuple(_fault(text, one) for one in error.errors(include_url=False))) from None
    return Written(policy, text, policy.digest)


def of_folder(folder: Path) -> bytes | None:
    """The content of the policy file in a state folder; None where there is none.

    Raises:
        OSError: as `content_of`.
    """
    try:
        return content_of(folder / NAME)
    except FileNotFoundError:
        return None


def content_of(path: Path) -> bytes:
    """The content of a file, as far as a policy may be long.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    # Without waiting: a pipe of that name would never be read to its end.
    found = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(found, "rb") as file:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise OSError("it is no plain file")
        return file.read(MOST_BYTES + 1)


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The line of a key in a TOML text, from 1; or of the nearest table or key that it is in. None where neither is."""
    best: tuple[int, int] | None = None
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = found = _parts(header[1])
        elif key := _KEY.match(line):
            found = (*table, *_parts(key[1]))
        else:
            continue
        depth = len(found)
        if found == path[:depth] and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def schema() -> dict[str, Any]:
    """The JSON Schema of a policy, as `demo/policy.schema.json` has it."""
    found = _POLICY.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


_HEADER: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_AT: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_POLICY: Final = TypeAdapter(Policy)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _not_toml(said: str) -> Fault:
    at = _AT.search(said)
    line = int(at[1]) if at and at[1] else None
    return Fault(f"it is not TOML: {said[: at.start()] if at else said}", line=line)


def _fault(text: str, error: Mapping[str, Any]) -> Fault:
    path = tuple(str(part) for part in error["loc"])
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            what = "is missing"
        case "unexpected_keyword_argument" | "extra_forbidden":
            what = "is no key of a policy"
        case "int_type" | "int_from_float":
            what = "must be a whole number"
        case "string_type":
            what = "must be a text in quotes"
        case "tuple_type":
            what = "must be a list in brackets"
        case "dataclass_type" | "dataclass_exact_type":
            what = "must be a table"
        case "greater_than_equal":
            what = f"must be at least {context['ge']}"
        case "less_than_equal":
            what = f"must be at most {context['le']}"
        case "string_too_long":
            what = f"must have at most {context['max_length']} characters"
        case "string_pattern_mismatch":
            what = "must be an email address, @DOMAIN, role:SLUG, members or a user id"
        case "literal_error":
            what = f"must be {context['expected']}"
        case "value_error":
            what = str(context["error"])
        case _:
            what = f"cannot be read: {error['msg']}"
    key = re.sub(r"\.(\d+)(?=\.|$)", lambda found: f", entry {int(found[1]) + 1},", ".".join(path)).rstrip(",")
    printable = "".join(one if one.isprintable() else "?" for one in key)
    return Fault(what, printable[:80], line_of(text, path))


SHIPPED: Final = read(_SHIPPED.read_bytes())
