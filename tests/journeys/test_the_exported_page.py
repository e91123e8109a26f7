"""The exported page in a real browser: it steps through the talk by keys and buttons, fits a phone and a laptop, asks
for nothing, and is one long page where no script runs. Pictures are kept under artifacts/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from talk.export.page import page
from talk.export.screens import screens
from talk.recording.finding import SHIPPED
from talk.recording.reader import read
from tests.journeys.test_in_a_real_browser import ARTIFACTS, CHROMIUM, SIZES, browser

__all__ = ["browser"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    take = read(SHIPPED / "problem-first.jsonl")
    file = tmp_path_factory.mktemp("exported") / "talk.html"
    file.write_text(page(take, screens(take, [*take.beats()]), title="Problem first"), "utf-8")
    return file


def shown(view: Any) -> list[str]:
    """The ids of the slides that are displayed."""
    found: list[str] = view.evaluate(
        "[...document.querySelectorAll('.slide')].filter((one) => one.offsetParent !== null).map((one) => one.id)"
    )
    return found


@pytest.mark.parametrize("size", SIZES)
def test_it_steps_through_the_talk(browser: Any, exported: Path, size: str) -> None:
    context = browser.new_context(viewport=SIZES[size], color_scheme="dark" if size == "laptop" else "light")
    view = context.new_page()
    asked: list[str] = []
    trouble: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    view.on("console", lambda message: trouble.append(message.text))
    view.on("pageerror", lambda error: trouble.append(str(error)))
    view.goto(exported.as_uri())
    slides = view.locator(".slide").count()
    assert shown(view) == ["s1"]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        view.keyboard.press(key)
    assert shown(view) == ["s2"]
    view.keyboard.press("End")
    view.keyboard.press("ArrowRight")
    assert shown(view) == [f"s{slides}"]
    view.keyboard.press("Home")
    view.get_by_role("button", name="Next").click()
    view.keyboard.press("Enter")  # the button has the focus, and keeps it
    assert shown(view) == ["s3"]
    assert view.get_by_role("status").inner_text().startswith(f"3 of {slides}")
    view.get_by_label("Go to").select_option(index=3)
    ARTIFACTS.mkdir(exist_ok=True)
    view.screenshot(path=ARTIFACTS / f"exported-page-{size}.png")
    view.get_by_label("Go to").press("ArrowRight")  # a list has keys of its own
    view.reload()
    assert len(shown(view)) == 1 and shown(view) != ["s1"], "the address says where"
    for number in range(1, slides + 1):
        view.evaluate(f"location.hash = '#{number}'")
        view.wait_for_function(f"document.querySelector('#s{number}.now') !== null")
        wide = view.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"slide {number} is wider than the screen"
        cut = view.evaluate(
            "[...document.querySelectorAll('.now figure')].filter((one) => one.scrollWidth > one.clientWidth).length"
        )
        assert cut == 0, f"a panel of slide {number} is wider than its place"
    view.get_by_role("button", name="Show all").click()
    assert len(shown(view)) == slides
    context.close()
    assert asked and {url.partition("#")[0] for url in asked} == {exported.as_uri()}
    assert trouble == []


def test_it_is_a_long_page_where_no_script_runs(browser: Any, exported: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    view = context.new_page()
    view.goto(exported.as_uri())
    assert view.locator(".slide:visible").count() == view.locator(".slide").count() > 15
    assert not view.get_by_role("navigation").is_visible()
    context.close()


def test_those_who_listen_hear_text_and_no_drawings(browser: Any, exported: Path) -> None:
    context = browser.new_context()
    view = context.new_page()
    view.goto(exported.as_uri())
    view.get_by_role("button", name="Show all").click()
    heard = view.locator("main").aria_snapshot()
    context.close()
    assert not set("▀▄█") & set(heard)
    assert "An agent has no keyboard." in heard
    assert heard.count("heading") >= 15


def test_its_colours_can_be_told_from_their_ground(browser: Any, exported: Path) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, in either scheme, as the browser computes the colours."""
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        view = context.new_page()
        view.goto(exported.as_uri())
        measured = view.evaluate(
            """() => {
              const light = (text) => {
                const [r, g, b] = text.match(/[0-9.]+/g).map((one) => one / 255)
                  .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const ground = light(getComputedStyle(document.body).backgroundColor);
              return ["allowed", "refused", "waiting", "unverified", "quiet", "strong"].map((role) => {
                const made = document.createElement("span");
                made.className = role;
                document.querySelector("pre").append(made);
                const ink = light(getComputedStyle(made).color);
                return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
              });
            }"""
        )
        context.close()
        assert min(measured) >= 4.5, (scheme, measured)
