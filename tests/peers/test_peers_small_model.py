"""A real language model decides what the agent calls: a small one, on loopback, in the Chat Completions API's shapes.

What it does is its own, and not always what was asked for. That it ends, and that it gets no further than the human's
consent, is what is claimed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from demo import model
from demo.client import Agent
from demo.client.human.sample_human import SampleHuman
from demo.evidence.model import ModelBounds, ModelCall
from demo.model import script
from deputize.evidence import Money
from deputize.tokens.store import MemoryStore
from tests.peers.installed import MODEL_LOCK, PythonPeers, install_python
from tests.peers.running import running

LIMIT = Money(6000)
BOUNDS = ModelBounds(steps=4, seconds=500, answer_seconds=240)


@pytest.fixture(scope="module")
def small_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The model's base URL."""
    cache = request.config.cache.mkdir("peers-small-model")  # type: ignore[union-attr]  # the cache plugin is always there
    installed: PythonPeers = install_python(cache, MODEL_LOCK, "--no-deps")
    # Its matrices are small: a second thread costs more than it brings.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with running(installed.script("servers/small_model.py", "0"), environment) as server:
        yield f"http://127.0.0.1:{server.line('listening at ', 120).split()[-1]}/v1"


def test_a_real_model_calls_the_shop_and_gets_no_further_than_the_consent(server: str, small_model: str) -> None:
    agent = Agent(server, store=MemoryStore().at(server))
    login = agent.start_login(("openid", "shop:read", "shop:buy", "offline_access"), spending=LIMIT)
    SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
    agent.finish_login(replace(login, code=replace(login.code, interval=0.1)))

    prompt = "Please buy me a shirt in size M. I work at Acme, 1 Main Street."
    run = model.drive(agent, prompt, model.Endpoint("openai", "smollm2", small_model), BOUNDS)

    assert run.fault is None and run.end.reason in ("done", "steps", "repeats"), run.end
    assert run.task.made_by == "model" and run.end.tokens_written > 0
    # It decided on tools that are there, and the shop decided about each.
    assert run.calls and all(not call.problem for call in run.calls)
    assert len(run.decisions) == len(run.calls) == len(run.outcomes)
    bought = [order for order in run.orders if not order.replayed]
    assert len(bought) <= 2 and sum(order.price.amount for order in bought) <= LIMIT.amount
    assert {one.order_id for one in run.decisions if one.order_id} == {order.id for order in bought}

    # What is kept of it is a recording of a model, and calls the same.
    kept = script.read(tomllib.loads(script.written(run.events)), "kept", "kept.toml")
    assert kept.kind == "recording" and kept.made_by == "openai:smollm2"
    assert [call.tool for line in kept.lines for call in line.calls] == [
        event.tool for event in run.events if isinstance(event, ModelCall)
    ]
