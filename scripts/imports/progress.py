"""How far an import is: a bar on a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

_EVERY_S = 3.0


class Progress:
    """Call it with the number of rows just done; use it as a context manager."""

    def __init__(self, total: int, out: TextIO) -> None:
        self._total, self._out, self._done = total, out, 0
        self._said = time.monotonic()
        self._bar = tqdm(total=total, unit=" rows", file=out, leave=False) if out.isatty() else None

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
            print(f"  {self._done:,} of {self._total:,} rows ({share} %)", file=self._out)
