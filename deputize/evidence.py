"""What a program is told of OAuth on the wire: plain frozen dataclasses, each one filled in from what was seen.

Nothing here does I/O, and nothing here imports another module of this package.

Units, everywhere: `at`, `expires_at`, `resets_at` and their like are POSIX seconds (float); durations are
seconds (float); money is an integer of minor units with an ISO 4217 currency.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

_PLACES: Final = {
    currency: places
    for places, currencies in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for currency in currencies.split()
}
"""The currencies whose minor unit is no hundredth, each with its decimals (ISO 4217, list one, "minor unit")."""


@dataclass(frozen=True)
class Money:
    """An amount of money in minor units (cents of a dollar, yen, fils of a dinar), with its ISO 4217 currency."""

    amount: int
    currency: str = "USD"

    def __str__(self) -> str:
        places = _PLACES.get(self.currency, 2)
        digits = f"{abs(self.amount):0{places + 1}d}"
        at = len(digits) - places
        figures = f"{digits[:at]}.{digits[at:]}" if places else digits
        return f"{'-' if self.amount < 0 else ''}{figures} {self.currency}"


@dataclass(frozen=True)
class Exchange:
    """One HTTP request and its response, recorded where they left and arrived; secrets are already masked.

    `status` is None when no response came; `error` then says why. Bodies are text as sent, or None when there
    was none; a body that is not text says so in brackets.
    """

    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...]
    request_body: str | None
    status: int | None
    response_headers: tuple[tuple[str, str], ...]
    response_body: str | None
    started_at: float
    seconds: float
    error: str | None = None

    def header(self, name: str) -> str | None:
        """The response header called `name` (case-insensitive), or None."""
        wanted = name.lower()
        return next((value for key, value in self.response_headers if key.lower() == wanted), None)


@dataclass(frozen=True)
class ResourceMetadata:
    """OAuth 2.0 Protected Resource Metadata (RFC 9728), as fetched from `url`."""

    url: str
    resource: str
    authorization_servers: tuple[str, ...]
    scopes_supported: tuple[str, ...] = ()
    name: str | None = None
    dpop: bool = False
    """Whether it takes tokens bound by DPoP: it lists algorithms for them, or requires them (RFC 9449 section 5.1)."""
    problem: str | None = None
    """Why it must not be trusted (a `resource` other than the one asked for, RFC 9728 section 3.3), or None."""


@dataclass(frozen=True)
class AuthorizationServerMetadata:
    """OAuth 2.0 Authorization Server Metadata (RFC 8414), as fetched from `url`."""

    url: str
    issuer: str
    token_endpoint: str
    jwks_uri: str | None = None
    device_authorization_endpoint: str | None = None
    authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    registration_endpoint: str | None = None
    scopes_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()
    code_challenge_methods_supported: tuple[str, ...] = ()
    """Empty where it knows no PKCE (RFC 8414 section 2): no code flow is begun there."""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()
    """Empty where it does not say, which means `client_secret_basic` (RFC 8414 section 2)."""
    dpop_signing_alg_values_supported: tuple[str, ...] = ()
    authorization_details_types_supported: tuple[str, ...] = ()
    """Kinds of finer limits that it knows (RFC 9396 section 10); what it does not know it must refuse."""
    protected_resources: tuple[str, ...] = ()
    """Resources that its tokens may be for (RFC 9728 section 4)."""
    iss_in_response: bool = False
    """`authorization_response_iss_parameter_supported` (RFC 9207 section 3)."""
    client_id_metadata_documents: bool = False
    """`client_id_metadata_document_supported` (MCP 2026-07-28, authorization)."""
    problem: str | None = None
    """Why it must not be trusted (an `issuer` other than the one asked for, RFC 8414 section 3.3), or None."""


@dataclass(frozen=True)
class Challenge:
    """A refusal that says how to get a token: `WWW-Authenticate` (RFC 6750 section 3, RFC 9728 section 5.1).

    `parameters` are the challenge's own, in the order they came. `resource` and `authorization_server` are what the
    agent found by following it, each None until it has been fetched.
    """

    status: int
    scheme: str
    parameters: tuple[tuple[str, str], ...]
    resource: ResourceMetadata | None = None
    authorization_server: AuthorizationServerMetadata | None = None
    anonymous: bool = False
    """Whether the request that was refused carried no token: some answer even that with `invalid_token`."""

    def get(self, name: str) -> str | None:
        """The parameter called `name`, or None."""
        return next((value for key, value in self.parameters if key == name), None)


@dataclass(frozen=True)
class Claim:
    """One claim of a token, explained. `verified` says whether a check of the agent's own stands behind it."""

    name: str
    value: str
    meaning: str
    verified: bool
    against: str | None = None
    """What it was checked against, e.g. "signature, JWKS of http://..."; None where it is merely claimed."""


Holder = Literal["key", "anyone", "downgraded"]
"""Who can use a token: who has its key alone (RFC 9449); or anyone who has a copy of it, which is a bearer token; and
`downgraded` is one that came although a key was proved."""


@dataclass(frozen=True)
class TokenView:
    """What can honestly be said about a token without printing it."""

    kind: Literal["jwt", "opaque"]
    masked: str
    length: int
    header: tuple[tuple[str, str], ...] = ()
    claims: tuple[Claim, ...] = ()
    signature: str | None = None
    """What the signature was verified against, e.g. "key kid=abc of http://.../oauth2/jwks"; None: not verified."""
    problems: tuple[str, ...] = ()
    """Each a reason not to trust or use it: "expired 12 s ago", "audience is X, this shop is Y", ..."""
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    told_by: str | None = None
    """Who was asked about an opaque token and answered, e.g. "introspection, http://..."; None: nobody was."""
    active: bool | None = None
    """What introspection says (RFC 7662 section 2.2); None where it did not say."""
    holder: Holder = "anyone"
    """Who can use it, as the client knows it."""

    def claim(self, name: str) -> str | None:
        """The value of the claim called `name` (dotted for nested ones: `act.sub`), or None."""
        return next((claim.value for claim in self.claims if claim.name == name), None)


@dataclass(frozen=True)
class GrantStanding:
    """Whether what a token was granted still stands, by the word of who was asked just now.

    A signature says who issued a token, and not that the grant behind it was not revoked since.
    """

    stands: bool | None
    """None where the answer settles nothing: the server was busy, or could not be reached."""
    asked: str
    """What was asked, e.g. "tools/list at http://127.0.0.1:7327/mcp"."""
    answer: str
    """What came, in short, e.g. "200" or "401 standing.session"."""
    reason: str = ""
    """Why it does not stand, or is not known, in the words of who was asked."""
    remedy: str = ""
    """What would make it stand; empty where nothing is wrong."""
    revoked: bool = False
    """Whether it was revoked, by a rule of the shop's standing gate or by introspection (RFC 7662); a server that
    refuses a token may have another reason."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with these field names."""
        return asdict(self)


@dataclass(frozen=True)
class Chain:
    """A delegation chain, Human -> Agent -> Action, with where each link was read."""

    human: str
    human_id: str
    agent: str
    client: str
    session: str
    consent: str
    action: str | None
    """What was done, e.g. "bought a shirt for 25.00 USD"; None when the chain ends at the agent."""
    token_id: str
    scopes: tuple[str, ...]
    spending_limit: Money | None
    at: float | None
    source: str
    """Where it was read: "token claims, verified against ..." or "audit trail entry ..."."""
    convention: str
    """Which issuer convention `sub` and `act` were read by, e.g. "RFC 8693: sub is the human, act.sub the agent"."""
    handed_on_by: tuple[str, ...] = ()
    """The agents above a sub-agent, the nearest first; the last is the one that the human consented to."""
    names: tuple[tuple[str, str], ...] = ()
    """What agents are called, by id, where somebody knows: a token names them by their ids alone."""


@dataclass(frozen=True)
class DeviceCode:
    """A device authorization response (RFC 8628 section 3.2), without the device code, which is a secret."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_at: float
    interval: float
    client: str
    scopes: tuple[str, ...]
    spending_limit: Money | None = None


@dataclass(frozen=True)
class AuthorizationRequest:
    """An authorization request (RFC 6749 section 4.1.1) as the human's browser is given it; `url` carries `state`."""

    url: str
    redirect_uri: str
    """Where the authorization server sends the browser back to."""
    expires_at: float
    """Until when the agent waits for that."""
    client: str
    scopes: tuple[str, ...]
    spending_limit: Money | None = None
