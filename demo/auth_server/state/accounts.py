"""Whose accounts a server knows: who may sign in, and which of the scopes there are each may grant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from demo.scopes import SCOPES

CONSOLE_ONLY = frozenset({"sessions:manage"})
"""What only the human's own console may hold: an agent that could lift its own revocation was never revoked."""

CONSOLE = frozenset({"openid", "audit:read", "sessions:manage", "offline_access"})
"""All that the console may hold: it looks and revokes. It never shops, so that nothing is bought without an agent
that the human can revoke."""


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """The known scopes among `names`, each once, in the order of `SCOPES`."""
    wanted = set(names)
    return tuple(name for name in SCOPES if name in wanted)


@dataclass(frozen=True)
class Account:
    """A human. `sub` is the stable identifier that tokens carry; `grantable` the scopes this human may hand on."""

    sub: str
    email: str
    name: str
    about: str
    roles: tuple[str, ...]
    grantable: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether this human may revoke for anybody, not only for themselves."""
        return "admin" in self.roles


EVERYTHING = frozenset(SCOPES)

ACCOUNTS: tuple[Account, ...] = (
    Account("user_alice", "alice@example.com", "Alice Ito", "A customer of the shop", ("customer",), EVERYTHING),
    Account(
        "user_grace", "grace@example.com", "Grace Okoro", "An admin of the shop", ("customer", "admin"), EVERYTHING
    ),
    Account(
        "user_mallory",
        "mallory@example.org",
        "Mallory Crane",
        "Somebody from elsewhere: the shop's allowlist does not know her",
        (),
        # Somebody who is no customer has no demo mode to switch and no audit log to hand on.
        EVERYTHING - {"demo:mode", "audit:read"},
    ),
)


class Directory(Protocol):
    """The accounts that one authorization server knows."""

    def by_sub(self, sub: str) -> Account | None:
        """The account with this `sub`, or None."""

    def offered(self, cookies: Mapping[str, str]) -> tuple[Account, ...]:
        """The accounts that a browser with these cookies may sign in as, without a password."""

    def started(self, cookies: Mapping[str, str]) -> str | None:
        """The user code of the device request that a browser with these cookies started on a page of this very server,
        which shows it that code; None where there is none."""


class Samples:
    """The sample accounts, which anybody at this machine may sign in as."""

    def by_sub(self, sub: str) -> Account | None:
        """The account with this `sub`, or None."""
        return account_by_sub(sub)

    def offered(self, cookies: Mapping[str, str]) -> tuple[Account, ...]:
        """All of them, to every browser."""
        return ACCOUNTS

    def started(self, cookies: Mapping[str, str]) -> None:
        """None: requests are started in terminals."""


def account_by_sub(sub: str) -> Account | None:
    """The sample account with this `sub`, or None."""
    return next((account for account in ACCOUNTS if account.sub == sub), None)
