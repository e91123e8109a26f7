"""What people write and hand on: a talk of their own, a recording of somebody else's, a `demo.toml`.

Whatever is in the file, the answer is one `UsageError` that names it, and never a traceback.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from demo.settings import settle
from deputize.errors import ExplainedError, UsageError
from talk.recording import reader
from talk.script import load_talk, template
from tests.conftest import ROOT
from tests.fuzz.given import Parser, as_json, changed, damaged, documents, only

BEATS = ROOT / "talk" / "beats"
_WORDS = """\
[[step]]|+++|---|"|\'\'\'|= |do = "call"|id = 5|[|]|{|\
minutes = -1|minutes = nan|minutes = inf|expect = []|show = 7|a.b.c = 1|1e999|\
0001-01-01|needs = ["buy"]|title = ""|topics = [1]"""
WORDS = st.sampled_from([*(f"{word}\n".encode() for word in _WORDS.split("|")), b"\x00", b"\xff", b"\r", b" "])


@st.composite
def rewritten(draw: Callable[[Any], Any], good: bytes) -> bytes:
    """A file with lines and words of its own language where they do not belong."""
    data = draw(damaged(good))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(WORDS) + data[at:]
    return data


TEMPLATE = {name: text.replace("TITLE", "A talk").encode() for name, text in template().items()}
PARTS = st.one_of(
    *(
        st.tuples(st.just(name), st.one_of(rewritten(text), st.binary(max_size=40)))
        for name, text in [
            *TEMPLATE.items(),
            *((f"beats/{one}.md", (BEATS / f"{one}.md").read_bytes()) for one in ("buy", "limits", "revoke")),
        ]
    )
)


@only(UsageError)
def holds_talk(part: tuple[str, bytes]) -> None:
    name, written = part
    with tempfile.TemporaryDirectory() as folder:
        for where, content in {**TEMPLATE, name: written}.items():
            (Path(folder) / where).parent.mkdir(exist_ok=True)
            (Path(folder) / where).write_bytes(content)
        load_talk(Path(folder))


SHIPPED = sorted((ROOT / "talk" / "recordings").glob("*.jsonl"))[0].read_bytes().split(b"\n")
KINDS = {(event["event"], event.get("name")): line for line in SHIPPED[1:] if line for event in [json.loads(line)]}
SHORTEST = sorted(KINDS.values(), key=len)[:40]
LINES = st.integers(0, len(SHORTEST) - 1).flatmap(
    lambda which: st.one_of(damaged(SHORTEST[which]), changed(json.loads(SHORTEST[which])).map(as_json))
)


@only(UsageError)
def holds_recording(given: tuple[bytes, list[bytes]]) -> None:
    head, lines = given
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.jsonl"
        path.write_bytes(b"\n".join([head, *lines, b""]))
        take = reader.read(path)
        take.check()
        for beat in take.beats():
            take.beat(beat)
        for event in take.events:
            if event.name == "panel":
                reader.rebuild(event)
            elif event.name == "beat":
                reader.header_of(event)


HEADS = st.one_of(st.just(SHIPPED[0]), documents(json.loads(SHIPPED[0])))
TOML = b"""
server = "https://shop.example/mcp"
theme = "dark"
timeout = 5.0
[workos]
client_id = "client_1"
[servers.mine]
url = "https://a.example/mcp"
client_id = "c"
"""


@only(ExplainedError)
def holds_settings(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "demo.toml"
        file.write_bytes(content)
        settle({"state": folder}, {}, file)


PARSERS = [
    Parser("a talk", PARTS, holds_talk, examples=120),
    Parser("a recording", st.tuples(HEADS, st.lists(LINES, max_size=4)), holds_recording),
    Parser("demo.toml", st.one_of(rewritten(TOML), st.binary(max_size=60)), holds_settings),
]


@pytest.mark.parametrize("parser", PARSERS, ids=str)
def test_a_file_that_is_wrong_is_one_error(parser: Parser) -> None:
    parser.briefly()


@pytest.mark.long
@pytest.mark.parametrize("parser", PARSERS, ids=str)
def test_a_file_that_is_wrong_is_one_error_at_length(parser: Parser) -> None:
    parser.at_length()
