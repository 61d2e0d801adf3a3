"""The audit trail as CSV (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import orjson

from app.kernel.audit.models import AuditEntry

COLUMNS = (
    "created_at", "actor_kind", "actor_id", "actor_name", "action", "resource", "resource_id",
    "facts", "ip", "user_agent", "request_id", "id", "impersonator_id", "impersonator_name",
)  # fmt: skip


def csv_row(entry: AuditEntry) -> list[object]:
    """One entry in the order of ``COLUMNS``."""
    values: list[object] = [getattr(entry, name) for name in COLUMNS]
    values[0] = entry.created_at.isoformat()
    values[COLUMNS.index("facts")] = orjson.dumps(entry.facts).decode()
    return values
