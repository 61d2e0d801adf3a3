"""What we keep beside PgQueuer's own tables: how often a job was delivered, and what is held."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import Model


class JobDelivery(Model):
    """Counted in its own transaction before the work: a job that kills its worker is held.

    PgQueuer has no re-pick counter (DESIGN §9, rule 4).
    """

    __tablename__ = "job_deliveries"

    job_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    tenant_id: Mapped[UUID | None]
    entrypoint: Mapped[str]
    deliveries: Mapped[int] = mapped_column(server_default="1")
    last_error: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
