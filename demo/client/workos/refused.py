"""What WorkOS refuses, as the one exception that reaches a user."""

from __future__ import annotations

from demo.client.http.sanitizing import safe_text
from demo.errors import AuthorityRefused, ServerUnreachable

_MENDS = {
    401: "set WORKOS_API_KEY to a key of this environment (WorkOS dashboard, API Keys)",
    403: "the feature may have to be enabled for this environment: see docs/going-live.md",
    404: "check the id; ids of another environment are unknown here",
    409: "use what is already there",
    429: "wait, then try again",
}


class WorkOSRefused(AuthorityRefused):
    """WorkOS said no.

    Args:
        status: HTTP status.
        code: WorkOS's own, which programs tell it by; empty where it gave none.
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
        super().__init__(what, why=f"HTTP {status}: {told}{named}", do=_MENDS.get(status, "see what it says above"))


def not_workos(url: str, why: str) -> ServerUnreachable:
    """Something answers, and not as WorkOS does."""
    return ServerUnreachable(
        f"{safe_text(url, one_line=True)} does not answer as WorkOS does",
        why=safe_text(why, one_line=True),
        do="check the address; is a proxy or a sign-in page in between?",
    )
