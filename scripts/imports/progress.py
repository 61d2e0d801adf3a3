"""How far a program is: a bar on a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

_EVERY_S = 3.0


class Progress:
    """Call it with the number of rows (or ``unit``) just done; use it as a context manager."""

    def __init__(self, total: int, out: TextIO, unit: str = "rows") -> None:
        self._total, self._out, self._unit, self._done = total, out, unit, 0
        self._said = time.monotonic()
        self._bar = (
            tqdm(total=total, unit=f" {unit}", file=out, leave=False) if out.isatty() else None
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, count: int) -> None:
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._said >= _EVERY_S:
            self._said = time.monotonic()
            share = 100 * self._done // max(1, self._total)
            print(f"  {self._done:,} of {self._total:,} {self._unit} ({share} %)", file=self._out)
