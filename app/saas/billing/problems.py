"""What billing refuses."""

from __future__ import annotations

from app.core.problems import Conflict, Upstream


class BillingNotConfigured(Conflict):
    code = "billing-not-configured"
    title = "Payments are not connected here: set STRIPE_SECRET_KEY."


class PriceNotOffered(Conflict):
    code = "price-not-offered"
    title = "No plan on sale has this price: choose one from the list of plans."


class AlreadySubscribed(Conflict):
    code = "already-subscribed"
    title = "There is a subscription already: change its plan in the billing portal."


class NoBillingAccount(Conflict):
    code = "no-billing-account"
    title = "Nothing was ever bought here: subscribe to a plan first."


class CheckoutRaced(Conflict):
    code = "checkout-raced"
    title = "Somebody else began to subscribe at the same moment: try again."


class BillingProviderFailed(Upstream):
    code = "billing-provider-failed"
    title = "The payment provider did not do it: try again in a minute."
