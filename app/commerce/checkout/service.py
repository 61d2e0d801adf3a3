"""Preview and place an order: the nine steps, one transaction, no network inside.

There are two ways to the same order. ``take_at_once``: priced by what the process remembers,
written by one statement (``group_commit``) that refuses to write when the prices moved on.
``take_order``, the long way: read, lock, price and write step by step in a Work; it alone knows
how to refuse, so whatever is not an ordinary order of remembered things goes that way, and comes
out as if there were no other.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from app.commerce.checkout.asked import ORDINARY, Asked, Terms, postal_code_of
from app.commerce.checkout.basis import Basis
from app.commerce.checkout.builder import build, closed, item_names, promised, shortage_lines
from app.commerce.checkout.draft import Draft
from app.commerce.checkout.group_commit import group_commit
from app.commerce.checkout.prices import PREFETCH, price_books
from app.commerce.checkout.problems import (
    CartAlreadyOrdered,
    ChangeTooSmall,
    CouponNotApplicable,
    CustomerBlocked,
    OutOfStock,
    PaymentMethodNotAccepted,
    PriceChanged,
    ShippingChanged,
)
from app.commerce.checkout.repository import CheckoutRepository
from app.commerce.checkout.rows import Row
from app.commerce.checkout.schemas import CartIn, CheckoutIn
from app.commerce.orders.rules import FulfilmentType, OrderStatus
from app.commerce.orders.tracking import tracking_token
from app.commerce.promotions.service import PromotionService
from app.commerce.shipping.problems import QuoteExpired, QuoteInvalid
from app.commerce.shipping.roads import Way, way_to
from app.commerce.shipping.service import SignedQuote, open_quote
from app.commerce.stores.rules import Channel, availability
from app.commerce.stores.service import StoreService
from app.contracts.commerce import CatalogChanged, OrderPlaced, StockLow
from app.core.clock import now
from app.core.ids import new_id
from app.core.problems import Problem
from app.kernel.idempotency import Intent
from app.kernel.telling import Answer, Telling
from app.kernel.work import Caller, Runtime, Work

_CREATED = 201


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    id: UUID
    number: int
    draft: Draft
    promised_at: datetime
    token: str

    def body(self) -> bytes:
        """The order as its customer is answered; a JSON text of ``PlacedRead``."""
        draft = self.draft
        facts = draft.breakdown() | {
            "id": self.id,
            "number": self.number,
            "status": OrderStatus.PENDING,
            "fulfilment": draft.fulfilment,
            "scheduled_for": draft.scheduled_for,
            "promised_at": self.promised_at,
            "tracking_token": self.token,
            "tracking_path": f"/api/v1/orders/{self.id}?token={self.token}",
        }
        return orjson.dumps(facts, option=orjson.OPT_UTC_Z)

    def event(self) -> OrderPlaced:
        return OrderPlaced(
            order_id=self.id,
            number=self.number,
            store_id=self.draft.store.id,
            fulfilment=self.draft.fulfilment.value,
            total_cents=self.draft.totals.total_cents,
        )


async def take_order(works: Caller, order: CheckoutIn, intent: Intent) -> tuple[Answer, bool]:
    """Place the order once for this intent; the answer, and whether it is one given before.

    Raises what ``CheckoutService.place`` raises, and IdempotencyKeyReused.
    """
    way = await way_of(works, order)
    async with works() as work:
        given = await intent.answered(work)
        if given is not None:
            return given, True
        placed = await CheckoutService(work).place(order, way)
        answer = intent.answer(_CREATED, placed.body())
        work.keep_answer(answer)
    return answer, False


async def previewed(works: Caller, cart: CartIn) -> Draft:
    """What the order would be; raises what ``CheckoutService.preview`` raises."""
    way = await way_of(works, cart)
    async with works() as work:
        return await CheckoutService(work).preview(cart, way)


async def way_of(works: Caller, cart: CartIn) -> Way | None:
    """How far a delivery is by road, asked before any transaction, where the store measures so."""
    if cart.fulfilment is not FulfilmentType.DELIVERY:
        return None
    book = price_books(works.runtime).book(works.tenant.id, cart.store)
    if book is not None and not book.store.is_by_road:
        return None
    postal_code = postal_code_of(cart)
    if postal_code is None:
        return None
    promise = _promise(works.runtime, cart) if isinstance(cart, CheckoutIn) else None
    district = cart.address.district if cart.address else None
    store_id = None if book is None else book.store.id
    if store_id and promise and promise.covers(store_id, postal_code, district):
        return None
    return await way_to(works, cart.store, postal_code)


async def take_at_once(caller: Caller, order: CheckoutIn, intent: Intent) -> Answer | None:
    """The order by what is remembered; None, and nothing written, when that will not do."""
    runtime, tenant = caller.runtime, caller.tenant
    books = price_books(runtime)
    book = books.book(tenant.id, order.store)
    if book is None or order.scheduled_for is not None:
        return None  # a place in a slot is taken the long way
    try:
        asked = Asked.of(order, order.customer.phone, _promise(runtime, order))
        if book.store.is_by_road and asked.postal_code and not promised(asked, book.store):
            return None
        basis = book.basis(asked.products, asked.codes, asked.area)
        if basis is None or _hangs_on_others(basis):
            return None
        draft = _agreed(asked, order, basis, tenant.currency)
    except Problem:
        return None  # perhaps of something old: the long way says what is wrong by now
    token = secrets.randbits(62) | 1 << 62  # nobody can have guessed it into the order's texts
    placed = _placed(runtime, draft, new_id(), token)
    body = placed.body()
    telling = caller.telling()
    telling.publish(placed.event())
    actor = (caller.actor.kind, caller.actor.name)
    number = await group_commit(runtime).place(
        telling,
        basis.version,
        draft.document(placed.id, placed.promised_at, actor),
        str(token),
        intent.answer(_CREATED, body),
    )
    if number is None:
        return None
    telling.after_commit()
    books.at_once += 1
    return intent.answer(_CREATED, body.replace(str(token).encode(), str(number).encode()))


class CheckoutService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.checkout = CheckoutRepository(work.session)

    async def preview(self, cart: CartIn, way: Way | None = None) -> Draft:
        """The same computation as a checkout; nothing is written."""
        asked = Asked.of(cart, cart.customer_phone, way=way, language=self.work.language)
        return _drafted(asked, await self._basis(asked), self.work.tenant.currency)

    async def lock_offers(self, cart: CartIn, phone: str | None, also: list[UUID]) -> None:
        """Lock, in id order, every promotion that may apply to the cart, and ``also`` these."""
        basis = await self._basis(Asked.of(cart, phone))
        ids = {offer.rule.id for offer in basis.offers} | set(also)
        if ids:
            await self.checkout.lock_promotions(sorted(ids))

    async def priced(
        self, cart: CartIn, phone: str | None, promise: SignedQuote | None, terms: Terms
    ) -> Draft:
        """What an order would be if it were changed to this cart. Raises as ``preview`` does."""
        asked = Asked.of(cart, phone, promise, terms=terms, language=self.work.language)
        basis = await self._basis(asked)
        stock, customer = basis.stock or {}, basis.customer
        if customer is not None and terms.has_ordered is not None:
            customer = replace(customer, has_ordered=terms.has_ordered)
        held = {item: left + terms.held.get(item, 0) for item, left in stock.items()}
        basis = replace(basis, stock=held, customer=customer)
        return _drafted(asked, basis, self.work.tenant.currency)

    async def place(
        self, order: CheckoutIn, way: Way | None = None, terms: Terms = ORDINARY
    ) -> PlacedOrder:
        """Place the order, or refuse it with the reason and leave no trace.

        Raises what ``builder.build`` raises, and InvalidCustomerPhone, InvalidPostalCode,
        CustomerBlocked, PaymentMethodNotAccepted, ChangeTooSmall, CouponNotApplicable,
        ShippingChanged, PriceChanged, OutOfStock, CartAlreadyOrdered.
        """
        if order.cart_id and (number := await self.checkout.ordered_as(order.cart_id)):
            raise CartAlreadyOrdered(order_number=number)
        currency = self.work.tenant.currency
        promise = _promise(self.work.runtime, order)
        asked = Asked.of(order, order.customer.phone, promise, way, terms, self.work.language)
        basis = await self._basis(asked)
        draft, locked = _drafted(asked, basis, currency), set[UUID]()
        while (wanted := _to_lock(draft, basis)) - locked:
            # Promotions before counter and stock, as every writer does: no deadlock.
            await self.checkout.lock_promotions(sorted(wanted - locked))
            locked |= wanted
            # Read again behind the locks: staff or rivals may have changed what is true, and what
            # applies instead must be locked like what applied before.
            basis = await self._basis(asked)
            draft = _drafted(asked, basis, currency)
        return await self._write(_agreed(asked, order, basis, currency), basis)

    async def _basis(self, asked: Asked) -> Basis:
        """Read what the cart hangs on, and remember it for the checkouts to come."""
        books, tenant, store = price_books(self.work.runtime), self.work.tenant, asked.cart.store
        known = books.book(tenant.id, store)
        basis = await self.checkout.basis(
            store,
            asked.products,
            asked.items,
            asked.codes,
            asked.area,
            asked.phones,
            0 if known is not None else PREFETCH,
        )
        books.learn(tenant.id, store, basis, asked.codes, asked.area)
        return await self._with_full_slots(asked, basis)

    async def _with_full_slots(self, asked: Asked, basis: Basis) -> Basis:
        """The basis, with the slots that are full where a slot is asked for or will be named."""
        store, channel = basis.store, Channel(asked.cart.fulfilment.value)
        if store is None or store.state.preorder is None:
            return basis
        if asked.cart.scheduled_for is None and availability(store.state, channel, now()).open:
            return basis
        full = await StoreService(self.work).full_slots(store.id, store.state.preorder, channel)
        return replace(basis, full_slots=full)

    async def _write(self, draft: Draft, basis: Basis) -> PlacedOrder:
        work, order_id = self.work, new_id()
        actor = (work.actor.kind, work.actor.name)
        promised_at = _promised_at(draft)
        await self._take_codes(draft)
        slot_id = await self.take_slot(draft)
        written = await self.checkout.write(draft.document(order_id, promised_at, actor))
        if written.earlier is not None:
            raise CartAlreadyOrdered(order_number=written.earlier)
        if written.is_blocked:
            raise CustomerBlocked()
        if written.taken != len(draft.demand):
            raise await self._beaten(draft, basis)
        if slot_id is not None:
            channel = Channel(draft.fulfilment.value)
            await StoreService(work).claim_slot(slot_id, order_id, channel)
        for level in written.scarce:
            _tell_scarce(work, level, draft, basis)
        placed = _placed(work.runtime, draft, order_id, written.number)
        work.publish(placed.event())
        return placed

    async def _take_codes(self, draft: Draft) -> None:
        """Use up the generated codes, whose promotions are locked: nobody else takes them now."""
        uses = [use.document() for use in draft.redemptions if use.by_codes]
        if uses and await PromotionService(self.work).take_codes(uses) != len(uses):
            raise CouponNotApplicable()

    async def take_slot(self, draft: Draft) -> UUID | None:
        """A place in the slot asked for, after the promotions and before the order's number.
        None: the order is for now. Raises StoreClosed."""
        start = draft.scheduled_for
        if start is None:
            return None
        stores, channel = StoreService(self.work), Channel(draft.fulfilment.value)
        slot_id = await stores.take_slot(draft.store.id, start, channel)
        if slot_id is None:
            # Somebody took the last place between our look and our hand: name the next one.
            full = await stores.full_slots(draft.store.id, draft.store.state.preorder, channel)
            found = availability(draft.store.state, channel, now(), start, full | {start})
            raise closed(found)
        return slot_id

    async def _beaten(self, draft: Draft, basis: Basis) -> OutOfStock:
        """Somebody took the stock between our look and our hand: say what is left now."""
        left = await self.checkout.stock_left(draft.store.id, list(draft.demand))
        short = [i for i, asked in draft.demand.items() if left.get(i, 0) < asked]
        return OutOfStock(
            lines=shortage_lines(short_items=short, asked=draft.demand, left=left, basis=basis)
        )


def _drafted(asked: Asked, basis: Basis, currency: str) -> Draft:
    draft = build(asked, basis, at=now(), currency=currency)
    draft.address, draft.source = asked.address, asked.terms.source
    draft.language = asked.language
    return draft


def _to_lock(draft: Draft, basis: Basis) -> set[UUID]:
    """The promotions that the draft uses, and those that may take their place."""
    used = {use.promotion_id for use in draft.redemptions}
    return used | {offer.rule.id for offer in basis.offers if used and offer.is_limited}


def _agreed(asked: Asked, order: CheckoutIn, basis: Basis, currency: str) -> Draft:
    """The draft with who orders and how they pay, if all is as the customer saw it."""
    draft = _drafted(asked, basis, currency)
    if basis.customer is not None and basis.customer.is_blocked:
        raise CustomerBlocked()
    _pay(draft, order)
    draft.customer_name, draft.customer_email = order.customer.name, order.customer.email
    draft.customer_phones, draft.note = asked.phones, order.note
    draft.cart_id = order.cart_id
    _require_agreed(draft, order)
    return draft


def _pay(draft: Draft, order: CheckoutIn) -> None:
    """Refuse what the store does not take."""
    method = order.payment.method
    accepted = draft.store.payment_methods[Channel(draft.fulfilment.value)]
    if method not in accepted:
        raise PaymentMethodNotAccepted(accepted=list(accepted))
    change = order.payment.change_for_cents if method == "cash" else None
    if change is not None and change < draft.totals.total_cents:
        raise ChangeTooSmall(total_cents=draft.totals.total_cents)
    draft.payment_method, draft.change_for_cents = method, change


def _require_agreed(draft: Draft, order: CheckoutIn) -> None:
    """What the customer saw must be what is charged."""
    refused = draft.refused_coupons()
    if refused:
        raise CouponNotApplicable(coupons=refused)
    if order.quote is not None and not draft.is_promised:
        raise ShippingChanged(breakdown=draft.breakdown())
    expected = order.expected_total_cents
    if expected is not None and expected != draft.totals.total_cents:
        raise PriceChanged(expected_total_cents=expected, breakdown=draft.breakdown())


def _hangs_on_others(basis: Basis) -> bool:
    """Whether what others used up, or who orders, may decide which promotions apply."""
    at = now()
    return any(
        offer.is_limited and (offer.rule.ends_at is None or offer.rule.ends_at > at)
        for offer in basis.offers
    )


def _promise(runtime: Runtime, order: CheckoutIn) -> SignedQuote | None:
    """The freight a quote promised; a tampered or expired one promises nothing."""
    if order.quote is None:
        return None
    try:
        return open_quote(runtime.quotes, order.quote)
    except (QuoteInvalid, QuoteExpired):
        return None


def _promised_at(draft: Draft) -> datetime:
    return draft.scheduled_for or now() + timedelta(minutes=draft.eta_minutes)


def _placed(runtime: Runtime, draft: Draft, order_id: UUID, number: int) -> PlacedOrder:
    token = tracking_token(runtime.tracking, order_id)
    return PlacedOrder(order_id, number, draft, _promised_at(draft), token)


def _tell_scarce(work: Telling, level: Row, draft: Draft, basis: Basis) -> None:
    """Sold out closes the item in the catalogue; the alert level tells the staff."""
    item = UUID(level["item_id"])
    name = item_names(basis.products.values()).get(item, "")
    if level["on_hand"] == 0:
        work.publish(CatalogChanged(kind="stock", change="sold_out", item_id=item, item_name=name))
        work.ring("catalog")
    low_at = level["low_at"]
    if low_at is not None and level["on_hand"] <= low_at < level["on_hand"] + level["quantity"]:
        work.publish(
            StockLow(
                stock_level_id=UUID(level["id"]),
                store_id=draft.store.id,
                item_kind=level["item_kind"],
                item_id=item,
                item_name=name,
                on_hand=level["on_hand"],
                low_at=low_at,
            )
        )
