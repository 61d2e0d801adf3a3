"""Carts that were filled in a chat, priced and sold by the checkout's own rules.

They are asked for inside a Work, where nothing waits for a network: a store that measures its
deliveries by road is asked as the crow flies, as when the maps provider does not answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from app.commerce.carts.repository import CartRepository, Found
from app.commerce.checkout.asked import Terms
from app.commerce.checkout.draft import Draft
from app.commerce.checkout.problems import (
    BelowMinimumOrder,
    CartAlreadyOrdered,
    InvalidCustomerPhone,
    ItemsUnavailable,
    OutOfStock,
    PaymentMethodNotAccepted,
    StoreClosed,
)
from app.commerce.checkout.schemas import AddressIn, CartIn, CheckoutIn
from app.commerce.checkout.service import CheckoutService
from app.commerce.customers.service import CustomerService
from app.commerce.payments.service import PaymentService
from app.commerce.stores.problems import StoreNotFound
from app.commerce.stores.rules import Channel
from app.commerce.stores.service import StoreService
from app.contracts.carts import (
    CartOffer,
    CartRefused,
    CartSold,
    CartWay,
    ChatCart,
    Fulfilment,
    PixRequest,
    SoldLine,
)
from app.core.problems import Problem
from app.kernel.contacts.service import ContactService
from app.kernel.work import Work

MODULE = "commerce"
UNKNOWN_ITEMS, NOTHING_LEFT = "items-unknown", "cart-empty"
_TERMS = Terms("whatsapp")
_ON_DELIVERY = ("cash", "card_on_delivery")
_NAMELESS = "Cliente do WhatsApp"
_WAYS: tuple[Fulfilment, ...] = ("delivery", "pickup")


class ChatCarts:
    """Answers the ``CartDesk`` contract."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.carts = CartRepository(work.session)
        self.checkout = CheckoutService(work)
        self.contacts = ContactService(work)

    async def sells(self, store: str) -> bool:
        """Whether this tenant has an active store of this slug, and may sell."""
        if MODULE not in self.work.tenant.modules:
            return False
        try:
            await StoreService(self.work).active(store)
        except StoreNotFound:
            return False
        return True

    async def offer(self, cart: ChatCart) -> CartOffer | CartRefused:
        """What the cart costs by each way it can be had, or why by none."""
        try:
            named = await self._named(cart)
            contact = await self.contacts.get(cart.contact_id)
        except _NotSold as refused:
            return refused.why
        if contact.phone is None:
            return CartRefused(InvalidCustomerPhone.code)
        ways: list[CartWay] = []
        drafts: list[Draft] = []
        refusals: list[CartRefused] = []
        for fulfilment in _WAYS:
            address = await self._address(cart) if fulfilment == "delivery" else None
            if fulfilment == "delivery" and address is None:
                continue
            try:
                asked = _cart(cart, named, fulfilment, address)
                draft = await self.checkout.priced(asked, contact.phone, None, _TERMS)
            except Problem as problem:
                refusals.append(await self._why(cart, named, problem))
                continue
            if self._method(draft, await self._has_pix()) is None:
                refusals.append(CartRefused(PaymentMethodNotAccepted.code))
                continue
            drafts.append(draft)
            totals = draft.totals
            freight = totals.shipping_cents - totals.shipping_discount_cents
            where = f"{address.street}, {address.number}" if address else None
            ways.append(CartWay(fulfilment, freight, totals.total_cents, where))
        if not ways:
            return refusals[-1]
        return CartOffer(drafts[0].store.name, drafts[0].currency, _lines(drafts[0]), tuple(ways))

    async def sell(
        self, cart: ChatCart, fulfilment: Fulfilment, total_cents: int
    ) -> CartSold | CartRefused:
        """Place the order, whole or not at all; the cart's id makes it the only one."""
        try:
            named = await self._named(cart)
        except _NotSold as refused:
            return refused.why
        try:
            async with self.work.aside():
                return await self._sold(cart, named, fulfilment, total_cents)
        except Problem as problem:
            return await self._why(cart, named, problem)

    async def _sold(
        self, cart: ChatCart, named: dict[str, Found], fulfilment: Fulfilment, total_cents: int
    ) -> CartSold:
        contact = await self.contacts.get(cart.contact_id)
        address = await self._address(cart) if fulfilment == "delivery" else None
        asked = _cart(cart, named, fulfilment, address)
        draft = await self.checkout.priced(asked, contact.phone, None, _TERMS)
        method = self._method(draft, await self._has_pix())
        if contact.phone is None or method is None:
            raise PaymentMethodNotAccepted() if contact.phone else InvalidCustomerPhone()
        # Through JSON: the database driver's own UUIDs are not what the order is written from.
        order = CheckoutIn.model_validate(
            asked.model_dump(mode="json")
            | {
                "customer": {"name": _name(contact.name), "phone": contact.phone},
                "payment": {"method": method},
                "expected_total_cents": total_cents,
                "cart_id": str(cart.id),
            }
        )
        placed = await self.checkout.place(order, terms=_TERMS)
        totals = placed.draft.totals
        return CartSold(
            order_id=placed.id,
            number=placed.number,
            store_name=placed.draft.store.name,
            currency=placed.draft.currency,
            fulfilment=fulfilment,
            lines=_sold_lines(placed.draft, named),
            subtotal_cents=totals.subtotal_cents,
            discount_cents=totals.discount_cents,
            shipping_cents=totals.shipping_cents - totals.shipping_discount_cents,
            total_cents=totals.total_cents,
            pix=await self._pix(placed.id) if method == "pix" else None,
        )

    async def _named(self, cart: ChatCart) -> dict[str, Found]:
        names = [item.retailer_id for item in cart.items]
        if not names:
            raise _NotSold(CartRefused(NOTHING_LEFT))
        found = await self.carts.named(names)
        strange = tuple(name for name in names if name not in found)
        if strange:
            raise _NotSold(CartRefused(UNKNOWN_ITEMS, strange))
        return found

    async def _address(self, cart: ChatCart) -> AddressIn | None:
        """Where the person had something delivered last, if our own forms would take it."""
        for row in await CustomerService(self.work).addresses(cart.contact_id):
            try:
                return AddressIn.model_validate(row.address | {"postal_code": row.postal_code})
            except ValidationError:
                continue
        return None

    async def _has_pix(self) -> bool:
        settings = await PaymentService(self.work).configured()
        return settings.pix_key is not None

    @staticmethod
    def _method(draft: Draft, has_pix: bool) -> str | None:
        """How it is paid: by PIX in the chat where that is possible, else when handed over."""
        accepted = draft.store.payment_methods[Channel(draft.fulfilment.value)]
        if has_pix and "pix" in accepted and draft.currency == "BRL":
            return "pix"
        return next((method for method in _ON_DELIVERY if method in accepted), None)

    async def _pix(self, order_id: UUID) -> PixRequest | None:
        payments = PaymentService(self.work)
        page, settings = await payments.shown(order_id), await payments.configured()
        if page is None or page.pix is None or settings.pix_key is None:
            return None
        return PixRequest(
            page.pix.copy_paste,
            settings.merchant_name or "",
            settings.pix_key,
            settings.pix_key_type or "evp",
        )

    async def _why(self, cart: ChatCart, named: dict[str, Found], problem: Problem) -> CartRefused:
        extra = problem.extra
        names: tuple[str, ...] = ()
        if isinstance(problem, ItemsUnavailable):
            wrong = [cart.items[line["index"]].retailer_id for line in extra["lines"]]
            names = tuple(dict.fromkeys(named[name].name for name in wrong))
        if isinstance(problem, OutOfStock):
            names = tuple(str(line["name"]) for line in extra["lines"])
        opens_at = None
        if isinstance(problem, StoreClosed) and isinstance(extra["next_available_at"], datetime):
            timezone = (await StoreService(self.work).active(cart.store)).timezone
            opens_at = extra["next_available_at"].astimezone(ZoneInfo(timezone))
        missing = extra["missing_cents"] if isinstance(problem, BelowMinimumOrder) else 0
        if isinstance(problem, CartAlreadyOrdered):
            names = (str(extra["order_number"]),)
        return CartRefused(problem.code, names, opens_at, missing, self.work.tenant.currency)


class _NotSold(Exception):
    """A refusal that is no problem of the checkout's."""

    def __init__(self, why: CartRefused) -> None:
        super().__init__(why.code)
        self.why = why


def _cart(
    cart: ChatCart, named: dict[str, Found], fulfilment: Fulfilment, address: AddressIn | None
) -> CartIn:
    """The cart as the checkout takes it. Raises ItemsUnavailable for what no cart may hold."""
    items: list[dict[str, Any]] = []
    for item in cart.items:
        found = named[item.retailer_id]
        items.append(
            {
                "product_id": found.product_id,
                "variant_id": found.variant_id,
                "quantity": item.quantity,
            }
        )
    try:
        return CartIn.model_validate(
            {"store": cart.store, "fulfilment": fulfilment, "address": address, "items": items}
        )
    except ValidationError as error:
        raise ItemsUnavailable(lines=[]) from error


def _name(name: str) -> str:
    return name.strip()[:120] if len(name.strip()) > 1 else _NAMELESS


def _lines(draft: Draft) -> tuple[str, ...]:
    return tuple(
        f"{line.quantity} x {_called(line.name, line.variant_name)}" for line in draft.lines
    )


def _sold_lines(draft: Draft, named: dict[str, Found]) -> tuple[SoldLine, ...]:
    names = {(found.product_id, found.variant_id): name for name, found in named.items()}
    return tuple(
        SoldLine(
            names[line.product_id, line.variant_id],
            _called(line.name, line.variant_name),
            line.quantity,
            line.unit_cents,
        )
        for line in draft.lines
    )


def _called(name: str, variant: str | None) -> str:
    return f"{name} {variant}" if variant else name
