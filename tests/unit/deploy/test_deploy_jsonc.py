"""JSON with comments: what is in a string is no comment, and what is none is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.deploy.blueprint import parse_jsonc

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the parser
@given(VALUES)
def test_plain_json_means_what_it_means(value: Any) -> None:
    assert parse_jsonc(json.dumps(value, indent=1)) == value
    assert parse_jsonc(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "//b", /* c, */ "d": [1, 2,], } // e', {"a": "//b", "d": [1, 2]}),
        ('["/*", "*/", "\\"//", ",]", ]', ["/*", "*/", '"//', ",]"]),
        ("[\n// one\n1,\n/* two\n2, */\n]", [1]),
    ],
)
def test_comments_and_trailing_commas_are_nothing(text: str, value: Any) -> None:
    assert parse_jsonc(text) == value


@pytest.mark.parametrize("text", ["", "{", "[,]", "[1,,]", "/* open", "{'a': 1}"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_jsonc(text)
