"""What a deployment would create, as `wrangler.jsonc` says it: read and shown before anything is done."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from deputize.errors import EnvironmentNotReady

FILE: Final = "wrangler.jsonc"
EXAMPLE: Final = ".dev.vars.example"
"""The secrets that the deploy button asks for: each line that is no comment."""
ISSUER: Final = "ISSUER"
"""The variable that names the issuer whose tokens the Worker takes (RFC 8414)."""
INTROSPECTION: Final = ("INTROSPECTION_CLIENT_ID", "INTROSPECTION_CLIENT_SECRET")
"""The secrets with which the Worker asks its authorization server about a token (RFC 7662)."""
SCOPES_FROM: Final = "SCOPES_FROM"
"""The variable that says what decides which tools may be called: `token`, its scopes; `role`, the human's at WorkOS."""
ORGANIZATION: Final = "ORGANIZATION"
"""The variable that names the organization whose members' roles count."""
WORKOS_KEY: Final = "WORKOS_API_KEY"
"""The secret with which the Worker asks WorkOS who a user is and what their role permits."""

_NAMED: Final = {
    "kv_namespaces": ("KV namespace", "binding"),
    "d1_databases": ("D1 database", "binding"),
    "r2_buckets": ("R2 bucket", "binding"),
    "ratelimits": ("rate limit", "name"),
    "services": ("service", "binding"),
    "analytics_engine_datasets": ("Analytics Engine dataset", "binding"),
}
"""Kinds of bindings in wrangler's configuration, each with its words and the key that holds the binding's name."""


@dataclass(frozen=True)
class Blueprint:
    """A Worker before it exists.

    `objects` are (binding, class, storage) of its Durable Objects, `bindings` (kind, name) of whatever else it is bound
    to. `secrets` are the names of values that stand in no file: those of `secrets.required` in its configuration, and
    with False those it can do without: those of `.dev.vars.example`, commented out there or not, or `INTROSPECTION`
    where there is no such file. `WORKOS_KEY` is one of them only where the variables make it needed.
    """

    name: str
    compatibility_date: str
    objects: tuple[tuple[str, str, str], ...]
    bindings: tuple[tuple[str, str], ...]
    variables: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, bool], ...]

    def with_variables(self, changed: dict[str, str]) -> Blueprint:
        """The same with some variables set otherwise, and with the secrets that they make needed."""
        variables = {**dict(self.variables), **changed}
        secrets = tuple((name, needed) for name, needed in self.secrets if name != WORKOS_KEY)
        if by_role(variables):
            # Only then: a key that somebody has in the environment for other uses is not uploaded for nothing.
            secrets = (*secrets, (WORKOS_KEY, True))
        return replace(self, variables=tuple(variables.items()), secrets=secrets)

    def rows(self) -> list[tuple[str, str]]:
        """(what, which) for the preview, in words."""
        found = [("Worker", f"{self.name} (compatibility date {self.compatibility_date})")]
        found += [("Durable Object", f"{name} (class {kind}, {storage})") for name, kind, storage in self.objects]
        found += [(kind, name) for kind, name in self.bindings]
        found += [("variable", f"{name} = {value or '(empty)'}") for name, value in self.variables]
        found += [("secret", f"{name} ({'needed' if needed else 'optional'})") for name, needed in self.secrets]
        return found

    def to_dict(self) -> dict[str, Any]:
        """For `--json`; values of secrets are in nothing that this knows."""
        return {
            "name": self.name,
            "compatibility_date": self.compatibility_date,
            "durable_objects": [{"binding": name, "class": kind, "storage": how} for name, kind, how in self.objects],
            "bindings": [{"kind": kind, "name": name} for kind, name in self.bindings],
            "variables": dict(self.variables),
            "secrets": [{"name": name, "required": needed} for name, needed in self.secrets],
        }


def read(worker: Path) -> Blueprint:
    """The blueprint in the folder `worker`.

    Raises:
        EnvironmentNotReady: there is no such folder or file, or it is not wrangler's.
    """
    file = worker / FILE
    try:
        return _blueprint(parse_jsonc(file.read_text("utf-8-sig")), _offered(worker / EXAMPLE))
    except FileNotFoundError as error:
        raise EnvironmentNotReady(
            f"there is no Worker in {worker}",
            why=f"{file} does not exist",
            do="name the folder of a Worker with --worker DIR",
        ) from error
    except OSError as error:
        raise EnvironmentNotReady(f"{file} cannot be read", why=error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentNotReady(f"{file} is no configuration of a Worker", why=str(error), do="fix it") from error


def by_role(variables: Mapping[str, str]) -> bool:
    """Whether with these variables the human's role at WorkOS decides what is permitted, as the Worker reads them.

    Where nothing is said it does at AuthKit, which grants no scope of a shop.
    """
    return (variables.get(SCOPES_FROM) or ("role" if is_authkit(variables.get(ISSUER, "")) else "token")) == "role"


def is_authkit(issuer: str) -> bool:
    """Whether an issuer is AuthKit, by its host."""
    try:
        return (urlsplit(issuer).hostname or "").endswith(".authkit.app")
    except ValueError:
        return False


def _offered(example: Path) -> tuple[str, ...]:
    """The names in a file of example secrets, those that are commented out as well: the deploy button wants a value for
    each of the others, `demo deploy` for none. Where there is no such file, those that the shop can do without."""
    if not example.is_file():
        return INTROSPECTION
    names = re.findall(r"^(?:#[ \t]*)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=", example.read_text("utf-8-sig"), re.MULTILINE)
    return tuple(name for name in dict.fromkeys(names) if name != WORKOS_KEY)


def _blueprint(config: dict[str, Any], offered: tuple[str, ...]) -> Blueprint:
    in_sqlite = {name for migration in config.get("migrations", []) for name in migration.get("new_sqlite_classes", [])}
    required = tuple(str(name) for name in config.get("secrets", {}).get("required", []))
    bindings: list[tuple[str, str]] = []
    for key, (kind, name) in _NAMED.items():
        bindings += [(kind, str(one[name])) for one in config.get(key, [])]
    if "ai" in config:
        bindings.append(("Workers AI", str(config["ai"]["binding"])))
    return Blueprint(
        name=str(config["name"]),
        compatibility_date=str(config["compatibility_date"]),
        objects=tuple(
            (
                str(one["name"]),
                str(one["class_name"]),
                "SQLite storage" if one["class_name"] in in_sqlite else "storage as it is",
            )
            for one in config.get("durable_objects", {}).get("bindings", [])
        ),
        bindings=tuple(bindings),
        variables=tuple((str(name), str(value)) for name, value in config.get("vars", {}).items()),
        secrets=(
            *((name, True) for name in required),
            *((name, False) for name in offered if name not in required and name not in config.get("vars", {})),
        ),
    )


_TOKEN = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|(?<=[\]}\w"])\s*,(?=\s*[}\]])')


def parse_jsonc(text: str) -> Any:
    """The value of JSON with comments and trailing commas, as `wrangler.jsonc` is written.

    Raises:
        ValueError: it is no JSON once comments and trailing commas are taken out; the line is the text's own.
    """
    bare = _TOKEN.sub(lambda found: found[1] or re.sub(r"[^\n]", " ", found[0]), text)
    return json.loads(_TRAILING.sub(lambda found: found[1] or re.sub(r"\S", " ", found[0]), bare))
