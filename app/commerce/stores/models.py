"""A place that sells: where it is, when it is open, how it hands over."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, DateTime, Double, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.commerce.stores import rules
from app.commerce.stores.rules import Availability, Channel, PreorderPolicy, Schedule
from app.core.ddl import one_of
from app.core.model import Json, TenantModel, unique_within_tenant, within_tenant

PAYMENT_METHODS = ("cash", "card_on_delivery", "pix", "stripe")
DISTANCE_SOURCES = ("straight", "road")


class Store(TenantModel):
    __tablename__ = "stores"
    __table_args__ = (
        unique_within_tenant("slug"),
        CheckConstraint("slug ~ '^[a-z0-9](-?[a-z0-9])*$'", name="slug"),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        CheckConstraint("min_order_cents >= 0", name="min_order_cents"),
        CheckConstraint(
            "preorder_capacity > 0 AND preorder_delivery_capacity > 0"
            " AND preorder_pickup_capacity > 0",
            name="capacity",
        ),
        CheckConstraint("cutoff_minutes >= 0 AND busy_minutes >= 0", name="minutes"),
        CheckConstraint(one_of("distance_source", DISTANCE_SOURCES), name="distance_source"),
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
    preorder_capacity: Mapped[int | None]
    """Orders that one slot takes; None: any number. Those below are within it."""
    preorder_delivery_capacity: Mapped[int | None]
    preorder_pickup_capacity: Mapped[int | None]
    cutoff_minutes: Mapped[int] = mapped_column(server_default="0")
    """How long before closing the last order for now is taken."""
    paused_until: Mapped[datetime | None]
    pause_reason: Mapped[str | None]
    busy_minutes: Mapped[int] = mapped_column(server_default="0")
    """On top of the preparation, while there is much to do."""
    distance_source: Mapped[str] = mapped_column(server_default="straight")
    """How far an address is: as the crow flies, or as a maps provider says ("road")."""
    min_order_cents: Mapped[int] = mapped_column(server_default="0")
    free_shipping_above_cents: Mapped[int | None]
    preparation_minutes: Mapped[int] = mapped_column(server_default="30")
    auto_confirm_minutes: Mapped[int | None]
    """An order is confirmed by itself so long after it was placed, once it is paid or to be paid
    when it is handed over; None: somebody of the shop does."""
    payment_methods: Mapped[list[str]] = mapped_column(
        ARRAY(Text()), server_default=text("'{cash,card_on_delivery,pix}'")
    )
    delivery_payment_methods: Mapped[list[str] | None] = mapped_column(ARRAY(Text()))
    """Of ``payment_methods``, those taken for a delivery; None: all."""
    pickup_payment_methods: Mapped[list[str] | None] = mapped_column(ARRAY(Text()))
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
            self.preorder_lead_minutes,
            self.preorder_slot_minutes,
            self.preorder_horizon_days,
            self.preorder_capacity,
            self.preorder_delivery_capacity,
            self.preorder_pickup_capacity,
        )

    @property
    def ready_minutes(self) -> int:
        """How long an order takes to be made at the moment."""
        return self.preparation_minutes + self.busy_minutes

    def channels(self) -> frozenset[Channel]:
        """The ways of handing over that are switched on."""
        switches = {Channel.DELIVERY: self.delivery_enabled, Channel.PICKUP: self.pickup_enabled}
        return frozenset(channel for channel, on in switches.items() if on)

    def state(self) -> rules.StoreState:
        """Everything that decides whether an order is taken."""
        return rules.StoreState(
            self.schedule(),
            self.is_active,
            self.channels(),
            self.policy(),
            self.cutoff_minutes,
            self.paused_until,
        )

    def availability(
        self, channel: Channel, at: datetime, full: Container[datetime] = ()
    ) -> Availability:
        """The one answer to "may this be ordered now?" (``rules.availability``)."""
        return rules.availability(self.state(), channel, at, None, full)


class PreorderSlot(TenantModel):
    """How many orders a slot holds, by its instant: changed hours or lengths move no order.

    Counted for every pre-order, also where a store sets no limit: a limit set later then knows
    what is already taken.
    """

    __tablename__ = "preorder_slots"
    __table_args__ = (
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        unique_within_tenant("store_id", "starts_at"),
        CheckConstraint("delivery >= 0 AND pickup >= 0", name="counts"),
    )

    store_id: Mapped[UUID]
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    delivery: Mapped[int] = mapped_column(server_default="0")
    pickup: Mapped[int] = mapped_column(server_default="0")


class SlotClaim(TenantModel):
    """The place of one order in a slot, under the order's id; deleting it gives it back, once."""

    __tablename__ = "slot_claims"
    __table_args__ = (
        within_tenant("slot_id", "preorder_slots", ondelete="CASCADE"),
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        unique_within_tenant("order_id", "slot_id"),
        Index("slot_claims_tenant_id_slot_id_idx", "tenant_id", "slot_id"),
        CheckConstraint(one_of("channel", ("delivery", "pickup")), name="channel"),
    )

    slot_id: Mapped[UUID]
    order_id: Mapped[UUID]
    channel: Mapped[str]
