"""What can be done to an order after checkout; each public method is one use case."""

from __future__ import annotations

from uuid import UUID

from app.commerce.inventory.service import InventoryService
from app.commerce.orders.models import Order, OrderStatusChange
from app.commerce.orders.problems import (
    OrderNotCancellable,
    OrderNotEditable,
    OrderNotFound,
    ReasonRequired,
    TransitionNotAllowed,
    VersionConflict,
)
from app.commerce.orders.repository import OrderRepository
from app.commerce.orders.rules import (
    EDITABLE,
    FulfilmentType,
    OrderFilter,
    OrderStatus,
    allowed,
    may_customer_cancel,
    may_move,
)
from app.commerce.orders.schemas import (
    BulkResult,
    BulkTransition,
    OrderItemRead,
    OrderRead,
    TrackingRead,
    TrackingStepRead,
)
from app.commerce.orders.tracking import token_matches
from app.commerce.payments.service import PaymentService
from app.commerce.promotions.service import PromotionService
from app.commerce.stores.models import Store
from app.commerce.stores.service import StoreService
from app.contracts.commerce import OrderStatusChanged, OrderSummary, OrderWithdrawn
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.problems import Problem
from app.kernel.throttle import rate, refusal
from app.kernel.work import Work, WorkFactory

_GUESSES = rate("order-guesses", "30/min")
"""Wrong tokens of one address; the right ones are not counted."""
_GIVES_BACK = frozenset({OrderStatus.CANCELLED, OrderStatus.REJECTED})


async def move_each(works: WorkFactory, body: BulkTransition) -> list[BulkResult]:
    """Move many orders, each in a Work of its own: what one refuses stops no other."""
    found = []
    for item in body.items:
        try:
            async with works() as work:
                number, version = await OrderService(work).step(
                    item.order_id, body.to, body.reason, item.version
                )
            found.append(
                BulkResult(
                    order_id=item.order_id, ok=True, number=number, status=body.to, version=version
                )
            )
        except Problem as problem:
            facts = problem.extra
            found.append(
                BulkResult(
                    order_id=item.order_id,
                    ok=False,
                    code=problem.code,
                    title=problem.title,
                    status=facts.get("status_now"),
                )
            )
    return found


def shown(order: Order) -> OrderRead:
    """A fully loaded order as the staff read it."""
    fields = {name: getattr(order, name) for name in OrderRead.model_fields if name != "allowed"}
    moves = allowed(FulfilmentType(order.fulfilment), OrderStatus(order.status))
    return OrderRead.model_validate(fields | {"allowed": sorted(moves)})


class OrderService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.orders = OrderRepository(work.session)

    async def recent(self, page: PageRequest, only: OrderFilter) -> Page[Order]:
        return await self.orders.recent(page, only)

    async def detail(self, order_id: UUID) -> OrderRead:
        """One order with everything about it. Raises OrderNotFound."""
        return shown(await self.orders.full(order_id))

    async def whole(self, page: PageRequest, only: OrderFilter) -> Page[Order]:
        """As ``recent``, with payments and delivery loaded."""
        return await self.orders.recent(page, only, whole=True)

    async def full(self, order_id: UUID) -> Order:
        """The row with all that is its own. Raises OrderNotFound."""
        return await self.orders.full(order_id)

    async def known(self, order_id: UUID) -> None:
        """Raises OrderNotFound."""
        await self.orders.get(order_id)

    async def held(self, order_id: UUID) -> Order:
        """The row alone, locked for a move. Raises OrderNotFound."""
        return await self._locked(order_id, None)

    async def store_of(self, order: Order) -> Store:
        return await self.orders.store_of(order)

    async def to_edit(self, order_id: UUID, version: int | None) -> Order:
        """The order with all that is its own, locked, if it may still be changed.

        Raises OrderNotFound, VersionConflict, OrderNotEditable.
        """
        order = await self._locked(order_id, version)
        if OrderStatus(order.status) not in EDITABLE:
            raise OrderNotEditable(status_now=order.status)
        return await self.orders.full(order_id)

    async def has_other_orders(self, order: Order) -> bool:
        return await self.orders.has_other_orders(order)

    async def move(
        self, order_id: UUID, to: OrderStatus, reason: str | None, version: int | None
    ) -> OrderRead:
        """Move an order; two attendants cannot both act on what they both saw.

        Raises OrderNotFound, VersionConflict, TransitionNotAllowed, ReasonRequired.
        """
        await self._move(await self._locked(order_id, version), to, reason)
        return await self.detail(order_id)

    async def step(
        self, order_id: UUID, to: OrderStatus, reason: str | None, version: int | None
    ) -> tuple[int, int]:
        """As ``move``; answers number and version alone."""
        order = await self._locked(order_id, version)
        await self._move(order, to, reason)
        return order.number, order.version

    async def track(self, order_id: UUID, token: str) -> TrackingRead:
        """What the holder of the tracking token may see. Raises OrderNotFound."""
        await self._admit(order_id, token)
        return await self._tracking(order_id)

    async def admitted(self, order_id: UUID, token: str) -> Order:
        """The order, to whoever holds its token. Raises OrderNotFound, TooMany."""
        await self._admit(order_id, token)
        return await self.orders.full(order_id)

    async def admit(self, order_id: UUID, token: str) -> None:
        """Let whoever holds the token of an order in. Raises OrderNotFound, TooMany."""
        await self._admit(order_id, token)
        await self.orders.get(order_id)

    async def cancel_by_customer(self, order_id: UUID, token: str, reason: str) -> TrackingRead:
        """Cancel while the store has not answered. Raises OrderNotFound, OrderNotCancellable."""
        await self._admit(order_id, token)
        order = await self.orders.get(order_id, lock=True)
        if not may_customer_cancel(OrderStatus(order.status)):
            raise OrderNotCancellable(status_now=order.status)
        await self._move(order, OrderStatus.CANCELLED, reason)
        self.work.publish(OrderWithdrawn(order_id=order.id, number=order.number, reason=reason))
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

    async def to_confirm(self, after: UUID) -> list[UUID]:
        """Pending orders beyond ``after`` that their stores want confirmed by now, by id; at most
        100."""
        return await self.orders.to_confirm(after=after)

    async def confirm(self, order_id: UUID) -> bool:
        """Confirm an order by itself; False when somebody did, or moved it, meanwhile."""
        order = await self.orders.get(order_id, lock=True)
        if not await self.orders.to_confirm(order_id):
            return False
        await self._move(order, OrderStatus.CONFIRMED, None)
        return True

    async def expire(self, order_id: UUID) -> bool:
        """Cancel an order that was not paid in time; False when it was paid or moved meanwhile."""
        order = await self.orders.get(order_id, lock=True)
        if not await PaymentService(self.work).is_overdue(order_id):
            return False
        await self._move(order, OrderStatus.CANCELLED, "pagamento não recebido no prazo")
        return True

    async def _move(self, order: Order, to: OrderStatus, reason: str | None) -> None:
        before = OrderStatus(order.status)
        kind = FulfilmentType(order.fulfilment)
        if not may_move(kind, before, to):
            raise TransitionNotAllowed(
                status_now=before, allowed=sorted(allowed(kind, before)), asked=to
            )
        if to in _GIVES_BACK and not reason:
            raise ReasonRequired()
        order.enter(to, now())
        if to in _GIVES_BACK:
            order.cancel_reason = reason
            # Promotions before stock: the lock order of every writer (see checkout).
            await PromotionService(self.work).release(order.id)
            await StoreService(self.work).give_back_slot(order.id)
            await InventoryService(self.work).give_back(order.id)
            await self.orders.flush()
            await PaymentService(self.work).order_closed(order.id, reason or "")
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

    async def _locked(self, order_id: UUID, version: int | None) -> Order:
        order = await self.orders.get(order_id, lock=True)
        if version is not None and version != order.version:
            raise VersionConflict(version=order.version, status_now=order.status)
        return order

    async def _admit(self, order_id: UUID, token: str) -> None:
        """Raises OrderNotFound for a token that does not open it, TooMany for a guesser."""
        if token_matches(self.work.runtime.tracking, order_id, token):
            return
        decision = await self.work.runtime.limiter.take(
            _GUESSES, f"{self.work.tenant.id}:{self.work.actor.ip}"
        )
        if not decision.allowed:
            raise refusal(decision)
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
            payment=await PaymentService(self.work).shown(order_id),
            may_cancel=may_customer_cancel(OrderStatus(order.status)),
            steps=[
                TrackingStepRead(status=OrderStatus(h.after), at=h.created_at)
                for h in order.history
            ],
        )
