"""Reading the tenant's event stream by cursor."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import func, select

from app.core.repository import Repository
from app.kernel.realtime.models import StreamEvent


class StreamRow(NamedTuple):
    seq: int
    topic: str
    type: str
    data: dict[str, Any]


class StreamRepository(Repository[StreamEvent]):
    model = StreamEvent

    async def bounds(self) -> tuple[int, int]:
        """The oldest and the newest number that are kept; zeros when there is none."""
        found = await self.session.execute(
            select(func.min(StreamEvent.seq), func.max(StreamEvent.seq))
        )
        oldest, newest = found.one()
        return oldest or 0, newest or 0

    async def after(self, cursor: int, limit: int) -> list[StreamRow]:
        """Events after ``cursor``, oldest first."""
        rows = await self.session.execute(
            select(StreamEvent.seq, StreamEvent.topic, StreamEvent.type, StreamEvent.data)
            .where(StreamEvent.seq > cursor)
            .order_by(StreamEvent.seq)
            .limit(limit)
        )
        return [StreamRow(*row) for row in rows]

    async def about(self, name: str, value: str, cursor: int, limit: int) -> list[StreamRow]:
        """Events after ``cursor`` whose data says ``value`` under ``name``, oldest first."""
        rows = await self.session.execute(
            select(StreamEvent.seq, StreamEvent.topic, StreamEvent.type, StreamEvent.data)
            .where(StreamEvent.seq > cursor, StreamEvent.data[name].astext == value)
            .order_by(StreamEvent.seq)
            .limit(limit)
        )
        return [StreamRow(*row) for row in rows]
