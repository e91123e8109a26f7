"""What a human is asked, by whichever way the question came: a device's code, or a browser that a client sent."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ..clients.client import Client
from ..grants.purchases import SHOP_PURCHASE
from ..state.accounts import Account
from ..state.approvals import Approval, approve
from ..state.sessions import open_session
from .rendering import page
from .visit import ENTERED, Visit


@dataclass(frozen=True)
class Consented:
    """What a human says yes to: these scopes, within these details (RFC 9396)."""

    scope: tuple[str, ...]
    details: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Question(ABC):
    """One request that waits for a human's answer.

    Args:
        client: who asks.
        scope, resources: for which scopes, and where.
        details: within which limit (RFC 9396).
        carried: the form fields by which every page of this visit knows question and tab again.
        code: what to compare with the device's, None where no device is involved.
        redirect_uri: where the answer is taken, None where a device polls for it.
    """

    visit: Visit
    client: Client
    scope: tuple[str, ...]
    resources: tuple[str, ...]
    details: tuple[dict[str, Any], ...]
    carried: dict[str, str]
    code: str | None = None
    redirect_uri: str | None = None

    @property
    def purchase(self) -> dict[str, Any] | None:
        """The one purchase that is to be approved within a grant that stands; None where a grant is asked for."""
        return next((one for one in self.details if one["type"] == SHOP_PURCHASE), None)

    @property
    def waiting(self) -> str:
        """What waits for the answer, in words."""
        return self.visit.context.config.device

    @property
    @abstractmethod
    def came(self) -> str:
        """When and from where it came, in words."""

    @abstractmethod
    def settled(self) -> Response | None:
        """The page to show when nothing is left to decide, or None."""

    @abstractmethod
    def approved(self, connection: sqlite3.Connection, account: Account, to: Consented) -> Response:
        """Write the yes down, and open its session; what the browser gets."""

    @abstractmethod
    def approved_once(self, connection: sqlite3.Connection, account: Account, detail: dict[str, Any]) -> Response:
        """Write the yes to this one purchase down; what the browser gets. The grant it is in stays as it was."""

    @abstractmethod
    def denied(self, connection: sqlite3.Connection, account: Account) -> Response:
        """Write the no down; what the browser gets."""

    def _open_session(self, connection: sqlite3.Connection, account: Account, to: Consented) -> str:
        """The session of a consent to this; its id."""
        return open_session(
            connection,
            sub=account.sub,
            client_id=self.client.client_id,
            delegated=self.client.delegated,
            scope=to.scope,
            resources=self.resources,
            authorization_details=to.details,
            auth_time=self.visit.browser.signed_in_at,
            now=self.visit.context.now(),
        )

    def _outcome(self, state: str, status: int = 200) -> Response:
        """What became of the request. `state`: approved, denied, already-approved, already-denied, expired."""
        where, back, one = self.waiting, self.visit.context.config.way_back, self.purchase is not None
        return page("outcome.html", status, client=self.client, state=state, device=where, way_back=back, one=one)

    def _approve(self, connection: sqlite3.Connection, detail: dict[str, Any]) -> Approval:
        now = self.visit.context.now()
        return approve(connection, session_id=detail["session"], scope=self.scope, detail=detail, now=now)


def carried(visit: Visit) -> dict[str, str]:
    """The fields by which the question and the tab are known again; the question's as they came and unchecked."""
    tab = {"tab": visit.browser.tab} if visit.browser.account else {}
    if "request" in visit.fields:
        return {"request": visit.fields["request"], **tab}
    if "purchase" in visit.fields:
        return {"purchase": visit.fields["purchase"][:64], **tab}
    code = visit.fields.get("user_code", "")[:32]
    entered = visit.fields.get(ENTERED, "")[:64]
    return {**({"user_code": code, ENTERED: entered} if code else {}), **tab}
