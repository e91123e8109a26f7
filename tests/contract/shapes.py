"""JSON Schemas reduced to what they mean, so that two spellings of one schema are equal."""

from __future__ import annotations

from typing import Any

Shape = Any
"""A type's name with its bounds ("string<=100", "integer"), a set of words for an enum, a list of one shape for an
array, a dict of name (with "?" where it may be left out) to shape for an object, a tuple of shapes for alternatives."""


def shape(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Shape:
    """The shape of a schema; what is only words (title, description) is not in it."""
    root = schema if root is None else root
    if "$ref" in schema:
        found: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[part]
        return shape(found, root)
    if "anyOf" in schema or "oneOf" in schema:
        return _alternatives([shape(one, root) for one in schema.get("anyOf") or schema["oneOf"]])
    if "const" in schema:
        return frozenset({schema["const"]})
    if "enum" in schema:
        return frozenset(schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return _alternatives([shape({**schema, "type": one}, root) for one in kind])
    if kind == "object":
        required = schema.get("required", [])
        return {
            name if name in required else f"{name}?": shape(one, root)
            for name, one in schema.get("properties", {}).items()
        }
    if kind == "array":
        return [shape(schema["items"], root)]
    return f"{kind}{_bounds(schema)}"


def _bounds(schema: dict[str, Any]) -> str:
    least, most = schema.get("minLength"), schema.get("maxLength")
    return (f">={least}" if least is not None else "") + (f"<={most}" if most is not None else "")


def _alternatives(shapes: list[Shape]) -> Shape:
    rest = [one for one in shapes if one != "null"]
    if len(rest) == 1 and len(rest) < len(shapes):
        return ("null", rest[0])
    return tuple(sorted(shapes, key=str))
