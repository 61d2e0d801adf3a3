"""An old order as a cart of today: what can still be had, at today's prices, and what cannot."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import ValidationError

from app.commerce.checkout.asked import Terms
from app.commerce.checkout.problems import ItemsUnavailable, OutOfStock, StoreClosed
from app.commerce.checkout.schemas import BreakdownRead, CartIn, ItemIn
from app.commerce.checkout.service import CheckoutService
from app.commerce.desk.carts import orderable
from app.commerce.desk.problems import OrderNotOrderable
from app.commerce.desk.rules import Line, line_of
from app.commerce.desk.schemas import AgainRead, LeftOutRead
from app.commerce.orders.models import Order
from app.commerce.orders.service import OrderService
from app.core.problems import Problem
from app.kernel.work import Work

_LOOKS = 4
"""Everything unavailable is named by the first look, everything short by the second."""


class AgainService:
    def __init__(self, work: Work) -> None:
        self.orders = OrderService(work)
        self.checkout = CheckoutService(work)

    async def by_staff(self, order_id: UUID) -> AgainRead:
        """Raises OrderNotFound."""
        return await self._again(await self.orders.full(order_id))

    async def by_customer(self, order_id: UUID, token: str) -> AgainRead:
        """Raises OrderNotFound, TooMany."""
        return await self._again(await self.orders.admitted(order_id, token))

    async def _again(self, order: Order) -> AgainRead:
        store = await self.orders.store_of(order)
        known = [(item, _askable(line_of(item))) for item in order.items]
        left = [(item.name, line) for item, line in known if line is not None]
        out = [
            LeftOutRead(name=item.name, quantity=item.quantity, reason="not-available")
            for item, line in known
            if line is None
        ]
        base: dict[str, Any] = {
            "store": store.slug,
            "fulfilment": order.fulfilment,
            "address": order.delivery.address if order.delivery is not None else None,
        }
        breakdown, problem = None, None
        for _ in range(_LOOKS):
            if not left:
                break
            wanted = [line.asked() for _, line in left]
            try:
                cart = orderable(base | {"items": wanted})
                breakdown, problem = await self._priced(cart, order.customer_phone)
                break
            except (ItemsUnavailable, OutOfStock) as refusal:
                left, gone = _sorted_out(left, refusal)
                out += gone
            except OrderNotOrderable as refusal:
                problem = refusal.code
                break
        items = [ItemIn.model_validate(line.asked()) for _, line in left]
        return AgainRead(**base, items=items, left_out=out, breakdown=breakdown, problem=problem)

    async def _priced(
        self, cart: CartIn, phone: str | None
    ) -> tuple[BreakdownRead | None, str | None]:
        """Prices, also while the store is closed, and why it could not be ordered now."""
        problem = None
        try:
            draft = await self.checkout.priced(cart, phone, None, Terms())
        except StoreClosed as closed:
            problem = closed.code
            draft = await self.checkout.priced(cart, phone, None, Terms(despite_closed=True))
        except (ItemsUnavailable, OutOfStock):
            raise
        except Problem as refusal:
            return None, refusal.code
        return BreakdownRead.model_validate(draft.breakdown()), problem


def _askable(line: Line | None) -> Line | None:
    """The line, if a cart may hold it: an imported one may be larger than anybody can order."""
    if line is None:
        return None
    try:
        ItemIn.model_validate(line.asked())
    except ValidationError:
        return None
    return line


def _sorted_out(
    left: list[tuple[str, Line]], refusal: ItemsUnavailable | OutOfStock
) -> tuple[list[tuple[str, Line]], list[LeftOutRead]]:
    """What remains without the lines that a refusal names, and those with their reasons."""
    lines = refusal.extra["lines"]
    if isinstance(refusal, ItemsUnavailable):
        reasons = {line["index"]: line["reason"] for line in lines}
    else:
        short = {line["item_id"] for line in lines}
        reasons = {n: "out-of-stock" for n, (_, line) in enumerate(left) if short & _items(line)}
    gone = [
        LeftOutRead(name=name, quantity=line.quantity, reason=reasons[n])
        for n, (name, line) in enumerate(left)
        if n in reasons
    ]
    return [pair for n, pair in enumerate(left) if n not in reasons], gone


def _items(line: Line) -> set[UUID]:
    extras = {UUID(str(m["id"])) for m in line.modifiers}
    return {line.product_id, *([line.variant_id] if line.variant_id else []), *extras}
