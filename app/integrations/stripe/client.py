"""Stripe as a billing gateway, through its official library, loaded at the first call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import httpx
from pydantic import SecretStr

from app.contracts.gateways.billing import (
    BillingFailure,
    RemoteCheckout,
    RemoteInvoice,
    RemoteSubscription,
)
from app.core.lazy import lazy

if TYPE_CHECKING:
    import stripe
else:
    stripe = lazy("stripe")

_TIMEOUT_S = 10.0
_RETRIES = 2
"""The library's own, with its Idempotency-Key kept: for calls that never left or met a 5xx."""
T = TypeVar("T")


class StripeGateway:
    """Satisfies ``BillingGateway``; one per process, as it holds the library's client."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, key: SecretStr) -> None:
        self._http, self._base, self._key = http, base_url.rstrip("/"), key
        self._made: stripe.StripeClient | None = None
        self._making = asyncio.Lock()

    async def create_customer(self, *, tenant_id: UUID, name: str, email: str, key: str) -> str:
        client = await self._client()
        made = await asked(
            client.v1.customers.create_async(
                {"name": name, "email": email, "metadata": {"tenant_id": str(tenant_id)}},
                {"idempotency_key": key},
            )
        )
        return str(made.id)

    async def open_checkout(
        self,
        *,
        tenant_id: UUID,
        customer_id: str,
        price_id: str,
        success_url: str,
        cancel_url: str,
        key: str,
    ) -> RemoteCheckout:
        client = await self._client()
        made = await asked(
            client.v1.checkout.sessions.create_async(
                {
                    "mode": "subscription",
                    "customer": customer_id,
                    "client_reference_id": str(tenant_id),
                    "line_items": [{"price": price_id, "quantity": 1}],
                    "subscription_data": {"metadata": {"tenant_id": str(tenant_id)}},
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                },
                {"idempotency_key": key},
            )
        )
        return RemoteCheckout(made.id, made.url or "", made.status or "open")

    async def close_checkout(self, checkout_id: str) -> str:
        client = await self._client()
        try:
            closed = await asked(client.v1.checkout.sessions.expire_async(checkout_id))
        except BillingFailure as refused:
            if refused.retryable:
                raise
            # Only an open one can be closed: what is it, then?
            closed = await asked(client.v1.checkout.sessions.retrieve_async(checkout_id))
        return closed.status or "expired"

    async def open_portal(self, *, customer_id: str, return_url: str) -> str:
        client = await self._client()
        made = await asked(
            client.v1.billing_portal.sessions.create_async(
                {"customer": customer_id, "return_url": return_url}
            )
        )
        return str(made.url)

    async def subscriptions(self, customer_id: str) -> list[RemoteSubscription]:
        client = await self._client()
        found = await asked(
            client.v1.subscriptions.list_async(
                {"customer": customer_id, "status": "all", "limit": 100}
            )
        )
        return [_subscription(one.to_dict()) for one in found.data]

    async def invoice(self, invoice_id: str) -> RemoteInvoice:
        client = await self._client()
        return _invoice((await asked(client.v1.invoices.retrieve_async(invoice_id))).to_dict())

    async def _client(self) -> stripe.StripeClient:
        # One at a time: a thread that meets another's import half done sees an empty module.
        async with self._making:
            if self._made is None:
                # The import and the TLS context take 150 ms: not on the event loop.
                self._made = await asyncio.to_thread(self._make)
            return self._made

    def _make(self) -> stripe.StripeClient:
        return stripe_client(self._http, self._base, self._key)


def stripe_client(http: httpx.AsyncClient, base_url: str, key: SecretStr) -> stripe.StripeClient:
    """The library's client for one account over the process's connections; blocks at first."""
    shared = SimpleNamespace(AsyncClient=lambda **_: _Shared(http))
    return stripe.StripeClient(
        key.get_secret_value(),
        base_addresses={"api": base_url},
        http_client=stripe.HTTPXClient(timeout=_TIMEOUT_S, _lib=shared),
        max_network_retries=_RETRIES,
    )


class _Shared:
    """The process's own client in the place of the library's: it reads no proxies of the
    environment, follows no redirects, and is closed with the process.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], data: Any, timeout: float
    ) -> httpx.Response:
        # The library hands its encoded form over as ``data``, which httpx deprecates for text.
        return await self._http.request(
            method, url, headers=headers, content=data or None, timeout=timeout
        )


async def asked(call: Awaitable[T]) -> T:
    """What the library answers. Raises BillingFailure in the place of its own errors."""
    failure: BillingFailure
    try:
        return await call
    except stripe.APIConnectionError:
        failure = BillingFailure("Stripe was not reached", retryable=True)
    except stripe.RateLimitError:
        failure = BillingFailure("Stripe asks to slow down", code="rate_limit", retryable=True)
    except stripe.StripeError as error:
        status = error.http_status or 0
        text = f"{type(error).__name__}: {error.user_message or status}"[:300]
        failure = BillingFailure(text, code=error.code or "", retryable=status in (0, 409, *_5XX))
    # Raised out here: the library's exception keeps the request's headers.
    raise failure


_5XX = range(500, 600)


def _subscription(raw: Mapping[str, Any]) -> RemoteSubscription:
    # Since API 2025-03-31 the period stands on the items, not on the subscription.
    items = raw["items"]["data"]
    return RemoteSubscription(
        id=raw["id"],
        status=raw["status"],
        price_id=items[0]["price"]["id"] if items else "",
        created_at=_needed(raw["created"]),
        current_period_end=_instant(items[0].get("current_period_end")) if items else None,
        cancel_at=_instant(raw.get("cancel_at")),
        cancel_at_period_end=bool(raw.get("cancel_at_period_end")),
        trial_ends_at=_instant(raw.get("trial_end")),
    )


def _invoice(raw: Mapping[str, Any]) -> RemoteInvoice:
    return RemoteInvoice(
        id=raw["id"],
        customer_id=str(raw["customer"]),
        number=raw.get("number"),
        status=raw.get("status") or "draft",
        currency=str(raw["currency"]).upper(),
        due_cents=raw["amount_due"],
        paid_cents=raw["amount_paid"],
        attempts=raw.get("attempt_count") or 0,
        created_at=_needed(raw["created"]),
        next_attempt_at=_instant(raw.get("next_payment_attempt")),
        hosted_url=raw.get("hosted_invoice_url"),
        pdf_url=raw.get("invoice_pdf"),
    )


def _needed(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
