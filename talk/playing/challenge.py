"""The step that calls without a token and follows the refusal: RFC 9728, then RFC 8414."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo import panels
from talk.playing.kind import Kind, Option, Step
from talk.playing.observing import played_call
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from deputize.evidence import AuthorizationServerMetadata, ResourceMetadata


def challenge(step: Step, scene: Scene) -> Played:
    """Call without a token and follow the refusal to the authorization server."""
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options.get("tool", "listMcpShopInventory"))
    outcome = agent.call(tool, {}, token="none")
    found = outcome.challenge
    played = played_call(outcome, scene, agent, [outcome.decision] if outcome.decision else [])
    if found is None:
        played.observed = {"status": outcome.status} if outcome.status is not None else {}
        return played
    found = agent.discover(found)
    resource, auth_server = found.resource, found.authorization_server
    observed = {"scheme": found.scheme, "status": found.status}
    observed |= {name: value for name in ("error", "scope") if (value := found.get(name)) is not None}
    if resource is not None:
        observed["resource"] = resource.resource
    if auth_server is not None:
        observed["issuer"] = auth_server.issuer
    trusted = (
        resource is not None and auth_server is not None and resource.problem is None and auth_server.problem is None
    )
    played.observed = observed | {
        "trusted": trusted,
        "device_flow": auth_server is not None and auth_server.device_authorization_endpoint is not None,
    }
    if scene.cast.other is not None and not scene.cast.other.seen.reports_decisions:
        played.unobservable = _undiscovered(resource, auth_server)
    played.panels["challenge"] = lambda: panels.challenge(found)
    return played


def _undiscovered(resource: ResourceMetadata | None, auth_server: AuthorizationServerMetadata | None) -> dict[str, str]:
    """What another server publishes nothing of; what it publishes must hold."""
    missing: dict[str, str] = {}
    problem = (resource and resource.problem) or (auth_server and auth_server.problem)
    if resource is None and not problem:
        missing["trusted"] = missing["resource"] = "it publishes no protected resource metadata (RFC 9728)"
    if auth_server is None and not problem:
        missing["trusted"] = missing["issuer"] = "no authorization server metadata can be found (RFC 8414)"
    if auth_server is None or auth_server.device_authorization_endpoint is None:
        page = auth_server.authorization_endpoint if auth_server is not None else None
        missing["device_flow"] = (
            f"its authorization server offers a login in the browser: {page}" if page else "it offers none"
        )
    return missing


CHALLENGE = Kind(
    "challenge",
    "Call without a token and follow the challenge: RFC 9728, then RFC 8414.",
    challenge,
    {"tool": Option(default="listMcpShopInventory")},
    {
        "status": int,
        "scheme": str,
        "error": str,
        "scope": str,
        "resource": str,
        "issuer": str,
        "trusted": bool,
        "device_flow": bool,
    },
    ("exchange", "challenge"),
    why_not=lambda _, other, __: other.no_door("protected"),
)
