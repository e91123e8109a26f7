"""A person in a real browser decides, and the waiting command goes on. Screenshots are kept under artifacts/."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import HANGS
from tests.journeys.terminal import ROOT, Terminal

if TYPE_CHECKING:
    from tests.conftest import Command

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
ARTIFACTS = Path(os.environ.get("ARTIFACTS", ROOT / "artifacts"))
SIZES = {"phone": {"width": 390, "height": 844}, "laptop": {"width": 1280, "height": 800}}
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def terminal(demo: Command) -> Iterator[Terminal]:
    opened = Terminal(demo, "login", width=100, height=40)
    yield opened
    opened.close()


def asked(terminal: Terminal) -> tuple[str, str]:
    """The code and the link that the terminal shows."""
    code = terminal.until(r"\b([A-Z]{4}-[A-Z]{4})\b").group(1)
    base = terminal.until(r"(http://127\.0\.0\.1:\d+)/device").group(1)
    return code, f"{base}/device"


def walk_to_consent(browser: Any, code: str, link: str, size: str, name: str) -> Any:
    ARTIFACTS.mkdir(exist_ok=True)
    page = browser.new_page(viewport=SIZES[size], java_script_enabled=False)
    page.set_default_timeout(HANGS * 1000)
    steps = iter(range(1, 9))

    def keep() -> None:
        page.screenshot(path=ARTIFACTS / f"{name}-{size}-{next(steps)}.png", full_page=True)

    page.goto(link)
    page.get_by_label("Code").fill(code)
    keep()
    page.get_by_role("button", name="Continue").click()
    keep()
    page.get_by_role("button", name="alice@example.com").click()
    keep()
    return page


@pytest.mark.parametrize("size", ["phone", pytest.param("laptop", marks=pytest.mark.long)])
def test_the_code_is_compared_consent_is_given_and_the_command_goes_on(
    terminal: Terminal, browser: Any, size: str
) -> None:
    code, link = asked(terminal)
    page = walk_to_consent(browser, code, link, size, "approve")
    shown = page.inner_text("body")
    assert code in shown
    assert "Shirt Agent" in shown
    assert "60.00 USD" in shown
    page.get_by_role("button", name="Approve").click()
    page.screenshot(path=ARTIFACTS / f"approve-{size}-4.png", full_page=True)
    assert terminal.wait() == 0
    # The token's panel, which the command draws only when it holds one that it could verify.
    assert "Genuine: an agent acts for a human" in terminal.screen
    page.close()


def test_a_human_denies_and_the_command_says_so(terminal: Terminal, browser: Any) -> None:
    code, link = asked(terminal)
    page = walk_to_consent(browser, code, link, "laptop", "deny")
    page.get_by_role("button", name="Deny").click()
    page.screenshot(path=ARTIFACTS / "deny-laptop-4.png", full_page=True)
    assert terminal.wait() == 4
    assert "denied" in terminal.screen.lower() or "said no" in terminal.screen.lower()
    page.close()


def test_opening_the_link_alone_approves_nothing(terminal: Terminal, browser: Any) -> None:
    code, link = asked(terminal)
    page = browser.new_page(viewport=SIZES["phone"])
    page.goto(f"{link}?user_code={code}")
    page.reload()
    page.wait_for_timeout(2500)
    assert terminal.process.poll() is None, "the command went on although nobody decided"
    page.close()
