"""The console that commands draw on: it outlives its reader where it is asked to, and paints the theme's background."""

from __future__ import annotations

from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.segment import Segment
from rich.style import Style

from demo.cli.streams import lead_nowhere
from demo.panels import theme


class CommandConsole(Console):
    """A Rich console for one command.

    Args:
        goes_on: whether the command plays on to its end where its reader goes (`| head`); else it ends there.
        given: Rich's own.
    """

    def __init__(self, *, goes_on: bool, **given: Any) -> None:
        super().__init__(style=theme.base() or None, **given)
        self._goes_on = goes_on
        # To another program lines are text, and end where their text does.
        coloured = self.is_terminal and self.color_system is not None and not self.no_color
        self._paint = self.get_style(self.style) if self.style is not None and coloured else None
        if self._paint is not None:
            self.push_render_hook(_Painter(self._paint))

    def on_broken_pipe(self) -> None:
        """End the command, or let it go on unseen."""
        self.quiet = True
        lead_nowhere(self.file)
        if not self._goes_on:
            raise BrokenPipeError

    def clear(self, home: bool = True) -> None:
        """Clear the screen, to the theme's background."""
        super().clear(home)
        if self._paint is not None and home:
            self.print(_Blank(self._paint), end="")
            self.control(Control.home())


class _Painter(RenderHook):
    """Paints whole lines: a background that ended where the text does would be none."""

    def __init__(self, style: Style) -> None:
        self._style = style

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What is printed, each line of it as wide as the console; a part of a line stays as it is."""
        return [_Painted(one, self._style) for one in renderables]


class _Painted:
    def __init__(self, renderable: ConsoleRenderable, style: Style) -> None:
        self._renderable, self._style = renderable, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line, ended in Segment.split_lines_terminator(console.render(self._renderable, options)):
            yield from line
            if ended:
                used = Segment.get_line_length(line)
                rest = -used % console.width if used else console.width
                yield Segment(" " * rest, self._style)
                yield Segment.line()


class _Blank:
    """A whole screen of nothing: what is cleared has the terminal's own background until it is written to."""

    def __init__(self, style: Style) -> None:
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for row in range(console.height):
            yield Segment(" " * console.width, self._style)
            if row < console.height - 1:  # a line more would scroll
                yield Segment.line()
