"""A shop as a process that can be killed, stopped and started again on the same data, with the same or other settings.

Settings have the Worker's names (`worker/README.md`), so that a case can turn both shops in the same words.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import httpx2

from demo.deploy import tools, workerd
from demo.local_server import resources, world
from tests.conftest import HANGS, ROOT
from tests.contract.issuer import Issuer


def _port_to_come_back_to() -> int:
    """A free port below those that systems give away by themselves (32768 on Linux, 49152 elsewhere): nobody takes it
    while the shop is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class ShopProcess(ABC):
    """One shop, its port and its data. As a context manager it ends what runs."""

    name: Literal["local", "worker"]

    def __init__(self, issuer: Issuer, state: Path) -> None:
        known = world.credentials(issuer.state)
        assert known is not None
        self.issuer, self.state, self.credentials = issuer, state, known
        self.port = _port_to_come_back_to()
        self.base = f"http://127.0.0.1:{self.port}"
        for path in ("mcp", "admin"):
            resources.add(issuer.state, f"{self.base}/{path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @abstractmethod
    def start(self, **settings: str) -> None:
        """Start it, and wait until it answers."""

    @abstractmethod
    def kill(self) -> None:
        """End it with SIGKILL, whatever it is doing."""

    @abstractmethod
    def stop(self) -> None:
        """End it as a platform would."""


SERVE = """
import contextlib, json, os, pathlib, sys, uvicorn
from starlette.applications import Starlette
from demo import tracing
from demo.shop.app import create_shop
from demo.shop.config import WarehouseConfig, ShopConfig
from demo.tracing import serving, wanted
port, issuer, database, settings = sys.argv[1:]
client, secret = json.loads(sys.stdin.readline())
given = json.loads(settings)
if "warehouse" in given:
    given["warehouse"] = WarehouseConfig(given["warehouse"], f"{issuer}/internal")
shop = create_shop(ShopConfig(base_url=f"http://127.0.0.1:{port}", database=pathlib.Path(database), issuer=issuer,
    introspection=(client, secret), **given))
@contextlib.asynccontextmanager
async def lifespan(app):
    async with shop.lifespan():
        yield
app = Starlette(routes=shop.routes, lifespan=lifespan)
if (asked := wanted.by_environment(os.environ)) is not None:
    tracing.begin(asked, (tracing.SHOP,))
    app = serving.Served(app, {route.path: tracing.SHOP for route in shop.routes}, tracing.SHOP)
uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="critical")
"""


class LocalShop(ShopProcess):
    """The local shop without the authorization server beside it."""

    name = "local"
    _running: subprocess.Popen[str] | None = None

    def start(self, **settings: str) -> None:
        numbers = {
            "RATE_CALLS": "rate_calls",
            "RATE_SECONDS": "rate_seconds",
            "PURCHASES_PER_CONSENT": "purchases_per_consent",
            "APPROVE_ABOVE": "approve_above",
            "STOCK_AT_FIRST": "stock",
            "OPEN_RATE_CALLS": "open_rate_calls",
            "OPEN_STOCK_AT_FIRST": "open_stock",
        }
        given: dict[str, object] = {numbers[name]: int(settings.pop(name)) for name in numbers if name in settings}
        for name in ("ALLOWLIST", "TOKEN_TYPES"):
            if name in settings:
                given[name.lower()] = [entry.strip() for entry in settings.pop(name).split(",")]
        for name in ("ORGANIZATION", "WAREHOUSE"):
            if name in settings:
                given[name.lower()] = settings.pop(name)
        if "OPEN_DOOR" in settings:
            given["open_door"] = settings.pop("OPEN_DOOR") == "on"
        id, secret = self.credentials
        secrets = (settings.pop("INTROSPECTION_CLIENT_ID", id), settings.pop("INTROSPECTION_CLIENT_SECRET", secret))
        issuer = settings.pop("ISSUER", self.issuer.url)
        traced = {name: settings.pop(name) for name in list(settings) if name.startswith("OTEL_")}
        assert not settings, f"the local shop has no such setting: {settings}"
        command = [sys.executable, "-c", SERVE, str(self.port), issuer, str(self.state / "shop.sqlite3")]
        self._running = subprocess.Popen(
            [*command, json.dumps(given)], stdin=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | traced
        )
        assert self._running.stdin is not None
        self._running.stdin.write(json.dumps(secrets) + "\n")
        self._running.stdin.flush()
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                httpx2.get(f"{self.base}/.well-known/oauth-protected-resource/mcp", trust_env=False, verify=False)
                return
            assert self._running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, sign: signal.Signals) -> None:
        if self._running is None:
            return
        self._running.send_signal(sign)
        try:
            self._running.wait(HANGS)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait(HANGS)
        assert self._running.stdin is not None
        self._running.stdin.close()
        self._running = None


class WorkerShop(ShopProcess):
    """The Worker under workerd, by wrangler."""

    name = "worker"

    def __init__(self, issuer: Issuer, state: Path, installed: tools.Tools) -> None:
        super().__init__(issuer, state)
        self._installed = installed
        self._running = contextlib.ExitStack()
        self._pid = 0

    def start(self, **settings: str) -> None:
        secrets = workerd.local_secrets(self.credentials)
        for name in secrets:
            secrets[name] = settings.pop(name, secrets[name])
        worker = self._running.enter_context(
            workerd.running(
                self._installed,
                port=self.port,
                state=self.state,
                variables={**workerd.local_variables(self.issuer.url), **settings},
                secrets=secrets,
            )
        )
        self._pid = worker.pid

    def kill(self) -> None:
        os.killpg(self._pid, signal.SIGKILL)  # wrangler, and workerd with it: the group is of our own making
        self._running.close()

    def stop(self) -> None:
        self._running.close()
