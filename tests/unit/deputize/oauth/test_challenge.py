"""`WWW-Authenticate`, read as RFC 9110 writes it and as servers really send it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.oauth.challenge import LONGEST_REMEDIATION, parse_challenges, read_challenge, remediation_of

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.!#$", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.characters(min_codepoint=0xA0, max_codepoint=0xFF)
)


@given(st.text() | st.text('Bearer realm="=, \\\t', max_size=60))
def test_no_header_makes_the_parser_fail(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme


@given(st.lists(st.text(), max_size=4), st.integers(100, 599))
def test_no_header_lines_make_the_reader_fail_or_leave_a_control_character(lines: list[str], status: int) -> None:
    found = read_challenge(status, lines)
    if found is not None:
        shown = found.scheme + "".join(name + value for name, value in found.parameters)
        assert not any(ord(character) < 0x20 or ord(character) == 0x7F for character in shown)


@given(st.lists(st.tuples(TOKENS, st.dictionaries(TOKENS, VALUES, max_size=4)), min_size=1, max_size=4))
def test_what_is_written_with_quotes_is_read_back(challenges: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        scheme + " " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    )
    read = parse_challenges(header)
    assert [(one.scheme, dict(one.parameters)) for one in read] == challenges


def test_a_quoted_comma_and_a_quoted_quote_belong_to_the_value() -> None:
    (one,) = parse_challenges(r'Bearer error_description="no, he said \"no\"", error="invalid_token"')
    assert one.parameters == (("error_description", 'no, he said "no"'), ("error", "invalid_token"))


def test_several_challenges_in_one_line_are_kept_apart() -> None:
    found = parse_challenges('Negotiate, Basic realm="a", Bearer scope="x y", error=invalid_token')
    assert [one.scheme for one in found] == ["Negotiate", "Basic", "Bearer"]
    assert found[2].parameters == (("scope", "x y"), ("error", "invalid_token"))


def test_a_token68_is_not_taken_for_a_parameter() -> None:
    first, second = parse_challenges('NTLM TlRMTVNTUAACAAAA==, Bearer realm="x"')
    assert (first.token68, first.parameters) == ("TlRMTVNTUAACAAAA==", ())
    assert second.parameters == (("realm", "x"),)


@pytest.mark.parametrize("order", ["{bearer}, {basic}", "{basic}, {bearer}"])
def test_the_agent_answers_to_bearer_wherever_it_stands(order: str) -> None:
    line = order.format(bearer='Bearer resource_metadata="https://a.example/m"', basic='Basic realm="r"')
    found = read_challenge(401, [line])
    assert found is not None
    assert found.get("resource_metadata") == "https://a.example/m"


def test_two_header_lines_are_one_list() -> None:
    found = read_challenge(401, ['Basic realm="r"', 'bearer scope="shop:read"'])
    assert found is not None
    assert (found.scheme, found.get("scope")) == ("bearer", "shop:read")


def test_an_unquoted_url_as_real_servers_send_it_is_read_whole() -> None:
    found = read_challenge(401, ["Bearer resource_metadata=https://a.example/.well-known/x?y=1, scope=a"])
    assert found is not None
    assert found.get("resource_metadata") == "https://a.example/.well-known/x?y=1"
    assert found.get("scope") == "a"


def test_a_parameter_said_twice_counts_once() -> None:
    found = read_challenge(401, ['Bearer scope="a", SCOPE="b"'])
    assert found is not None
    assert found.parameters == (("scope", "a"),)


def test_a_broken_challenge_does_not_hide_a_good_one() -> None:
    found = read_challenge(401, ['=?;, "half, Bearer realm="ok"'])
    assert found is not None
    assert found.get("realm") == "ok"


def test_no_header_is_no_challenge() -> None:
    assert read_challenge(401, []) is None
    assert read_challenge(401, [" , ,"]) is None


def test_a_very_long_header_is_read_in_reasonable_time() -> None:
    parse_challenges('Bearer a="' + "\\" * 20000)
    parse_challenges("a " * 20000)
    parse_challenges("a=" * 20000)


def remediated(text: str) -> tuple[dict[str, Any], ...]:
    found = read_challenge(403, [f'Bearer error="insufficient_authorization", authorization_remediation="{text}"'])
    assert found is not None
    return remediation_of(found)


def written(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize("padded", [True, False])
def test_a_remediation_says_which_authorization_details_to_ask_for(padded: bool) -> None:
    details = [{"type": "shop_purchase", "size": "M"}]
    text = written({"authorization_details": details})
    assert remediated(text if padded else text.rstrip("=")) == tuple(details)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%%%",
        "e30",
        "bm90IGpzb24",
        written([]),
        written({"authorization_details": {}}),
        written({"authorization_details": []}),
        written({"authorization_details": ["shop_purchase"]}),
        written({"authorization_details": [{"type": "a"}, {"no": "type"}]}),
        written({"authorization_details": [{"type": "a", "more": "x" * LONGEST_REMEDIATION}]}),
    ],
)
def test_a_remediation_that_cannot_be_read_asks_for_nothing(text: str) -> None:
    assert remediated(text) == ()
