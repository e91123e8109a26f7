"""The sample accounts: the humans who may sign in, and what each may grant."""

from __future__ import annotations

from dataclasses import dataclass

from ..grants.scopes import SCOPES


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
        """Whether this human may take back anybody's authority, not only their own."""
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
        # A stranger has no demo mode to switch and no audit trail to hand on.
        EVERYTHING - {"demo:mode", "audit:read"},
    ),
)


def account_by_sub(sub: str) -> Account | None:
    """The account with this `sub`, or None."""
    return next((account for account in ACCOUNTS if account.sub == sub), None)


def account_by_email(email: str) -> Account | None:
    """The account with this email address, or None."""
    return next((account for account in ACCOUNTS if account.email == email), None)
