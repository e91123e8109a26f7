"""The sample human: decides on the authorization server's own pages, by HTTP, as a browser without script would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from demo.client.human.consent_page import ConsentPage, Form, Page, PurchaseShown
from deputize.errors import ServerUnreachable
from deputize.http import bounded
from deputize.http.connection import connect
from deputize.http.errors import OAuthRefused, no_answer, unreachable
from deputize.http.fetch import joined
from deputize.http.origins import origin
from deputize.http.recorder import Recorder
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    import httpx2

UNDO = "where the human revoked this agent: demo reinstate; else "
STEPS = 8
"""Pages and redirects that one decision may take."""


class SampleHuman:
    """A human with a sample account, who looks at the pages and decides; there is no other way in.

    Args:
        account: the account's email address.
        timeout: seconds for one decision, all of its pages together.
    """

    def __init__(self, account: str, *, timeout: float = 10.0) -> None:
        self.account = account
        self.timeout = timeout
        self.recorder = Recorder()

    def decide(self, verification_uri: str, user_code: str, approve: bool) -> ConsentPage:
        """Open the link, enter the code, sign in, compare, and approve or deny.

        Args:
            verification_uri: with or without the code in it (RFC 8628 section 3.3.1).
            user_code: the code that the terminal shows.

        Returns:
            What the consent page showed before the decision.

        Raises:
            OAuthRefused: the page shows another code than the terminal, another account, or cannot be decided on.
            ServerUnreachable: the pages do not answer.
        """

        async def walk() -> ConsentPage:
            async with connect(self.recorder, seconds=self.timeout) as http:
                return await _Walk(http, self.account, user_code, approve).go(verification_uri)

        return bounded.run(walk, self.timeout, lambda: no_answer(verification_uri, self.timeout))

    def authorize(self, url: str, approve: bool) -> tuple[ConsentPage, str]:
        """Open an authorization request, sign in, look, and approve or deny; blocking.

        Args:
            url: the authorization endpoint with the request in its query (OAuth 2.1 section 4.1.1).

        Returns:
            What the consent page showed, and the URL that the authorization server then redirected to: the client's
            `redirect_uri` with a code or an error. It is not fetched: that is for the browser's owner to do.

        Raises:
            OAuthRefused: the request was sent back with an error before anybody was asked (`oauth_error` is the
                authorization server's), or the page shows another account, or cannot be decided on.
            ServerUnreachable: the pages do not answer, or lead elsewhere than to the authorization server and the
                client.
        """
        returns_to = dict(parse_qsl(urlsplit(url).query)).get("redirect_uri")

        async def walk() -> tuple[ConsentPage, str]:
            async with connect(self.recorder, seconds=self.timeout) as http:
                return await _Walk(http, self.account, "", approve, returns_to).authorize(url)

        return bounded.run(walk, self.timeout, lambda: no_answer(url, self.timeout))


class _Returned(Exception):
    """The pages lead back to the client, which is where a sample human stops."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class _Walk:
    """One decision. `returns_to` is the redirect URI of a browser's request, and then there is no code."""

    def __init__(
        self, http: httpx2.AsyncClient, account: str, user_code: str, approve: bool, returns_to: str | None = None
    ) -> None:
        self._http = http
        self._account = account
        self._code = user_code
        self._decision = "approve" if approve else "deny"
        self._returns_to = returns_to
        self._home: tuple[str, str, int] | None = None

    async def authorize(self, url: str) -> tuple[ConsentPage, str]:
        seen: list[ConsentPage] = []
        try:
            await self.go(url, seen)
        except _Returned as returned:
            if seen:
                return seen[0], returned.url
            told = dict(parse_qsl(urlsplit(returned.url).query))
            raise _refused_unasked(told.get("error", ""), told.get("error_description", "")) from None
        raise OAuthRefused(
            "the authorization server did not lead back to the agent after the decision",
            oauth_error="page",
            why="an authorization request is answered by a redirect (OAuth 2.1 section 4.1.2)",
            do="open the link in a browser, and decide there",
        )

    async def go(self, uri: str, looked: list[ConsentPage] | None = None) -> ConsentPage:
        self._home = origin(uri)
        url, page = await self._open("GET", uri, ())
        for _ in range(STEPS):
            if (found := page.button("decision")) is not None:
                seen = self._look(page)
                if looked is not None:
                    looked.append(seen)
                decision = page.button("decision", self._decision)
                if decision is None:
                    raise self._stuck(page, f"the page offers no way to {self._decision}", UNDO)
                url, page = await self._submit(url, *decision)
                if page.button("decision") is not None:
                    raise self._stuck(page, "the decision was not taken")
                return seen
            if (found := page.button("account", self._account)) is not None:
                url, page = await self._submit(url, *found)
                continue
            if page.button("account") is not None:
                raise self._stuck(page, f"{self._account} is not among its accounts")
            form = next((form for form in page.forms if any(name == "user_code" for name, _ in form.fields)), None)
            if form is None:
                raise self._stuck(page, "it has no form to enter the code, to sign in or to decide")
            form.fields = [(name, self._code if name == "user_code" else value) for name, value in form.fields]
            url, page = await self._submit(url, form, form.buttons[0] if form.buttons else ("", ""))
        raise self._stuck(page, f"no decision was asked for in {STEPS} pages")

    def _look(self, page: Page) -> ConsentPage:
        shown = ConsentPage(
            client_name=page.one("client"),
            user_code=page.one("code"),
            account=page.one("account"),
            scopes=page.all("scope"),
            limit=page.one("limit") or None,
            purchase=_purchase_on(page),
        )
        if shown.user_code != self._code:
            raise OAuthRefused(
                f"the page shows the code {shown.user_code or 'of nobody'}, the terminal {self._code}",
                oauth_error="code_mismatch",
                why="somebody else's request would be approved (RFC 8628 section 5.4)",
                do="deny it, and start the login again",
            )
        if shown.account and shown.account != self._account:
            raise self._stuck(page, f"it would decide as {shown.account}, not as {self._account}")
        return shown

    async def _submit(self, url: str, form: Form, button: tuple[str, str]) -> tuple[str, Page]:
        fields = [*form.fields, button] if button[0] else list(form.fields)
        return await self._open(form.method.upper(), joined(url, form.action), tuple(fields))

    async def _open(self, method: str, url: str, fields: tuple[tuple[str, str], ...]) -> tuple[str, Page]:
        import httpx2

        for _ in range(STEPS):
            if origin(url) != self._home or self._home is None:
                raise ServerUnreachable(
                    f"the pages lead to {safe_text(url, one_line=True)}",
                    why="a sample human does not leave the authorization server's own origin",
                    do="check the authorization server",
                )
            try:
                if method == "GET":
                    response = await self._http.request("GET", _with_query(url, dict(fields)))
                else:
                    response = await self._http.request(
                        "POST",
                        url,
                        content=urlencode(fields),
                        headers={
                            "content-type": "application/x-www-form-urlencoded",
                            "origin": f"{urlsplit(url).scheme}://{urlsplit(url).netloc}",
                        },
                    )
            except httpx2.TimeoutException:
                raise no_answer(url, self._http.timeout.read or 0) from None
            except httpx2.RequestError as error:
                raise unreachable(url, str(error) or type(error).__name__) from None
            if not response.has_redirect_location:
                page = Page(response.text)
                if response.status_code >= 400:
                    if (named := page.one("error")) and self._returns_to is not None:
                        raise _refused_unasked(named, page.one("why"))
                    raise self._stuck(page, f"HTTP {response.status_code}")
                return url, page
            url = joined(url, response.headers["location"])
            if self._returns_to is not None and _is_return(url, self._returns_to):
                raise _Returned(url)
            # A browser answers 301, 302 and 303 to a POST with a GET.
            if response.status_code not in (307, 308):
                method, fields = "GET", ()
        raise unreachable(url, "its pages redirect without end")

    def _stuck(self, page: Page, why: str, do: str = "") -> OAuthRefused:
        heading = f" ({page.heading})" if page.heading else ""
        return OAuthRefused(
            "the sample human cannot decide on the authorization server's page",
            oauth_error="page",
            why=f"{why}{heading}",
            do=do + "open the page in a browser, and decide there",
        )


def _purchase_on(page: Page) -> PurchaseShown | None:
    names = ("price", "item", "size", "company", "mailing-address", "agent")
    return PurchaseShown(*map(page.one, names)) if page.one("price") else None


def _refused_unasked(error: str, why: str) -> OAuthRefused:
    return OAuthRefused(
        "the authorization server refused before it asked the human",
        oauth_error=safe_text(error, one_line=True) or "page",
        why=safe_text(why, one_line=True) or "it gave no reason",
        do="fix what the agent asks for, and start the login again",
    )


def _is_return(url: str, redirect_uri: str) -> bool:
    """Whether `url` is the redirect URI with parameters added to its query (RFC 6749 section 4.1.2)."""
    there, here = urlsplit(redirect_uri), urlsplit(url)
    added = not there.query or here.query.startswith(f"{there.query}&")
    return (here.scheme, here.netloc, here.path) == (there.scheme, there.netloc, there.path) and added


def _with_query(url: str, fields: Mapping[str, str]) -> str:
    if not fields:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *fields.items()])))
