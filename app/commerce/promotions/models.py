"""Promotions (the *campanhas* of the seed) and the rows that say who redeemed them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Index, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

PERCENT_KINDS = ("percent", "first_order", "buy_x_get_y")
KINDS = ("percent", "fixed", "free_shipping", "buy_x_get_y", "first_order")
SCOPES = ("all", "category", "product", "store")


class Promotion(TenantModel):
    __tablename__ = "promotions"
    __table_args__ = (
        Index(
            "promotions_tenant_id_code_key",
            "tenant_id",
            "code",
            unique=True,
            postgresql_where=text("deleted_at IS NULL AND archived_at IS NULL"),
        ),
        CheckConstraint(one_of("kind", KINDS), name="kind"),
        CheckConstraint(one_of("scope", SCOPES), name="scope"),
        CheckConstraint("code = upper(code)", name="code_upper"),
        CheckConstraint("value >= 0", name="value"),
        CheckConstraint("used_count >= 0 AND used_count <= usage_limit", name="usage_limit"),
        CheckConstraint("spent_cents >= 0 AND spent_cents <= budget_cents", name="budget"),
        CheckConstraint("NOT (by_codes AND code IS NOT NULL)", name="by_codes"),
        CheckConstraint("NOT (is_active AND archived_at IS NOT NULL)", name="archived"),
    )

    name: Mapped[str]
    kind: Mapped[str]
    value: Mapped[int]
    """Basis points for percent and first_order (1000 = 10 %), cents for fixed."""
    code: Mapped[str | None]
    """Coupon code; None: applies by itself, unless it goes by codes."""
    by_codes: Mapped[bool] = mapped_column(server_default=text("false"))
    """Applies by one of its generated codes alone (``PromotionCode``)."""
    scope: Mapped[str] = mapped_column(server_default="all")
    target_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default=text("'{}'"))
    buy_quantity: Mapped[int | None]
    get_quantity: Mapped[int | None]
    min_subtotal_cents: Mapped[int] = mapped_column(server_default="0")
    max_discount_cents: Mapped[int | None]
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    weekdays: Mapped[list[int]] = mapped_column(ARRAY(BigInteger()), server_default=text("'{}'"))
    """0=Monday; empty: every day. In the store's timezone, as the hours are."""
    hour_from: Mapped[str | None]
    hour_to: Mapped[str | None]
    usage_limit: Mapped[int | None]
    used_count: Mapped[int] = mapped_column(server_default="0")
    per_customer_limit: Mapped[int | None]
    budget_cents: Mapped[int | None]
    spent_cents: Mapped[int] = mapped_column(server_default="0")
    priority: Mapped[int] = mapped_column(server_default="0")
    combinable: Mapped[bool] = mapped_column(server_default=text("false"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    image_file_id: Mapped[UUID | None]
    """What the storefront shows of it; prices do not hang on it."""
    archived_at: Mapped[datetime | None]
    """Over for good: it is only looked at, and its code is free again."""
    deleted_at: Mapped[datetime | None]

    def flaws(self) -> list[tuple[str, str]]:
        """What contradicts itself, as (field, what to do); empty when all is well."""
        backwards = self.starts_at and self.ends_at and self.ends_at <= self.starts_at
        checks = (
            (*self._value_flaw(), "value"),
            (self._lacks(self.buy_quantity), "send how many must be bought", "buy_quantity"),
            (self._lacks(self.get_quantity), "send how many then cost less", "get_quantity"),
            (self.scope != "all" and not self.target_ids, "name at least one", "target_ids"),
            (self.scope == "all" and self.target_ids, "choose a narrower scope", "target_ids"),
            (backwards, "must be after starts_at", "ends_at"),
            (self.by_codes and self.code, "leave it out: its codes are generated", "code"),
        )
        return [(field, advice) for wrong, advice, field in checks if wrong]

    def _value_flaw(self) -> tuple[bool, str]:
        if self.kind in PERCENT_KINDS:
            return not 1 <= self.value <= 10_000, "send 1 to 10000 basis points (1000 is 10 %)"
        if self.kind == "fixed":
            return self.value < 1, "send the cents to take off"
        return self.value != 0, "leave it out"

    def _lacks(self, quantity: int | None) -> bool:
        return self.kind == "buy_x_get_y" and not quantity


class PromotionCode(TenantModel):
    """One of the many codes of a promotion; never deleted, as its uses name it."""

    __tablename__ = "promotion_codes"
    __table_args__ = (
        within_tenant("promotion_id", "promotions", ondelete="CASCADE"),
        unique_within_tenant("code"),
        Index("promotion_codes_tenant_id_promotion_id_idx", "tenant_id", "promotion_id", "id"),
        CheckConstraint("code = upper(code)", name="code_upper"),
        CheckConstraint("used_count >= 0 AND used_count <= usage_limit", name="usage_limit"),
    )

    promotion_id: Mapped[UUID]
    batch_id: Mapped[UUID]
    """Those that were generated together."""
    label: Mapped[str | None]
    code: Mapped[str]
    usage_limit: Mapped[int] = mapped_column(server_default="1")
    used_count: Mapped[int] = mapped_column(server_default="0")
    revoked_at: Mapped[datetime | None]


class PromotionRedemption(TenantModel):
    __tablename__ = "promotion_redemptions"
    __table_args__ = (
        within_tenant("promotion_id", "promotions"),
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        within_tenant("contact_id", "contacts"),
        Index("promotion_redemptions_tenant_id_order_id_idx", "tenant_id", "order_id"),
        Index(
            "promotion_redemptions_tenant_id_promotion_id_contact_id_idx",
            "tenant_id",
            "promotion_id",
            "contact_id",
        ),
        Index(
            "promotion_redemptions_tenant_id_promotion_id_order_id_idx",
            "tenant_id",
            "promotion_id",
            "order_id",
        ),
        # Partial: the use of an automatic promotion does not pay for it.
        Index(
            "promotion_redemptions_tenant_id_code_idx",
            "tenant_id",
            "code",
            "id",
            postgresql_where=text("code IS NOT NULL"),
        ),
        CheckConstraint("amount_cents >= 0 AND shipping_cents >= 0", name="amounts"),
    )

    promotion_id: Mapped[UUID]
    order_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    name: Mapped[str]
    code: Mapped[str | None]
    amount_cents: Mapped[int]
    """Taken off the items."""
    shipping_cents: Mapped[int] = mapped_column(server_default="0")
    """Taken off the freight."""
    released_at: Mapped[datetime | None]
    """Set when the order was cancelled and the use given back."""
