"""What the two commands tell the person at the terminal: each step, its result and its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class Failed(Exception):
    """A step failed; the text says what happened and what to do."""


@dataclass
class Step:
    """A running step; ``note`` is printed beside its time."""

    note: str = ""


@contextmanager
def step(title: str, *, talks: bool = False) -> Iterator[Step]:
    """Print ``title``, then on the same line the seconds the body took and the note.

    ``talks``: the body prints lines of its own, so that ours comes whole and last.
    """
    label = f"  {title:<22}"
    if not talks:
        print(label, end="", flush=True)
    said = label if talks else ""
    started = time.monotonic()
    running = Step()
    try:
        yield running
    except BaseException:
        print(f"{said} failed after {time.monotonic() - started:.1f} s", flush=True)
        raise
    print(f"{said} {time.monotonic() - started:5.1f} s  {running.note}", flush=True)
