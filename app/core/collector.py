"""Keeping Python's garbage collector away from what stays for the life of the process.

A full collection walks every object that is out of its sight by nothing else: 80 ms once FastAPI
has analysed all routes and made the OpenAPI document, in the middle of somebody's request. What
is frozen is still freed when the last reference goes; only its circles would never be found.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app import USUAL_COLLECTIONS

LONG_S = 0.02


class _SetAside:
    """Freezes what is alive after a full collection that took long."""

    def __init__(self, long_s: float) -> None:
        self._long_s, self._began = long_s, 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2:
            return
        if phase == "start":
            self._began = time.perf_counter()
        elif time.perf_counter() - self._began > self._long_s:
            gc.freeze()


@contextmanager
def out_of_sight(long_s: float = LONG_S) -> Iterator[None]:
    """Freeze what there is by now, and within the block whatever makes collections long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*USUAL_COLLECTIONS)
    set_aside = _SetAside(long_s)
    gc.callbacks.append(set_aside)
    try:
        yield
    finally:
        gc.callbacks.remove(set_aside)
