"""What can go wrong between an order and its money."""

from __future__ import annotations

from app.core.problems import Conflict, Invalid, NotFound, Upstream


class PaymentNotFound(NotFound):
    code = "payment-not-found"
    title = "This order has no such payment, or the tracking token does not open it."


class RefundNotFound(NotFound):
    code = "refund-not-found"
    title = "There is no refund with this id."


class PixKeyInvalid(Invalid):
    code = "pix-key-invalid"
    title = "The PIX key or who receives is not valid: correct the fields listed in errors."


class PixNotConfigured(Conflict):
    code = "pix-not-configured"
    title = "The store has no PIX key yet: agree with it how to pay."


class PaymentNotPix(Conflict):
    code = "payment-not-pix"
    title = "There is no open PIX payment: see method and status."


class CardPaymentsNotConfigured(Conflict):
    code = "card-payments-not-configured"
    title = "The store takes no cards online: its Stripe account is not connected."


class PaymentNotOpen(Conflict):
    code = "payment-not-open"
    title = "Nothing is to be paid here any more: see method and status."


class ProviderConfirms(Conflict):
    code = "provider-confirms"
    title = "Stripe says itself when this is paid: it cannot be marked by hand."


class NothingToRefund(Conflict):
    code = "nothing-to-refund"
    title = "So much was not received, or goes back already: see refundable_cents."


class RefundNotManual(Conflict):
    code = "refund-not-manual"
    title = "This refund cannot be settled by hand: see method and status."


class RefundNotRetryable(Conflict):
    code = "refund-not-retryable"
    title = "Only a refund that failed can be tried again: see status."


class PaymentChanged(Conflict):
    code = "payment-changed"
    title = "The order changed meanwhile: read it again, then decide."


class CardProviderFailed(Upstream):
    code = "card-provider-failed"
    title = "Stripe did not accept the request: try again, or pay another way."
