"""Why a delivery of WhatsApp is refused, or cannot be processed again."""

from __future__ import annotations

from app.core.problems import Conflict, Forbidden, NotFound


class VerifyTokenWrong(Forbidden):
    code = "whatsapp-verify-token-wrong"
    title = "Subscribe with the verify token that the number, or the platform, was set up with."


class DeliveryNotFound(NotFound):
    code = "whatsapp-delivery-not-found"
    title = "There is no delivery with this id."


class DeliveryWaits(Conflict):
    code = "whatsapp-delivery-waits"
    title = "This delivery was not processed yet: it is about to be, there is nothing to repeat."


class ItemsFailed(Exception):
    """Some items of a delivery could not be applied; the others are, and the whole comes again."""
