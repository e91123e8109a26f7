"""The SDK's requests on our own wire: recorded with secrets masked, bounded in time, through no proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.client.http.connection import Connection
from demo.client.http.errors import no_answer, unreachable, web_page
from demo.client.http.fetch import parse_object
from demo.client.workos.refused import not_workos

if TYPE_CHECKING:
    import httpx2
    from workos import HTTPResponse


class RecordedBackend:
    """What the SDK takes for its HTTP client (`workos.HTTPBackend`).

    Raises of its requests: `ServerUnreachable`, which the SDK hands on as it is; nothing is tried twice, since whoever
    waits on stage would rather know.
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
