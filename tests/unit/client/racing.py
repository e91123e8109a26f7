"""One of two processes that renew the same token at the same moment: `racing.py SERVER FOLDER START`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from demo.client import Agent
from deputize import TokenStore

server, folder, start = sys.argv[1:]
agent = Agent(server, store=TokenStore.open(Path(folder), server=server, use_keyring=False), timeout=60)
time.sleep(max(0.0, float(start) - time.time()))
token = agent.token()
outcome = agent.call("listMcpShopInventory", {})
sys.stdout.write(f"{outcome.status} {token.access_token[-16:]}\n")
