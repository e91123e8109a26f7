"""`demo stage --audience` in a real terminal, and a real browser of a phone's size that follows it: the talk as it is
played, *be the human* to its end, and the page when the session is killed. Screenshots are kept under artifacts/."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from demo.audience import life
from tests.conftest import HANGS
from tests.journeys.terminal import Terminal
from tests.journeys.test_in_a_real_browser import ARTIFACTS, CHROMIUM, SIZES, browser

if TYPE_CHECKING:
    from tests.conftest import Command

__all__ = ["browser"]
pytestmark = [pytest.mark.long, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")]
CONTRAST = """() => {
  const lit = (c) => c.map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  const lum = (c) => { const [r, g, b] = lit(c); return .2126 * r + .7152 * g + .0722 * b; };
  const rgb = (s) => (s.match(/[\\d.]+/g) || []).map(Number);
  const found = [];
  for (const e of document.querySelectorAll("main *, footer *")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
    let at = e, ground = [];
    while (at && (!ground.length || ground[3] === 0)) {
      ground = rgb(getComputedStyle(at).backgroundColor); at = at.parentElement; }
    if (!ground.length || ground[3] === 0) ground = [255, 255, 255];
    const ink = rgb(getComputedStyle(e).color), [a, b] = [lum(ink.slice(0, 3)), lum(ground.slice(0, 3))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push([e.tagName, e.className, e.textContent.slice(0, 30), ratio]);
  }
  return found;
}"""
"""What on a page has a contrast below 4.5:1 (WCAG 2.2, 1.4.3)."""


@pytest.fixture
def stage(demo: Command) -> Iterator[Terminal]:
    opened = Terminal(demo, "stage", "--audience")
    yield opened
    opened.close()


def opened(browser: Any, size: str, scheme: str) -> Any:
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(HANGS * 1000)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda said: page.problems.append(said.text) if "Content Security" in said.text else None)
    return page


def keep(page: Any, name: str) -> None:
    """A picture of the page as it is, which fits its width and can be read."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"room-{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    assert page.evaluate(CONTRAST) == [], name
    assert page.problems == [], name


def test_the_room_follows_the_stage_and_is_the_human(browser: Any, stage: Terminal, demo: Command) -> None:
    stage.until("space")
    stage.type("a")
    url = stage.until(r"(http://127\.0\.0\.1:\d+)").group(1)
    stage.type(" ")
    phone, laptop = opened(browser, "phone", "light"), opened(browser, "laptop", "dark")
    for page in (phone, laptop):
        page.goto(url)
        page.get_by_role("heading", level=1).wait_for()
    time.sleep(0.5)  # as a hand does: a press that comes sooner is the one before, again
    stage.type(" ")
    stage.until(r"1/\d+ +Who is at the keyboard")
    for page, name in ((phone, "phone"), (laptop, "laptop")):
        page.get_by_role("heading", name="Who is at the keyboard?").wait_for()  # with no reload, by the event stream
        page.locator("article.panel").first.wait_for()
        keep(page, f"talk-{name}")
    for page, name in ((phone, "phone"), (laptop, "laptop")):
        _is_the_human(page, name)
    assert "2 agents of the room revoked" in demo.process("revoke", "--attendee", "all").stdout
    for page, name in ((phone, "phone"), (laptop, "laptop")):
        page.get_by_text("rule standing.agent").wait_for()
        keep(page, f"revoked-{name}")
    phone.goto(url)
    phone.get_by_text("2 revoked").wait_for()
    os.kill(stage.process.pid, signal.SIGKILL)
    phone.get_by_text("Trying again").wait_for()
    keep(phone, "gone-phone")
    deadline = time.monotonic() + 60
    while life.find(demo.state) is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert life.find(demo.state) is None


def _is_the_human(page: Any, name: str) -> None:
    page.get_by_role("link", name="Be the human").first.click()
    page.get_by_label("A name for your account").fill("Zoë")
    keep(page, f"name-{name}")
    page.get_by_role("button", name="Make my account").click()
    page.locator(".code").wait_for()
    code = page.locator(".code").inner_text()
    keep(page, f"asking-{name}")
    page.get_by_role("link", name="Read what it asks").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name=re.compile("Zoë")).click()
    page.get_by_label("It may spend up to").fill("30")
    assert page.locator("[data-show=code]").inner_text() == code
    page.screenshot(path=ARTIFACTS / f"room-consent-{name}.png", full_page=True)
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("link", name="See what your agent does").click()
    page.get_by_text("Bought a shirt for 25.00 USD").first.wait_for()
    keep(page, f"bought-{name}")
    page.get_by_role("button", name="Let it buy another shirt").click()
    page.get_by_text("rule limits.spending").wait_for()
    keep(page, f"refused-{name}")


def test_without_scripts_the_page_loads_itself_again(browser: Any, stage: Terminal) -> None:
    stage.until("space")
    stage.type("a")
    url = stage.until(r"(http://127\.0\.0\.1:\d+)").group(1)
    context = browser.new_context(viewport=SIZES["phone"], java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(HANGS * 1000)
    page.goto(url)
    page.get_by_text("The talk begins soon").or_(page.get_by_role("heading", level=1)).first.wait_for()
    stage.type(" ")
    time.sleep(0.5)
    stage.type(" ")
    stage.until(r"1/\d+ +Who is at the keyboard")
    page.get_by_role("heading", name="Who is at the keyboard?").wait_for()
