"""The person at a peer's login, and the browser that brings the answer back to the peer's own listener."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from demo.client import ConsentPage, SampleHuman


@dataclass(frozen=True)
class Person:
    """A sample human who opens what a peer wants opened, and decides."""

    account: str

    def decide(self, url: str, *, approve: bool) -> ConsentPage:
        """Decide on the authority's pages, and follow the redirect as a browser would. Returns what the page showed."""
        page, redirect = SampleHuman(self.account).authorize(url, approve)
        assert urlsplit(redirect).hostname in ("127.0.0.1", "localhost")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(redirect, timeout=20) as answer:
            assert answer.status == 200
        return page

    def approve(self, url: str) -> None:
        """Approve."""
        self.decide(url, approve=True)
