"""PaymentIntents and refunds as Stripe has them, and what becomes of them on command.

Source: docs.stripe.com/api/payment_intents, /api/refunds. A life step (``succeed``, ``decline``,
``short``, ``over``, ``foreign``) plays the customer and the bank.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from scripts.sandbox.vendors.stripe_world import Object, Refused, missing, new

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_LEAST = 50
STEPS = ("succeed", "decline", "short", "over", "foreign")
REFUND_STEPS = ("settle", "bounce")
PARAMETERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "payment_intents": (
        frozenset({"amount", "currency"}),
        frozenset({"description", "automatic_payment_methods[enabled]", "receipt_email"}),
    ),
    "refunds": (frozenset({"payment_intent"}), frozenset({"amount", "reason"})),
}


class Intents:
    """The intents and refunds of one world; ``tell`` keeps the events they cause."""

    def __init__(self, tell: Callable[[str, Object], None]) -> None:
        self._tell = tell
        self.intents: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.slow_refunds = False
        """Refunds stay pending until a step settles or bounces them."""

    def owns(self, path: str) -> bool:
        return path.split("/")[0] in PARAMETERS

    def read(self, path: str) -> Object:
        kind, _, id_ = path.partition("/")
        found = (self.intents if kind == "payment_intents" else self.refunds).get(id_)
        if found is None:
            raise missing(kind.removesuffix("s"), id_, "intent")
        return found

    def write(self, path: str, fields: dict[str, str], made: Object) -> Object:
        """Create, change or cancel; ``made`` holds what every new object has."""
        match path.split("/"):
            case ["payment_intents"]:
                return self._create(fields, made)
            case ["payment_intents", id_]:
                return self._change(self.read(f"payment_intents/{id_}"), fields)
            case ["payment_intents", id_, "cancel"]:
                return self._cancel(self.read(f"payment_intents/{id_}"))
            case ["refunds"]:
                return self._refund(fields, made)
        raise Refused(404, "url_invalid", f"Unrecognized request URL (POST: /v1/{path}).")

    def step(self, id_: str, step: str) -> None:
        """One turn of fate. Raises Refused."""
        if id_ in self.refunds:
            self._refund_step(self.refunds[id_], step)
            return
        intent = self.read(f"payment_intents/{id_}")
        if intent["status"] not in _OPEN:
            raise _unexpected(intent, "paid")
        if step == "decline":
            error = {"type": "card_error", "code": "card_declined"}
            error["message"] = "Your card was declined."
            intent.update(status="requires_payment_method", last_payment_error=error)
            self._tell("payment_intent.payment_failed", intent)
            return
        received = intent["amount"]
        received += {"short": -100, "over": 100}.get(step, 0)
        if step == "foreign":
            intent["currency"] = "usd"
        intent.update(status="succeeded", amount_received=received, last_payment_error=None)
        intent["latest_charge"] = new("ch")
        self._tell("payment_intent.succeeded", intent)

    def _create(self, fields: dict[str, str], made: Object) -> Object:
        id_ = new("pi")
        intent: Object = {
            **made,
            "id": id_,
            "object": "payment_intent",
            "amount": _cents(fields["amount"]),
            "amount_received": 0,
            "currency": fields["currency"],
            "status": "requires_payment_method",
            "client_secret": f"{id_}_secret_{new('x')}",
            "description": fields.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "canceled_at": None,
            "metadata": _metadata(fields),
        }
        self.intents[id_] = intent
        self._tell("payment_intent.created", intent)
        return intent

    def _change(self, intent: Object, fields: dict[str, str]) -> Object:
        if intent["status"] not in _OPEN:
            raise _unexpected(intent, "updated")
        if "amount" in fields:
            intent["amount"] = _cents(fields["amount"])
        return intent

    def _cancel(self, intent: Object) -> Object:
        if intent["status"] not in _OPEN:
            raise _unexpected(intent, "canceled")
        intent.update(status="canceled", canceled_at=int(time.time()))
        self._tell("payment_intent.canceled", intent)
        return intent

    def _refund(self, fields: dict[str, str], made: Object) -> Object:
        intent = self.intents.get(fields["payment_intent"])
        if intent is None:
            raise missing("payment_intent", fields["payment_intent"], "payment_intent")
        if intent["status"] != "succeeded":
            raise _unexpected(intent, "refunded")
        before = [r for r in self.refunds.values() if r["payment_intent"] == intent["id"]]
        gone = sum(r["amount"] for r in before if r["status"] not in ("failed", "canceled"))
        left = intent["amount_received"] - gone
        amount = _cents(fields["amount"], 1) if "amount" in fields else left
        if not 0 < amount <= left:
            text = f"Refund amount ({amount}) is greater than unrefunded amount ({left})"
            raise Refused(400, "charge_already_refunded" if not left else "", text, "amount")
        refund: Object = {
            **made,
            "id": new("re"),
            "object": "refund",
            "amount": amount,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "charge": intent["latest_charge"],
            "status": "pending" if self.slow_refunds else "succeeded",
            "metadata": _metadata(fields),
        }
        self.refunds[refund["id"]] = refund
        self._tell("refund.created", refund)
        return refund

    def _refund_step(self, refund: Object, step: str) -> None:
        if step == "settle":
            refund["status"] = "succeeded"
            self._tell("refund.updated", refund)
        else:
            refund.update(status="failed", failure_reason="lost_or_stolen_card")
            self._tell("refund.failed", refund)


def _unexpected(intent: Object, what: str) -> Refused:
    text = f"This PaymentIntent's status is {intent['status']}: it could not be {what}."
    return Refused(400, "payment_intent_unexpected_state", text)


def _cents(text: str, least: int = _LEAST) -> int:
    if not text.isdecimal():
        raise Refused(400, "parameter_invalid_integer", f"Invalid integer: {text}", "amount")
    if int(text) < least:
        raise Refused(400, "amount_too_small", f"Amount must be at least {least}.", "amount")
    return int(text)


def _metadata(fields: dict[str, str]) -> dict[str, Any]:
    start = "metadata["
    return {k[len(start) : -1]: v for k, v in fields.items() if k.startswith(start)}
