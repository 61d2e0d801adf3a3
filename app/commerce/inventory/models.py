"""Stock in a narrow table of its own, and the ledger whose sum it always is.

A sale updates ``stock_levels`` alone: 2.5 times the orders of a stock column on the product row
(spec/kernel-facts A.7). An item without a level is not tracked and never runs out.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

ITEM_KINDS = ("product", "variant", "modifier")
MOVEMENT_KINDS = ("sale", "cancellation", "receipt", "adjustment", "loss", "transfer")


class StockLevel(TenantModel):
    __tablename__ = "stock_levels"
    __table_args__ = (
        unique_within_tenant("store_id", "item_id"),
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        CheckConstraint(one_of("item_kind", ITEM_KINDS), name="item_kind"),
        CheckConstraint("on_hand >= 0", name="on_hand"),
        # Room for new versions of a hot row on its own page.
        {"postgresql_with": {"fillfactor": 50}},
    )

    store_id: Mapped[UUID]
    item_kind: Mapped[str]
    item_id: Mapped[UUID]
    on_hand: Mapped[int]
    low_at: Mapped[int | None]
    """Alert when on_hand falls to this."""


class StockMovement(TenantModel):
    __tablename__ = "stock_movements"
    __table_args__ = (
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        CheckConstraint(one_of("kind", MOVEMENT_KINDS), name="kind"),
        CheckConstraint("quantity <> 0", name="quantity"),
        Index("stock_movements_tenant_id_item_id_idx", "tenant_id", "item_id", "store_id"),
        Index("stock_movements_tenant_id_order_id_idx", "tenant_id", "order_id"),
    )

    store_id: Mapped[UUID]
    item_kind: Mapped[str]
    item_id: Mapped[UUID]
    kind: Mapped[str]
    quantity: Mapped[int]
    """Signed: what it did to on_hand."""
    order_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    actor_name: Mapped[str] = mapped_column(server_default="storefront")
