"""What a delivery costs, and where postal codes lie."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Double, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import Model, TenantModel, within_tenant

KINDS = ("distance", "cep_range", "district", "flat")


class ShippingRule(TenantModel):
    __tablename__ = "shipping_rules"
    __table_args__ = (
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        CheckConstraint(one_of("kind", KINDS), name="kind"),
        CheckConstraint("fee_cents >= 0 AND minutes >= 0", name="amounts"),
        CheckConstraint("kind <> 'distance' OR max_meters > 0", name="distance"),
        CheckConstraint(
            "kind <> 'cep_range' OR (cep_from ~ '^[0-9]{8}$' AND cep_to ~ '^[0-9]{8}$' "
            "AND cep_from <= cep_to)",
            name="cep_range",
        ),
        CheckConstraint("kind <> 'district' OR district IS NOT NULL", name="district"),
        Index("shipping_rules_tenant_id_store_id_idx", "tenant_id", "store_id", "position"),
    )

    store_id: Mapped[UUID]
    kind: Mapped[str]
    position: Mapped[int] = mapped_column(server_default="0")
    """Rules are tried in this order; distance tiers among themselves by reach."""
    max_meters: Mapped[int | None]
    cep_from: Mapped[str | None]
    cep_to: Mapped[str | None]
    district: Mapped[str | None]
    fee_cents: Mapped[int]
    minutes: Mapped[int]
    """Travel time on top of the store's preparation."""
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))


class PostalArea(Model):
    """Coordinates of a five-digit postal prefix: reference data, the same for every tenant."""

    __tablename__ = "postal_areas"

    prefix: Mapped[str] = mapped_column(unique=True)
    latitude: Mapped[float] = mapped_column(Double())
    longitude: Mapped[float] = mapped_column(Double())
    city: Mapped[str]
    state: Mapped[str]
