"""Stock in a narrow table of its own, and the ledger whose sum it always is.

A sale updates ``stock_levels`` alone: 2.5 times the orders of a stock column on the product row
(spec/kernel-facts A.7). An item without a level is not tracked and never runs out.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, Index, case, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from app.commerce.catalog.models import Modifier, Product, Variant
from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

ITEM_KINDS = ("product", "variant", "modifier")
COUNT_STATUSES = ("open", "closed", "cancelled")
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
    # An order writes several. Its store is that of the level it changes, which has the foreign
    # key; ``forget_store``, a trigger of ``stores``, takes movements along.
    __goes_by_trigger__ = True
    __table_args__ = (
        CheckConstraint(one_of("kind", MOVEMENT_KINDS), name="kind"),
        CheckConstraint("quantity <> 0", name="quantity"),
        Index("stock_movements_tenant_id_item_id_idx", "tenant_id", "item_id", "id"),
        Index("stock_movements_tenant_id_order_id_idx", "tenant_id", "order_id"),
        # Partial, so that a checkout does not pay for it.
        Index(
            "stock_movements_tenant_id_kind_idx",
            "tenant_id",
            "kind",
            "id",
            postgresql_where=text("kind <> 'sale'"),
        ),
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


class StockCount(TenantModel):
    """A count of a whole store (a stock-take); at most one is open in a store."""

    __tablename__ = "stock_counts"
    __table_args__ = (
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        CheckConstraint(one_of("status", COUNT_STATUSES), name="status"),
        Index(
            "stock_counts_tenant_id_store_id_key",
            "tenant_id",
            "store_id",
            unique=True,
            postgresql_where=text("status = 'open'"),
        ),
        Index("stock_counts_tenant_id_store_id_idx", "tenant_id", "store_id", "id"),
    )

    store_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(server_default="open")
    note: Mapped[str | None]
    opened_by: Mapped[str]
    ended_by: Mapped[str | None]
    ended_at: Mapped[datetime | None]


class StockCountLine(TenantModel):
    __tablename__ = "stock_count_lines"
    __table_args__ = (
        unique_within_tenant("count_id", "item_id"),
        within_tenant("count_id", "stock_counts", ondelete="CASCADE"),
        Index("stock_count_lines_tenant_id_count_id_idx", "tenant_id", "count_id", "id"),
        CheckConstraint(one_of("item_kind", ITEM_KINDS), name="item_kind"),
        CheckConstraint("counted >= 0 AND (counted IS NULL) = (expected IS NULL)", name="counted"),
    )

    count_id: Mapped[UUID]
    item_kind: Mapped[str]
    item_id: Mapped[UUID]
    opened_on_hand: Mapped[int]
    """What the books said when the count began."""
    expected: Mapped[int | None]
    """What the books said at the moment of counting: what is sold later is in neither number."""
    counted: Mapped[int | None]
    counted_at: Mapped[datetime | None]
    counted_by: Mapped[str | None]
    applied: Mapped[int | None]
    """What closing did to the level; less than the difference when sales had taken it already."""


def name_of(
    row: type[StockLevel] | type[StockMovement] | type[StockCountLine],
) -> ColumnElement[str]:
    """The item's name, also of a deleted one; looked up per row by key, so a page costs a page."""
    variant = (
        select(Product.name + " - " + Variant.name)
        .select_from(Variant)
        .join(Product, Product.id == Variant.product_id)
        .where(Variant.id == row.item_id)
    )
    name = case(
        (
            row.item_kind == "product",
            select(Product.name).where(Product.id == row.item_id).scalar_subquery(),
        ),
        (row.item_kind == "variant", variant.scalar_subquery()),
        else_=select(Modifier.name).where(Modifier.id == row.item_id).scalar_subquery(),
    )
    return func.coalesce(name, "")
