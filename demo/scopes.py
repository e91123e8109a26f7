"""The scopes of the shop in plain words: one source for the consent page in the browser and for the panel on stage."""

from __future__ import annotations

SCOPES: dict[str, str] = {
    "openid": "Know who you are: your name and email address",
    "shop:read": "See what the shop has",
    "orders:read": "See the orders that it placed for you, with their addresses",
    "orders:all": "See all your orders, those of your other agents too",
    "shop:buy": "Buy in your name, within the limit you set",
    "user:read": "Read your profile at the shop",
    "demo:mode": "Switch the demo's mode: shut itself out of the shop, and come back",
    "audit:read": "Read the audit log of what was done for you",
    "sessions:manage": "See and revoke what you granted",
    "offline_access": "Stay signed in, without asking you each time",
}
"""Name to plain words, in the order in which a consent page lists them."""
