"""The local server: the shop and the authorization server as one process, and how another process finds it."""

from typing import Final

from demo.warehouse import PATH as WAREHOUSE

__all__ = ["LOG", "LONGEST_LOG", "WAREHOUSE"]

LOG: Final = "server.log"
"""In the state folder: what the server in the background says."""
LONGEST_LOG: Final = 1_000_000
"""Bytes. Anybody can have it say something."""
