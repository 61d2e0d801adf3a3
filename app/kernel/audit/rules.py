"""The audit trail as CSV (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

import orjson

from app.kernel.audit.models import AuditEntry

COLUMNS = (
    "created_at", "actor_kind", "actor_id", "actor_name", "action", "resource", "resource_id",
    "facts", "ip", "user_agent", "request_id", "id", "impersonator_id", "impersonator_name",
)  # fmt: skip


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """The rows as UTF-8 CSV."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def csv_row(entry: AuditEntry) -> list[object]:
    """One entry in the order of ``COLUMNS``."""
    values: list[object] = [getattr(entry, name) for name in COLUMNS]
    values[0] = entry.created_at.isoformat()
    values[COLUMNS.index("facts")] = orjson.dumps(entry.facts).decode()
    return values


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    # A spreadsheet would run what begins like this, and strangers choose their User-Agent
    # (OWASP, CSV injection).
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
