"""Progress on standard error, for work that takes longer than a second."""

from __future__ import annotations

import sys
import time
from typing import Any

_QUIET_SECONDS = 1.0
_LINE_SECONDS = 10.0


class Progress:
    """Shows how far a piece of work has come.

    On a terminal a bar that disappears at the end; elsewhere, as in a log file, a line now and
    then. Work shorter than a second shows nothing. Standard output is never touched.

    Args:
        what: What is counted, for example ``"images"``.
        total: How many there are; None if that is not known.
        before: How many of them were done before, which say nothing of the speed now.
    """

    def __init__(self, what: str, total: int | None = None, before: int = 0) -> None:
        self._what = what
        self._total = total
        self._before = before
        self._start = self._last_line = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int | None = None) -> None:
        """Say how many are done.

        Args:
            done: Number done so far.
            total: How many there are, if that is known only now.
        """
        self._total = total if total is not None else self._total
        now = time.monotonic()
        if now - self._start < _QUIET_SECONDS:
            return
        if sys.stderr.isatty():
            self._show(done)
        elif now - self._last_line >= _LINE_SECONDS:
            self._last_line = now
            rate = (done - self._before) / (now - self._start)
            of = f" of {self._total}" if self._total is not None else ""
            left = ""
            if self._total is not None and rate > 0:
                left = f", {_duration((self._total - done) / rate)} left"
            sys.stderr.write(f"{done}{of} {self._what}, {rate:.1f} a second{left}\n")
            sys.stderr.flush()

    def _show(self, done: int) -> None:
        if self._bar is None:
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[rate]}"),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(
                self._what, total=self._total, completed=self._before, rate=""
            )
            self._bar.start()
        rate = (done - self._before) / (time.monotonic() - self._start)
        self._bar.update(self._task, completed=done, total=self._total, rate=f"{rate:.1f} a second")


class PassProgress:
    """Progress of several passes, one after the other, a bar for each.

    Call it with the title of the pass, the number done and the total.

    Args:
        prefix: What stands before the titles.
    """

    def __init__(self, prefix: str = "images, ") -> None:
        self._prefix, self._title = prefix, ""
        self._bar: Progress | None = None

    def __enter__(self) -> PassProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__()

    def __call__(self, title: str, done: int, total: int, before: int = 0) -> None:
        """Show how far a pass is.

        Args:
            title: The pass.
            done: How much is done.
            total: Of how much.
            before: How much of it was done before.
        """
        if title != self._title or self._bar is None:
            self.__exit__()
            self._title, self._bar = title, Progress(f"{self._prefix}{title}", total, before)
        self._bar.update(done)


def _duration(seconds: float) -> str:
    """Say how long something takes, in its two largest units."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{int(seconds)} s"
