"""What the bench of the Durable Objects makes of its samples, and what its load takes for an answer."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench import memory, report
from bench.durable_objects import main
from bench.figures import Growth, Kind, Made, Outcome, Size, Woken, quantile, side
from bench.load import PROXY_LOST, Loop, Refused, Round, Sample, tool_call


def samples(**of_users: list[float]) -> Round:
    flat = tuple(Sample(user, one) for user, times in of_users.items() for one in times)
    return Round(flat, 0, sum(one.seconds for one in flat))


def test_a_quantile_is_one_of_the_values_and_no_average() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([float(one) for one in range(1, 101)], 0.99) == 99.0
    assert quantile([1.0, 9.0], 0.99) == 9.0
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_one_user_who_is_served_badly_shows_however_many_are_served_well() -> None:
    found = side([samples(**{f"u{index}": [1.0, 1.0, 1.0] for index in range(50)}), samples(slow=[9.0, 9.0, 9.0])])
    assert (found.users, found.calls) == (51, 153)
    assert (found.p50, found.user_p50, found.worst_p50) == (1.0, 1.0, 9.0)


def test_each_users_own_p99_is_not_that_of_all_calls() -> None:
    found = side([samples(one=[1.0] * 9 + [5.0], two=[1.0] * 9 + [7.0], three=[1.0] * 10)])
    assert found.p99 == 7.0
    assert found.user_p99 == 5.0


def test_what_a_new_object_takes_is_what_it_takes_beyond_its_call() -> None:
    assert Growth(calls=10, before=1000, after_same=1100, after_new=1500).per_object == 30.0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_memory_is_that_of_descendants_alone() -> None:
    with subprocess.Popen(["sleep", "30"]) as child:
        try:
            held = memory.resident(os.getpid(), "sleep")
            assert held is not None and 0 < held < 50 * 1024 * 1024
            assert memory.resident(child.pid, "sleep") is None, "it is no descendant of its own"
            assert memory.resident(os.getpid(), "no-such-program") is None
        finally:
            child.kill()


def test_the_report_names_what_time_did_not_allow_and_what_was_lost() -> None:
    one = side([samples(a=[0.010, 0.030])])
    slow = side([samples(a=[0.020, 0.045])])
    outcome = Outcome(
        4,
        lost=3,
        made=[Made(1, slow, one, None)],
        sizes=[Size(1, slow, one)],
        woken=Woken(13.0, slow, one),
        kinds=[Kind("getUserInfo", one), Kind("buyMcpShopItem", slow)],
        missing=["1000 users"],
    )
    said = "\n".join(report.lines(outcome))
    assert "time did not allow: 1000 users" in said
    assert "3 calls are in no figure" in said
    assert "2.00  1.50" in said, "both ratios, p50 and p99"
    assert "idle for 13 s and so was put away, to one that was not: p50 2.00, p99 1.50" in said
    assert "cannot be read on this system" in said


@contextmanager
def answering(status: int, body: bytes, *, silent_at_first: bool = False, keep: bool = True) -> Iterator[int]:
    silences = [1.0] if silent_at_first else []

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if silences:
                time.sleep(silences.pop())
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = not keep  # Without a word: whoever kept it finds out when it is used.

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, b"{}"), (403, b'{"error": {}}'), (200, b'{"result":{"isError":true}}'), (503, b"the shop's own words")],
)
def test_a_refusal_is_never_timed_as_if_it_were_the_work(status: int, body: bytes) -> None:
    with answering(status, body) as port:
        loop = Loop("127.0.0.1", port, 2)
        with pytest.raises(Refused, match=str(status)):
            loop.run([tool_call("a", "token", "getUserInfo")])
        loop.close()


def test_a_call_without_an_answer_is_counted_and_the_next_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.load.PATIENCE", 0.3)
    with answering(200, b'{"result":{"isError":false}}', silent_at_first=True) as port:
        loop = Loop("127.0.0.1", port, 1)
        done = loop.run([tool_call("a", "token", "getUserInfo"), tool_call("b", "token", "getUserInfo")])
        loop.close()
    assert ([sample.user for sample in done.samples], done.lost) == (["b"], 1)


def test_a_kept_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    with answering(200, b'{"result":{"isError":false}}', keep=False) as port:
        loop = Loop("127.0.0.1", port, 1)
        done = loop.run([tool_call("a", "token", "getUserInfo")] * 3)
        loop.close()
    assert (len(done.samples), done.lost) == (3, 0)


def test_where_there_is_no_server_nothing_is_measured() -> None:
    with answering(200, b"") as port:
        pass
    loop = Loop("127.0.0.1", port, 1)
    with pytest.raises(Refused, match="no answer"):
        loop.run([tool_call("a", "token", "getUserInfo")])
    loop.close()


def test_what_wranglers_proxy_lost_is_counted_and_not_timed() -> None:
    with answering(503, PROXY_LOST + b". Please try") as port:
        loop = Loop("127.0.0.1", port, 2)
        done = loop.run([tool_call("a", "token", "getUserInfo")] * 3)
        loop.close()
    assert (done.samples, done.lost) == ((), 3)


def test_a_bench_without_node_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr("demo.deploy.tools.default_worker", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["durable_objects"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert "Node was not found" in capsys.readouterr().err
