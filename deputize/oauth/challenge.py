"""A challenge: `WWW-Authenticate` read as RFC 9110 section 11.6.1 writes it, and the scopes that it asks for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from deputize.evidence import AuthorizationServerMetadata, Challenge
from deputize.http.sanitizing import safe_data, safe_text

OFFLINE = "offline_access"
"""The scope that asks for a refresh token (OpenID Connect Core section 11)."""

LONGEST_REMEDIATION = 16 * 1024
"""Characters of an `authorization_remediation` that are read."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+=*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SKIP = re.compile(r"[ \t,]*")
_SPACE = re.compile(r"[ \t]+")
_LOOSE = re.compile(r"[^\s,]*")
_ABSENT = ("", "null", "undefined", "None")
"""What programs write in the place of a value that they do not have."""

_UNREADABLE = re.compile(r"[^,]*")


@dataclass(frozen=True)
class ParsedChallenge:
    """One challenge: the scheme as sent, then either a token68 or parameters (names in lower case)."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()
    token68: str | None = None


def parse_challenges(value: str) -> tuple[ParsedChallenge, ...]:
    """Every challenge of a header's value; header lines that came apart are joined with a comma first.

    What cannot be read is passed over up to the next comma, so that a broken challenge does not hide a good one.
    A parameter that a challenge repeats counts once, the first time (RFC 9110 section 11.2 forbids repeating).
    """
    found: list[ParsedChallenge] = []
    at = 0
    while True:
        at = _end(_SKIP, value, at)
        if at >= len(value):
            return tuple(found)
        token = _TOKEN.match(value, at)
        if token is None:
            at = max(at + 1, _end(_UNREADABLE, value, at))
            continue
        parameter = _parameter(value, token) if found and found[-1].token68 is None else None
        if parameter is not None:
            name, content, at = parameter
            last = found[-1]
            if all(name != known for known, _ in last.parameters):
                found[-1] = ParsedChallenge(last.scheme, (*last.parameters, (name, content)))
            continue
        if _EQUALS.match(value, token.end()):  # a parameter without a challenge, or one without a value
            at = max(token.end() + 1, _end(_UNREADABLE, value, token.end()))
            continue
        at = token.end()
        challenge = ParsedChallenge(token.group())
        if space := _SPACE.match(value, at):
            at = space.end()
            if blob := _TOKEN68.match(value, at):
                challenge = ParsedChallenge(token.group(), token68=blob.group())
                at = blob.end()
        found.append(challenge)


def _parameter(value: str, token: re.Match[str]) -> tuple[str, str, int] | None:
    equals = _EQUALS.match(value, token.end())
    if equals is None:
        return None
    if quoted := _QUOTED.match(value, equals.end()):
        return token.group().lower(), re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), quoted.end()
    if plain := _TOKEN.match(value, equals.end()):
        # An unquoted URL is not a token, but real servers send one: read up to the comma or space.
        end = _end(_LOOSE, value, plain.end())
        return token.group().lower(), value[equals.end() : end], end
    return None


def _end(pattern: re.Pattern[str], value: str, at: int) -> int:
    match = pattern.match(value, at)
    return match.end() if match else at


def read_challenge(status: int, header_lines: Iterable[str], *, anonymous: bool = False) -> Challenge | None:
    """The challenge that an OAuth client answers to: of the `Bearer` and `DPoP` ones that with an error,
    or else the first; or else the first of all.

    Args:
        status: of the answer that carried it.
        header_lines: each `WWW-Authenticate` line.
        anonymous: whether the request that it answers carried no token.
    """
    parsed = parse_challenges(", ".join(header_lines))
    if not parsed:
        return None
    known = [one for one in parsed if one.scheme.lower() in ("bearer", "dpop")]
    # Of two schemes, the one in which the token came has the error (RFC 9449 section 7.2).
    chosen = next((one for one in known if "error" in dict(one.parameters)), (known or parsed)[0])
    return Challenge(
        status=status,
        anonymous=anonymous,
        scheme=safe_text(chosen.scheme, one_line=True),
        parameters=tuple(
            (safe_text(name, one_line=True), safe_text(value, one_line=True))
            for name, value in chosen.parameters
            if value not in _ABSENT
        ),
    )


def scopes_wanted(challenge: Challenge | None, metadata: AuthorizationServerMetadata) -> tuple[str, ...]:
    """What a first login asks for: the challenge's scopes, else all that the resource names, else none at all.

    `offline_access` (a refresh token) is added where the authorization server lists it, and only there.

    Args:
        challenge: the server's, with the resource's metadata filled in where it is published.
    """
    named = scopes_of(challenge)
    if not named and challenge is not None and challenge.resource is not None:
        named = challenge.resource.scopes_supported
    if OFFLINE in metadata.scopes_supported and named:
        named = union(named, (OFFLINE,))
    return named


def scopes_of(challenge: Challenge | None) -> tuple[str, ...]:
    """The `scope` parameter of a challenge (RFC 6750 section 3)."""
    return tuple((challenge.get("scope") or "").split()) if challenge is not None else ()


def remediation_of(challenge: Challenge) -> tuple[dict[str, Any], ...]:
    """The authorization details that a challenge wants granted, each an object with a `type` (RFC 9396), from its
    `authorization_remediation` (draft-ietf-oauth-rar-metadata-remediation-00, section 4): base64url of JSON. Empty
    where it has none that can be read. They are the server's words: what they mean is for the human to read, on the
    authorization server's page.
    """
    text = challenge.get("authorization_remediation") or ""
    if not text or len(text) > LONGEST_REMEDIATION or not _BASE64URL.fullmatch(text):
        return ()
    try:
        given = json.loads(base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)))
    except (ValueError, RecursionError):
        return ()
    details = given.get("authorization_details") if isinstance(given, dict) else None
    if not isinstance(details, list) or not details:
        return ()
    fits = all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in details)
    return tuple(safe_data(details)) if fits else ()


def union(held: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Both, each once, in the order in which they came."""
    return tuple(dict.fromkeys((*held, *more)))
