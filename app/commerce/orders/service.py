"""What can be done to an order after checkout; each public method is one use case."""

from __future__ import annotations

from uuid import UUID

from app.commerce.inventory.service import InventoryService
from app.commerce.orders.models import Order, OrderStatusChange
from app.commerce.orders.problems import (
    OrderNotCancellable,
    OrderNotFound,
    ReasonRequired,
    TransitionNotAllowed,
    VersionConflict,
)
from app.commerce.orders.repository import OrderRepository
from app.commerce.orders.rules import (
    FulfilmentType,
    OrderFilter,
    OrderStatus,
    allowed,
    may_customer_cancel,
    may_move,
)
from app.commerce.orders.schemas import (
    OrderItemRead,
    OrderRead,
    TrackingRead,
    TrackingStepRead,
)
from app.commerce.orders.tracking import token_matches
from app.commerce.promotions.service import PromotionService
from app.commerce.stores.service import StoreService
from app.contracts.commerce import OrderStatusChanged, OrderSummary
from app.core.pagination import Page, PageRequest
from app.kernel.work import Work

_GIVES_BACK = frozenset({OrderStatus.CANCELLED, OrderStatus.REJECTED})


class OrderService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.orders = OrderRepository(work.session)

    async def recent(self, page: PageRequest, only: OrderFilter) -> Page[Order]:
        return await self.orders.recent(page, only)

    async def detail(self, order_id: UUID) -> OrderRead:
        """One order with everything about it. Raises OrderNotFound."""
        order = await self.orders.full(order_id)
        fields = {
            name: getattr(order, name) for name in OrderRead.model_fields if name != "allowed"
        }
        moves = allowed(FulfilmentType(order.fulfilment), OrderStatus(order.status))
        return OrderRead.model_validate(fields | {"allowed": sorted(moves)})

    async def move(
        self, order_id: UUID, to: OrderStatus, reason: str | None, version: int | None
    ) -> OrderRead:
        """Move an order; two attendants cannot both act on what they both saw.

        Raises OrderNotFound, VersionConflict, TransitionNotAllowed, ReasonRequired.
        """
        order = await self.orders.get(order_id, lock=True)
        if version is not None and version != order.version:
            raise VersionConflict(version=order.version, status_now=order.status)
        await self._move(order, to, reason)
        return await self.detail(order_id)

    async def track(self, order_id: UUID, token: str) -> TrackingRead:
        """What the holder of the tracking token may see. Raises OrderNotFound."""
        self._require_token(order_id, token)
        return await self._tracking(order_id)

    async def cancel_by_customer(self, order_id: UUID, token: str, reason: str) -> TrackingRead:
        """Cancel while the store has not answered. Raises OrderNotFound, OrderNotCancellable."""
        self._require_token(order_id, token)
        order = await self.orders.get(order_id, lock=True)
        if not may_customer_cancel(OrderStatus(order.status)):
            raise OrderNotCancellable(status_now=order.status)
        await self._move(order, OrderStatus.CANCELLED, reason)
        return await self._tracking(order_id)

    async def summary(self, order_id: UUID) -> OrderSummary | None:
        """Answer the ``OrderLookup`` contract for other domains."""
        try:
            order = await self.orders.full(order_id)
        except OrderNotFound:
            return None
        store = await self.orders.store_of(order)
        return OrderSummary(
            id=order.id,
            number=order.number,
            status=order.status,
            fulfilment=order.fulfilment,
            total_cents=order.total_cents,
            currency=order.currency,
            store_name=store.name,
            customer_name=order.customer_name,
            customer_phone=order.customer_phone or "",
            lines=tuple(
                f"{i.quantity} x {i.name}{f' {i.variant_name}' if i.variant_name else ''}"
                for i in order.items
            ),
        )

    async def summary_by_number(self, number: int) -> OrderSummary | None:
        found = await self.orders.id_by_number(number)
        return await self.summary(found) if found is not None else None

    async def _move(self, order: Order, to: OrderStatus, reason: str | None) -> None:
        before = OrderStatus(order.status)
        kind = FulfilmentType(order.fulfilment)
        if not may_move(kind, before, to):
            raise TransitionNotAllowed(
                status_now=before, allowed=sorted(allowed(kind, before)), asked=to
            )
        if to in _GIVES_BACK and not reason:
            raise ReasonRequired()
        order.status, order.version = to.value, order.version + 1
        if to in _GIVES_BACK:
            order.cancel_reason = reason
            # Promotions before stock: the lock order of every writer (see checkout).
            await PromotionService(self.work).release(order.id)
            await StoreService(self.work).give_back_slot(order.id)
            await InventoryService(self.work).give_back(order.id)
        actor = self.work.actor
        await self.orders.remember(
            OrderStatusChange(
                order_id=order.id,
                before=before.value,
                after=to.value,
                actor_kind=actor.kind,
                actor_name=actor.name,
                reason=reason,
            )
        )
        self.work.publish(
            OrderStatusChanged(
                order_id=order.id,
                number=order.number,
                before=before.value,
                after=to.value,
                reason=reason,
            )
        )

    def _require_token(self, order_id: UUID, token: str) -> None:
        if not token_matches(self.work.runtime.tracking, order_id, token):
            raise OrderNotFound()

    async def _tracking(self, order_id: UUID) -> TrackingRead:
        order = await self.orders.full(order_id)
        store = await self.orders.store_of(order)
        shared = {
            name: getattr(order, name)
            for name in TrackingRead.model_fields
            if hasattr(order, name) and name not in {"items"}
        }
        return TrackingRead(
            **shared,
            store_name=store.name,
            store_phone=store.phone,
            items=[OrderItemRead.model_validate(item) for item in order.items],
            payment_method=order.payments[0].method if order.payments else "other",
            may_cancel=may_customer_cancel(OrderStatus(order.status)),
            steps=[
                TrackingStepRead(status=OrderStatus(h.after), at=h.created_at)
                for h in order.history
            ],
        )
