"""A refusal on the wire: HTTP status, challenges (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section
5.1) and JSON-RPC error."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from starlette.responses import Response

from demo.evidence.shop import Decision, LimitUse
from demo.proofs import ALGORITHMS
from demo.shop import jsonrpc
from demo.shop.catalog import LIMITS, RULES, say, scope_to_log_in_for

AUDIT_HEADER: Final = b"demo-audit-id"
REALM: Final = "shop"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer of the shop's own."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def status_of(decision: Decision) -> int:
    """The HTTP status that a refusal has."""
    status = RULES[decision.rule].status
    assert status is not None, f"{decision.rule} refuses nothing"
    return status


def challenges_of(
    decision: Decision,
    *,
    metadata_url: str,
    scope: str,
    scheme: Literal["Bearer", "DPoP"] = "Bearer",
    details: Sequence[dict[str, Any]] = (),
) -> tuple[str, ...]:
    """The `WWW-Authenticate` values of a refusal, that of the scheme by which the token came first; none where another
    token would not help.

    A token that was not enough has to grow by what the request needs, `scope`; one that does not hold is to be replaced
    by one for all that its agent is likely to need, by either scheme (RFC 9449 section 7.2).
    """
    login = scope_to_log_in_for(scope)
    match RULES[decision.rule].challenge:
        case None:
            return ()
        case "token":  # RFC 6750 section 3.1: no error code for a request that brought no token
            own = {"resource_metadata": metadata_url, "scope": login}
        case "insufficient_scope" as error:
            told = {"error": error, "error_description": decision.reason}
            return (_challenge(scheme, **told, scope=scope, resource_metadata=metadata_url),)
        case "insufficient_authorization" as error:
            if not details:
                return ()
            told = {"error": error, "error_description": decision.reason, "scope": scope}
            remediation = {"authorization_remediation": remediation_of(details)}
            return (_challenge(scheme, **told, resource_metadata=metadata_url, **remediation),)
        case error:
            told = {"error": error, "error_description": decision.reason}
            own = {**told, "resource_metadata": metadata_url, "scope": login}
    other: Literal["Bearer", "DPoP"] = "DPoP" if scheme == "Bearer" else "Bearer"
    return _challenge(scheme, **own), _challenge(other, resource_metadata=metadata_url, scope=login)


def remediation_of(details: Sequence[dict[str, Any]]) -> str:
    """`authorization_remediation`: which authorization details to ask for, as base64url of JSON without padding
    (draft-ietf-oauth-rar-metadata-remediation section 4)."""
    text = json.dumps({"authorization_details": list(details)}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def refuse(
    decision: Decision,
    *,
    call_id: str | int | None,
    limits: Sequence[LimitUse],
    metadata_url: str,
    scope: str,
    now: float,
    scheme: Literal["Bearer", "DPoP"] = "Bearer",
    nonce: str = "",
    details: Sequence[dict[str, Any]] = (),
) -> Answer:
    """The answer to a refused request.

    Args:
        scope: what the request needs, given in the error's data, and in the challenge with what goes with it.
        now: POSIX seconds, for `Retry-After`.
        scheme: by which the token came.
        nonce: what a proof is to have in it, where one is refused for that (RFC 9449 section 9).
        details: the authorization details that would have it pass (RFC 9396).
    """
    headers = [(AUDIT_HEADER, decision.audit_id.encode())]
    for challenge in challenges_of(decision, metadata_url=metadata_url, scope=scope, scheme=scheme, details=details):
        headers.append((b"www-authenticate", challenge.encode("ascii")))
    if decision.rule == "token.nonce":
        headers.append((b"dpop-nonce", nonce.encode("ascii")))
    status = status_of(decision)
    if status == 429:
        resets_at = next((limit.resets_at for limit in limits if limit.name == "rate" and limit.resets_at), now)
        headers.append((b"retry-after", str(max(1, math.ceil(resets_at - now))).encode()))
    elif status == 503:
        headers.append((b"retry-after", str(LIMITS.retry_seconds).encode()))
    message = f"Refused by the {decision.gate} gate: {decision.reason} {decision.remedy or ''}".rstrip()
    data: dict[str, Any] = {
        "decision": decision.to_dict(),
        "limits": [asdict(limit) for limit in limits],
        "scope": scope,
    }
    if details:
        data["authorization_details"] = list(details)
    code = jsonrpc.TOO_MANY if status == 429 else jsonrpc.REFUSED
    return answer(status, jsonrpc.error(call_id, code, message, data), headers)


def unacceptable(fault: jsonrpc.Unacceptable) -> Answer:
    """The answer to a body that is no JSON-RPC message."""
    return answer(fault.status, jsonrpc.error(None, fault.code, fault.message))


def post_only() -> Answer:
    """The answer to another HTTP method than POST (RFC 9110 section 15.5.6)."""
    return answer(405, jsonrpc.error(None, jsonrpc.INVALID_REQUEST, say("post_only")), [(b"allow", b"POST")])


def unwritable(call_id: str | int | None) -> Answer:
    """The answer when the ledger or the audit log cannot be written: nothing may happen unrecorded."""
    headers = [(b"retry-after", str(LIMITS.retry_seconds).encode())]
    return answer(503, jsonrpc.error(call_id, jsonrpc.INTERNAL_ERROR, say("no_audit")), headers)


def answer(status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    """JSON that no cache may keep."""
    fixed = (
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    )
    return Answer(status, (*fixed, *headers), body)


def response(answered: Answer) -> Response:
    """The same as Starlette's routes give it."""
    found = Response(answered.body, status_code=answered.status)
    found.raw_headers[:] = list(answered.headers)
    return found


def _challenge(scheme: str, **parameters: str) -> str:
    """A challenge; values are quoted-strings of the characters that RFC 6750 section 3 allows."""
    algorithms = {"algs": " ".join(ALGORITHMS)} if scheme == "DPoP" else {}  # RFC 9449 section 7.1
    given = {"realm": REALM, **parameters, **algorithms}
    listed = [f'{name}="{_quotable(value)}"' for name, value in given.items()]
    return f"{scheme} {', '.join(listed)}"


def _quotable(value: str) -> str:
    return "".join(
        character if " " <= character <= "~" and character not in '"\\' else "'" if character == '"' else "?"
        for character in value
    )
