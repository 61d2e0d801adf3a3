"""What one process has seen of itself: its requests, its vendors, its loop, its last beat.

Everything here is counted in memory by whoever does the work and read when somebody asks: no
probe is ever sent. Each process tells of itself alone.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from app.core.clock import now

State = Literal["ok", "degraded", "down"]

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MOST_SERIES = 3000
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_RECENT = 5
_DOWN_AFTER = 3

Series = tuple[str, str, int]
"""Method, path template, status."""


class Requests:
    """A latency histogram by method, path template and status; half a microsecond a request."""

    def __init__(self) -> None:
        self.counts: dict[Series, list[float]] = {}
        """Requests by upper bound of their seconds, and at last the sum of all seconds."""

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = (method, route, status)
        row = self.counts.get(key)
        if row is None:
            key = self._bounded(key)
            row = self.counts.setdefault(key, [0] * (len(BOUNDS_S) + 2))
        row[bisect_left(BOUNDS_S, seconds)] += 1
        row[-1] += seconds

    def _bounded(self, key: Series) -> Series:
        """Strangers choose methods, and statuses multiply: the number of series has an end."""
        method = key[0] if key[0] in _METHODS else "other"
        route = key[1] if len(self.counts) < _MOST_SERIES else "other"
        return method, route, key[2]


class Vendor:
    """How the last calls to one vendor ended."""

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=_RECENT)
        self.ok_at: datetime | None = None
        self.failed_at: datetime | None = None
        self.calls = {True: 0, False: 0}

    def saw(self, ok: bool) -> None:
        self._recent.append(ok)
        self.calls[ok] += 1
        if ok:
            self.ok_at = now()
        else:
            self.failed_at = now()

    @property
    def state(self) -> State:
        """Down when the last three failed, degraded when any of the last five did."""
        last = list(self._recent)[-_DOWN_AFTER:]
        if len(last) == _DOWN_AFTER and not any(last):
            return "down"
        return "ok" if all(self._recent) else "degraded"


class Vitals:
    """See the module. ``vendors`` maps the base URLs of vendors to their names."""

    def __init__(self, vendors: Iterable[tuple[str, str]] = ()) -> None:
        self.requests = Requests()
        self.vendors: dict[str, Vendor] = {}
        self.findings: dict[str, int] = {}
        """How many breaches of an invariant its checks found here, by the invariant's name."""
        self.beat_at: float | None = None
        """Monotonic instant at which this process's worker last beat."""
        self.lag_s = 0.0
        """How late the event loop last woke a timer."""
        self.worst_lag_s = 0.0
        # The longest first: in development one sandbox answers for all under its own paths.
        bases = ((base.rstrip("/"), name) for base, name in vendors)
        self._bases = sorted(bases, key=lambda pair: -len(pair[0]))

    def beat(self) -> None:
        self.beat_at = time.monotonic()

    def beaten_s_ago(self) -> float | None:
        """Seconds since the worker's last beat; None when no worker runs here."""
        return None if self.beat_at is None else time.monotonic() - self.beat_at

    def late(self, seconds: float) -> None:
        """Note how late the loop woke a timer."""
        self.lag_s = max(0.0, seconds)
        self.worst_lag_s = max(self.worst_lag_s, self.lag_s)

    def found(self, invariant: str, breaches: int) -> None:
        """Note what a check of an invariant found; none makes it known that it is checked."""
        self.findings[invariant] = self.findings.get(invariant, 0) + breaches

    def called(self, url: str, ok: bool) -> None:
        """Note how a call to ``url`` ended, when a vendor answers there."""
        name = self.vendor_of(url)
        if name is not None:
            self.vendors.setdefault(name, Vendor()).saw(ok)

    def vendor_of(self, url: str) -> str | None:
        """Which of the vendors that the settings name answers at ``url``."""
        for base, name in self._bases:
            # Whole: https://api.vendor.example.evil.test is somebody else.
            if url.startswith(base) and url[len(base) : len(base) + 1] in ("", "/", "?"):
                return name
        return None
