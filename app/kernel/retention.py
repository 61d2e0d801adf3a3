"""What is kept for how long, and the beat that deletes the rest in small bites.

Logs grow for ever unless somebody ends them: the live stream, stored answers, deliveries of
webhooks, notices, runs of schedules. Every worker prunes every ten minutes; rows that another one
is deleting are skipped.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import NamedTuple

from app.kernel.notifications.rules import RETENTION as NOTICES
from app.kernel.realtime.rules import RETENTION as STREAM
from app.kernel.work import Runtime

EVERY_S = 600.0
ROWS = 5000
"""Rows per statement: its locks last milliseconds."""
_MOST_BITES = 200


class Kept(NamedTuple):
    """``table``'s rows live ``age`` long; then those go for which ``spent`` holds (alias t)."""

    table: str
    age: timedelta
    spent: str


KEPT = (
    # The newest row of a tenant stays: its number is the tenant's place in the stream.
    Kept(
        "stream_events",
        STREAM,
        "EXISTS (SELECT FROM stream_events n WHERE n.tenant_id = t.tenant_id AND n.seq > t.seq)",
    ),
    Kept("idempotency_records", timedelta(days=2), "true"),
    Kept("webhook_deliveries", timedelta(days=30), "t.state <> 'pending'"),
    # Unread ones too: what nobody looked at for so long is no news. Their deliveries go along.
    Kept("notices", NOTICES, "true"),
    # Hours old, they are over; what an order came of, the order tells by itself.
    Kept("ucp_sessions", timedelta(days=7), "true"),
    Kept("schedule_runs", timedelta(days=90), "t.ended_at IS NOT NULL"),
)


def _statement(kept: Kept) -> str:
    # Table and condition are constants of this module.
    return (
        f"DELETE FROM {kept.table} WHERE (tenant_id, id) IN ("  # noqa: S608
        f"SELECT t.tenant_id, t.id FROM {kept.table} t "
        f"WHERE t.created_at < now() - $1::interval AND {kept.spent} "
        "LIMIT $2 FOR UPDATE SKIP LOCKED)"
    )


async def prune(runtime: Runtime) -> dict[str, int]:
    """Delete what is too old; rows deleted by table."""
    found: dict[str, int] = {}
    for kept in KEPT:
        statement = _statement(kept)
        for _ in range(_MOST_BITES):
            async with runtime.database.system_driver() as driver:
                told = await driver.execute(statement, kept.age, ROWS)
            deleted = int(told.rpartition(" ")[2])
            found[kept.table] = found.get(kept.table, 0) + deleted
            if deleted < ROWS:
                break
    return found


async def prune_now_and_then(runtime: Runtime) -> None:
    """For the worker's beat: prune when ten minutes have passed since this process last did."""
    at = time.monotonic()
    if at >= runtime.caches.get("retention.next", 0.0):
        runtime.caches["retention.next"] = at + EVERY_S
        await prune(runtime)
