"""Closed days and months in sums, how far each store is summed up, and what changed since.

``insight_changes`` is written by triggers of the order's own tables, in the transaction of the
change: a day of which it speaks is counted anew until the job has summed it up again. Orders of
the last hours are never in the sums, so a checkout writes nothing here.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant


class InsightCell(TenantModel):
    """One sum: of a store, of a day or a whole month, of one kind, of one key in it."""

    __tablename__ = "insight_cells"
    __table_args__ = (
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        unique_within_tenant("store_id", "grain", "kind", "day", "key"),
        # A list's best products first, and one product through the days.
        Index(
            "insight_cells_best_idx",
            "tenant_id",
            "store_id",
            "grain",
            "day",
            "amount_cents",
            postgresql_where=text("kind = 'product'"),
        ),
        Index(
            "insight_cells_product_idx",
            "tenant_id",
            "store_id",
            "grain",
            "key",
            "day",
            postgresql_where=text("kind = 'product'"),
        ),
        CheckConstraint(one_of("grain", ("day", "month")), name="grain"),
    )

    store_id: Mapped[UUID]
    grain: Mapped[str]
    day: Mapped[date] = mapped_column(Date())
    """In the store's timezone; of a month its first."""
    kind: Mapped[str]
    key: Mapped[str]
    label: Mapped[str]
    orders: Mapped[int]
    quantity: Mapped[int]
    """Pieces, seconds or cents of freight, as the kind has it."""
    amount_cents: Mapped[int]


class InsightProgress(TenantModel):
    """Every day before ``rolled_until`` is summed up, in this timezone; no cell: no order."""

    __tablename__ = "insight_progress"
    __table_args__ = (
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        unique_within_tenant("store_id"),
    )

    store_id: Mapped[UUID]
    timezone: Mapped[str]
    rolled_until: Mapped[date] = mapped_column(Date())


class InsightChange(TenantModel):
    """An order of a day that may be summed up already was written by this transaction."""

    __tablename__ = "insight_changes"
    __table_args__ = (
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        Index("insight_changes_tenant_id_order_id_idx", "tenant_id", "order_id"),
    )

    id: Mapped[UUID] = mapped_column(
        primary_key=True, server_default=text("gen_random_uuid()"), sort_order=-1
    )
    store_id: Mapped[UUID]
    # No foreign key: an order that was deleted is a change, too.
    order_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    placed_at: Mapped[datetime]
    xact: Mapped[int]
    """The transaction: once per transaction and order is enough."""
