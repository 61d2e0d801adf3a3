"""Preview and place an order: the nine steps, one transaction, no network inside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.commerce.checkout.basis import Basis
from app.commerce.checkout.builder import build, shortage_lines
from app.commerce.checkout.draft import Draft
from app.commerce.checkout.problems import (
    AddressRequired,
    ChangeTooSmall,
    CouponNotApplicable,
    CustomerBlocked,
    InvalidCustomerPhone,
    InvalidPostalCode,
    OutOfStock,
    PaymentMethodNotAccepted,
    PriceChanged,
    ShippingChanged,
)
from app.commerce.checkout.repository import CheckoutRepository
from app.commerce.checkout.rows import Row
from app.commerce.checkout.schemas import AddressIn, CartIn, CheckoutIn
from app.commerce.orders.rules import FulfilmentType
from app.commerce.orders.tracking import tracking_token
from app.commerce.promotions.rules import normalise_code
from app.commerce.shipping.problems import QuoteExpired, QuoteInvalid
from app.commerce.shipping.service import ShippingService, SignedQuote
from app.contracts.commerce import CatalogChanged, OrderPlaced, StockLow
from app.core.clock import now
from app.core.ids import new_id
from app.core.phone import InvalidPhone, normalise_phone, phone_match_keys
from app.core.postal import InvalidCep, normalise_cep
from app.kernel.work import Work


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    id: UUID
    number: int
    draft: Draft
    promised_at: datetime
    token: str


class CheckoutService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.checkout = CheckoutRepository(work.session)

    async def preview(self, cart: CartIn) -> Draft:
        """The same computation as a checkout; nothing is written."""
        phones = phone_match_keys(_phone(cart.customer_phone)) if cart.customer_phone else ()
        draft, _ = await self._draft(cart, phones)
        return draft

    async def place(self, order: CheckoutIn) -> PlacedOrder:
        """Place the order, or refuse it with the reason and leave no trace.

        Raises what ``builder.build`` raises, and InvalidCustomerPhone, InvalidPostalCode,
        CustomerBlocked, PaymentMethodNotAccepted, ChangeTooSmall, CouponNotApplicable,
        ShippingChanged, PriceChanged, OutOfStock.
        """
        phone = _phone(order.customer.phone)
        phones = phone_match_keys(phone)
        promise = self._promise(order)
        draft, basis = await self._draft(order, phones, promise)
        if draft.redemptions:
            # Promotions before counter and stock, as every writer does: no deadlock.
            await self.checkout.lock_promotions([use.promotion_id for use in draft.redemptions])
        if any(use.is_limited for use in draft.redemptions):
            # Read again behind the locks, the limits cannot be overrun.
            draft, basis = await self._draft(order, phones, promise)
        self._complete(draft, order, basis, phone)
        self._require_agreed(draft, order)
        return await self._write(draft, basis)

    async def _draft(
        self, cart: CartIn, phones: tuple[str, ...], promise: SignedQuote | None = None
    ) -> tuple[Draft, Basis]:
        postal_code = _postal_code(cart)
        codes = tuple(dict.fromkeys(normalise_code(code) for code in cart.coupons))
        basis = await self.checkout.basis(
            cart.store,
            [item.product_id for item in cart.items],
            [item.variant_id for item in cart.items if item.variant_id],
            [m.id for item in cart.items for m in item.modifiers],
            list(codes),
            postal_code,
            phones,
        )
        draft = build(
            cart,
            basis,
            at=now(),
            currency=self.work.tenant.currency,
            postal_code=postal_code,
            codes=codes,
            promise=promise,
        )
        if draft.fulfilment is FulfilmentType.DELIVERY and cart.address is not None:
            draft.address = _address(cart.address, postal_code or "")
        return draft, basis

    def _complete(self, draft: Draft, order: CheckoutIn, basis: Basis, phone: str) -> None:
        """Add who orders and how they pay; refuse what the store does not take."""
        if basis.contact is not None and basis.contact["is_blocked"]:
            raise CustomerBlocked()
        method = order.payment.method
        if method not in draft.store.payment_methods:
            raise PaymentMethodNotAccepted(accepted=list(draft.store.payment_methods))
        change = order.payment.change_for_cents if method == "cash" else None
        if change is not None and change < draft.totals.total_cents:
            raise ChangeTooSmall(total_cents=draft.totals.total_cents)
        # A contact found by its twin number (with or without the ninth digit) keeps its own.
        draft.customer_phone = basis.contact["phone"] if basis.contact else phone
        draft.customer_name = order.customer.name
        draft.customer_email = order.customer.email
        draft.payment_method, draft.change_for_cents = method, change
        draft.note = order.note

    def _require_agreed(self, draft: Draft, order: CheckoutIn) -> None:
        """What the customer saw must be what is charged."""
        if draft.refusals:
            raise CouponNotApplicable(
                coupons=[
                    {"code": r.code, "reason": r.reason, "missing_cents": r.missing_cents}
                    for r in draft.refusals
                ]
            )
        if order.quote is not None and not draft.is_promised:
            raise ShippingChanged(breakdown=draft.breakdown())
        expected = order.expected_total_cents
        if expected is not None and expected != draft.totals.total_cents:
            raise PriceChanged(expected_total_cents=expected, breakdown=draft.breakdown())

    def _promise(self, order: CheckoutIn) -> SignedQuote | None:
        """The freight a quote promised; a tampered or expired one promises nothing."""
        if order.quote is None:
            return None
        try:
            return ShippingService(self.work).open_quote(order.quote)
        except (QuoteInvalid, QuoteExpired):
            return None

    async def _write(self, draft: Draft, basis: Basis) -> PlacedOrder:
        order_id, actor = new_id(), self.work.actor
        promised_at = draft.scheduled_for or now() + timedelta(minutes=draft.eta_minutes)
        placed = await self.checkout.write(
            order_id, draft, promised_at=promised_at, actor=(actor.kind, actor.name)
        )
        if placed.taken != len(draft.demand):
            raise await self._beaten(draft, basis)
        for level in placed.scarce:
            self._tell_scarce(level, draft, basis)
        self.work.publish(
            OrderPlaced(
                order_id=order_id,
                number=placed.number,
                store_id=draft.store.id,
                fulfilment=draft.fulfilment.value,
                total_cents=draft.totals.total_cents,
            )
        )
        token = tracking_token(self.work.runtime.tracking, order_id)
        return PlacedOrder(order_id, placed.number, draft, promised_at, token)

    async def _beaten(self, draft: Draft, basis: Basis) -> OutOfStock:
        """Somebody took the stock between our look and our hand: say what is left now."""
        left = await self.checkout.stock_left(draft.store.id, list(draft.demand))
        short = [i for i, asked in draft.demand.items() if left.get(i, 0) < asked]
        return OutOfStock(
            lines=shortage_lines(short_items=short, asked=draft.demand, left=left, basis=basis)
        )

    def _tell_scarce(self, level: Row, draft: Draft, basis: Basis) -> None:
        """Sold out closes the item in the catalogue; the alert level tells the staff."""
        item = UUID(level["item_id"])
        name = (basis.products.get(item) or basis.variants.get(item) or {}).get("name", "")
        if level["on_hand"] == 0:
            self.work.publish(
                CatalogChanged(kind="stock", change="sold_out", item_id=item, item_name=name)
            )
            self.work.ring("catalog")
        low_at = level["low_at"]
        if low_at is not None and level["on_hand"] <= low_at < level["on_hand"] + level["quantity"]:
            self.work.publish(
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


def _phone(text: str) -> str:
    try:
        return normalise_phone(text)
    except InvalidPhone as error:
        raise InvalidCustomerPhone(
            errors=[{"pointer": "/body/customer/phone", "detail": str(error)}]
        ) from error


def _postal_code(cart: CartIn) -> str | None:
    if cart.fulfilment is not FulfilmentType.DELIVERY:
        return None
    if cart.address is None:
        raise AddressRequired(
            errors=[{"pointer": "/body/address", "detail": "required for delivery"}]
        )
    try:
        return normalise_cep(cart.address.postal_code)
    except InvalidCep as error:
        raise InvalidPostalCode(
            errors=[{"pointer": "/body/address/postal_code", "detail": str(error)}]
        ) from error


def _address(address: AddressIn, postal_code: str) -> dict[str, Any]:
    return address.model_dump() | {"postal_code": postal_code}
