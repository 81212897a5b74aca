"""The watch of the command line: a bar with rate and time left, on stderr.

On a terminal the bar moves; elsewhere a line is written at each beginning and end, so that
a batch system's log stays readable. What must hold: stdout is never written here.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """A :class:`lam3db.pipeline.watch.Watch` drawn by rich; a context manager."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._hashing: TaskID | None = None
        self._title, self._unit = "", "new"
        self._total = self._new = self._cached = self._failed = 0
        self._started = 0.0

    def __enter__(self) -> Self:
        """Start drawing, where there is a terminal to draw on."""
        if sys.stderr.isatty():
            self._progress = _drawn()
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing."""
        if self._progress is not None:
            self._progress.stop()

    def note(self, text: str) -> None:
        """Write a sentence above the bar."""
        from lam3db.report.text import safe_text

        text = safe_text(text)
        if self._progress is not None:
            self._progress.console.print(text, style="dim", markup=False, highlight=False)
        else:
            self._line(text)

    def hashing(self, name: str, done: int, total: int) -> None:
        """Draw the digest of one large file."""
        if self._progress is None:
            return
        if self._hashing is None:
            self._hashing = self._progress.add_task("", total=total, counts="", show=True)
        self._progress.update(
            self._hashing, description=f"hashing {name}", completed=done, total=total
        )
        if done >= total:
            self._progress.remove_task(self._hashing)
            self._hashing = None

    def begin(self, title: str, total: int, done: int, failed: int, unit: str = "new") -> None:
        """Draw a new bar."""
        self._unit = unit
        self._title, self._total, self._cached, self._failed = title, total, done, failed
        self._new, self._started = 0, time.monotonic()
        if self._progress is not None:
            self._task = self._progress.add_task(
                title, total=total, completed=done + failed, counts=self._counts()
            )
        else:
            counts = f"{total} wanted, {done} stored, {failed} given up"
            self._line(f"{title}: {counts if unit == 'new' else f'{total} {unit}'}")

    def advance(self, new: int, failed: int) -> None:
        """Move the bar."""
        self._new += new
        self._failed += failed
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=new + failed, counts=self._counts())

    def end(self) -> None:
        """Finish the bar begun last."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, counts=self._counts())
            self._progress.stop_task(self._task)
        else:
            seconds = time.monotonic() - self._started
            self._line(f"{self._title}: {self._counts()}, {seconds:.1f} s")
        self._task = None

    def _counts(self) -> str:
        parts = [f"{self._new} {self._unit}"]
        if self._cached:
            parts.append(f"{self._cached} cached")
        if self._failed:
            parts.append(f"{self._failed} failed")
        seconds = time.monotonic() - self._started
        if self._new and seconds > 0:
            parts.append(f"{self._new / seconds:.1f}/s")
        return ", ".join(parts)

    def _line(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - a log's line


def _drawn() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
