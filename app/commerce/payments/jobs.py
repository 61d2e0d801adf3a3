"""The jobs of payments, and the tenant's own Stripe webhook as a source of the inbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from pydantic import SecretStr

from app.commerce.payments.problems import CardPaymentsNotConfigured
from app.commerce.payments.rules import PROVIDER
from app.commerce.payments.service import CLOSE_INTENT, REFUND
from app.commerce.payments.stripe import (
    Account,
    account_of,
    apply_intent,
    apply_refund,
    carry_out,
    close_intent,
)
from app.contracts.gateways.payments import BillingFailure, PaymentGateway
from app.core.clock import now
from app.kernel.connections.service import ConnectionService
from app.kernel.inbox.problems import (
    WebhookBodyInvalid,
    WebhookSignatureInvalid,
    WebhookWrongMode,
)
from app.kernel.inbox.rules import verify_timed
from app.kernel.inbox.service import Delivery, Verified
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.tenancy import TenantContext
from app.kernel.work import Actor, Runtime, unit_of_work

__all__ = ["CLOSE_INTENT", "REFUND", "ShopStripeSource", "cancel_intent", "refund"]
_AGAIN_S = 30.0
_INTENTS = frozenset(
    {"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"}
)
_REFUNDS = frozenset({"refund.created", "refund.updated", "refund.failed"})


class UnknownPayment(Exception):
    """The notice names a payment that is not here (yet): tried again, then a dead letter."""


async def refund(job: JobContext) -> None:
    """Carry a refund out at the vendor. Raises RetryLater while it cannot be asked."""
    try:
        await carry_out(job.works, UUID(job.payload["refund_id"]))
    except BillingFailure as failure:
        raise RetryLater(_AGAIN_S) from failure


async def cancel_intent(job: JobContext) -> None:
    """Nobody shall pay an order that is closed. Raises RetryLater."""
    try:
        await close_intent(job.works, UUID(job.payload["payment_id"]))
    except BillingFailure as failure:
        if failure.retryable:
            raise RetryLater(_AGAIN_S) from failure
        raise


class ShopStripeSource:
    """Satisfies ``Source`` for one tenant's own account. An event is a reason to ask the vendor;
    its content is not believed.
    """

    name = "shop-stripe"
    max_bytes = 1_000_000

    def __init__(self, runtime: Runtime, tenant: TenantContext) -> None:
        self._runtime, self._tenant = runtime, tenant

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Verified:
        """Raises WebhookSignatureInvalid, WebhookBodyInvalid, WebhookWrongMode."""
        account, secrets = await self._account()
        signature = headers.get("stripe-signature")
        if not secrets:
            raise WebhookSignatureInvalid()
        verify_timed(signature, body, secrets, now().timestamp())
        match _json(body):
            case {"id": str(id_), "type": str(type_), "livemode": bool(live), "data": dict()}:
                if live != account.is_live:
                    raise WebhookWrongMode()
                # With the tenant: ids are another account's to choose, and kept once for all.
                known = f"{self._tenant.id.hex}:{id_}"
                return Verified(known, type_, {"stripe-signature": signature or ""})
        raise WebhookBodyInvalid()

    async def tenant_of(self, body: bytes) -> UUID | None:
        return self._tenant.id

    async def handle(self, delivery: Delivery) -> None:
        """Raises RetryLater while Stripe cannot be asked, UnknownPayment, AlreadyApplied."""
        subject = _subject(_json(delivery.body))
        try:
            if delivery.type in _INTENTS:
                await self._intent(delivery, subject)
            elif delivery.type in _REFUNDS:
                await self._refund(delivery, subject)
            else:
                async with delivery.once():
                    return
        except BillingFailure as failure:
            if failure.retryable:
                raise RetryLater(_AGAIN_S) from failure
            raise

    async def _intent(self, delivery: Delivery, subject: dict[str, Any]) -> None:
        account, gateway = await self._asks(delivery)
        found = await gateway.intent(account.key, str(subject.get("id", "")))
        async with delivery.once() as work:
            # Without our mark it is another business of the same account.
            if found.payment_id and not await apply_intent(work, found):
                raise UnknownPayment(f"payment {found.payment_id} of intent {found.id}")

    async def _refund(self, delivery: Delivery, subject: dict[str, Any]) -> None:
        named = (subject.get("metadata") or {}).get("refund_id")
        account, gateway = await self._asks(delivery)
        found = await gateway.find_refund(account.key, str(subject.get("id", "")))
        async with delivery.once() as work:
            if named and not await apply_refund(work, UUID(str(named)), found):
                raise UnknownPayment(f"refund {named}")

    async def _asks(self, delivery: Delivery) -> tuple[Account, PaymentGateway]:
        actor = Actor("system", f"webhook:{self.name}", None, str(delivery.message_id))
        async with unit_of_work(delivery.runtime, delivery.tenant, actor) as work:
            return await account_of(work), work.port(PaymentGateway, PROVIDER)

    async def _account(self) -> tuple[Account, list[SecretStr]]:
        actor = Actor("system", f"webhook:{self.name}")
        async with unit_of_work(self._runtime, self._tenant, actor) as work:
            connections = ConnectionService(work)
            try:
                account = await account_of(work)
            except CardPaymentsNotConfigured:
                raise WebhookSignatureInvalid() from None
            opened = [
                connections.opened(row)
                for row in await connections.listed(provider=PROVIDER)
                if row.is_enabled
            ]
        # Of each connection: a new one beside the old lets the secret be exchanged in peace.
        return account, [SecretStr(o["webhook_secret"]) for o in opened if "webhook_secret" in o]


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise WebhookBodyInvalid() from None
    if not isinstance(found, dict):
        raise WebhookBodyInvalid()
    return found


def _subject(event: dict[str, Any]) -> dict[str, Any]:
    match event:
        case {"data": {"object": dict(found)}}:
            return found
    return {}
