"""Stripe PaymentIntents and refunds in a tenant's own account, through the official library."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from pydantic import SecretStr

from app.contracts.gateways.billing import BillingFailure
from app.contracts.gateways.payments import RemoteIntent, RemoteRefund
from app.integrations.stripe.client import asked, stripe_client

if TYPE_CHECKING:
    import stripe


class StripePayments:
    """Satisfies ``PaymentGateway``."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http, self._base = http, base_url.rstrip("/")

    async def create_intent(
        self,
        account: SecretStr,
        *,
        tenant_id: UUID,
        payment_id: UUID,
        amount_cents: int,
        currency: str,
        description: str,
        key: str,
    ) -> RemoteIntent:
        client = await self._client(account)
        made = await asked(
            client.v1.payment_intents.create_async(
                {
                    "amount": amount_cents,
                    "currency": currency.lower(),
                    "description": description,
                    "automatic_payment_methods": {"enabled": True},
                    "metadata": {"tenant_id": str(tenant_id), "payment_id": str(payment_id)},
                },
                {"idempotency_key": key},
            )
        )
        return _intent(made.to_dict())

    async def intent(self, account: SecretStr, intent_id: str) -> RemoteIntent:
        client = await self._client(account)
        return _intent((await asked(client.v1.payment_intents.retrieve_async(intent_id))).to_dict())

    async def change_intent(
        self, account: SecretStr, intent_id: str, amount_cents: int
    ) -> RemoteIntent:
        client = await self._client(account)
        changed = await asked(
            client.v1.payment_intents.update_async(intent_id, {"amount": amount_cents})
        )
        return _intent(changed.to_dict())

    async def cancel_intent(self, account: SecretStr, intent_id: str) -> RemoteIntent:
        client = await self._client(account)
        try:
            closed = await asked(client.v1.payment_intents.cancel_async(intent_id))
        except BillingFailure as refused:
            if refused.retryable:
                raise
            # Only an unpaid one can be cancelled: what is it, then?
            return await self.intent(account, intent_id)
        return _intent(closed.to_dict())

    async def refund(
        self, account: SecretStr, *, intent_id: str, refund_id: UUID, amount_cents: int, key: str
    ) -> RemoteRefund:
        client = await self._client(account)
        made = await asked(
            client.v1.refunds.create_async(
                {
                    "payment_intent": intent_id,
                    "amount": amount_cents,
                    "metadata": {"refund_id": str(refund_id)},
                },
                {"idempotency_key": key},
            )
        )
        return _refund(made.to_dict())

    async def find_refund(self, account: SecretStr, refund_ref: str) -> RemoteRefund:
        client = await self._client(account)
        return _refund((await asked(client.v1.refunds.retrieve_async(refund_ref))).to_dict())

    async def _client(self, account: SecretStr) -> stripe.StripeClient:
        # In a thread: the library's import and the TLS context take 150 ms at first.
        return await asyncio.to_thread(stripe_client, self._http, self._base, account)


def _intent(raw: Mapping[str, Any]) -> RemoteIntent:
    error = raw.get("last_payment_error") or {}
    metadata = raw.get("metadata") or {}
    return RemoteIntent(
        id=raw["id"],
        status=raw["status"],
        amount_cents=raw["amount"],
        received_cents=raw.get("amount_received") or 0,
        currency=str(raw["currency"]).upper(),
        error=str(error.get("message") or error.get("code") or "")[:300] or None,
        payment_id=str(metadata.get("payment_id") or ""),
        client_secret=raw.get("client_secret") or "",
    )


def _refund(raw: Mapping[str, Any]) -> RemoteRefund:
    return RemoteRefund(
        id=raw["id"],
        status=raw.get("status") or "pending",
        amount_cents=raw["amount"],
        error=raw.get("failure_reason"),
    )
