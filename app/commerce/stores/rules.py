"""Which pre-order slots a store offers, and the one rule of availability.

The wall clock and its changes are ``hours``' business. What holds on top, for every caller:

- a pause, a cut-off before closing and a full slot refuse, each with its own reason;
- a slot begins once, whatever happens to the hours, the length or the capacity afterwards: orders
  keep the instant they were placed for, and count against it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.core.hours import (
    HORIZON_DAYS,
    DateException,
    Interval,
    InvalidHours,
    Schedule,
    Slot,
    WeeklyInterval,
    aware,
    closes_at,
    is_open,
    local_date,
    next_opening,
    spans_starting_on,
)

__all__ = [
    "HORIZON_DAYS",
    "Availability",
    "Channel",
    "ClosedReason",
    "DateException",
    "Interval",
    "InvalidHours",
    "PreorderPolicy",
    "Schedule",
    "Slot",
    "SlotUse",
    "StoreState",
    "WeeklyInterval",
    "availability",
    "closes_at",
    "find_slot",
    "is_open",
    "next_opening",
    "offered_slots",
    "preorder_slots",
    "slot_is_valid",
]


@dataclass(frozen=True, slots=True)
class PreorderPolicy:
    """How far ahead one may order: slots of ``slot_minutes``, from ``lead_minutes`` after now,
    up to and including the local date ``horizon_days`` after today (0: only today).
    """

    lead_minutes: int
    slot_minutes: int
    horizon_days: int
    capacity: int | None = None
    """Orders that one slot takes altogether; None: any number."""
    delivery_capacity: int | None = None
    pickup_capacity: int | None = None

    def __post_init__(self) -> None:
        if self.slot_minutes < 1 or self.lead_minutes < 0 or self.horizon_days < 0:
            raise InvalidHours("a slot lasts at least a minute; lead and horizon are not negative")

    def capacity_of(self, channel: Channel) -> int | None:
        """Orders over this channel that one slot takes, within ``capacity``."""
        return self.delivery_capacity if channel is Channel.DELIVERY else self.pickup_capacity

    def is_full(self, taken: SlotUse, channel: Channel) -> bool:
        """Whether a slot that holds ``taken`` has no room for one more over ``channel``."""
        mine = taken.delivery if channel is Channel.DELIVERY else taken.pickup
        limits = ((self.capacity, taken.delivery + taken.pickup), (self.capacity_of(channel), mine))
        return any(most is not None and held >= most for most, held in limits)


@dataclass(frozen=True, slots=True)
class SlotUse:
    """How many orders a slot holds."""

    delivery: int = 0
    pickup: int = 0


class Channel(StrEnum):
    DELIVERY = "delivery"
    PICKUP = "pickup"


class ClosedReason(StrEnum):
    STORE_INACTIVE = "store-inactive"
    CHANNEL_DISABLED = "channel-disabled"
    PAUSED = "paused"
    CLOSED_NOW = "closed-now"
    PAST_CUTOFF = "past-cutoff"
    PREORDER_DISABLED = "preorder-disabled"
    SLOT_INVALID = "slot-invalid"
    SLOT_FULL = "slot-full"


@dataclass(frozen=True, slots=True)
class StoreState:
    """What of a store decides whether it takes an order."""

    schedule: Schedule
    is_active: bool = True
    channels: frozenset[Channel] = frozenset(Channel)
    preorder: PreorderPolicy | None = None  # None: pre-orders are switched off
    cutoff_minutes: int = 0
    """How long before closing the last order for now is taken."""
    paused_until: datetime | None = None
    """Nothing is taken for a moment before this one, by a merchant's hand."""


@dataclass(frozen=True, slots=True)
class Availability:
    """The answer to "may this be ordered now?"; ``reasons`` is empty exactly when ``open``."""

    open: bool
    reasons: tuple[ClosedReason, ...] = ()
    next_open: datetime | None = None
    next_slot: Slot | None = None

    @property
    def next_available_at(self) -> datetime | None:
        """The earliest moment an order placed later, or for later, would be served."""
        moments = [self.next_open, self.next_slot.start if self.next_slot else None]
        return min((moment for moment in moments if moment is not None), default=None)


def preorder_slots(schedule: Schedule, policy: PreorderPolicy, at: datetime) -> list[Slot]:
    """Return the slots one may choose at ``at``, in order.

    Slots count from the start of each interval, so they do not move as time passes; each lies
    wholly inside its interval, and a shorter rest before closing is not offered.
    """
    return list(_slots(schedule, policy, at))


def slot_is_valid(
    schedule: Schedule, policy: PreorderPolicy, at: datetime, start: datetime
) -> bool:
    """Say whether a slot that begins at ``start`` may still be chosen at ``at``."""
    return find_slot(schedule, policy, at, start) is not None


def find_slot(
    schedule: Schedule, policy: PreorderPolicy, at: datetime, start: datetime
) -> Slot | None:
    """Return the slot that begins at ``start`` when it may still be chosen at ``at``."""
    aware(start)
    return next((slot for slot in _slots(schedule, policy, at) if slot.start == start), None)


def availability(
    store: StoreState,
    channel: Channel,
    at: datetime,
    scheduled_for: datetime | None = None,
    full: Container[datetime] = (),
) -> Availability:
    """Decide whether the store takes an order over ``channel`` at ``at``, and say why not.

    ``scheduled_for`` asks for a pre-order whose slot begins then; without it the order is for
    now. ``full`` are the starts of the slots that have no room over ``channel``. A switched-off
    store or channel promises no later moment. The same rule answers lists, preview, checkout and
    chat (spec "Beyond the others").
    """
    switched_off = []
    if not store.is_active:
        switched_off.append(ClosedReason.STORE_INACTIVE)
    if channel not in store.channels:
        switched_off.append(ClosedReason.CHANNEL_DISABLED)
    refusal = _time_refusal(store, at, scheduled_for, full)
    if not switched_off and refusal is None:
        return Availability(open=True)
    reasons = (*switched_off, *([refusal] if refusal else []))
    if switched_off:
        return Availability(open=False, reasons=reasons)
    # A refused pre-order may still be placed for now when the store takes orders.
    return Availability(
        open=False,
        reasons=reasons,
        next_open=at if _now_refusal(store, at) is None else _takes_again_at(store, at),
        next_slot=next((slot for slot in offered_slots(store, at) if slot.start not in full), None),
    )


def offered_slots(store: StoreState, at: datetime) -> Iterator[Slot]:
    """The slots one may ask for at ``at``, in order, whether they have room or not."""
    if store.preorder is None:
        return iter(())
    slots = _slots(store.schedule, store.preorder, at)
    paused = store.paused_until
    return slots if paused is None else (slot for slot in slots if slot.start >= paused)


def _time_refusal(
    store: StoreState, at: datetime, scheduled_for: datetime | None, full: Container[datetime]
) -> ClosedReason | None:
    if scheduled_for is None:
        return _now_refusal(store, at)
    if store.preorder is None:
        return ClosedReason.PREORDER_DISABLED
    if not slot_is_valid(store.schedule, store.preorder, at, scheduled_for):
        return ClosedReason.SLOT_INVALID
    if store.paused_until is not None and scheduled_for < store.paused_until:
        return ClosedReason.PAUSED
    return ClosedReason.SLOT_FULL if scheduled_for in full else None


def _now_refusal(store: StoreState, at: datetime) -> ClosedReason | None:
    if not is_open(store.schedule, at):
        return ClosedReason.CLOSED_NOW
    if store.paused_until is not None and at < store.paused_until:
        return ClosedReason.PAUSED
    closes = closes_at(store.schedule, at) if store.cutoff_minutes else None
    if closes is not None and at >= closes - timedelta(minutes=store.cutoff_minutes):
        return ClosedReason.PAST_CUTOFF
    return None


def _takes_again_at(store: StoreState, at: datetime) -> datetime | None:
    """When an order for now is taken again: after the pause, or with an opening beyond it."""
    moment: datetime | None = at
    if store.paused_until is not None and at < store.paused_until:
        moment = store.paused_until
    while moment is not None and _now_refusal(store, moment) is not None:
        moment = next_opening(store.schedule, moment)
        if moment is not None and moment > at + timedelta(days=HORIZON_DAYS):
            return None
    return moment


def _slots(schedule: Schedule, policy: PreorderPolicy, at: datetime) -> Iterator[Slot]:
    today = local_date(schedule, at)
    earliest = at + timedelta(minutes=policy.lead_minutes)
    length = timedelta(minutes=policy.slot_minutes)
    last_day = today + timedelta(days=policy.horizon_days)
    zone = ZoneInfo(schedule.timezone)
    # A set: where intervals overlap a start is offered once, and each interval keeps its own
    # starts, so that no slot vanishes because a neighbour moved into the horizon.
    starts: set[datetime] = set()
    for offset in range(-1, policy.horizon_days + 1):
        for span in spans_starting_on(schedule, today + timedelta(days=offset)):
            start = span.start
            while start + length <= span.end and start.astimezone(zone).date() <= last_day:
                if start >= earliest:
                    starts.add(start)
                start += length
    return (Slot(start, start + length) for start in sorted(starts))
