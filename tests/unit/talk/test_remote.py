"""What a second screen asks of the stage arrives there once, and nothing that was asked of somebody else does."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

from talk.recording.remote import FILE, LARGEST, STALE_SECONDS, Command, RemoteControl, send


def asked(remote: RemoteControl) -> list[tuple[str, str | None]]:
    return [(one.do, one.beat) for one in remote.new()]


def test_a_stage_sees_what_is_asked_after_it_opened_and_sees_it_once(tmp_path: Path) -> None:
    send(tmp_path, "next")
    remote = RemoteControl(tmp_path)
    assert asked(remote) == []
    send(tmp_path, "back")
    send(tmp_path, "goto", "banned")
    assert asked(remote) == [("back", None), ("goto", "banned")]
    assert asked(remote) == []
    assert asked(RemoteControl(tmp_path, earlier=True)) == [("next", None), ("back", None), ("goto", "banned")]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_what_nobody_did_in_time_is_not_done_later(tmp_path: Path) -> None:
    remote = RemoteControl(tmp_path)
    old = {"at": time.time() - STALE_SECONDS - 1, "do": "next"}
    (tmp_path / FILE).write_text(json.dumps(old) + "\n")
    send(tmp_path, "blank")
    assert asked(remote) == [("blank", None)]


def test_a_line_that_is_none_turns_nothing(tmp_path: Path) -> None:
    remote = RemoteControl(tmp_path)
    now = time.time()
    lines = [
        b"no JSON",
        b"[]",
        b'"next"',
        b"\xff\xfe",
        json.dumps({"at": now, "do": "explode"}).encode(),
        json.dumps({"at": now, "do": "goto"}).encode(),
        json.dumps({"at": now, "do": "next", "beat": 7}).encode(),
        json.dumps({"at": "soon", "do": "next"}).encode(),
        json.dumps({"at": now, "do": "again"}).encode(),
        b'{"at": ',  # and its end comes later
    ]
    with (tmp_path / FILE).open("wb") as opened:
        opened.write(b"\n".join(lines))
        opened.flush()
        assert remote.new() == [Command(now, "again")]
        opened.write(f'{now}, "do": "skip"}}\n'.encode())
    assert asked(remote) == [("skip", None)]


def test_the_file_stays_small_and_a_stage_goes_on_reading_it(tmp_path: Path) -> None:
    remote = RemoteControl(tmp_path)
    send(tmp_path, "next")
    assert asked(remote) == [("next", None)]
    (tmp_path / FILE).write_bytes(b" " * LARGEST + b"\n" + b" " * 10)
    assert asked(remote) == []
    send(tmp_path, "back")
    assert asked(remote) == [("back", None)]
    assert (tmp_path / FILE).stat().st_size < 100
