"""Who watches, and what is new for them: the parts of a page that changed, kept once for everybody.

A watcher that is slow or gone costs nothing: what it missed is in one list for all, and who missed more than that is
given everything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

KEPT: Final = 200
"""Changes that are kept for those who come back."""


@dataclass(frozen=True)
class News:
    """One change: the part of the page, its HTML, and whether that comes before what is there."""

    id: int
    part: str
    html: str
    added: bool = False


class Watcher:
    """One open page. `number` is the attendee's, None for somebody who only watches."""

    def __init__(self, number: int | None) -> None:
        self.number = number
        self.woken = asyncio.Event()
        self.own = False


class Hub:
    """All that watch one room. Used on one event loop.

    Args:
        most: watchers at the same time.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.last = 0
        self.closed = False
        self._news: deque[News] = deque(maxlen=KEPT)
        self._watchers: set[Watcher] = set()
        self._of: dict[int, set[Watcher]] = {}

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def full(self) -> bool:
        """Whether no more can watch."""
        return len(self._watchers) >= self.most

    def publish(self, part: str, html: str, *, added: bool = False) -> None:
        """Tell everybody that a part of the room's page changed."""
        self.last += 1
        self._news.append(News(self.last, part, html, added))
        for watcher in self._watchers:
            watcher.woken.set()

    def nudge(self, number: int) -> None:
        """Tell an attendee's own pages that what is theirs changed."""
        for watcher in self._of.get(number, ()):
            watcher.own = True
            watcher.woken.set()

    def close(self) -> None:
        """End every stream."""
        self.closed = True
        for watcher in self._watchers:
            watcher.woken.set()

    @contextmanager
    def watching(self, number: int | None) -> Iterator[Watcher]:
        """While it lasts, somebody watches."""
        watcher = Watcher(number)
        self._watchers.add(watcher)
        if number is not None:
            self._of.setdefault(number, set()).add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if number is not None:
                mine = self._of[number]
                mine.discard(watcher)
                if not mine:
                    del self._of[number]

    async def follow(
        self, watcher: Watcher, after: int | None, whole: Callable[[], dict[str, str]], own: Callable[[], str]
    ) -> AsyncIterator[News]:
        """What is new for a watcher, until the room closes.

        Args:
            after: the last change that it has seen; None, or one that is forgotten, for one that needs everything.
            whole: gives all parts as they are now.
            own: gives the attendee's own part as it is now.
        """
        oldest = self._news[0].id if self._news else self.last + 1
        if after is None or not oldest - 1 <= after <= self.last:
            after = self.last
            for part, html in whole().items():
                yield News(after, part, html)
            watcher.own = watcher.number is not None
        while not self.closed:
            watcher.woken.clear()  # before anything is looked at: what comes meanwhile is looked at again
            missed = [one for one in self._news if one.id > after]
            for one in missed:
                after = one.id
                yield one
            if watcher.own:
                watcher.own = False
                yield News(after, "you", own())
            await watcher.woken.wait()
