"""Why a delivery cannot be priced, and what can go wrong with its rules."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class OutOfDeliveryArea(Conflict):
    code = "out-of-delivery-area"
    title = "The store does not deliver to this address: choose pickup or another address."


class ShippingRuleNotFound(NotFound):
    code = "shipping-rule-not-found"
    title = "There is no such shipping rule: take its id from the store's list of rules."


class TooManyShippingRules(Conflict):
    code = "too-many-shipping-rules"
    title = "The store has as many shipping rules as it may: remove or join some first."


class DeliveryClosed(Conflict):
    code = "delivery-closed"
    title = "The store takes no delivery orders now: see reasons and next_available_at."


class QuoteInvalid(Conflict):
    code = "shipping-quote-invalid"
    title = "The delivery quote is not one of ours: ask for a new one."


class QuoteExpired(Conflict):
    code = "shipping-quote-expired"
    title = "The delivery quote has expired: ask for a new one."
