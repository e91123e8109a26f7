"""The login flows that this client knows, and which one a login takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deputize.errors import Remedy
from deputize.evidence import AuthorizationServerMetadata
from deputize.http.errors import CHECK_SERVER, OAuthRefused
from deputize.oauth.browser_flow import BROWSER
from deputize.oauth.device_flow import DEVICE
from deputize.oauth.login_flow import HumanFlow, Login, LoginFlow
from deputize.oauth.machine_flow import ASSERTION, CLIENT_CREDENTIALS

HUMAN_FLOWS: tuple[HumanFlow[Login], ...] = (DEVICE, BROWSER)
"""Those in which a human decides, the preferred one first."""
FLOWS: tuple[LoginFlow, ...] = (*HUMAN_FLOWS, CLIENT_CREDENTIALS, ASSERTION)
"""All of them. A new one is a file like theirs, a line here, and who takes it (docs/architecture.md)."""

Refused = Callable[[LoginFlow], str | None]
"""Why an authorization server has refused a flow to this client before; None where it has not."""


@dataclass(frozen=True)
class ChosenFlow:
    """Which flow to log in by, and why: one sentence; `named` where a person chose it, who wants no other."""

    flow: HumanFlow[Login]
    why: str
    named: bool = False


def human_flow(name: str) -> HumanFlow[Login]:
    """The flow of this name."""
    return next(flow for flow in HUMAN_FLOWS if flow.name == name)


def choose(metadata: AuthorizationServerMetadata, refused: Refused) -> ChosenFlow:
    """The first flow that an authorization server offers and that nothing speaks against.

    Where something speaks against each, it is the first one whose tokens will do (`doubt`): what was refused before may
    be granted today.

    Raises:
        OAuthRefused: it offers none.
    """
    offered = [flow for flow in HUMAN_FLOWS if flow.problem(metadata) is None]
    if not offered:
        raise OAuthRefused(
            f"there is no way to log in at {metadata.issuer}",
            oauth_error="unsupported",
            why=", and ".join(flow.problem(metadata) or "" for flow in HUMAN_FLOWS),
            do="ask its operator, or use another server",
            remedy=CHECK_SERVER,
        )
    fit = [flow for flow in offered if flow.doubt(metadata) is None] or offered
    flow = next((flow for flow in offered if _against(flow, metadata, refused) is None), fit[0])
    passed_over = [why for one in offered[: offered.index(flow)] if (why := _against(one, metadata, refused))]
    if passed_over:
        return ChosenFlow(flow, "; ".join(passed_over))
    absent = [f"no {one.label}" for one in HUMAN_FLOWS[: HUMAN_FLOWS.index(flow)] if one not in offered]
    lacks = f"{' and '.join(absent)}, but " if absent else ""
    return ChosenFlow(flow, f"the authorization server offers {lacks}{flow.label}")


def other(flow: LoginFlow, metadata: AuthorizationServerMetadata, refused: Refused) -> HumanFlow[Login] | None:
    """A flow that nothing speaks against, in the place of one that was refused; None where there is none."""
    offered = (one for one in HUMAN_FLOWS if one is not flow and one.problem(metadata) is None)
    return next((one for one in offered if _against(one, metadata, refused) is None), None)


def not_for_this_client(flow: HumanFlow[Login], why: str) -> str:
    """Why a flow is passed over that the authorization server has refused to this client."""
    return f"the {flow.label} is not for this client: {why}"


def require(flow: HumanFlow[Login], metadata: AuthorizationServerMetadata) -> None:
    """See that a flow can be begun at an authorization server.

    Raises:
        OAuthRefused: it is not offered there.
    """
    if (why := flow.problem(metadata)) is None:
        return
    instead = next((one for one in HUMAN_FLOWS if one.problem(metadata) is None), None)
    raise OAuthRefused(
        f"{metadata.issuer} offers no login by {flow.label}",
        oauth_error="unsupported",
        why=f"{why}; it offers {', '.join(metadata.grant_types_supported)}",
        do=f"log in by {instead.label}"
        if instead is not None
        else f"ask the operator of {metadata.issuer} how a client logs in there, or use another server",
        remedy=Remedy("log_in", flow=instead.name) if instead is not None else CHECK_SERVER,
    )


def _against(flow: HumanFlow[Login], metadata: AuthorizationServerMetadata, refused: Refused) -> str | None:
    if (why := refused(flow)) is not None:
        return not_for_this_client(flow, why)
    return flow.doubt(metadata)
