"""What can be done with stores: show them, and run them within the plan's limit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from itertools import count, islice
from uuid import UUID

from app.commerce.stores import rules
from app.commerce.stores.models import Store
from app.commerce.stores.problems import StoreMediaUnknown
from app.commerce.stores.repository import StoreRepository
from app.commerce.stores.rules import Channel, PreorderPolicy, SlotUse
from app.commerce.stores.schemas import (
    AvailabilityRead,
    OfferedSlotRead,
    StoreCreate,
    StoreExceptions,
    StorefrontRead,
    StoreHours,
    StoreRead,
    StoreUpdate,
)
from app.contracts.commerce import CatalogChanged
from app.core.clock import now
from app.core.model import Json
from app.core.pagination import Page, PageRequest
from app.kernel.files.service import FileService
from app.kernel.limits import ensure_room
from app.kernel.work import Work

_FIRST_SLOTS = 3
_MEDIA = ("logo_file_id", "banner_file_id")


def storefront(
    store: Store, at: datetime, currency: str, slots: int | None, taken: Mapping[datetime, SlotUse]
) -> StorefrontRead:
    """What the public sees of a store at ``at``, with its first ``slots`` pre-order slots.

    ``taken`` is what its slots hold.
    """
    schedule = store.schedule()
    full = {channel: _full(store, taken, channel) for channel in Channel}
    offered = islice(rules.offered_slots(store.state(), at), slots)
    return StorefrontRead.model_validate(
        StoreRead.model_validate(store).model_dump()
        | {
            "currency": currency,
            "is_open": store.is_active and rules.is_open(schedule, at),
            "next_opening": rules.next_opening(schedule, at),
            "closes_at": rules.closes_at(schedule, at),
            "availability": {
                channel: AvailabilityRead.model_validate(
                    store.availability(channel, at, full[channel])
                )
                for channel in Channel
            },
            "preorder_slots": [
                OfferedSlotRead(
                    start=slot.start,
                    end=slot.end,
                    full_for=[c for c in Channel if slot.start in full[c]],
                )
                for slot in offered
            ],
        }
    )


def _full(store: Store, taken: Mapping[datetime, SlotUse], channel: Channel) -> frozenset[datetime]:
    policy = store.policy()
    if policy is None:
        return frozenset()
    return frozenset(start for start, held in taken.items() if policy.is_full(held, channel))


class StoreService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.stores = StoreRepository(work.session)

    async def storefront_page(self, request: PageRequest) -> Page[StorefrontRead]:
        """Active stores with whether they are open at this moment."""
        found = await self.stores.recent(request, is_active=True)
        at, currency = now(), self.work.tenant.currency
        taken = await self.stores.slot_use([store.id for store in found.items], at)
        shown = [
            storefront(store, at, currency, _FIRST_SLOTS, taken.get(store.id, {}))
            for store in found.items
        ]
        return Page(shown, found.next_cursor)

    async def storefront(self, slug: str) -> StorefrontRead:
        """One active store with every pre-order slot it offers now. Raises StoreNotFound."""
        store = await self.stores.active_by_slug(slug)
        at = now()
        taken = await self.stores.slot_use([store.id], at)
        return storefront(store, at, self.work.tenant.currency, None, taken.get(store.id, {}))

    async def full_slots(
        self, store_id: UUID, policy: PreorderPolicy | None, channel: Channel
    ) -> frozenset[datetime]:
        """The starts of the coming slots that have no room over ``channel``."""
        if policy is None:
            return frozenset()
        taken = (await self.stores.slot_use([store_id], now())).get(store_id, {})
        return frozenset(start for start, held in taken.items() if policy.is_full(held, channel))

    async def take_slot(self, store_id: UUID, start: datetime, channel: Channel) -> UUID | None:
        """A place in a pre-order slot until the commit; None: it is full. See ``claim_slot``."""
        return await self.stores.take_slot(store_id, start, channel)

    async def claim_slot(self, slot_id: UUID, order_id: UUID, channel: Channel) -> None:
        """Let an order that was written own the place it took."""
        await self.stores.claim_slot(slot_id, order_id, channel)

    async def give_back_slot(self, order_id: UUID) -> None:
        """The order is cancelled: its place in a slot, if it has one, is free again."""
        await self.stores.give_back_slot(order_id)

    async def active(self, slug: str) -> Store:
        """The store that the public calls by ``slug``. Raises StoreNotFound."""
        return await self.stores.active_by_slug(slug)

    async def get(self, store_id: UUID, *, lock: bool = False) -> Store:
        """A store of any state. Raises StoreNotFound."""
        return await self.stores.get(store_id, lock=lock)

    async def recent(self, request: PageRequest, is_active: bool | None) -> Page[Store]:
        return await self.stores.recent(request, is_active=is_active)

    async def create(self, body: StoreCreate) -> Store:
        """Open a store. Raises LimitReached, StoreSlugTaken, StoreMediaUnknown."""
        await self.stores.lock_count()
        if body.is_active:
            await self._ensure_room()
        facts = body.model_dump() | {
            "slug": body.slug or await self._free_slug(body.name),
            "timezone": body.timezone or self.work.tenant.timezone,
            "exceptions": body.model_dump(mode="json")["exceptions"],
        }
        await self._ensure_media(facts)
        store = await self.stores.add(Store(**facts))
        self.work.record("stores.created", "store", store.id, after=facts)
        self._tell(store, "created")
        return store

    async def update(self, store_id: UUID, body: StoreUpdate) -> Store:
        """Change the fields sent. Raises what ``create`` raises, and StoreNotFound."""
        if body.is_active:
            # Before the row's lock, in the order in which everybody takes the two.
            await self.stores.lock_count()
        store = await self.stores.get(store_id, lock=True)
        if body.is_active and not store.is_active:
            await self._ensure_room()
        facts = body.model_dump(exclude_unset=True)
        await self._ensure_media(facts)
        return await self._change(store, facts)

    async def set_hours(self, store_id: UUID, body: StoreHours) -> Store:
        """Replace the weekly opening hours. Raises StoreNotFound."""
        store = await self.stores.get(store_id, lock=True)
        return await self._change(store, body.model_dump(mode="json"))

    async def copy_hours(self, store_id: UUID, source_id: UUID) -> Store:
        """Take over another store's weekly hours and exceptions. Raises StoreNotFound."""
        source = await self.stores.get(source_id)
        store = await self.stores.get(store_id, lock=True)
        return await self._change(store, {"hours": source.hours, "exceptions": source.exceptions})

    async def set_exceptions(self, store_id: UUID, body: StoreExceptions) -> Store:
        """Replace the exceptions by date. Raises StoreNotFound."""
        store = await self.stores.get(store_id, lock=True)
        return await self._change(store, body.model_dump(mode="json"))

    async def switch(self, store_id: UUID, facts: Json) -> Store:
        """Change how a store runs at the moment. Raises StoreNotFound."""
        store = await self.stores.get(store_id, lock=True)
        return await self._change(store, facts)

    async def remove(self, store_id: UUID) -> None:
        """Delete a store that never had an order. Raises StoreNotFound, StoreInUse."""
        store = await self.stores.get(store_id, lock=True)
        await self.stores.delete(store)
        self.work.record("stores.deleted", "store", store.id, before={"slug": store.slug})
        self._tell(store, "deleted")

    async def _change(self, store: Store, facts: Json) -> Store:
        after = {name: value for name, value in facts.items() if getattr(store, name) != value}
        if not after:
            return store
        before = {name: getattr(store, name) for name in after}
        for name, value in after.items():
            setattr(store, name, value)
        await self.stores.flush()
        self.work.record("stores.updated", "store", store.id, before=before, after=after)
        self._tell(store, "updated")
        return store

    async def in_use(self) -> int:
        """Answer the ``InUse`` contract: how many stores count against the plan."""
        return await self.stores.count_active()

    async def _ensure_room(self) -> None:
        await ensure_room(self.work, "stores", await self.stores.count_active())

    async def _ensure_media(self, facts: Json) -> None:
        wanted = {name: facts[name] for name in _MEDIA if facts.get(name)}
        if not wanted:
            return
        found = await FileService(self.work).held(list(wanted.values()))
        missing = [name for name, file_id in wanted.items() if file_id not in found]
        if missing:
            raise StoreMediaUnknown(
                errors=[{"pointer": f"/body/{name}", "detail": "No such file"} for name in missing]
            )

    async def _free_slug(self, name: str) -> str:
        base = _slug_of(name)
        taken = await self.stores.slugs_like(base)
        numbered = (f"{base}-{number}" for number in count(2))
        return base if base not in taken else next(s for s in numbered if s not in taken)

    def _tell(self, store: Store, change: str) -> None:
        self.work.publish(
            CatalogChanged(kind="store", change=change, item_id=store.id, item_name=store.name)
        )
        self.work.ring("catalog")


def _slug_of(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "loja"
