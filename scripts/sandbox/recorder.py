"""Remembers what the sandbox received, what it answered and what it sent back; bounded."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from pydantic import JsonValue


@dataclass(slots=True)
class Callback:
    """One notice sent to the application: pending, delivered, or failed after its attempts."""

    kind: str
    url: str
    body: str
    signature: str
    state: str = "pending"
    attempts: int = 0
    last: str = ""


@dataclass(slots=True)
class Received:
    """One request as it came, with secrets masked."""

    id: int
    received_at: str
    vendor: str
    method: str
    path: str
    headers: dict[str, str]
    body: JsonValue
    to: str = ""
    preview: str = ""
    verdict: str = "pending"
    status: int | None = None
    answer: JsonValue = None
    callbacks: list[Callback] = field(default_factory=list)

    def contains(self, needle: str) -> bool:
        return needle.casefold() in json.dumps(asdict(self), ensure_ascii=False).casefold()


def mask(secret: str) -> str:
    """Enough of a secret to recognise it, too little to use it."""
    return f"***{secret[-4:]}" if len(secret) > 8 else "***"


def instant() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")


class Recorder:
    """The last ``keep`` requests, in memory; all of them in the journal, where there is one."""

    def __init__(self, keep: int, journal: str = "") -> None:
        self._entries: deque[Received] = deque(maxlen=keep)
        self._ids = count(1)
        self._journal = Path(journal) if journal else None

    def open(
        self, vendor: str, method: str, path: str, headers: dict[str, str], body: JsonValue
    ) -> Received:
        entry = Received(next(self._ids), instant(), vendor, method, path, headers, body)
        self._entries.append(entry)
        return entry

    def note(self, entry: Received, path: str, body: bytes) -> None:
        """Append an answered request to the journal, as it came over the wire."""
        if self._journal is None:
            return
        line = {
            "vendor": entry.vendor,
            "method": entry.method,
            "path": path,
            "headers": entry.headers,
            "body": body.decode("utf-8", "replace"),
            "status": entry.status,
            "verdict": entry.verdict,
        }
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")

    def newest(self, vendor: str = "", contains: str = "", limit: int = 500) -> list[Received]:
        found: list[Received] = []
        for entry in reversed(self._entries):
            if len(found) == limit:
                break
            if vendor and entry.vendor != vendor:
                continue
            if not contains or entry.contains(contains):
                found.append(entry)
        return found

    def clear(self) -> None:
        self._entries.clear()
