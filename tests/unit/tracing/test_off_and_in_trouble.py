"""Tracing that nobody asked for costs nothing; tracing that fails fails nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from demo import tracing
from demo.local_server.app import create_app
from demo.tracing import exporting, reading, wanted
from demo.tracing.sending import shown
from deputize.errors import UsageError
from tests.conftest import ROOT, Command

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "otlp"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({ENDPOINT: "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_SERVICE_NAME": "mine"}, False),
    ],
)
def test_opentelemetrys_own_variables_say_whether_a_process_is_traced(environ: dict[str, str], otlp: bool) -> None:
    asked = wanted.by_environment(environ)
    assert (asked is not None and asked.otlp) == otlp


def test_a_file_is_asked_for_by_itself(tmp_path: Path) -> None:
    asked = wanted.by_environment({"OTEL_SDK_DISABLED": "true"}, tmp_path / "spans.jsonl")
    assert asked is not None
    assert not asked.otlp
    assert wanted.read(asked.told()) == asked


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/mcp", "/mcp"),
        ("/oauth2/token", "/oauth2/token"),
        ("/.well-known/oauth-protected-resource/s/s3cr3t/mcp", "/.well-known/oauth-protected-resource"),
        ("/s/s3cr3t/mcp", ""),
        ("/oauth2/token/s3cr3t", ""),
    ],
)
def test_a_path_that_may_hold_a_secret_is_not_told(path: str, told: str) -> None:
    assert shown(path) == told


def test_the_paths_of_our_own_servers_are_told(tmp_path: Path) -> None:
    """All but WorkOS's, the human's pages, and what servers ask each other all the time."""
    others = ("/user_management", "/organizations", "/authorization", "/sso", "/audit_logs", "/agents", "/device")
    app: Any = create_app("http://127.0.0.1:7327", tmp_path / "server.sqlite3", instance="test")
    ours = {one.path for one in app.app.routes if not one.path.startswith((*others, "/events", "/ssf"))}
    assert "/oauth2/purchases" in ours
    assert {path for path in ours if not shown(path)} == set()


def test_untraced_nothing_of_the_sdk_is_imported_and_nothing_is_sent_along() -> None:
    code = (
        "import sys; from demo import tracing; import demo.shop.app, demo.client.agent, demo.local_server.server;"
        "assert not tracing.on() and tracing.carried() == {};"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
    with tracing.span("anything") as span:
        span.add({"nothing": 1})


@pytest.mark.parametrize("answers", [False, True], ids=["nobody listens", "it never answers"])
def test_an_endpoint_in_trouble_fails_no_command_and_holds_none_up(demo_apart: Command, answers: bool) -> None:
    with socket.socket() as collector:
        collector.bind(("127.0.0.1", 0))
        if answers:
            collector.listen(8)
        where = {ENDPOINT: f"http://127.0.0.1:{collector.getsockname()[1]}"}
        process = demo_apart.start("--json", "call", "listMcpShopInventory", "--open", **where)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert json.loads(out)["decision"]["verdict"] == "allow"
        assert "the trace of this command is not complete" in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        (
            "Transient error HTTPConnectionPool(host='127.0.0.1', port=4318): Max retries exceeded with url: /v1/tr "
            "(Caused by NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=4318): Failed to establish a new "
            'connection: [Errno 111] Connection refused")) encountered while exporting spans batch, retrying in 0.93s.',
            "Connection refused",
        ),
        ("HTTPConnectionPool(host='10.0.0.1', port=4318): Read timed out. (read timeout=10)", "Read timed out"),
        ("Failed to export spans batch code: 401, reason: Unauthorized", "401"),
        ("Invalid URL 'http://me:s3cr3t@collector'", "//***@collector"),
    ],
)
def test_trouble_is_told_in_a_line_and_with_no_secret(said: str, holds: str) -> None:
    told = exporting.plainly(said)
    assert holds in told
    assert "s3cr3t" not in told
    assert len(told) < 110


def test_an_end_waits_no_longer_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for_ever = threading.Event()

    class Stuck:
        def force_flush(self) -> None:
            for_ever.wait()

    traced = exporting.Tracing(wanted.Wanted(file=tmp_path / "spans.jsonl"), ("agent",))
    monkeypatch.setattr(traced, "_processors", [Stuck()])
    try:
        assert traced.end(0.05) is not None
    finally:
        for_ever.set()


def test_a_file_has_what_both_processes_did_and_is_read_again(demo_apart: Command, tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    done = demo_apart("--json", "--trace", str(file), "call", "listMcpShopInventory", "--open")
    trace = json.loads(done.stdout)["decision"]["trace_id"]
    deadline = time.monotonic() + 60
    while True:
        spans = reading.one_trace(reading.read(file), trace[:12])
        if {"agent", "mcp-shop"} <= {span.service for span in spans} or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert [(depth, span.name) for depth, span in reading.tree(spans)][:2] == [
        (0, "demo call"),
        (1, "execute_tool listMcpShopInventory"),
    ]
    gate = next(span for span in spans if span.name == "gates")
    assert gate.attribute("demo.rule") == "open.anonymous"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "was started again" not in demo_apart("call", "listMcpShopInventory", "--open").stderr


def test_a_file_that_is_no_trace_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    span = '{"resourceSpans": [{"scopeSpans": [{"spans": [%s]}]}]}\n'
    late = '{"traceId": "a", "spanId": "b", "startTimeUnixNano": "9%s", "endTimeUnixNano": "1"}' % ("9" * 400)
    for text in ("", "[1]\n", span % '{"name": "half"}', span % late, "\udcff"):
        file.write_bytes(os.fsencode(text))
        with pytest.raises(UsageError):
            reading.read(file)
    with pytest.raises(UsageError):
        reading.read(tmp_path / "none")
