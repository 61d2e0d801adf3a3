"""A place that sells: where it is, when it is open, how it hands over."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Double, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.commerce.stores import rules
from app.commerce.stores.rules import Availability, Channel, PreorderPolicy, Schedule
from app.core.model import Json, TenantModel, unique_within_tenant

PAYMENT_METHODS = ("cash", "card_on_delivery", "pix")


class Store(TenantModel):
    __tablename__ = "stores"
    __table_args__ = (
        unique_within_tenant("slug"),
        CheckConstraint("slug ~ '^[a-z0-9](-?[a-z0-9])*$'", name="slug"),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        CheckConstraint("min_order_cents >= 0", name="min_order_cents"),
    )

    name: Mapped[str]
    slug: Mapped[str]
    phone: Mapped[str | None]
    address: Mapped[Json]
    """street, number, complement, district, city, state, postal_code."""
    latitude: Mapped[float] = mapped_column(Double())
    longitude: Mapped[float] = mapped_column(Double())
    timezone: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    hours: Mapped[list[dict[str, Any]]] = mapped_column(JSONB(), server_default=text("'[]'"))
    """[{weekday 0=Monday, opens "18:00", closes "02:00"}]; may cross midnight."""
    exceptions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB(), server_default=text("'[]'"))
    """[{date "2026-12-25", intervals [{opens, closes}]}]; no intervals: closed that day."""
    delivery_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    pickup_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    preorder_enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    preorder_lead_minutes: Mapped[int] = mapped_column(server_default="60")
    preorder_slot_minutes: Mapped[int] = mapped_column(server_default="30")
    preorder_horizon_days: Mapped[int] = mapped_column(server_default="3")
    min_order_cents: Mapped[int] = mapped_column(server_default="0")
    free_shipping_above_cents: Mapped[int | None]
    preparation_minutes: Mapped[int] = mapped_column(server_default="30")
    payment_methods: Mapped[list[str]] = mapped_column(
        ARRAY(Text()), server_default=text("'{cash,card_on_delivery,pix}'")
    )
    logo_file_id: Mapped[UUID | None]
    banner_file_id: Mapped[UUID | None]

    def schedule(self) -> Schedule:
        """The opening hours as the rules read them."""
        return Schedule.from_rows(self.timezone, self.hours, self.exceptions)

    def policy(self) -> PreorderPolicy | None:
        """How far ahead one may order here; None: not at all."""
        if not self.preorder_enabled:
            return None
        return PreorderPolicy(
            self.preorder_lead_minutes, self.preorder_slot_minutes, self.preorder_horizon_days
        )

    def channels(self) -> frozenset[Channel]:
        """The ways of handing over that are switched on."""
        switches = {Channel.DELIVERY: self.delivery_enabled, Channel.PICKUP: self.pickup_enabled}
        return frozenset(channel for channel, on in switches.items() if on)

    def state(self) -> rules.StoreState:
        """Everything that decides whether an order is taken."""
        return rules.StoreState(self.schedule(), self.is_active, self.channels(), self.policy())

    def availability(
        self, channel: Channel, at: datetime, scheduled_for: datetime | None = None
    ) -> Availability:
        """The one answer to "may this be ordered now?" (``rules.availability``)."""
        return rules.availability(self.state(), channel, at, scheduled_for)
