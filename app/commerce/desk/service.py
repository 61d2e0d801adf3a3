"""Orders that staff place, change before preparation, or repeat: by the checkout's own rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.commerce.checkout.asked import Terms
from app.commerce.checkout.draft import Draft
from app.commerce.checkout.problems import CouponNotApplicable, OutOfStock, PriceChanged
from app.commerce.checkout.schemas import CartIn, CheckoutIn, CustomerIn
from app.commerce.checkout.service import CheckoutService, PlacedOrder
from app.commerce.desk.carts import orderable
from app.commerce.desk.problems import CustomerRequired, NothingToChange, OverrideReasonRequired
from app.commerce.desk.repository import DeskRepository
from app.commerce.desk.rules import Line, line_of, own_prices, snapshot
from app.commerce.desk.schemas import EditedRead, OrderEditIn, StaffOrderIn
from app.commerce.inventory.rebooking import Rebooking
from app.commerce.orders.models import Delivery, Order, OrderEdit, OrderItem
from app.commerce.orders.problems import OrderLineNotFound, OrderNotEditable
from app.commerce.orders.service import OrderService, shown
from app.commerce.payments.service import PaymentService
from app.commerce.promotions.service import PromotionService
from app.commerce.shipping.service import SignedQuote
from app.commerce.stores.models import Store
from app.commerce.stores.rules import Channel
from app.commerce.stores.service import StoreService
from app.contracts.commerce import OrderEdited
from app.core.clock import now
from app.core.postal import InvalidCep, normalise_cep
from app.kernel.idempotency import Intent
from app.kernel.telling import Answer
from app.kernel.work import Work, WorkFactory

_CREATED = 201
_STAFF_ONLY = {"contact_id", "despite_closed", "override_reason", "customer_phone"}


async def place_once(works: WorkFactory, body: StaffOrderIn, intent: Intent) -> tuple[Answer, bool]:
    """Place a staff's order once for this intent; the answer, and whether it was given before."""
    async with works() as work:
        given = await intent.answered(work)
        if given is not None:
            return given, True
        placed = await DeskService(work).place(body)
        answer = intent.answer(_CREATED, placed.body())
        work.keep_answer(answer)
    return answer, False


class DeskService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.desk = DeskRepository(work.session)
        self.orders = OrderService(work)
        self.checkout = CheckoutService(work)
        self.stock = Rebooking(work)

    async def place(self, body: StaffOrderIn) -> PlacedOrder:
        """Place an order for a customer.

        Raises what ``CheckoutService.place`` raises, and OrderCustomerNotFound, CustomerRequired,
        OverrideReasonRequired.
        """
        if body.overrides and not body.override_reason:
            raise OverrideReasonRequired()
        facts = body.model_dump(exclude=_STAFF_ONLY)
        facts["items"] = [item.model_dump(exclude={"price_cents"}) for item in body.items]
        facts["customer"] = await self._customer(body)
        terms = Terms("admin", body.despite_closed, body.prices)
        placed = await self.checkout.place(CheckoutIn.model_validate(facts), terms=terms)
        await self._log_overrides(placed, body)
        return placed

    async def _customer(self, body: StaffOrderIn) -> CustomerIn:
        if body.customer is not None:
            return body.customer
        if body.contact_id is None:
            raise CustomerRequired()
        contact = await self.desk.get(body.contact_id)
        if contact.phone is None:
            raise CustomerRequired()
        # As they are known: an old name may be shorter than a new one has to be.
        return CustomerIn.model_construct(name=contact.name, phone=contact.phone, email=None)

    async def _log_overrides(self, placed: PlacedOrder, body: StaffOrderIn) -> None:
        if not body.overrides:
            return
        set_prices = _list_prices(placed.draft)
        await self.desk.mark_prices(placed.id, set_prices)
        self.work.record(
            "commerce.order_override",
            "order",
            placed.id,
            reason=body.override_reason,
            despite_closed=body.despite_closed,
            prices=_overridden(placed.draft),
        )

    async def edit(self, order_id: UUID, body: OrderEditIn, version: int | None) -> EditedRead:
        """Change what was ordered; stock, coupons and money follow by the checkout's rules.

        Lock order: the order, promotions by id, slots by start, stock by item. Raises
        what a preview raises, and OrderNotFound, VersionConflict, OrderNotEditable,
        OrderLineNotFound, NothingToChange, OverrideReasonRequired, CouponNotApplicable,
        PriceChanged, StoreClosed, OutOfStock.
        """
        if not body.changes_something:
            raise NothingToChange()
        if body.overrides and not body.reason:
            raise OverrideReasonRequired()
        order = await self.orders.to_edit(order_id, version)
        store = await self.orders.store_of(order)
        before, lines = snapshot(order), _lines(order, body)
        held = await self.stock.held(order.id)
        draft = await self._priced(order, store, lines, body, held)
        await self._move_slot(order, draft)
        await self._retake(order, draft, held)
        await self._rewrite(order, draft, lines, body)
        return await self._told(order, before, draft, body)

    async def _priced(
        self,
        order: Order,
        store: Store,
        lines: list[Line],
        body: OrderEditIn,
        held: dict[UUID, int],
    ) -> Draft:
        cart = _cart(order, store, lines, body)
        uses = [use for use in order.redemptions if use.released_at is None]
        phone = order.customer_phone
        await self.checkout.lock_offers(cart, phone, [use.promotion_id for use in uses])
        await PromotionService(self.work).release(order.id)
        terms = Terms(
            order.source,
            body.despite_closed or cart.scheduled_for == order.scheduled_for,
            own_prices(lines),
            held,
            await self.orders.has_other_orders(order),
        )
        promise = None if body.address is not None else _promise(order, store)
        draft = await self.checkout.priced(cart, phone, promise, terms)
        refused = draft.refused_coupons()
        if refused:
            raise CouponNotApplicable(coupons=refused)
        expected = body.expected_total_cents
        if expected is not None and expected != draft.totals.total_cents:
            raise PriceChanged(expected_total_cents=expected, breakdown=draft.breakdown())
        return draft

    async def _move_slot(self, order: Order, draft: Draft) -> None:
        """Its place follows the order to another slot, or to none; a full one refuses the edit.

        The earlier slot's row is locked first: two orders that change places do not deadlock.
        """
        was, asked = order.scheduled_for, draft.scheduled_for
        if asked == was:
            return
        stores, channel = StoreService(self.work), Channel(draft.fulfilment.value)
        leave_first = was is not None and (asked is None or was < asked)
        if leave_first:
            await stores.give_back_slot(order.id)
        slot_id = await self.checkout.take_slot(draft)
        if not leave_first:
            await stores.give_back_slot(order.id)
        if slot_id is not None:
            await stores.claim_slot(slot_id, order.id, channel)

    async def _retake(self, order: Order, draft: Draft, held: dict[UUID, int]) -> None:
        uses = [use.document() for use in draft.redemptions]
        await PromotionService(self.work).redeem(order.id, order.contact_id, uses)
        names = {line.variant_id or line.product_id: line.name for line in draft.lines}
        short = await self.stock.rebook(order.id, order.store_id, held, draft.demand, names)
        if short:
            raise OutOfStock(
                lines=[
                    {
                        "item_id": s.item_id,
                        "name": names.get(s.item_id),
                        "asked": s.asked,
                        "available": s.available,
                    }
                    for s in short
                ]
            )

    async def _rewrite(
        self, order: Order, draft: Draft, lines: list[Line], body: OrderEditIn
    ) -> None:
        totals = draft.totals
        order.subtotal_cents, order.discount_cents = totals.subtotal_cents, totals.discount_cents
        order.shipping_cents = totals.shipping_cents
        order.shipping_discount_cents = totals.shipping_discount_cents
        order.total_cents, order.version = totals.total_cents, order.version + 1
        if "note" in body.model_fields_set:
            order.note = body.note
        if order.delivery is not None:
            _carry(order.delivery, draft)
        if "scheduled_for" in body.model_fields_set or body.address is not None:
            order.scheduled_for = draft.scheduled_for
            order.promised_at = draft.scheduled_for or now() + timedelta(minutes=draft.eta_minutes)
        rows = []
        for position, (line, priced) in enumerate(zip(lines, draft.lines, strict=True)):
            row = line.was if line.was is not None else OrderItem(order_id=order.id)
            for name, value in priced.document(position).items():
                if name != "id":
                    setattr(row, name, value)
            row.total_cents, row.list_price_cents = priced.total_cents, priced.list_cents
            rows.append(row)
        await self.desk.replace_lines(order.items, rows)

    async def _told(
        self, order: Order, before: dict[str, Any], draft: Draft, body: OrderEditIn
    ) -> EditedRead:
        await self.work.session.flush()
        reason = body.reason or "order edited"
        owed = await PaymentService(self.work).total_changed(order.id, order.total_cents, reason)
        changed = await self.orders.full(order.id)
        after = snapshot(changed)
        edit = OrderEdit(
            order_id=order.id,
            version=order.version,
            before=before,
            after=after,
            difference_cents=order.total_cents - before["total_cents"],
            reason=body.reason,
            actor_kind=self.work.actor.kind,
            actor_name=self.work.actor.name,
        )
        await self.desk.write(edit)
        self._publish(order, before, draft, body, owed.excess_cents)
        changed = await self.orders.full(order.id)
        due = sum(p.amount_cents for p in changed.payments if p.status == "pending")
        return EditedRead(
            order=shown(changed),
            before=before,
            after=after,
            difference_cents=edit.difference_cents,
            due_cents=due,
            refund_due_cents=owed.excess_cents,
        )

    def _publish(
        self,
        order: Order,
        before: dict[str, Any],
        draft: Draft,
        body: OrderEditIn,
        refund_due_cents: int,
    ) -> None:
        if body.overrides:
            self.work.record(
                "commerce.order_override",
                "order",
                order.id,
                reason=body.reason,
                despite_closed=body.despite_closed,
                prices=_overridden(draft),
            )
        self.work.publish(
            OrderEdited(
                order_id=order.id,
                number=order.number,
                before_cents=before["total_cents"],
                after_cents=order.total_cents,
                refund_due_cents=refund_due_cents,
                reason=body.reason,
            )
        )


def _lines(order: Order, body: OrderEditIn) -> list[Line]:
    """The order's lines after the change, new ones last."""
    removed, changes = set(body.remove), {change.id: change for change in body.change}
    known = {item.id for item in order.items}
    strange = (removed | changes.keys()) - known
    if strange:
        raise OrderLineNotFound(lines=sorted(strange))
    lines = []
    for item in order.items:
        if item.id in removed:
            continue
        line = line_of(item)
        if line is None:
            raise OrderNotEditable("The order was imported: its products are not known here.")
        change = changes.get(item.id)
        fields = change.model_dump(exclude_unset=True, exclude={"id"}) if change else {}
        if fields.get("quantity", 0) is None:
            del fields["quantity"]
        if "modifiers" in fields and "price_cents" not in fields:
            fields["price_cents"] = None  # another thing than the one that was given a price
        fields["modifiers"] = fields.get("modifiers") or (
            [] if "modifiers" in fields and fields["modifiers"] is not None else line.modifiers
        )
        lines.append(replace(line, **fields))
    return lines + [Line(**item.model_dump()) for item in body.add]


def _cart(order: Order, store: Store, lines: list[Line], body: OrderEditIn) -> CartIn:
    address = order.delivery.address if order.delivery is not None else None
    coupons = [u.code for u in order.redemptions if u.released_at is None and u.code is not None]
    facts: dict[str, Any] = {
        "store": store.slug,
        "fulfilment": order.fulfilment,
        "address": body.address.model_dump() if body.address is not None else address,
        "scheduled_for": order.scheduled_for,
        "items": [line.asked() for line in lines],
        "coupons": coupons if body.coupons is None else body.coupons,
    }
    if "scheduled_for" in body.model_fields_set:
        facts["scheduled_for"] = body.scheduled_for
    return orderable(facts)


def _promise(order: Order, store: Store) -> SignedQuote | None:
    """The freight of an address that does not change stays what it was.

    None when it was free or without a rule: then the rules say what it costs now.
    """
    delivery = order.delivery
    if delivery is None or delivery.rule_id is None or not delivery.fee_cents:
        return None
    try:
        postal_code = normalise_cep(delivery.postal_code)
    except InvalidCep:
        return None
    return SignedQuote(
        store_id=store.id,
        postal_code=postal_code,
        district=delivery.address.get("district"),
        subtotal_cents=order.subtotal_cents,
        fee_cents=delivery.fee_cents,
        rule_fee_cents=delivery.fee_cents,
        free_above_cents=store.free_shipping_above_cents,
        minutes=delivery.minutes,
        distance_meters=delivery.distance_meters,
        rule_id=delivery.rule_id,
        expires_at=now(),
    )


def _carry(delivery: Delivery, draft: Draft) -> None:
    if draft.address is not None:
        delivery.address, delivery.postal_code = draft.address, draft.address["postal_code"]
    delivery.fee_cents, delivery.minutes = draft.totals.shipping_cents, draft.eta_minutes
    delivery.distance_meters, delivery.rule_id = draft.distance_meters, draft.rule_id


def _list_prices(draft: Draft) -> dict[int, int]:
    return {n: line.list_cents for n, line in enumerate(draft.lines) if line.list_cents is not None}


def _overridden(draft: Draft) -> list[dict[str, Any]]:
    return [
        {"name": line.name, "list_cents": line.list_cents, "set_cents": line.unit_cents}
        for line in draft.lines
        if line.list_cents is not None
    ]
