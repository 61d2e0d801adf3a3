"""Why an order is not taken; each says what to change, and the answer carries the new facts."""

from __future__ import annotations

from app.core.problems import Conflict, Forbidden, Invalid


class StoreClosed(Conflict):
    code = "store-closed"
    title = "The store takes no such order now: see reasons and next_available_at."


class InvalidCustomerPhone(Invalid):
    code = "invalid-phone"
    title = "The phone number is not valid: send it with area code, e.g. (11) 98765-4321."


class InvalidPostalCode(Invalid):
    code = "invalid-postal-code"
    title = "The postal code (CEP) is not valid: send its eight digits, e.g. 01310-100."


class AddressRequired(Invalid):
    code = "address-required"
    title = "A delivery needs an address with street, number and postal code."


class PaymentMethodNotAccepted(Conflict):
    code = "payment-method-not-accepted"
    title = "The store does not take this payment method: choose one of accepted."


class ChangeTooSmall(Invalid):
    code = "change-too-small"
    title = "The note to be changed is smaller than the total."


class ItemsUnavailable(Conflict):
    code = "items-unavailable"
    title = "Some items cannot be ordered like this: see lines for each and its reason."


class OutOfStock(Conflict):
    code = "out-of-stock"
    title = "There is not enough in stock: see lines for what is left of each item."


class BelowMinimumOrder(Conflict):
    code = "below-minimum-order"
    title = "The items are below the store's minimum order: add missing_cents."


class ShippingChanged(Conflict):
    code = "shipping-changed"
    title = "The delivery fee is not the quoted one: show the new quote and ask again."


class CartAlreadyOrdered(Conflict):
    code = "cart-already-ordered"
    title = "This cart has been ordered: follow order_number, or begin a new cart."


class PriceChanged(Conflict):
    code = "price-changed"
    title = "The total is not the expected one: show the new breakdown and ask again."


class CouponNotApplicable(Conflict):
    code = "coupon-not-applicable"
    title = "A coupon does not apply: see coupons for the reason, or order without it."


class CustomerBlocked(Forbidden):
    code = "customer-blocked"
    title = "The store does not take orders from this number: contact the store."
