"""JSON that is nested beyond what Python's parser bears raises RecursionError, which is no ValueError (CWE-674); and a
number in it that is read as `1e999` or has a thousand digits makes `int` or `float` raise OverflowError, which is none
either. Where what is no JSON is expected, both are expected as well."""

from __future__ import annotations

import ast

from tests.conftest import ROOT


def caught(handler: ast.ExceptHandler | ast.Call) -> set[str]:
    named = handler.type if isinstance(handler, ast.ExceptHandler) else ast.Tuple(handler.args)
    parts = named.elts if isinstance(named, ast.Tuple) else [named]
    return {one.id for one in parts if isinstance(one, ast.Name)}


def reads_json(body: list[ast.stmt]) -> bool:
    calls = [one for each in body for one in ast.walk(each) if isinstance(one, ast.Call)]
    return any(ast.unparse(one.func) == "json.loads" for one in calls)


def reads_numbers(body: list[ast.stmt]) -> bool:
    calls = [one for each in body for one in ast.walk(each) if isinstance(one, ast.Call)]
    made = [ast.unparse(one) for one in calls if ast.unparse(one.func) in ("int", "float")]
    return any("headers" not in one for one in made)  # of a text there is only ValueError


def test_who_expects_what_is_no_json_expects_what_is_nested_too_deeply_or_too_large() -> None:
    unready = []
    for path in (path for folder in ("demo", "deputize", "talk", "tools") for path in ROOT.glob(f"{folder}/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Try) and reads_json(node.body):
                found = set().union(*map(caught, node.handlers))
            elif isinstance(node, ast.With) and reads_json(node.body):
                items = [one.context_expr for one in node.items if isinstance(one.context_expr, ast.Call)]
                found = set().union(*(caught(one) for one in items if ast.unparse(one.func).endswith("suppress")))
            else:
                continue
            needed = {"RecursionError"} | ({"OverflowError"} if reads_numbers(node.body) else set())
            if "ValueError" in found and "Exception" not in found and needed - found:
                unready.append(f"{path.relative_to(ROOT)}:{node.lineno} {sorted(needed - found)}")
    assert not unready
