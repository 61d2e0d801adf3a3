"""What can go wrong with WhatsApp numbers."""

from __future__ import annotations

from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
)
from app.contracts.gateways.whatsapp import WhatsAppAccount
from app.core.problems import Conflict, Invalid, NotFound, Problem, Unavailable, Upstream


class NumberNotFound(NotFound):
    code = "whatsapp-number-not-found"
    title = "There is no such WhatsApp number."


class NumberTaken(Conflict):
    code = "whatsapp-number-taken"
    title = "This phone number id is connected already: disconnect it where it is, or check the id."


class NumberInUse(Conflict):
    code = "whatsapp-number-in-use"
    title = "The number has conversations: switch it off instead of deleting it."


class NumberUrlRefused(Invalid):
    code = "whatsapp-url-refused"
    title = "The address of the API may not be called; detail says why."


class TokenNeeded(Invalid):
    code = "whatsapp-token-needed"
    title = "A new address needs the token again: stored tokens never follow to another address."


class CartStoreUnknown(Invalid):
    code = "cart-store-unknown"
    title = "There is no active store with this slug that could sell: see GET /admin/stores."


class NoSecretToEnd(Conflict):
    code = "whatsapp-no-previous-secret"
    title = "There is no previous app secret: nothing is being rotated."


class WhatsAppRefused(Conflict):
    code = "whatsapp-refused"
    title = "WhatsApp refused: detail and provider_code say why."


class WhatsAppUnavailable(Unavailable):
    code = "whatsapp-unavailable"
    title = "WhatsApp was not reached: nothing changed there, try again in a moment."


class WhatsAppUncertain(Upstream):
    code = "whatsapp-uncertain"
    title = "WhatsApp did not say whether it did this: refresh before you try again."


def problem_of(failure: GatewayFailure, account: WhatsAppAccount) -> Problem:
    """What people are told of a call that failed.

    An address of the tenant's own that cannot be reached is theirs to correct.
    """
    if isinstance(failure, GatewayRefused):
        return WhatsAppRefused(failure.message, provider_code=failure.code)
    if isinstance(failure, GatewayOutcomeUnknown) and not account.base_url:
        return WhatsAppUncertain(failure.reason)
    if account.base_url:
        return WhatsAppRefused(failure.reason, provider_code="unreachable")
    return WhatsAppUnavailable()
