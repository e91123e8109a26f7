"""What was recorded is replayed and written out with no server; a broken recording is named, and none does harm."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from demo.evidence.screen import BeatHeader, Link
from talk.export.page import WIDE
from talk.recording.finding import SHIPPED
from talk.recording.writer import KEPT, Recording, file_of
from tests.conftest import Command
from tests.unit.panels.conftest import EVIL, ZALGO

PLAN = "problem-first"
LARGEST = 350_000
"""Bytes of the animation of a whole talk; a README shows a part of it, and loads that at once."""
HOSTILE = f"</pre></script><img src=x onerror=alert(1)>]]>&amp;`|{EVIL}{ZALGO}"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and what turns the direction of text."""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A recording that somebody else has made."""
    from demo import panels

    file = tmp_path / "hostile.jsonl"
    recording = Recording(tmp_path, file=file)
    recording.begin(HOSTILE, plan=HOSTILE, talk=HOSTILE, server=HOSTILE, started_at=0.0)
    recording.add("beat", header=BeatHeader("../../up", HOSTILE, 1, 1, HOSTILE, 1.0, (HOSTILE,)), recorded=False)
    recording.add("step", id=HOSTILE, do=HOSTILE, title=HOSTILE)
    recording.add("note", text=HOSTILE)
    recording.panel("link", HOSTILE, panels.link(Link(HOSTILE, HOSTILE, HOSTILE)))
    recording.panel("statement", HOSTILE, panels.statement(HOSTILE, HOSTILE))
    recording.add("result", step=HOSTILE, ok=False, error=HOSTILE, verdict="deny", rule=HOSTILE, skipped=HOSTILE)
    recording.add("closing", text=HOSTILE)
    recording.add("end", beat="../../up", ok=False, skipped=None)
    recording.close()
    return file


def written(demo: Command, recording: str, kind: str) -> str:
    done = demo("export", recording, "--format", kind, "-o", "-")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class Page(HTMLParser):
    """The elements of a page, and what they name from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.named: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.named += [str(value) for name, value in attrs if name in ("src", "href", "action", "srcset", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.mark.parametrize("recording", ["shipped", "hostile"])
def test_the_page_holds_all_that_it_shows_and_runs_only_its_own_script(
    demo: Command, hostile: Path, recording: str
) -> None:
    text = written(demo, PLAN if recording == "shipped" else str(hostile), "html")
    page = Page(text)
    assert (page.named, page.handlers) == ([], [])
    assert page.elements.count("script") == 1
    assert not {"img", "link", "iframe", "object", "embed"} & set(page.elements)
    assert "default-src 'none'" in text and "url(" not in text and "@import" not in text
    assert not OBEYED.search(text) and "\u0301" * 4 not in text


def test_the_page_has_every_beat_and_what_was_said(demo: Command) -> None:
    text = written(demo, PLAN, "html")
    beats = json.loads(written(demo, PLAN, "json"))["beats"]
    assert len(beats) > 15
    read = unescape(text)
    for beat in beats:
        assert beat["title"] in read
        assert beat["said"] is None or beat["said"] in read
    widest = max(len(re.sub("<[^>]*>", "", line)) for line in re.findall('<pre class="wide">([^\n]*)', text))
    assert widest <= WIDE + len("&amp;")


@pytest.mark.parametrize("recording", ["shipped", "hostile"])
def test_the_animation_is_a_picture_and_nothing_more(demo: Command, hostile: Path, recording: str) -> None:
    text = written(demo, PLAN if recording == "shipped" else str(hostile), "svg")
    root = ElementTree.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "circle", "g", "text", "path"}
    assert "href" not in text and len(text) < LARGEST
    assert "prefers-reduced-motion" in text and not OBEYED.search(text)
    coloured = re.findall(r"\.(\w)\{fill:", text)
    for shape in (element for element in root.iter() if element.tag.endswith("path")):
        assert shape.get("fill") or set(str(shape.get("class")).split()) & set(coloured), "else it is black on black"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("recording", ["shipped", "hostile"])
def test_the_cast_is_what_players_read(demo: Command, hostile: Path, recording: str, version: int) -> None:
    given = PLAN if recording == "shipped" else str(hostile)
    head, *events = map(json.loads, written(demo, given, "cast" if version == 3 else "cast2").splitlines())
    assert head["version"] == version
    size = (head["term"]["cols"], head["term"]["rows"]) if version == 3 else (head["width"], head["height"])
    assert size == (80, 24)
    theme = head["theme"] if version == 2 else head["term"]["theme"]
    assert len(theme["palette"].split(":")) == 16
    times = [event[0] for event in events]
    assert all(time >= 0 for time in times) and (version == 3 or times == sorted(times))
    assert {event[1] for event in events} == ({"o", "m", "x"} if version == 3 else {"o", "m"})
    output = "".join(event[2] for event in events if event[1] == "o")
    assert not re.search("(?<!\r)\n", output)
    # Colours, clearing, and the line that is drawn over: nothing that came from a text.
    assert set(re.findall("\x1b(\\[[0-9;]*[A-Za-z]|.)", output)) <= set(
        re.findall("\x1b(\\[[0-9;]*(?:m|J|H|K))", output)
    )
    markers = [event[2] for event in events if event[1] == "m"]
    assert len(markers) == len(json.loads(written(demo, given, "json"))["beats"])


def test_both_casts_take_equally_long(demo: Command) -> None:
    ends = []
    for kind in ("cast", "cast2"):
        times = [json.loads(line)[0] for line in written(demo, PLAN, kind).splitlines()[1:]]
        ends.append(sum(times) if kind == "cast" else times[-1])
    assert ends[0] == pytest.approx(ends[1], abs=0.001)


def test_a_transcript_is_text(demo: Command, hostile: Path) -> None:
    text = written(demo, str(hostile), "md")
    tokens = [one for block in MarkdownIt().parse(text) for one in (block, *(block.children or ()))]
    assert {one.type for one in tokens} >= {"heading_open", "blockquote_open"}
    assert not [one for one in tokens if one.type in ("html_block", "html_inline", "image", "link_open")]
    assert "\x1b" not in text and "\x00" not in text
    said = [beat["said"] for beat in json.loads(written(demo, PLAN, "json"))["beats"] if beat["said"]]
    transcript = written(demo, PLAN, "md")
    assert transcript.count("\n> ") == len(said)


def test_slides_stay_in_their_folder(demo: Command, hostile: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "slides"
    done = demo("--json", "export", str(hostile), "--format", "slides", "-o", str(folder))
    files = [Path(name) for name in json.loads(done.stdout)["files"]]
    assert files and all(file.parent == folder and file.exists() for file in files)
    assert sorted(folder.iterdir()) == sorted(files)


def test_only_some_beats_are_written(demo: Command) -> None:
    done = demo("export", PLAN, "--format", "json", "--beat", "revoke", "--beat", "buy", "-o", "-")
    assert {beat["id"] for beat in json.loads(done.stdout)["beats"]} == {"revoke", "buy"}
    assert demo("export", PLAN, "--beat", "nowhere", "-o", "-").returncode == 2


def test_a_file_that_is_there_is_overwritten_only_where_it_is_named(
    demo: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "mine.md"
    taken.write_text("notes of my own")
    assert demo("export", PLAN, "-o", str(taken)).returncode == 0
    assert taken.read_text().startswith("# ")
    assert demo("export", PLAN, "--format", "html", "-o", str(tmp_path)).returncode == 2, "a folder"
    assert demo("export", PLAN, "-o", str(tmp_path / "talk.gif")).returncode == 2, "an ending that says nothing"


def test_a_replay_asks_nobody_and_leaves_nothing(demo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: Any) -> None:
        raise AssertionError("a replay opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    done = demo("replay", PLAN)
    beats = json.loads(demo("--json", "replay", PLAN).stdout)["beats"]
    assert done.returncode == 0
    assert done.stdout.count("RECORDED") == len(beats)
    assert not demo.state.exists()
    again = demo("replay", PLAN, "--from", beats[-1]["id"])
    assert again.stdout.count("RECORDED") == 1


def lines_of(plan: str = PLAN) -> list[str]:
    return (SHIPPED / f"{plan}.jsonl").read_text("utf-8").splitlines()


def changed(at: int, **fields: Any) -> str:
    lines = lines_of()
    lines[at] = json.dumps(json.loads(lines[at]) | fields)
    return "\n".join(lines) + "\n"


def panel_at() -> int:
    return next(at for at, line in enumerate(lines_of()) if '"event": "panel"' in line)


@pytest.mark.parametrize("command", ["replay", "export"])
@pytest.mark.parametrize(
    ("text", "named"),
    [
        (lambda: "", "empty"),
        (lambda: lines_of()[0] + "\n", "no beat"),
        (lambda: changed(0, recording=99), "version 99"),
        (lambda: changed(0, recording="1"), "no recording"),
        (lambda: changed(0, started_at=1e300), "no recording"),
        (lambda: changed(panel_at(), name="of_tomorrow"), f"line {panel_at() + 1}"),
        (lambda: changed(panel_at(), name="page"), f"line {panel_at() + 1}"),
        (lambda: changed(panel_at(), **{"with": {}}), f"line {panel_at() + 1}"),
        (lambda: changed(panel_at(), **{"with": {"tool": 1, "x": []}}), f"line {panel_at() + 1}"),
        (lambda: "\n".join([*lines_of()[:5], "%%%", *lines_of()[5:]]), "line 6"),
        (lambda: "\x00" * 5000, "no recording"),
    ],
    ids=["empty", "a head alone", "another version", "no version", "no time", "unknown panel", "no panel at all",
         "nothing to draw", "other evidence", "bad JSON", "zeros"],
)  # fmt: skip
def test_what_cannot_be_played_is_named(demo: Command, tmp_path: Path, command: str, text: Any, named: str) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text(text())
    done = demo(command, str(file), *(("-o", "-") if command == "export" else ()))
    assert (done.returncode, done.stdout) == (2, "")
    assert named in " ".join(done.stderr.split())
    assert "do this" in done.stderr


def test_neither_a_folder_nor_a_huge_file_is_read(demo: Command, tmp_path: Path) -> None:
    huge = tmp_path / "huge.jsonl"
    with huge.open("wb") as opened:
        opened.truncate(2 * 2**30)
    for given in (huge, tmp_path):
        assert demo("replay", str(given)).returncode == 2


def test_a_last_line_that_a_crash_cut_is_no_trouble(demo: Command, tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl"
    whole = (SHIPPED / f"{PLAN}.jsonl").read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert demo("replay", str(file)).returncode == 0


def test_what_is_there_is_listed_where_the_name_is_wrong(demo: Command) -> None:
    recording = Recording(demo.state)
    recording.begin("run_abc", plan="short", talk=None, server="", started_at=0.0)
    recording.close()
    done = demo("export", "run_abd")
    assert done.returncode == 2
    assert "run_abc" in done.stderr and PLAN in done.stderr


def test_the_oldest_recordings_make_room(tmp_path: Path) -> None:
    import os

    for number in range(KEPT + 3):
        recording = Recording(tmp_path)
        recording.begin(f"run_{number}", plan="short", talk=None, server="", started_at=0.0)
        recording.close()
        os.utime(file_of(tmp_path, f"run_{number}"), (number, number))
    kept = {file.stem for file in (tmp_path / "recordings").iterdir()}
    assert kept == {f"run_{number}" for number in range(3, KEPT + 3)}


def test_no_secret_of_a_run_is_in_its_recording(demo: Command) -> None:
    assert demo("run", "--to", "whoami", "--pace", "none").returncode == 0
    text = next((demo.state / "recordings").iterdir()).read_text("utf-8")
    token = demo("token", "--show").stdout.strip().splitlines()[-1].strip()
    assert token.startswith("eyJ") and len(token) > 200
    (server,) = json.loads((demo.state / "secrets" / "tokens.json").read_text("utf-8")).values()
    login = json.loads(server["agent"])
    assert login["access_token"] == token
    assert token not in text and login["refresh_token"] not in text
    assert demo("replay").returncode == 0
