"""What a delivery costs, and where postal codes lie."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import Model, TenantModel, unique_within_tenant, within_tenant

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


class MapAnswer(TenantModel):
    """What a maps provider said of a place or a way, until it is asked again.

    A table and not Redis: the answer prices orders, so it is read in the same place as the rules
    it is used with, survives a restart of Redis, and leaves with its tenant.
    """

    __tablename__ = "map_answers"
    __table_args__ = (unique_within_tenant("question"),)

    question: Mapped[str]
    """``place:05422010``, or ``road:-23.5535,-46.6912>-23.5670,-46.6930``."""
    provider: Mapped[str]
    latitude: Mapped[float | None] = mapped_column(Double())
    longitude: Mapped[float | None] = mapped_column(Double())
    meters: Mapped[int | None]
    """None at a way: no road leads there."""
    expires_at: Mapped[datetime]


class PostalArea(Model):
    """Coordinates of a five-digit postal prefix: reference data, the same for every tenant."""

    __tablename__ = "postal_areas"

    prefix: Mapped[str] = mapped_column(unique=True)
    latitude: Mapped[float] = mapped_column(Double())
    longitude: Mapped[float] = mapped_column(Double())
    city: Mapped[str]
    state: Mapped[str]
