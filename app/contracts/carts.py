"""What becomes of a cart that was filled in a chat: asked of commerce, answered by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

Fulfilment = Literal["delivery", "pickup"]


@dataclass(frozen=True, slots=True)
class CartItem:
    retailer_id: str
    """The product or variant as the vendor's catalogue names it: SKU, imported key, or our id."""
    quantity: int


@dataclass(frozen=True, slots=True)
class ChatCart:
    id: UUID
    """It becomes one order at most."""
    store: str
    """The store's slug."""
    contact_id: UUID
    items: tuple[CartItem, ...]


@dataclass(frozen=True, slots=True)
class CartRefused:
    """Why there is no order: a problem's code, and what a person needs to know of it."""

    code: str
    names: tuple[str, ...] = ()
    """Items that cannot be had like this."""
    opens_at: datetime | None = None
    """In the store's own time."""
    missing_cents: int = 0
    currency: str = "BRL"


@dataclass(frozen=True, slots=True)
class CartWay:
    """One way in which the cart may reach who ordered, with what it costs in all."""

    fulfilment: Fulfilment
    shipping_cents: int
    total_cents: int
    address: str | None = None


@dataclass(frozen=True, slots=True)
class CartOffer:
    store_name: str
    currency: str
    lines: tuple[str, ...]
    """Human lines such as ``2 x Calabresa grande``."""
    ways: tuple[CartWay, ...]
    """At least one."""


@dataclass(frozen=True, slots=True)
class SoldLine:
    retailer_id: str
    name: str
    quantity: int
    unit_cents: int


@dataclass(frozen=True, slots=True)
class PixRequest:
    """What a customer's bank needs to pay an order."""

    code: str
    """The BR Code ("Pix copia e cola")."""
    merchant_name: str
    key: str
    key_type: str
    """``cpf``, ``cnpj``, ``phone``, ``email`` or ``evp``."""


@dataclass(frozen=True, slots=True)
class CartSold:
    order_id: UUID
    number: int
    store_name: str
    currency: str
    fulfilment: Fulfilment
    lines: tuple[SoldLine, ...]
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    """What remains of the freight after promotions."""
    total_cents: int
    pix: PixRequest | None
    """None: paid when it is handed over."""


class CartDesk(Protocol):
    """Prices and sells carts of the Work's tenant; nothing of a refusal is written."""

    async def sells(self, store: str) -> bool:
        """Whether this tenant has an active store of this slug, and may sell."""
        ...

    async def offer(self, cart: ChatCart) -> CartOffer | CartRefused: ...

    async def sell(
        self, cart: ChatCart, fulfilment: Fulfilment, total_cents: int
    ) -> CartSold | CartRefused:
        """The order, at the total that was offered; ``price-changed`` asks to offer anew."""
        ...
