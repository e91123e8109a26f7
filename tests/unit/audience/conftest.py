"""A room that is served by a process of its own, and phones that use it: real sockets, cookies and forms."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo.audience import life
from tests.conftest import HANGS

RUN = "run_1"


def until(what: Callable[[], Any], seconds: float = HANGS) -> Any:
    """What it gives as soon as that is true; bounded."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "that did not happen in time"
        time.sleep(0.05)
    return found


def form(page: str, action: str) -> dict[str, str]:
    """The fields of the page's form with this action."""
    found = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    assert found is not None, page
    inputs = re.findall(r"<input[^>]*>", found[1])
    return {
        name[1]: unescape(value[1]) if (value := re.search(r'value="([^"]*)"', one)) else ""
        for one in inputs
        if (name := re.search(r'name="([^"]*)"', one)) and ('type="checkbox"' not in one or " checked" in one)
    }


@dataclass
class Phone:
    """One attendee's browser."""

    http: httpx2.Client = field(repr=False)

    def page(self, path: str = "/you") -> str:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def join(self, name: str = "") -> httpx2.Response:
        return self.http.post("/you", data={"name": name})

    @property
    def number(self) -> int:
        found = re.search(r"number (\d+)", self.page())
        assert found is not None
        return int(found[1])

    def link(self) -> str:
        """Where the agent sends its human."""
        return unescape(until(lambda: re.search(r'href="(/device\?[^"]+)"', self.page()))[1])

    def enter(self, link: str) -> httpx2.Response:
        """As far as the page to sign in. A code that another phone's page shows is typed."""
        page = self.http.post("/device", data=form(self.page(link), "/device"))
        if 'id="typed"' in page.text:
            page = self.http.post("/device", data=form(page.text, "/device") | {"user_code": link.rpartition("=")[2]})
        return page

    def sign_in(self, link: str) -> str:
        """As far as the consent page, whose text it gives."""
        page = self.enter(link)
        account = re.search(r'name="account" value="([^"]*)"', page.text)
        if account is None:  # signed in before
            return page.text
        answer = self.http.post("/device/sign-in", data=form(page.text, "/device/sign-in") | {"account": account[1]})
        return answer.text

    def decide(self, decision: str = "approve", limit: str = "30") -> httpx2.Response:
        fields = form(self.sign_in(self.link()), "/device/consent") | {"decision": decision, "limit": limit}
        answer = self.http.post("/device/consent", data=fields)
        assert "/you?decided" in answer.text
        self.page("/you?decided")  # as the page says; otherwise the agent hears of it some seconds later
        return answer

    def press(self, action: str) -> None:
        self.http.post(action, data=form(self.page(), action))

    def rules(self) -> list[str]:
        """The rules that spoke of the agent's calls, newest first."""
        return re.findall(r"rule ([\w.]+)", self.page())

    def shows(self, path: str, text: str) -> str:
        """The page as soon as this text is on it."""
        found = [""]

        def look() -> bool:
            found[0] = self.page(path)
            return text in found[0]

        until(look)
        return found[0]

    def sees(self, text: str) -> None:
        self.shows("/you", text)


@dataclass
class House:
    """A room, and the recording that it follows."""

    state: Path
    room: life.Audience

    def phone(self) -> Phone:
        # verify=False: loopback speaks http, and loading the root certificates takes longer than a whole test.
        return Phone(httpx2.Client(base_url=self.room.url, follow_redirects=True, timeout=HANGS, verify=False))

    @property
    def inside(self) -> str:
        serving = life.find(self.state)
        assert serving is not None
        return serving.inside

    def record(self, *events: dict[str, Any]) -> None:
        """Append events to the recording, as a performance does."""
        file = self.state / "recordings" / f"{RUN}.jsonl"
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as opened:
            opened.writelines(json.dumps({"at": 1.0, **event}) + "\n" for event in events)


def beat(title: str, **header: Any) -> dict[str, Any]:
    told = {"id": "b", "title": title, "number": 1, "of": 2, "speaker": "WorkOS", "minutes": 1.0, "topics": []}
    return {"event": "beat", "header": told | header, "recorded": False}


def statement(text: str) -> dict[str, Any]:
    """A panel that says something."""
    return {"event": "panel", "name": "statement", "step": "s", "with": {"text": text, "title": text}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    state = tmp_path_factory.mktemp("room") / "state"
    room = life.start(state, "")
    yield House(state, room)
    room.stop()
