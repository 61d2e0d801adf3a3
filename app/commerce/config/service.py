"""What a merchant switches during the day: a pause, and the minutes of a busy kitchen."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from app.commerce.config.schemas import BusyIn, OperationRead, PauseIn
from app.commerce.stores.models import Store
from app.commerce.stores.rules import Channel
from app.commerce.stores.schemas import AvailabilityRead
from app.commerce.stores.service import StoreService
from app.contracts.commerce import StoreOperationChanged
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.kernel.work import Work

_MINUTE = timedelta(minutes=1)


class ConfigService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.stores = StoreService(work)

    async def page(self, request: PageRequest) -> Page[OperationRead]:
        """Every store as it runs at this moment."""
        found = await self.stores.recent(request, None)
        at = now()
        return Page([_operation(store, at) for store in found.items], found.next_cursor)

    async def pause(self, store_id: UUID, body: PauseIn) -> OperationRead:
        """Take no orders for some minutes; they return by themselves. Raises StoreNotFound."""
        # To the whole minute: stores open and close on those, and answers are kept that long.
        until = now() + timedelta(minutes=body.minutes)
        whole = until.replace(second=0, microsecond=0)
        until = whole if whole == until else whole + _MINUTE
        return await self._switch(store_id, "paused", paused_until=until, pause_reason=body.reason)

    async def resume(self, store_id: UUID) -> OperationRead:
        """Take orders again before the pause is over. Raises StoreNotFound."""
        return await self._switch(store_id, "resumed", paused_until=None, pause_reason=None)

    async def set_busy(self, store_id: UUID, body: BusyIn) -> OperationRead:
        """Promise every order so many minutes later. Raises StoreNotFound."""
        return await self._switch(store_id, "busy", busy_minutes=body.busy_minutes)

    async def _switch(self, store_id: UUID, change: str, **facts: object) -> OperationRead:
        store = await self.stores.switch(store_id, facts)
        self.work.publish(
            StoreOperationChanged(
                store_id=store.id,
                store_name=store.name,
                change=change,
                paused_until=store.paused_until.isoformat() if store.paused_until else None,
                reason=store.pause_reason,
                busy_minutes=store.busy_minutes,
            )
        )
        return _operation(store, now())


def _operation(store: Store, at: datetime) -> OperationRead:
    is_paused = store.paused_until is not None and at < store.paused_until
    return OperationRead(
        store_id=store.id,
        name=store.name,
        is_active=store.is_active,
        paused_until=store.paused_until if is_paused else None,
        pause_reason=store.pause_reason if is_paused else None,
        preparation_minutes=store.preparation_minutes,
        busy_minutes=store.busy_minutes,
        availability={
            channel: AvailabilityRead.model_validate(store.availability(channel, at))
            for channel in Channel
        },
    )
