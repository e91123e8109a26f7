"""The ledger: orders, stock, idempotency keys and bans. Every function takes a connection and does one thing.

The guards here repeat what the gates decided a moment before. They cannot be outrun: they stand in the same
transaction as the order, no matter who else writes to the file.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from demo.evidence.shop import Order
from demo.shop.catalog import ITEM_DESCRIPTION, ITEM_ID, ITEM_NAME
from deputize.evidence import Money

OPEN_ACCOUNT = "open"
"""The account of everybody who comes through the open door: nobody can tell one from another."""

Fault = Literal["limits.quota", "limits.spending", "limits.consent", "limits.approval", "sold_out", "key_reused"]
"""A rule of the limits gate, or a sentence of `shop.toml`."""


class PurchaseRefused(Exception):
    """The order was not placed, and nothing was taken from quota, balance or stock."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True)
class Purchase:
    """What is to be bought, by whom, on which account, within which terms."""

    audit_id: str
    account: str
    """What quota and money are counted by: the consent."""
    caller: str
    """Whose idempotency keys are looked through: the agent's, over all its consents."""
    size: str
    company: str
    address: str
    arguments: str
    """A digest of what was asked for, to tell a repeated request from a key used twice."""
    price: Money
    at: float
    key: str | None = None
    user: str | None = None
    agent: str | None = None
    client: str | None = None
    consent: str | None = None
    sub_agents: tuple[str, ...] = ()
    """Who buys, and each above it, but for the agent that the human consented to: by these, too, it is spent."""
    quota: int | None = None
    """Purchases that the account is good for; None at the open door, where nobody set one."""
    spending_limits: tuple[tuple[str | None, Money], ...] = ()
    """What may be spent by a sub-agent, and for None by the account. With a quota set, none of them means that no money
    may be spent at all."""
    to_be_approved: bool = False
    """Whether a human must have approved this very purchase."""
    approval: str | None = None
    """The id of the approval that it is placed on, which this uses up."""

    @property
    def door(self) -> Literal["open", "protected"]:
        """Through which door it came."""
        return "open" if self.account == OPEN_ACCOUNT else "protected"


@dataclass(frozen=True)
class Spent:
    """What an account has used so far: orders, and minor units of the shop's currency."""

    orders: int
    amount: int


def restock(connection: sqlite3.Connection, stock: int, open_stock: int = 0) -> None:
    """Give a new ledger its stock, each door its own; one that has it keeps what is left."""
    for door, count in (("protected", stock), ("open", open_stock)):
        connection.execute("INSERT OR IGNORE INTO shop_stock (item, left) VALUES (?, ?)", (_shelf(door), count))


def stock_left(connection: sqlite3.Connection, door: str = "protected") -> int:
    """How many of the item are left at a door: each has its own, or nobody could sell the shop out to everybody."""
    row = connection.execute("SELECT left FROM shop_stock WHERE item = ?", (_shelf(door),)).fetchone()
    return int(row["left"])


def description(connection: sqlite3.Connection, door: str) -> str:
    """What a door's listing says of the item: the shop's own text, or what an admin has put in its place."""
    row = connection.execute("SELECT description FROM shop_listings WHERE door = ?", (door,)).fetchone()
    return ITEM_DESCRIPTION if row is None else str(row["description"])


def set_door(
    connection: sqlite3.Connection,
    door: str,
    *,
    stock: int | None = None,
    opened: bool | None = None,
    text: str | None = None,
) -> dict[str, Any]:
    """Restock a door, close it or open it again, or set the text of its listing; what is None stays, and an empty text
    is the shop's own again. Gives the door as it is then."""
    if stock is not None:
        connection.execute("UPDATE shop_stock SET left = ? WHERE item = ?", (stock, _shelf(door)))
    if opened is False:
        connection.execute("INSERT OR IGNORE INTO shop_closed VALUES (?)", (door,))
    elif opened:
        connection.execute("DELETE FROM shop_closed WHERE door = ?", (door,))
    if text:
        connection.execute("INSERT OR REPLACE INTO shop_listings VALUES (?, ?)", (door, text))
    elif text == "":
        connection.execute("DELETE FROM shop_listings WHERE door = ?", (door,))
    return {
        "door": door,
        "open": not is_closed(connection, door),
        "stock": stock_left(connection, door),
        "description": description(connection, door),
    }


def is_closed(connection: sqlite3.Connection, door: str = "open") -> bool:
    """Whether an admin has closed a door."""
    return connection.execute("SELECT 1 FROM shop_closed WHERE door = ?", (door,)).fetchone() is not None


def _shelf(door: str) -> str:
    return ITEM_ID if door == "protected" else f"{ITEM_ID} at the {door} door"


def spent(connection: sqlite3.Connection, account: str, by: str | None = None) -> Spent:
    """What the account has used: counted from its orders, so that it cannot disagree with them.

    Args:
        by: a sub-agent: only what it, and who is below it, used.
    """
    counted = "SELECT count(*) AS orders, coalesce(sum(amount), 0) AS amount FROM shop_orders"
    if by is None:
        row = connection.execute(f"{counted} WHERE account = ? AND cancelled_at IS NULL", (account,)).fetchone()
    else:
        theirs = "EXISTS (SELECT 1 FROM json_each(sub_agents) WHERE value = ?)"
        row = connection.execute(
            f"{counted} WHERE account = ? AND cancelled_at IS NULL AND {theirs}", (account, by)
        ).fetchone()
    return Spent(int(row["orders"]), int(row["amount"]))


def used_approvals(connection: sqlite3.Connection, ids: Sequence[str]) -> frozenset[str]:
    """Those of these approvals that an order was placed on."""
    marks = ", ".join("?" * len(ids))
    rows = connection.execute(f"SELECT id FROM shop_approvals WHERE id IN ({marks})", ids) if ids else ()
    return frozenset(row["id"] for row in rows)


def find_replay(connection: sqlite3.Connection, caller: str, key: str | None) -> tuple[str, str] | None:
    """The order id and the arguments' digest that this caller's idempotency key stands for, or None.

    Keys are the caller's and not the consent's: an agent that logged in again still means the same purchase.
    """
    if key is None:
        return None
    row = connection.execute(
        "SELECT order_id, arguments FROM shop_keys WHERE caller = ? AND key = ?", (caller, key)
    ).fetchone()
    return (row["order_id"], row["arguments"]) if row else None


def place(connection: sqlite3.Connection, wanted: Purchase) -> Order:
    """Place an order, or find the one that its key stands for. To be called inside one transaction.

    Raises:
        PurchaseRefused: with the reason; the transaction must be rolled back.
    """
    replay = find_replay(connection, wanted.caller, wanted.key)
    if replay is not None:
        order_id, arguments = replay
        if arguments != wanted.arguments:
            raise PurchaseRefused("key_reused")
        return _receipt(connection, wanted, order_id, replayed=True)
    _guard(connection, wanted)
    order_id = f"order_{secrets.token_hex(6)}"
    connection.execute("UPDATE shop_stock SET left = left - 1 WHERE item = ?", (_shelf(wanted.door),))
    connection.execute(
        "INSERT INTO shop_orders (id, at, door, account, user, agent, client, consent, item, size, company, address,"
        " amount, currency, audit_id, sub_agents) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order_id,
            wanted.at,
            wanted.door,
            wanted.account,
            wanted.user,
            wanted.agent,
            wanted.client,
            wanted.consent,
            ITEM_NAME,
            wanted.size,
            wanted.company,
            wanted.address,
            wanted.price.amount,
            wanted.price.currency,
            wanted.audit_id,
            json.dumps(wanted.sub_agents),
        ),
    )
    if wanted.to_be_approved:
        connection.execute("INSERT INTO shop_approvals (id, order_id) VALUES (?, ?)", (wanted.approval, order_id))
    if wanted.key is not None:
        connection.execute(
            "INSERT INTO shop_keys (caller, key, arguments, order_id) VALUES (?, ?, ?, ?)",
            (wanted.caller, wanted.key, wanted.arguments, order_id),
        )
    return _receipt(connection, wanted, order_id, replayed=False)


def void(connection: sqlite3.Connection, order_id: str) -> None:
    """Undo an order that was just placed, as if it never was: it counts for no limit, and is in stock again."""
    row = connection.execute("SELECT door, cancelled_at FROM shop_orders WHERE id = ?", (order_id,)).fetchone()
    connection.execute("DELETE FROM shop_keys WHERE order_id = ?", (order_id,))
    connection.execute("DELETE FROM shop_approvals WHERE order_id = ?", (order_id,))
    connection.execute("DELETE FROM shop_orders WHERE id = ?", (order_id,))
    if row["cancelled_at"] is None:  # else a revocation has put it back, just before
        connection.execute("UPDATE shop_stock SET left = left + 1 WHERE item = ?", (_shelf(row["door"]),))


def cancel(connection: sqlite3.Connection, order_id: str, at: float) -> None:
    """Cancel an order that is not sent: it counts for no limit any more, and is in stock again. It stays listed, its
    key goes on finding it, and the approval that it was placed on stays used."""
    row = connection.execute("SELECT door FROM shop_orders WHERE id = ?", (order_id,)).fetchone()
    cancelled = connection.execute(
        "UPDATE shop_orders SET cancelled_at = ? WHERE id = ? AND cancelled_at IS NULL", (at, order_id)
    )
    if cancelled.rowcount:
        connection.execute("UPDATE shop_stock SET left = left + 1 WHERE item = ?", (_shelf(row["door"]),))


def _guard(connection: sqlite3.Connection, wanted: Purchase) -> None:
    used = spent(connection, wanted.account)
    if wanted.quota is not None:
        if used.orders >= wanted.quota:
            raise PurchaseRefused("limits.quota")
        if not wanted.spending_limits:
            raise PurchaseRefused("limits.consent")
        if any(left < wanted.price.amount for left, _ in _balances(connection, wanted, used)):
            raise PurchaseRefused("limits.spending")
    if wanted.to_be_approved and (wanted.approval is None or used_approvals(connection, (wanted.approval,))):
        raise PurchaseRefused("limits.approval")
    if stock_left(connection, wanted.door) < 1:
        raise PurchaseRefused("sold_out")


def _receipt(connection: sqlite3.Connection, wanted: Purchase, order_id: str, *, replayed: bool) -> Order:
    row = connection.execute("SELECT * FROM shop_orders WHERE id = ?", (order_id,)).fetchone()
    used = spent(connection, wanted.account)
    left, limit = min(_balances(connection, wanted, used), key=lambda one: one[0], default=(0, None))
    balance = None if limit is None else Money(left, limit.currency)
    return _order(row, replayed=replayed, balance=balance, spending_limit=limit)


def _balances(connection: sqlite3.Connection, wanted: Purchase, used: Spent) -> list[tuple[int, Money]]:
    """What is left of each limit, and the limit; `used` is what the account has."""
    return [
        (limit.amount - (used if by is None else spent(connection, wanted.account, by)).amount, limit)
        for by, limit in wanted.spending_limits
    ]


def orders(
    connection: sqlite3.Connection, *, user: str | None, through: tuple[str | None, str | None] | None = None
) -> list[tuple[Order, str]]:
    """Orders with their mailing addresses, oldest first: a human's own, or with None those of the open door.

    Args:
        through: agent instance and client: only what was placed through these. The client counts where no agent is
            named, as in `facts.TokenFacts.caller`.
    """
    agent, client = through or (None, None)
    rows = connection.execute(
        "SELECT * FROM shop_orders WHERE door = ? AND user IS ?"
        " AND (? OR (agent IS ? AND (agent IS NOT NULL OR client IS ?))) ORDER BY seq",
        ("open" if user is None else "protected", user, through is None, agent, client),
    ).fetchall()
    return [(_order(row), str(row["address"])) for row in rows]


def _order(
    row: sqlite3.Row, *, replayed: bool = False, balance: Money | None = None, spending_limit: Money | None = None
) -> Order:
    return Order(
        id=row["id"],
        item=row["item"],
        size=row["size"],
        company=row["company"],
        price=Money(row["amount"], row["currency"]),
        at=row["at"],
        user=row["user"],
        agent=row["agent"],
        consent=row["consent"],
        replayed=replayed,
        cancelled=row["cancelled_at"] is not None,
        balance=balance,
        spending_limit=spending_limit,
    )


def ban(connection: sqlite3.Connection, caller: str, at: float) -> None:
    """Ban an agent (`facts.TokenFacts.caller`) from the shop, from now on; banning twice is the same as once."""
    connection.execute("INSERT OR IGNORE INTO shop_banned (caller, at) VALUES (?, ?)", (caller, at))


def lift_ban(connection: sqlite3.Connection, caller: str) -> bool:
    """Lift an agent's ban; whether there was one."""
    return connection.execute("DELETE FROM shop_banned WHERE caller = ?", (caller,)).rowcount > 0


def is_banned(connection: sqlite3.Connection, caller: str) -> bool:
    """Whether the shop has banned this agent."""
    return connection.execute("SELECT 1 FROM shop_banned WHERE caller = ?", (caller,)).fetchone() is not None
