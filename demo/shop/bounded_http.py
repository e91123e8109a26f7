"""Asking the authorization server over HTTP: bounded in time and bytes, no redirects; and its clock."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Self
from urllib.parse import urlsplit

import anyio
import httpx2

from demo import __version__, tracing
from demo.shop.catalog import LIMITS, say
from demo.tracing import sending
from deputize.net import is_loopback_url

# To read the machine's certificates takes tens of milliseconds, and a process needs them once.
_certificates = cache(httpx2.create_ssl_context)


class AuthServerUnavailable(Exception):
    """The authorization server could not be asked, or something else answered; the message is a few words.

    Args:
        lasting: a retry will not help: the shop's settings and the authorization server do not fit together.
        heard: whether the question may have arrived all the same.
    """

    def __init__(self, why: str, *, lasting: bool = False, heard: bool = True) -> None:
        super().__init__(why)
        self.lasting = lasting
        self.heard = heard


class BoundedClient:
    """The way to one issuer, each question bounded by `timeout` seconds.

    An async context manager: the connection pool lives as long as it is entered. `skew` is the server's clock minus
    `clock` in seconds, by the `Date` of its last answer; None before the first. `at` is the origin where the issuer is
    asked under its own name; None where that is what the name says.
    """

    def __init__(self, issuer: str, *, timeout: float, clock: Callable[[], float], at: str | None = None) -> None:
        self.issuer = issuer
        self._at = at
        self.skew: float | None = None
        self._timeout = timeout
        self._clock = clock
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        # No redirects: an authorization server is where it says it is. A proxy of the environment is not for loopback.
        trusting = not is_loopback_url(self._at or self.issuer)
        self._client = httpx2.AsyncClient(
            timeout=self._timeout,
            follow_redirects=False,
            trust_env=trusting,
            verify=_certificates(trust_env=trusting),
            headers={"user-agent": f"machine-identity-demo-shop/{__version__}", "accept": "application/json"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def ask(self, method: str, url: str, **options: Any) -> tuple[int, Any]:
        """One HTTP question whose answer is JSON; gives status and the parsed body (None when it is not JSON).

        Every question may be asked twice, and is where the connection was lost before an answer began: one that was
        kept open may have been closed on the other side.

        Raises:
            AuthServerUnavailable: no answer in time, or too long a one.
        """
        path = sending.shown(urlsplit(url).path)
        with tracing.span(f"{method} {path}".strip(), kind="client", only_part=True) as span:
            status, answer = await self._ask(method, url, options)
            span.add({"http.request.method": method, "http.response.status_code": status, "url.template": path or None})
            span.add({"error.type": str(status) if status >= 400 else None})
        return status, answer

    async def _ask(self, method: str, url: str, options: dict[str, Any]) -> tuple[int, Any]:
        if self._client is None:
            raise AuthServerUnavailable("the shop is not running")
        if self._at is not None and url.startswith(f"{self.issuer}/"):
            options["headers"] = {**options.get("headers", {}), "host": urlsplit(self.issuer).netloc}
            url = self._at + url.removeprefix(self.issuer)
        body, heard = b"", False
        request = self._client.build_request(method, url, **options)
        request.headers.update(tracing.carried())
        try:
            # The client's own timeouts are per read; this one bounds an answer that comes drop by drop.
            with anyio.fail_after(self._timeout):
                try:
                    response = await self._client.send(request, stream=True)
                except (httpx2.NetworkError, httpx2.RemoteProtocolError) as lost:
                    heard = not isinstance(lost, httpx2.ConnectError)
                    response = await self._client.send(request, stream=True)
                async with contextlib.aclosing(response):
                    self._heard(response.headers)
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > LIMITS.answer_bytes:
                            raise AuthServerUnavailable(say("too_long"))
        except (TimeoutError, httpx2.TimeoutException):
            raise AuthServerUnavailable(say("late")) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            heard = heard or not isinstance(error, httpx2.ConnectError)
            raise AuthServerUnavailable(say("no_connection"), heard=heard) from None
        try:
            return response.status_code, json.loads(body)
        except (ValueError, RecursionError):
            return response.status_code, None

    def _heard(self, headers: Mapping[str, str]) -> None:
        try:
            date = parsedate_to_datetime(headers.get("date", "")).timestamp()
            age = float(headers.get("age") or 0)  # RFC 9111 section 5.1: an answer from a cache has an old date
        except (ValueError, TypeError, OverflowError):
            return
        if math.isfinite(age):
            # `Date` is cut to whole seconds: half a second is the expected loss.
            self.skew = date + age + 0.5 - self._clock()
