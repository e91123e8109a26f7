"""The warehouse: a service behind the shop that sends what was ordered. It takes transaction tokens, and never sees an
agent's access token."""

from typing import Final

PATH: Final = "/warehouse/orders"
"""Where it takes orders."""
