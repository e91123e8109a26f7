"""What the agent, the shop and the authorization server do, as spans of one trace (OpenTelemetry).

Off unless it is asked for: then `begin` loads OpenTelemetry's SDK, and until then nothing here costs anything or
imports any of it. A span has ids, rules and statuses. It never has a token, an argument of a tool, an address, a name
or an e-mail address, nor a path that is not one of a standard's: those of other servers may hold a secret.

The names of attributes are those of OpenTelemetry's semantic conventions where these have one (HTTP, MCP, GenAI, user
and session), else they begin with `demo.`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from demo.evidence.shop import Decision
    from demo.tracing.exporting import Tracing
    from demo.tracing.wanted import Wanted

Kind = Literal["internal", "client", "server"]
Value = str | int | float | bool
AGENT, BRIDGE, SHOP, AUTHORIZATION_SERVER = "agent", "mcp-bridge", "mcp-shop", "authorization-server"
"""The services that a viewer shows (`service.name`)."""
SECONDS: Final = 2.0
"""How long the end of a process waits for its spans to be sent, where that goes well; where it does not, not at all."""


class Span(Protocol):
    """One span, while it lasts."""

    def add(self, attributes: Mapping[str, Value | None]) -> None:
        """Add attributes; those that are None are left out."""


class _Silent:
    """The span of a process that is not traced, and what enters and leaves it."""

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def add(self, attributes: Mapping[str, Value | None]) -> None:
        """Nothing is added."""


_SILENT: Final = _Silent()
_tracing: Tracing | None = None


def on() -> bool:
    """Whether this process is traced."""
    return _tracing is not None


def span(
    name: str,
    *,
    kind: Kind = "internal",
    service: str | None = None,
    within: Iterable[tuple[bytes, bytes]] | None = None,
    attributes: Mapping[str, Value | None] | None = None,
    only_part: bool = False,
) -> AbstractContextManager[Span]:
    """A span around what is done in a `with` block: a child of the one that lasts already.

    Args:
        name: few values: never an id, or what others chose.
        service: of the process's services the one that does it; by default its first.
        within: the headers of the request that is served: the caller's span is the parent (W3C Trace Context).
        only_part: whether there is none where no other lasts: what a process does by itself is nobody's trace.
    """
    if _tracing is None or (only_part and not _tracing.lasts()):
        return _SILENT
    return _tracing.span(name, kind, service, within, attributes or {})


def carried() -> dict[str, str]:
    """The headers by which a request that is sent now is part of this trace; none where nothing is traced."""
    return {} if _tracing is None else _tracing.carried()


def executing(tool: str) -> AbstractContextManager[Span]:
    """A span around one call of a tool by an agent, named as GenAI's conventions do (gen-ai-spans, Execute tool)."""
    return span(
        f"execute_tool {tool[:60]}",
        attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool[:60]},
    )


def gates() -> AbstractContextManager[Span]:
    """A span around what the shop's gates decide. Without a kind of its own a viewer would take it for one more call of
    the tool that it names (OpenInference, span kinds). That they refused is no error of theirs: its status stays unset
    (OpenTelemetry, trace API, Set Status)."""
    return span("gates", attributes={"openinference.span.kind": "GUARDRAIL"})


def about(decision: Decision) -> dict[str, Value | None]:
    """A decision of the shop as attributes: who, through which agent, under which consent, what and by which rule."""
    return {
        "demo.verdict": decision.verdict,
        "demo.gate": decision.gate,
        "demo.rule": decision.rule,
        "demo.door": decision.door,
        "demo.audit_id": decision.audit_id,
        "demo.order_id": decision.order_id,
        "demo.client": decision.client,
        "demo.consent": decision.consent,
        "user.id": decision.user,
        "session.id": decision.session,
        "gen_ai.agent.id": decision.agent,
        "gen_ai.tool.name": decision.tool,
    }


def begin(wanted: Wanted, services: Sequence[str], *, only_parts: bool = False) -> None:
    """Trace this process from now on; once.

    Args:
        services: what it is, the first also for what libraries trace by themselves.
        only_parts: what nobody else began a trace of is not traced, where spans go to a file.

    Raises:
        UsageError: OpenTelemetry's SDK is not installed, or the file cannot be written.
    """
    global _tracing
    from demo.tracing import sending
    from demo.tracing.exporting import Tracing

    _tracing = Tracing(wanted, services, only_parts=only_parts)
    sending.watch(_tracing)


def end(seconds: float = SECONDS) -> str | None:
    """Send what is left to be sent. Gives why something could not be sent, None where all of it was."""
    global _tracing
    ended, _tracing = _tracing, None
    return None if ended is None else ended.end(seconds)


def asked_for() -> Wanted | None:
    """How this process is traced: for one that it starts, so that it is traced as well. None where it is not."""
    return None if _tracing is None else _tracing.wanted


def provider() -> TracerProvider | None:
    """For a library that traces by itself and wants a tracer provider; None where nothing is traced."""
    return None if _tracing is None else _tracing.provider()
