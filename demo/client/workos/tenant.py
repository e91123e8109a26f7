"""An environment of WorkOS, opened with the SDK: every call recorded, and its refusals in our words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from demo.client.workos.environment import Environment
from deputize.errors import AuthorizationRefused, EnvironmentNotReady, ServerUnreachable
from deputize.http.connection import Connection
from deputize.http.errors import no_answer, overloaded, unreachable, web_page
from deputize.http.exchange import parse_object
from deputize.http.recorder import Recorder
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    import httpx2
    from workos import HTTPResponse, SyncPage, WorkOSClient
    from workos._types import Deserializable

T = TypeVar("T")
Listed = TypeVar("Listed", bound="Deserializable")
SECONDS = 10.0
MOST = 500
"""Things of a list that are read at most, and a hundred a page."""
_FIXES = {
    401: "set WORKOS_API_KEY to a key of this environment (WorkOS dashboard, API Keys)",
    403: "the feature may have to be enabled for this environment: see docs/going-live.md",
    404: "check the id; ids of another environment are unknown here",
    409: "use what is already there",
    429: "wait, then try again",
}


class WorkOSRefused(AuthorizationRefused):
    """WorkOS said no.

    Args:
        status: HTTP status.
        code: WorkOS's own, for programs; empty where it gave none.
        message: WorkOS's words.
        retry_after: seconds, for 429 where it said so.
    """

    def __init__(
        self, what: str, *, status: int, code: str = "", message: str = "", retry_after: float | None = None
    ) -> None:
        self.status = status
        self.code = safe_text(code, one_line=True)
        self.retry_after = retry_after
        told = safe_text(message, one_line=True)
        named = f" ({self.code})" if self.code else ""
        super().__init__(what, why=f"HTTP {status}: {told}{named}", do=_FIXES.get(status, "see what it says above"))


def not_workos(url: str, why: str) -> ServerUnreachable:
    """Something answers, and not as WorkOS does."""
    return ServerUnreachable(
        f"{safe_text(url, one_line=True)} does not answer as WorkOS does",
        why=safe_text(why, one_line=True),
        do="check the address; is a proxy or a sign-in page in between?",
    )


class Tenant:
    """One environment. `sdk` is WorkOS's own client; `ask` puts a question to it.

    Args:
        environment: which, and by which key.
        timeout: seconds for one exchange.
    """

    def __init__(self, environment: Environment, *, timeout: float = SECONDS) -> None:
        self.environment = environment
        self._connection = Connection(environment.base_url, timeout)
        self._connection.recorder.guard(environment.api_key)

    @property
    def recorder(self) -> Recorder:
        """What was on the wire."""
        return self._connection.recorder

    def http(self, work: Callable[[httpx2.AsyncClient], Awaitable[T]]) -> T:
        """Do `work` on the same recorded wire, for what the SDK has no call for."""
        return self._connection.http(work)

    @cached_property
    def sdk(self) -> WorkOSClient:
        """The SDK's client.

        Raises:
            EnvironmentNotReady: the SDK is not installed.
        """
        try:
            from workos import WorkOSClient
        except ImportError as error:
            raise EnvironmentNotReady(
                "WorkOS's SDK is not installed", why=str(error), do="install this project's requirements again"
            ) from None
        return WorkOSClient(
            api_key=self.environment.api_key,
            client_id=self.environment.client_id or "unknown",
            base_url=self.environment.base_url,
            max_retries=0,
            http_client=RecordedBackend(self._connection),
        )

    def ask(self, what: str, question: Callable[[WorkOSClient], T]) -> T:
        """What the SDK answers.

        Args:
            what: what is refused, if it is: one sentence without a full stop.

        Raises:
            WorkOSRefused: WorkOS says no.
            ServerUnreachable: it does not answer, or not as WorkOS does.
        """
        sdk = self.sdk
        from workos._errors import APIError, RateLimitExceededError, WorkOSError

        try:
            return question(sdk)
        except APIError as error:
            status = error.status_code or 0
            if status >= 500:
                raise overloaded(self.environment.base_url, status, safe_text(error.message, one_line=True)) from None
            if error.response_json is None:
                raise not_workos(self.environment.base_url, f"HTTP {status}, and no JSON") from None
            raise WorkOSRefused(
                what,
                status=status,
                code=error.code or error.error or "",
                message=error.message,
                retry_after=error.retry_after if isinstance(error, RateLimitExceededError) else None,
            ) from None
        except (WorkOSError, ValueError, TypeError, AttributeError) as error:
            # What the SDK's models cannot read (no JSON, another shape) is no answer of WorkOS's.
            raise not_workos(self.environment.base_url, str(error)) from None

    def every(self, what: str, question: Callable[[WorkOSClient], SyncPage[Listed]]) -> list[Listed]:
        """What a list holds, page after page, at most `MOST`; otherwise as `ask`."""
        return self.ask(what, lambda sdk: list(islice(question(sdk).auto_paging_iter(), MOST)))

    @cached_property
    def organization_id(self) -> str:
        """The organization that is meant: the one named, else the only one there is.

        Raises:
            EnvironmentNotReady: there is none, or there are several and none was named.
        """
        if self.environment.organization_id:
            return self.environment.organization_id
        found = self.ask(
            "WorkOS does not list organizations", lambda sdk: sdk.organizations.list_organizations(limit=2)
        )
        if len(found.data) != 1:
            raise EnvironmentNotReady(
                "which organization is meant is not clear",
                why="there is none" if not found.data else "there are several",
                do="create one in the WorkOS dashboard" if not found.data else "name it: workos.organization_id",
            )
        return found.data[0].id


class RecordedBackend:
    """What the SDK takes for its HTTP client (`workos.HTTPBackend`).

    Raises of its requests: `ServerUnreachable`, which the SDK hands on as it is; nothing is tried twice, since
    the people who wait on stage would rather know.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def request(
        self, method: str, url: str, *, headers: dict[str, str], content: bytes | None, timeout: float
    ) -> HTTPResponse:
        """One exchange. `timeout` is the SDK's; ours bounds the whole of it."""
        from workos import HTTPResponse

        async def ask(client: httpx2.AsyncClient) -> httpx2.Response:
            import httpx2

            try:
                return await client.request(method, url, headers=headers, content=content)
            except httpx2.TimeoutException:
                raise no_answer(url, self._connection.timeout) from None
            except (httpx2.RequestError, httpx2.InvalidURL) as error:
                raise unreachable(url, str(error) or type(error).__name__) from None

        answer = self._connection.http(ask)
        # The SDK takes anything below 400 for a yes, and what is no JSON for an empty one.
        if answer.status_code < 400 and answer.status_code != 204:
            if answer.status_code >= 300:
                raise not_workos(url, f"it answers HTTP {answer.status_code}")
            if parse_object(answer.text) is None:
                raise web_page(url, answer.status_code)
        return HTTPResponse(answer.status_code, answer.headers, answer.content, method, url)

    def close(self) -> None:
        """Nothing: each exchange has a client of its own."""
