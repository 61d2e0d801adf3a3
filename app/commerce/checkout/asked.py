"""A cart as it was asked for, read once for every attempt to price it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.commerce.checkout.problems import (
    AddressRequired,
    InvalidCustomerPhone,
    InvalidPostalCode,
)
from app.commerce.checkout.schemas import CartIn
from app.commerce.orders.rules import FulfilmentType
from app.commerce.promotions.offers import normalise_code
from app.commerce.shipping.roads import Way
from app.commerce.shipping.service import SignedQuote
from app.core.language import Language
from app.core.phone import InvalidPhone, normalise_phone, phone_match_keys
from app.core.postal import InvalidCep, normalise_cep


@dataclass(frozen=True, slots=True)
class Terms:
    """What staff may decide about one cart, and what an order being changed holds already."""

    source: str = "storefront"
    despite_closed: bool = False
    """Take it although the store is closed."""
    prices: Mapping[int, int] = field(default_factory=dict)
    """Cents of one, by the line's position, instead of the catalogue's."""
    held: Mapping[UUID, int] = field(default_factory=dict)
    """Stock that the order itself took before."""
    is_trial: bool = False
    """Only what it would cost matters: no minimum order, and nothing has to be in stock."""
    has_ordered: bool | None = None
    """Whether the customer ordered anything else; None: anything at all."""


ORDINARY = Terms()


@dataclass(frozen=True, slots=True)
class Asked:
    """A cart with its phone, postal code and coupons in their one written form."""

    cart: CartIn
    phones: tuple[str, ...]
    """E.164 first, then the forms under which the same person may be known; empty: nobody."""
    postal_code: str | None
    """Of a delivery, eight digits."""
    codes: tuple[str, ...]
    promise: SignedQuote | None = None
    way: Way | None = None
    """To where it is delivered, looked up before; None: as the crow flies."""
    terms: Terms = ORDINARY
    language: Language = "pt"
    """Of what the customer is told."""

    @classmethod
    def of(
        cls,
        cart: CartIn,
        phone: str | None,
        promise: SignedQuote | None = None,
        way: Way | None = None,
        terms: Terms = ORDINARY,
        language: Language = "pt",
    ) -> Asked:
        """Raises InvalidCustomerPhone, AddressRequired, InvalidPostalCode."""
        return cls(
            cart=cart,
            phones=_phones(phone) if phone else (),
            postal_code=postal_code_of(cart),
            codes=tuple(dict.fromkeys(normalise_code(code) for code in cart.coupons)),
            promise=promise,
            way=way,
            terms=terms,
            language=language,
        )

    @property
    def area(self) -> str | None:
        """The postal area a delivery goes to."""
        return self.postal_code[:5] if self.postal_code is not None else None

    @property
    def products(self) -> list[UUID]:
        return [item.product_id for item in self.cart.items]

    @property
    def items(self) -> list[UUID]:
        """All that may have stock: products, variants and modifiers."""
        found = self.products
        for item in self.cart.items:
            found += [item.variant_id] if item.variant_id else []
            found += [choice.id for choice in item.modifiers]
        return found

    @property
    def address(self) -> dict[str, Any] | None:
        """Where it is delivered, with the postal code in its one written form."""
        if self.cart.address is None or self.postal_code is None:
            return None
        return self.cart.address.model_dump() | {"postal_code": self.postal_code}


def _phones(text: str) -> tuple[str, ...]:
    try:
        return phone_match_keys(normalise_phone(text))
    except InvalidPhone as error:
        raise InvalidCustomerPhone(
            errors=[{"pointer": "/body/customer/phone", "detail": str(error)}]
        ) from error


def postal_code_of(cart: CartIn) -> str | None:
    """Where a delivery goes, as eight digits. Raises AddressRequired, InvalidPostalCode."""
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
