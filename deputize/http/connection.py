"""One server and the way to it: the URLs of its doors, the HTTP client that is recorded, the bound on everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from deputize.errors import UsageError
from deputize.http import bounded
from deputize.http.errors import no_answer
from deputize.http.origins import origin
from deputize.http.recorder import Recorder
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
Door = Literal["protected", "open"] | str


class Connection:
    """What every exchange with one server goes through.

    Args:
        server: a base URL, or an MCP endpoint's own URL.
        timeout: seconds for one piece of work, all of its exchanges together.

    Raises:
        UsageError: it is no http or https URL.
    """

    def __init__(self, server: str, timeout: float) -> None:
        if origin(server) is None:
            raise UsageError(
                f"{safe_text(server, one_line=True)!r} is not a server's URL",
                do="give one that starts with https://, or on this machine http://",
            )
        self.server = server.partition("#")[0]
        self.timeout = timeout
        self.recorder = Recorder()

    def endpoint(self, door: Door = "protected") -> str:
        """The MCP URL of a door; a server given with a path of its own, be it "/", is its protected door as it stands.

        A path is the server's business (RFC 3986 section 3.3): "/mcp" and "/mcp/" need not be the same.
        """
        parts = urlsplit(self.server)
        if door == "open":
            return f"{parts.scheme}://{parts.netloc}/open/mcp"
        return self.server if parts.path or parts.query else f"{self.server}/mcp"

    def http(self, work: Callable[[httpx2.AsyncClient], Awaitable[T]]) -> T:
        """Do `work` with an HTTP client that the recorder listens to, within the timeout."""

        async def main() -> T:
            async with connect(self.recorder, seconds=self.timeout) as client:
                return await work(client)

        return self.bounded(self.server, main)

    def bounded(self, url: str, work: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        """Do `work` within `seconds`, the timeout by default; when it is late, `url` did not answer."""
        return bounded.run(work, seconds or self.timeout, lambda: no_answer(url, self.timeout))


def connect(recorder: Recorder, *, seconds: float, kind: type[httpx2.AsyncClient] | None = None) -> httpx2.AsyncClient:
    """An HTTP client whose every exchange `recorder` sees. It follows no redirect by itself.

    Args:
        recorder: where the exchanges go.
        seconds: the bound on connecting and on each read; the caller bounds the whole.
        kind: the class to make it of, where a transport has something to say to each answer.
    """
    import httpx2

    from deputize import __version__
    from deputize.http.transport import RecordingTransport

    return (kind or httpx2.AsyncClient)(
        transport=RecordingTransport(recorder),
        timeout=seconds,
        follow_redirects=False,
        max_redirects=3,
        trust_env=False,
        headers={"accept-encoding": "identity", "user-agent": f"deputize/{__version__}"},
    )
