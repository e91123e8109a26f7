"""Requests, read strictly: bodies and forms in bounds, as Authlib wants them (RFC 6749 sections 3.1 and 3.2); and how
often one address may do what costs us something."""

from __future__ import annotations

import math
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Payload, OAuth2Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.requests import Request

from demo.proofs import Proof

from .state.approvals import Approval
from .state.sessions import Session
from .state.sub_agents import SubAgent

LONGEST_BODY = 32 * 1024
"""Bytes. The largest honest request, with a JWT and a few resources, is a tenth of it."""
MOST_FIELDS = 64
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""With every answer that is somebody's alone (RFC 6749 section 5.1)."""


class FormUnreadable(ValueError):
    """The body is not a form that we read; the message says why, in ASCII."""


def visitor(request: Request) -> str:
    """The network address that a request comes from, by which its rate is counted."""
    return request.client.host if request.client else ""


async def read_form(request: Request) -> dict[str, list[str]]:
    """The fields of an `application/x-www-form-urlencoded` body, those without a value left out (section 3.1).

    Raises:
        FormUnreadable: another content type, too long, too many fields, or not UTF-8.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise FormUnreadable("the body must be application/x-www-form-urlencoded")
    return parse_fields(await read_body(request, LONGEST_BODY))


async def read_body(request: Request, longest: int) -> bytes:
    """The body, of at most `longest` bytes.

    Raises:
        FormUnreadable: it is longer.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > longest:
            raise FormUnreadable(f"the body is longer than {longest} bytes")
    return bytes(body)


def parse_fields(text: bytes) -> dict[str, list[str]]:
    """The fields of a form, or of a URL's query, those without a value left out.

    Raises:
        FormUnreadable: too many fields, or not UTF-8.
    """
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text.decode(), encoding="utf-8", errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise FormUnreadable("the request is not a form of UTF-8 text with at most 64 fields") from error
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


class FormPayload(OAuth2Payload):  # type: ignore[misc]  # Authlib ships no types
    """The parameters of a request: from its body only, never from its URL (section 2.3.1)."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    @property
    def data(self) -> dict[str, str]:
        """Each parameter's first value."""
        return {name: values[0] for name, values in self._fields.items()}

    @property
    def datalist(self) -> dict[str, list[str]]:
        """Each parameter's values."""
        return self._fields


class FormRequest(OAuth2Request):  # type: ignore[misc]  # Authlib ships no types
    """A request as Authlib's endpoints and grants want it, with the session, resources and details it is about, and the
    key that its client has proved (RFC 9449)."""

    def __init__(self, uri: str, fields: dict[str, list[str]], headers: Headers) -> None:
        # Authlib refuses http, and lifts that for a whole process by an environment variable only. The issuer was
        # checked at the start: https, or http on loopback, where there is no transport to secure.
        super().__init__("POST", urlsplit(uri)._replace(scheme="https").geturl())
        self.uri, self.headers = uri, headers
        self.payload = FormPayload(fields)
        self.session: Session | None = None
        self.resources: tuple[str, ...] = ()
        self.details: tuple[dict[str, Any], ...] = ()
        self.nonce: str | None = None
        self.address = ""
        """Where it comes from, by network address; empty where nobody needs to know."""
        self.proof: Proof | None = None
        self.approval: Approval | None = None
        """The one purchase that the token is to be for."""
        self.line: tuple[SubAgent, ...] = ()
        """Who is to make it where that is a sub-agent, and each sub-agent above."""

    @property
    def key(self) -> str | None:
        """The thumbprint of the key that the client has proved; None where it proved none."""
        return None if self.proof is None else self.proof.key

    @property
    def form(self) -> dict[str, str]:
        """Each parameter's first value."""
        data: dict[str, str] = self.payload.data
        return data

    def refuse_repeated(self, *, but: tuple[str, ...] = ()) -> None:
        """Refuse a parameter that comes twice (section 3.2), other than those in `but`.

        Raises:
            InvalidRequestError: naming it, where it is a name that can be shown.
        """
        for name, values in self.payload.datalist.items():
            if len(values) > 1 and name not in but:
                shown = name if name.isidentifier() and name.isascii() else "a parameter"
                raise InvalidRequestError(f"{shown} is given more than once")


class Rate:
    """So many a minute for each address; forgotten by a restart, which is no way around it for a caller."""

    def __init__(self, name: str, a_minute: int) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._item = RateLimitItemPerMinute(a_minute)
        self._name = name

    def hit(self, address: str) -> int | None:
        """Count one; None while within the rate, else the whole seconds until the next is admitted."""
        if self._limiter.hit(self._item, self._name, address):
            return None
        ends = self._limiter.get_window_stats(self._item, self._name, address).reset_time
        return max(1, math.ceil(ends - time.time()))
