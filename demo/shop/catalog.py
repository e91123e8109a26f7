"""The shop's data, as `shop.toml` has it: one item, seven tools, scopes, limits, rules and sentences.

The Worker's `worker/src/generated/shop.ts` is written from what stands here (`make worker-data`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from demo.policy_file import Policy
from deputize.evidence import Money

JsonSchema = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A tool as `tools/list` gives it, but for the scope that it needs: that is policy."""

    name: str
    description: str
    read_only: bool
    input_schema: JsonSchema
    output_schema: JsonSchema

    def listed(self, scope: str) -> dict[str, Any]:
        """The tool on the wire (MCP 2026-07-28, tools, listing tools), with the scope that it needs now."""
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": self.input_schema,
            "outputSchema": self.output_schema,
            "annotations": {"readOnlyHint": self.read_only, "openWorldHint": False},
            "_meta": {"demo/scope": scope},
        }


@dataclass(frozen=True)
class Limits:
    """Every limit of the shop that is no policy, as `shop.toml` explains them."""

    stock: int
    most_stock: int
    description_characters: int
    leeway_seconds: int
    skew_seconds: int
    message_bytes: int
    message_seconds: int
    turn_seconds: int
    retry_seconds: int
    token_characters: int
    answer_bytes: int
    answer_seconds: int
    keys_seconds: int
    keys_again_seconds: int
    audit_entries: int
    most_audit_entries: int
    approval_wait_seconds: int
    approval_look_seconds: int
    most_waiting: int


@dataclass(frozen=True)
class Rule:
    """A rule of a gate: what a refusal by it is in HTTP, and in which words."""

    id: str
    gate: str
    status: int | None
    """HTTP status of a refusal; None for a rule that allows."""
    challenge: str | None
    """`token` (no error code), an error code (`shop.toml` says of which standards), or None where another token would
    not help."""
    words: Mapping[str, tuple[str, str | None]]
    """Reason and remedy of each variant, unfilled; `main` is the rule itself."""


def _properties(given: Mapping[str, Any], schemas: Mapping[str, Any]) -> JsonSchema:
    return {name: _schema(one, schemas) for name, one in given.items()}


def _schema(given: str | Mapping[str, Any], schemas: Mapping[str, Any]) -> JsonSchema:
    """The JSON Schema that a property of `shop.toml` means."""
    if isinstance(given, str):
        if given.endswith("?"):
            return {"anyOf": [_schema(given[:-1], schemas), {"type": "null"}]}
        if given.startswith("["):
            return {"type": "array", "items": _schema(given[1:-1], schemas)}
        if given not in schemas:
            return {"type": given}
        return {"$ref": f"#/$defs/{given}"} if _is_object(schemas[given]) else _schema(schemas[given], schemas)
    if "extends" in given:
        base = schemas[given["extends"]]
        both = {**base.get("properties", {}), **given.get("properties", {})}
        given = {**base, **{name: one for name, one in given.items() if name != "extends"}}
        given = {**given, "properties": both} if both else given
    if not _is_object(given):
        return dict(given)
    more = {name: one for name, one in given.items() if name != "properties"}
    return {**more, **_object(given["properties"], schemas)}


def _is_object(given: Mapping[str, Any]) -> bool:
    return "properties" in given or "extends" in given


def _object(given: Mapping[str, Any], schemas: Mapping[str, Any], optional: tuple[str, ...] = ()) -> JsonSchema:
    required = [name for name in given if name not in optional]
    found: JsonSchema = {"type": "object", "properties": _properties(given, schemas)}
    return {**found, "required": required} if required else found


def _whole(schema: JsonSchema, schemas: Mapping[str, Any]) -> JsonSchema:
    """The schema with the definitions that it refers to."""
    defs: dict[str, JsonSchema] = {}

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in defs:
                defs[name] = _schema(schemas[name], schemas)
                visit(defs[name])
            for one in value.values():
                visit(one)
        elif isinstance(value, list):
            for one in value:
                visit(one)

    visit(schema)
    return {**schema, "$defs": defs} if defs else schema


def _tool(name: str, given: Mapping[str, Any], schemas: Mapping[str, Any]) -> Tool:
    return Tool(
        name=name,
        description=given["description"],
        read_only=given["read_only"],
        input_schema=_object(given.get("input", {}), schemas, tuple(given.get("optional", ()))),
        output_schema=_whole(_object(given["output"], schemas), schemas),
    )


def _rule(name: str, given: Mapping[str, Any]) -> Rule:
    words = {"main": (given["reason"], given.get("remedy"))}
    for variant, changed in given.items():
        if isinstance(changed, dict):
            words[variant] = (changed.get("reason", words["main"][0]), changed.get("remedy", words["main"][1]))
    gate = given.get("gate", name.partition(".")[0])
    return Rule(name, gate, given.get("status"), given.get("challenge"), words)


_DATA: Final = tomllib.loads(Path(__file__).with_name("shop.toml").read_text("utf-8"))

SERVER_NAME: Final[str] = _DATA["server"]["name"]
SERVER_TITLE: Final[str] = _DATA["server"]["title"]
INSTRUCTIONS: Final[str] = _DATA["server"]["instructions"]

ITEM_ID: Final[str] = _DATA["item"]["id"]
ITEM_NAME: Final[str] = _DATA["item"]["name"]
ITEM_DESCRIPTION: Final[str] = _DATA["item"]["description"]
PRICE: Final = Money(_DATA["item"]["price"], _DATA["item"]["currency"])
SIZES: Final[tuple[str, ...]] = tuple(_DATA["schemas"]["Size"]["enum"])

DEFAULT_SCOPE: Final[str] = _DATA["scopes"]["default"]
AUDIT_SCOPE: Final[str] = _DATA["scopes"]["audit"]
EVERY_ORDER_SCOPE: Final[str] = _DATA["scopes"]["every_order"]
MANAGE_SCOPE: Final[str] = _DATA["scopes"]["manage"]
SHOPPER_SCOPES: Final[tuple[str, ...]] = tuple(_DATA["scopes"]["shopper"])
ADMIN_ROLE: Final[str] = _DATA["scopes"]["admin_role"]
SPENDING_TYPE: Final[str] = _DATA["scopes"]["spending_type"]
PURCHASE_TYPE: Final[str] = _DATA["scopes"]["purchase_type"]
SPENDING_ACTION: Final[str] = _DATA["scopes"]["spending_action"]

SAMPLE_ADDRESSES: Final = frozenset(_DATA["samples"]["addresses"])
"""The only addresses that the open door tells: nobody lives there."""

LIMITS: Final = Limits(**_DATA["limits"])

TOOLS: Final = {name: _tool(name, given, _DATA["schemas"]) for name, given in _DATA["tools"].items()}
LIST_INVENTORY, BUY, LIST_ORDERS, USER_INFO, SET_MODE, CLEAR_MODE, PRETTY_PLEASE = TOOLS

RULES: Final = {name: _rule(name, given) for name, given in _DATA["rules"].items()}
SENTENCES: Final[dict[str, str]] = {**_DATA["troubles"], **_DATA["words"], **_DATA["errors"]}

_HOLE: Final = re.compile(r"\{(\w+)\}")


def say(name: str, /, **values: object) -> str:
    """The sentence of this name in `shop.toml`, filled in."""
    return fill(SENTENCES[name], values)


def fill(sentence: str, values: Mapping[str, object]) -> str:
    """A sentence with a value for each `{name}`; what is filled in is never read as a sentence itself."""
    return _HOLE.sub(lambda hole: str(values[hole[1]]), sentence)


def scopes_by(policy: Policy) -> tuple[str, ...]:
    """Every scope that means something at the protected door by this policy, for its metadata."""
    needed = (policy.scope_of(tool) or DEFAULT_SCOPE for tool in TOOLS)
    return tuple(dict.fromkeys((*needed, EVERY_ORDER_SCOPE, AUDIT_SCOPE)))


def scope_to_log_in_for(needed: str | None) -> str:
    """The `scope` of a 401 challenge: what a shopper needs, and what this request needs beside it.

    Clients ask their authorization server for just what the first challenge names (MCP 2026-07-28, authorization, scope
    selection), and many never step up afterwards: from a challenge for `shop:read` alone they could never buy. The
    human can narrow it. What is no shopper's has a challenge that asks for nothing else.
    """
    if needed in (AUDIT_SCOPE, MANAGE_SCOPE):
        return needed
    return " ".join(dict.fromkeys((*SHOPPER_SCOPES, needed or DEFAULT_SCOPE)))
