"""The event stream of a tenant: what a browser may have missed, in commit order."""

from __future__ import annotations

from sqlalchemy import BigInteger, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import Json, TenantModel


class StreamEvent(TenantModel):
    __tablename__ = "stream_events"
    __goes_by_trigger__ = True
    __table_args__ = (
        Index("stream_events_tenant_id_seq_idx", "tenant_id", "seq", unique=True),
        # For pruning by age alone: rows lie in the order of their insertion, so a few kB suffice
        # and an insert pays next to nothing.
        Index("stream_events_created_at_idx", "created_at", postgresql_using="brin"),
    )

    # Drawn under the tenant's advisory lock, held to the commit: a lower number is never
    # committed after a higher one, so a reader's cursor skips nothing.
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    topic: Mapped[str]
    type: Mapped[str]
    data: Mapped[Json]
