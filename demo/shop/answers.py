"""What the tools take and give, as pydantic models: the SDK makes the tools' schemas of them."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field

from demo.shop import catalog

_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the writing direction around: an order would not be displayed as it is."""

Mode = Literal["normal", "banned"]


def _clean(value: str) -> str:
    """Refuse what could forge a terminal's or a page's output."""
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value) or _BIDI & set(value):
        raise ValueError("must not contain control characters")
    return value


def _text(value: str) -> str:
    clean = _clean(value.strip())
    if not clean:
        raise ValueError("must not be empty")
    return clean


def _address(value: str) -> str:
    """An address may come in lines; it is kept in one."""
    return _text(", ".join(line.strip(" ,") for line in value.splitlines() if line.strip(" ,")))


Company = Annotated[str, Field(min_length=1, max_length=100, description="Company."), AfterValidator(_text)]
Address = Annotated[
    str, Field(min_length=1, max_length=300, description="Where to send the shirt."), AfterValidator(_address)
]
SizeArgument = Annotated[catalog.Size, Field(description="Size of the T-shirt.")]
Key = Annotated[
    str,
    Field(
        max_length=200,
        description="Makes the call safe to repeat: the same key finds the same order and buys nothing twice.",
    ),
    AfterValidator(_clean),
]


class Price(BaseModel):
    """An amount in minor units (cents) with its ISO 4217 currency."""

    amount: int
    currency: str


class Item(BaseModel):
    """Something to buy."""

    id: str
    name: str
    sizes: list[str]
    price: Price
    stock: int


class Inventory(BaseModel):
    """What `listMcpShopInventory` gives."""

    items: list[Item]


class OrderAnswer(BaseModel):
    """An order as its buyer is told it; `at` in POSIX seconds."""

    id: str
    item: str
    size: str
    company: str
    price: Price
    at: float
    user: str | None
    agent: str | None
    consent: str | None
    replayed: bool
    balance: Price | None
    spendingLimit: Price | None


class ListedOrder(OrderAnswer):
    """An order with where it goes."""

    mailingAddress: str


class Bought(BaseModel):
    """What `buyMcpShopItem` gives."""

    order: OrderAnswer


class Orders(BaseModel):
    """What `listMcpShopOrders` gives."""

    orders: list[ListedOrder]


class UserInfo(BaseModel):
    """Who is calling, as the shop sees it."""

    user: str | None
    username: str
    name: str | None
    roles: list[str]
    agent: str | None
    client: str | None
    session: str | None
    scopes: list[str]
    mode: Mode


class ModeAnswer(BaseModel):
    """In which mode the calling user is."""

    user: str | None
    mode: Mode


class Pardon(ModeAnswer):
    """What `prettyPlease` gives."""

    message: str
