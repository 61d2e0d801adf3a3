"""What Stripe knows: customers, prices, pages, subscriptions, invoices, and how they live.

Objects have the shape of API 2026-10-28 (the period on the subscription's items, an invoice's
subscription under ``parent``). Source: docs.stripe.com/api.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

Object = dict[str, Any]
API_VERSION = "2026-10-28.endive"
_MONTH_S = 30 * 86_400
_SOLD = {"starter": 4900, "pro": 14900, "team": 39900, "enterprise": 99900}


class Refused(Exception):
    """An error of the API, as Stripe words it."""

    def __init__(self, status: int, code: str, message: str, param: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error: Object = {"type": "invalid_request_error", "code": code, "message": message}
        if param:
            self.error["param"] = param


def missing(what: str, id_: str, param: str = "id", status: int = 404) -> Refused:
    return Refused(status, "resource_missing", f"No such {what}: '{id_}'", param)


def new(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


class World:
    """One account of the vendor; every change leaves the events it tells in ``told``."""

    def __init__(self) -> None:
        self.customers: dict[str, Object] = {}
        self.prices: dict[str, Object] = {}
        self.sessions: dict[str, Object] = {}
        self.portals: dict[str, Object] = {}
        self.subscriptions: dict[str, Object] = {}
        self.invoices: dict[str, Object] = {}
        self.events: dict[str, Object] = {}
        self.told: list[Object] = []
        for name, cents in _SOLD.items():
            self.add_price(f"price_largo_{name}", cents, "brl", "month", f"prod_largo_{name}")
        self._steps: dict[str, Callable[[Object, str], None]] = {
            "renew": self._renew,
            "fail": self._fail,
            "recover": self._recover,
            "change": self._change,
            "cancel_later": lambda s, _: self._updated(s, cancel_at_period_end=True),
            "resume": lambda s, _: self._updated(s, cancel_at_period_end=False, status="active"),
            "unpaid": lambda s, _: self._updated(s, status="unpaid"),
            "trial": lambda s, _: self._updated(
                s, status="trialing", trial_end=int(time.time()) + 3 * 86_400
            ),
            "trial_will_end": lambda s, _: self.tell("customer.subscription.trial_will_end", s),
            "pause": self._pause,
            "cancel": self._cancel,
        }

    def add_price(self, id_: str, cents: int, currency: str, interval: str, product: str) -> Object:
        price: Object = {
            "id": id_,
            "object": "price",
            "active": True,
            "currency": currency,
            "unit_amount": cents,
            "product": product,
            "type": "recurring",
            "recurring": {"interval": interval, "interval_count": 1, "usage_type": "licensed"},
            "livemode": False,
            "metadata": {},
        }
        self.prices[id_] = price
        return price

    def pay(self, session: Object, *, declined: bool = False) -> None:
        """What happens when the person on the page gives a card."""
        if session["status"] != "open":
            raise Refused(400, "checkout_session_not_open", "This Checkout Session is not open.")
        subscription = self._subscribe(session, "incomplete" if declined else "active")
        self.tell("customer.subscription.created", subscription)
        if declined:
            self._bill(subscription, paid=False)
            return
        invoice = self._bill(subscription, paid=True)
        session.update(
            status="complete",
            payment_status="paid",
            subscription=subscription["id"],
            invoice=invoice["id"],
            url=None,
        )
        self.tell("checkout.session.completed", session)

    def step(self, subscription_id: str, step: str, price: str = "") -> None:
        """One turn in a subscription's life, by name."""
        subscription = self.subscriptions.get(subscription_id)
        if subscription is None:
            raise missing("subscription", subscription_id)
        if step not in self._steps:
            raise Refused(400, "unknown_step", f"steps: {', '.join(self._steps)}")
        self._steps[step](subscription, price)

    def take_told(self) -> list[Object]:
        """The events since the last time."""
        told, self.told = self.told, []
        return told

    def _subscribe(self, session: Object, status: str) -> Object:
        at = int(time.time())
        id_ = new("sub")
        item: Object = {
            "id": new("si"),
            "object": "subscription_item",
            "created": at,
            "subscription": id_,
            "price": self.prices[session["sandbox_price"]],
            "quantity": 1,
            "current_period_start": at,
            "current_period_end": at + _MONTH_S,
            "metadata": {},
        }
        subscription: Object = {
            "id": id_,
            "object": "subscription",
            "created": at,
            "status": status,
            "customer": session["customer"],
            "currency": item["price"]["currency"],
            "livemode": session["livemode"],
            "metadata": session["sandbox_metadata"],
            "items": {"object": "list", "data": [item], "has_more": False},
            "cancel_at_period_end": False,
            "cancel_at": None,
            "canceled_at": None,
            "ended_at": None,
            "trial_end": None,
            "latest_invoice": None,
        }
        self.subscriptions[id_] = subscription
        return subscription

    def _bill(self, subscription: Object, *, paid: bool) -> Object:
        price = subscription["items"]["data"][0]["price"]
        at, id_ = int(time.time()), new("in")
        invoice: Object = {
            "id": id_,
            "object": "invoice",
            "created": at,
            "number": f"LARGO-{len(self.invoices) + 1:04d}",
            "status": "open",
            "currency": price["currency"],
            "amount_due": price["unit_amount"],
            "amount_paid": 0,
            "attempt_count": 0,
            "next_payment_attempt": None,
            "customer": subscription["customer"],
            "livemode": subscription["livemode"],
            "metadata": {},
            "hosted_invoice_url": f"https://invoice.stripe.com/i/{id_}",
            "invoice_pdf": f"https://pay.stripe.com/invoice/{id_}/pdf",
            "parent": {
                "type": "subscription_details",
                "subscription_details": {
                    "subscription": subscription["id"],
                    "metadata": subscription["metadata"],
                },
            },
        }
        self.invoices[id_] = invoice
        subscription["latest_invoice"] = id_
        self._attempt(invoice, paid=paid)
        return invoice

    def _attempt(self, invoice: Object, *, paid: bool) -> None:
        invoice["attempt_count"] += 1
        if paid:
            invoice.update(
                status="paid", amount_paid=invoice["amount_due"], next_payment_attempt=None
            )
            self.tell("invoice.paid", invoice)
            self.tell("invoice.payment_succeeded", invoice)
        else:
            invoice["next_payment_attempt"] = int(time.time()) + 3 * 86_400
            self.tell("invoice.payment_failed", invoice)

    def _renew(self, subscription: Object, _: str) -> None:
        item = subscription["items"]["data"][0]
        item["current_period_start"] = item["current_period_end"]
        item["current_period_end"] += _MONTH_S
        self._bill(subscription, paid=True)
        self._updated(subscription, status="active")

    def _fail(self, subscription: Object, _: str) -> None:
        self._bill(subscription, paid=False)
        self._updated(subscription, status="past_due")

    def _recover(self, subscription: Object, _: str) -> None:
        self._attempt(self.invoices[subscription["latest_invoice"]], paid=True)
        self._updated(subscription, status="active")

    def _change(self, subscription: Object, price: str) -> None:
        if price not in self.prices:
            raise missing("price", price, "price", 400)
        subscription["items"]["data"][0]["price"] = self.prices[price]
        self._updated(subscription)

    def _pause(self, subscription: Object, _: str) -> None:
        subscription["status"] = "paused"
        self.tell("customer.subscription.paused", subscription)

    def _cancel(self, subscription: Object, _: str) -> None:
        at = int(time.time())
        subscription.update(status="canceled", canceled_at=at, ended_at=at)
        self.tell("customer.subscription.deleted", subscription)

    def _updated(self, subscription: Object, **fields: object) -> None:
        subscription.update(fields)
        self.tell("customer.subscription.updated", subscription)

    def tell(self, type_: str, subject: Object) -> None:
        event: Object = {
            "id": new("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": int(time.time()),
            "type": type_,
            "livemode": subject["livemode"],
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "data": {"object": shown(deepcopy(subject))},
            "sandbox_key": subject.get("sandbox_key", ""),
        }
        self.events[event["id"]] = event
        self.told.append(event)


def shown(found: Object) -> Object:
    """An object as the API gives it: without what the sandbox remembers for itself."""
    return {name: value for name, value in found.items() if not name.startswith("sandbox_")}
