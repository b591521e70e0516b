"""A progress bar on a terminal; nothing if the output goes to a file."""

from __future__ import annotations

import sys
from types import TracebackType

WIDTH = 30
CLEAR = "\r\033[K"
"""Empties the line that the bar is on."""


class Progress:
    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = what
        self._done = 0
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()

    def step(self) -> None:
        self._done += 1
        self._draw()

    def say(self, text: str, *, error: bool = False) -> None:
        """Print a line above the bar."""
        self._clear()
        print(text, file=sys.stderr if error else sys.stdout, flush=True)
        self._draw()

    def _draw(self) -> None:
        if self._shown and self._total:
            full = WIDTH * self._done // self._total
            bar = "#" * full + "." * (WIDTH - full)
            print(f"\r[{bar}] {self._done} of {self._total} {self._what}", end="", file=sys.stderr)

    def _clear(self) -> None:
        if self._shown:
            print(CLEAR, end="", file=sys.stderr, flush=True)
