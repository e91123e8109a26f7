"""Secrets taken out of what was on the wire, so that a recorded exchange can be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "dpop", "mcp-session-id"})
SECRET_FIELDS = frozenset(
    {
        "access_token",
        "refresh_token",
        "device_code",
        "client_secret",
        "id_token",
        "code",
        "code_verifier",
        "token",
        "subject_token",
        "actor_token",
        "assertion",
        "client_assertion",
        "registration_access_token",
        "session_id",
        "sessionId",
        "password",
        "csrf",
    }
)
"""Names of form and JSON fields whose values are secrets (RFC 6749, 7009, 7523, 7636, 8628, 8693)."""

MASK = "[masked]"
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,2}")
_INPUT = re.compile(r"<input\b[^>]*>", re.IGNORECASE)
_NAME = re.compile(r"""(\bname\s*=\s*["']?)([^"'\s>]+)""", re.IGNORECASE)
_VALUE = re.compile(r"""(\bvalue\s*=\s*)("[^"]*"|'[^']*'|[^\s>]+)()""", re.IGNORECASE)
_JSON_SECRET = re.compile(r'("(?:' + "|".join(sorted(SECRET_FIELDS)) + r')"\s*:\s*")((?:[^"\\]|\\.)*)("?)')


def mask_token(value: str) -> str:
    """A JWT as its first 6 and last 4 characters and its length; nothing of any other secret."""
    if _JWT.fullmatch(value):
        return f"{value[:6]}...{value[-4:]} ({len(value)} characters)"
    return MASK


def mask_text(text: str, known: frozenset[str] = frozenset()) -> str:
    """Free text with every JWT in it shortened and every secret of `known` replaced."""
    for secret in known:
        if secret in text:
            text = text.replace(secret, mask_token(secret))
    return _JWT.sub(lambda found: mask_token(found.group()), text)


def mask_header(name: str, value: str, known: frozenset[str] = frozenset()) -> str:
    """The value of one header; of a secret one the scheme or the cookies' names stay."""
    lower = name.lower()
    if lower in ("cookie", "set-cookie"):
        return f"{value.partition('=')[0].strip()}={MASK}" if "=" in value else MASK
    if lower in SECRET_HEADERS:
        scheme, space, credentials = value.partition(" ")
        return f"{scheme} {mask_token(credentials.strip())}" if space else MASK
    if lower == "location":
        return mask_url(value, known)
    return mask_text(value, known)


def mask_url(url: str, known: frozenset[str] = frozenset()) -> str:
    """A URL without userinfo's password and without the values of secret query parameters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return mask_text(url, known)
    netloc = parts.netloc
    if "@" in netloc:
        netloc = f"{MASK}@{netloc.rpartition('@')[2]}"
    query = _mask_form(parts.query) if parts.query else ""
    fragment = _mask_form(parts.fragment) if "=" in parts.fragment else parts.fragment
    return mask_text(urlunsplit((parts.scheme, netloc, parts.path, query, fragment)), known)


def mask_body(
    text: str,
    content_type: str,
    known: frozenset[str] = frozenset(),
    *,
    parsed: Callable[[], dict[str, Any] | None] = lambda: None,
) -> str:
    """A request's or response's body. It stays as it was sent where there was nothing to hide.

    Args:
        parsed: gives it as a JSON object, where somebody parses it anyway.
    """
    if "x-www-form-urlencoded" in content_type:
        text = _mask_form(text)
    elif "html" in content_type:
        text = _INPUT.sub(_mask_input, text)
    else:
        text = _mask_json(text, parsed)
    return mask_text(text, known)


def _mask_input(found: re.Match[str]) -> str:
    name = _NAME.search(found.group())
    secret = name is not None and name[2] in SECRET_FIELDS
    return _VALUE.sub(rf"\g<1>{MASK}\g<3>", found.group()) if secret else found.group()


def _mask_form(text: str) -> str:
    pairs = parse_qsl(text, keep_blank_values=True)
    if not any(name in SECRET_FIELDS for name, _ in pairs):
        return text
    return "&".join(
        f"{name}={mask_token(value)}" if name in SECRET_FIELDS else urlencode([(name, value)]) for name, value in pairs
    )


def _mask_json(text: str, parsed: Callable[[], dict[str, Any] | None]) -> str:
    """Where it parses, by field; where it does not (cut off, or a stream of events), by pattern."""
    if not _JSON_SECRET.search(text):
        return text
    try:
        return json.dumps(_masked_value(parsed() or json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return _JSON_SECRET.sub(lambda found: found[1] + mask_token(found[2]) + found[3], text)


def _masked_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: mask_token(item) if key in SECRET_FIELDS and isinstance(item, str) else _masked_value(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_masked_value(item) for item in value]
    return value
