"""The shop's settings: its own address, its authorization server, its limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from demo.policy_file import SHIPPED, Approval, Policy, Quota, Rate, Written
from demo.shop.catalog import LIMITS, PRICE
from deputize.evidence import Money


@dataclass(frozen=True)
class WarehouseConfig:
    """The service behind the shop that sends what was ordered: where it is told, and the trust domain that the
    transaction tokens for it are for."""

    url: str
    trust_domain: str


@dataclass(frozen=True)
class ShopConfig:
    """The shop's settings.

    Args:
        base_url: the origin that the shop is reached at, without a trailing slash; the protected resource is
            `base_url` + "/mcp" (RFC 8707, RFC 9728).
        aliases: other origins that it answers at, such as `http://localhost:PORT` for `http://127.0.0.1:PORT`. A client
            that calls by one of them finds the resource under that name: RFC 9728 section 3.3 has it compare them.
        database: the SQLite file; it may be shared with other packages, the shop's tables are prefixed `shop_`.
        issuer: the authorization server that the shop trusts; everything else about it is discovered (RFC 8414).
        introspection: client id and secret of this resource server at the authorization server (RFC 7662 section 2.1).
        policy_folder: where a `policy.toml` may lie, which is read again while the shop runs; what follows of policy is
            then for a shop without such a file. None: there never is one.
        allowlist: who may use the protected door, compared without case: email addresses, user ids, `@DOMAIN`,
            `role:SLUG`, and `members` of `organization`.
        organization: the id of the organization (`org_id` of a token) that is the shop's; None where there is none.
        token_types: the `typ` of an access token, `absent` for one without; empty: what the issuer is known for.
        rate_calls, rate_seconds: so many tool calls in so many seconds per agent.
        purchases_per_consent: so many orders per consent of a human.
        approve_above: the price, in minor units, above which a human approves each purchase; None: none needs it.
        price: of the one item.
        stock: how many of it there are when the ledger is new.
        open_door: whether there is a door without auth.
        open_rate_calls: so many tool calls there in `rate_seconds` from one address.
        open_stock: how many the open door has of its own when the ledger is new.
        auth_server_at: the origin at which the issuer is asked from here, such as a loopback address of a server that
            the world reaches through a tunnel; None for the issuer's own.
        reached_at: the origin at which the authorization server reaches this shop; None for `base_url`.
        console_clients: which clients are a human's own console.
        leeway_seconds: how far the authorization server's clock and ours may differ when a token's times are checked.
            Seconds, not minutes: tokens live five minutes here.
        answer_timeout: seconds for one question to the authorization server, from connection to the last byte.
        lease_seconds: how long what the authorization server said is relied on at most. It waits longer than that
            before it answers a revocation that this shop does not acknowledge.
        warehouse: who is told of each order at the protected door; None: nobody.
        clock: POSIX seconds; tests turn it.
    """

    base_url: str
    database: Path
    issuer: str
    introspection: tuple[str, str] = field(repr=False)
    policy_folder: Path | None = None
    allowlist: tuple[str, ...] = SHIPPED.policy.allowlist
    organization: str | None = None
    token_types: tuple[str, ...] = ()
    rate_calls: int = SHIPPED.policy.rate.calls
    rate_seconds: int = SHIPPED.policy.rate.seconds
    purchases_per_consent: int = SHIPPED.policy.quota.purchases_per_consent
    approve_above: int | None = SHIPPED.policy.approval.above if SHIPPED.policy.approval else None
    price: Money = PRICE
    stock: int = LIMITS.stock
    open_door: bool = True
    open_rate_calls: int = SHIPPED.policy.rate.open_calls
    open_stock: int = LIMITS.stock
    auth_server_at: str | None = None
    reached_at: str | None = None
    console_clients: tuple[str, ...] = ("demo-console",)
    leeway_seconds: int = LIMITS.leeway_seconds
    answer_timeout: float = LIMITS.answer_seconds
    lease_seconds: float = 5.0
    warehouse: WarehouseConfig | None = None
    clock: Callable[[], float] = time.time
    aliases: tuple[str, ...] = ()

    @property
    def policy(self) -> Written:
        """The policy of a shop without a file of its own."""
        rate = Rate(self.rate_calls, self.rate_seconds, self.open_rate_calls)
        shipped = SHIPPED.policy
        quota = Quota(self.purchases_per_consent)
        approval = None if self.approve_above is None else Approval(self.approve_above)
        ours = Policy(1, tuple(self.allowlist), shipped.scopes, rate, quota, approval)
        return SHIPPED if ours == shipped else Written(ours, SHIPPED.text, ours.digest)

    @property
    def resource(self) -> str:
        """The resource identifier of the protected door, which a token's audience must name."""
        return f"{self.base_url}/mcp"

    @property
    def resource_aliases(self) -> frozenset[str]:
        """The same door by the other names, which an audience may give as well."""
        return self.named("mcp")

    def named(self, path: str) -> frozenset[str]:
        """The resource at this path by the shop's other names."""
        return frozenset(f"{origin}/{path}" for origin in self.aliases)

    def origin(self, host: str) -> str:
        """The origin that a request with this `Host` came by: an alias, or else the shop's own."""
        return next((one for one in self.aliases if urlsplit(one).netloc == host), self.base_url)

    def metadata_url(self, host: str, path: str = "mcp") -> str:
        """Where a resource's metadata stands (RFC 9728 section 3.1), for who came by this `Host`."""
        return f"{self.origin(host)}/.well-known/oauth-protected-resource/{path}"
