"""What is agreed with Stripe in the tenant's name: intents and refunds, each call outside any Work.

Every step is safe to repeat: calls carry our own id as their key, and what they answered is
written under the order's lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from pydantic import SecretStr

from app.commerce.payments.models import Payment, PaymentRefund
from app.commerce.payments.problems import (
    CardPaymentsNotConfigured,
    CardProviderFailed,
    PaymentNotOpen,
    RefundNotManual,
    RefundNotRetryable,
)
from app.commerce.payments.repository import OrderFacts
from app.commerce.payments.rules import OPEN, PROVIDER
from app.commerce.payments.schemas import IntentRead, RefundRead
from app.commerce.payments.service import CLOSE_INTENT, REFUND, PaymentService, current
from app.contracts.commerce import PaymentFailed, RefundDone, RefundFailed
from app.contracts.gateways.payments import (
    BillingFailure,
    PaymentGateway,
    RemoteIntent,
    RemoteRefund,
)
from app.core.clock import now
from app.kernel.connections.service import ConnectionService
from app.kernel.work import UnitOfWork, Work, WorkFactory

_PAYABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
_ENDED = {"succeeded": "done", "failed": "failed", "canceled": "failed"}


@dataclass(frozen=True, slots=True)
class Account:
    """The tenant's own account at the vendor."""

    key: SecretStr = field(repr=False)
    publishable_key: str | None

    @property
    def is_live(self) -> bool:
        return "_live_" in self.key.get_secret_value()


async def account_of(work: UnitOfWork) -> Account:
    """The connected account. Raises CardPaymentsNotConfigured."""
    found = await ConnectionService(work).default(PROVIDER)
    if found is None:
        raise CardPaymentsNotConfigured()
    return Account(SecretStr(found.values["api_key"]), found.values.get("publishable_key"))


async def open_intent(works: WorkFactory, order_id: UUID, token: str) -> IntentRead:
    """What the customer's browser needs to pay by card; asked again, the same.

    Raises PaymentNotFound, PaymentNotOpen, CardPaymentsNotConfigured, CardProviderFailed.
    """
    async with works() as work:
        service = PaymentService(work)
        service.require_token(order_id, token)
        order, payment = await _payable(service, order_id)
        cents = payment.amount_cents - payment.received_cents
        account, gateway = await account_of(work), work.port(PaymentGateway, PROVIDER)
        tenant_id = work.tenant.id
    try:
        if payment.provider_ref is None:
            found = await gateway.create_intent(
                account.key,
                tenant_id=tenant_id,
                payment_id=payment.id,
                amount_cents=cents,
                currency=order.currency,
                description=f"Pedido {order.number}",
                key=f"{payment.id}:{cents}",
            )
        else:
            found = await gateway.intent(account.key, payment.provider_ref)
        if found.amount_cents != cents and found.status in _PAYABLE:
            found = await gateway.change_intent(account.key, found.id, cents)
    except BillingFailure as failure:
        raise CardProviderFailed(str(failure)) from failure
    async with works() as work:
        await _keep_intent(PaymentService(work), order_id, found)
    return IntentRead(
        payment_id=payment.id,
        client_secret=found.client_secret,
        publishable_key=account.publishable_key,
        amount_cents=cents,
        currency=order.currency,
    )


async def _keep_intent(service: PaymentService, order_id: UUID, found: RemoteIntent) -> None:
    # One commits the reference even when the order is closed by now: the intent exists there,
    # and whoever closed the order could not know.
    await service.payments.order(order_id, lock=True)
    for payment in await service.payments.of_order(order_id):
        if str(payment.id) != found.payment_id:
            continue
        payment.provider_ref = found.id
        if payment.status not in OPEN:
            service.work.enqueue(CLOSE_INTENT, {"payment_id": payment.id})
    await service.payments.flush()


async def _payable(service: PaymentService, order_id: UUID) -> tuple[OrderFacts, Payment]:
    order = await service.payments.order(order_id)
    payment = current(await service.payments.of_order(order_id))
    if payment is None or order.is_closed or payment.status not in OPEN:
        status = payment.status if payment else order.status
        raise PaymentNotOpen(method=payment.method if payment else None, status_now=status)
    if payment.method != PROVIDER or payment.amount_cents <= payment.received_cents:
        raise PaymentNotOpen(method=payment.method, status_now=payment.status)
    return order, payment


async def apply_intent(work: UnitOfWork, found: RemoteIntent) -> bool:
    """Show what the vendor says of a payment; False when no payment of ours has this id.

    The vendor is asked for the state now, so old news in a new order change nothing.
    """
    service = PaymentService(work)
    payment = await service.payments.find(UUID(found.payment_id))
    if payment is None:
        return False
    order = await service.payments.order(payment.order_id, lock=True)
    [payment] = [p for p in await service.payments.of_order(order.id) if p.id == payment.id]
    payment.provider_ref = payment.provider_ref or found.id
    if found.status == "succeeded":
        before = payment.received_cents, payment.flag
        await service.receive(order, payment, found.received_cents, found.currency)
        if (payment.received_cents, payment.flag) != before:
            await service.payments.touch(order.id)
    elif _was_declined(payment, found):
        payment.status, payment.error = "failed", found.error
        failed = PaymentFailed(**service.facts(order, payment), error=found.error or "")
        work.publish(failed)
        await service.payments.touch(order.id)
    await service.payments.flush()
    return True


def _was_declined(payment: Payment, found: RemoteIntent) -> bool:
    """Whether an attempt was refused that nobody was told of."""
    return (
        found.status == "requires_payment_method"
        and found.error is not None
        and payment.status in OPEN
        and payment.error != found.error
    )


async def close_intent(works: WorkFactory, payment_id: UUID) -> None:
    """Make an intent unpayable; one that was paid meanwhile is received. Raises BillingFailure."""
    async with works() as work:
        payment = await PaymentService(work).payments.find(payment_id)
        if payment is None or payment.provider_ref is None or payment.status in OPEN:
            return
        account, gateway = await account_of(work), work.port(PaymentGateway, PROVIDER)
    found = await gateway.cancel_intent(account.key, payment.provider_ref)
    async with works() as work:
        await apply_intent(work, found)


async def carry_out(works: WorkFactory, refund_id: UUID) -> None:
    """Ask the vendor for a refund that waits, and write what it says.

    Raises BillingFailure when the same call may succeed later.
    """
    async with works() as work:
        service = PaymentService(work)
        refund = await service.refunds.find(refund_id)
        if refund is None or refund.status != "pending" or refund.provider_ref is not None:
            return
        payment = await service.payments.get(refund.payment_id)
        account, gateway = await account_of(work), work.port(PaymentGateway, PROVIDER)
    try:
        found = await gateway.refund(
            account.key,
            intent_id=payment.provider_ref or "",
            refund_id=refund.id,
            amount_cents=refund.amount_cents,
            key=f"{refund.id}:{refund.tries}",
        )
    except BillingFailure as failure:
        if failure.retryable:
            raise
        found = RemoteRefund("", "failed", refund.amount_cents, str(failure)[:300])
    async with works() as work:
        await apply_refund(work, refund_id, found)


async def apply_refund(work: UnitOfWork, refund_id: UUID, found: RemoteRefund) -> bool:
    """Write how a refund stands at the vendor; False when it is none of ours."""
    service = PaymentService(work)
    refund = await service.refunds.find(refund_id)
    if refund is None:
        return False
    order = await service.payments.order(refund.order_id, lock=True)
    refund = await service.refunds.get(refund_id, lock=True)
    status = _ENDED.get(found.status, "pending")
    refund.provider_ref = found.id or refund.provider_ref
    # A refund that succeeded may still come back from the bank; one that failed stays so.
    if refund.status == "failed" or status == refund.status:
        await service.refunds.flush()
        return True
    if status != "pending":
        await _end(service, order, refund, status, found.error)
    return True


async def _end(
    service: PaymentService, order: OrderFacts, refund: PaymentRefund, status: str,
    error: str | None,
) -> None:  # fmt: skip
    refund.status, refund.settled_at = status, now()
    payment = await service.payments.get(refund.payment_id, lock=True)
    facts = service.facts(order, payment) | {"amount_cents": refund.amount_cents}
    if status == "done":
        refund.error = None
        service.work.publish(RefundDone(**facts, refund_id=refund.id))
    else:
        refund.error = error or "Stripe não devolveu o valor"
        failed = RefundFailed(**facts, refund_id=refund.id, error=refund.error)
        service.work.publish(failed)
    await service.refunds.flush()
    done = [
        r.amount_cents
        for r in await service.refunds.of_order(order.id)
        if r.payment_id == payment.id and r.status == "done"
    ]
    if payment.status in ("paid", "refunded"):
        payment.status = "refunded" if sum(done) >= payment.received_cents else "paid"
    await service.payments.touch(order.id)
    await service.payments.flush()


class RefundDesk:
    """What the staff do with a refund that waits for them."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.service = PaymentService(work)

    async def settled(self, refund_id: UUID) -> RefundRead:
        """Somebody gave the money back by hand. Raises RefundNotFound, RefundNotManual."""
        order, refund = await self._locked(refund_id)
        payment = await self.service.payments.get(refund.payment_id)
        if payment.method == PROVIDER or refund.status != "pending":
            raise RefundNotManual(method=payment.method, status_now=refund.status)
        await _end(self.service, order, refund, "done", None)
        return RefundRead.model_validate(refund)

    async def again(self, refund_id: UUID) -> RefundRead:
        """Try a failed refund once more. Raises RefundNotFound, RefundNotRetryable."""
        order, refund = await self._locked(refund_id)
        payment = await self.service.payments.get(refund.payment_id)
        [held] = await self.service.refunds.held([payment])
        if refund.status != "failed" or held.left_cents < refund.amount_cents:
            raise RefundNotRetryable(status_now=refund.status)
        refund.status, refund.error, refund.provider_ref = "pending", None, None
        refund.tries, refund.settled_at = refund.tries + 1, None
        await self.service.refunds.flush()
        self.work.enqueue(REFUND, {"refund_id": refund.id})
        self.work.record("payment_refund.retried", "payment_refund", refund.id, tries=refund.tries)
        await self.service.payments.touch(order.id)
        return RefundRead.model_validate(refund)

    async def _locked(self, refund_id: UUID) -> tuple[OrderFacts, PaymentRefund]:
        refund = await self.service.refunds.get(refund_id)
        order = await self.service.payments.order(refund.order_id, lock=True)
        return order, await self.service.refunds.get(refund_id, lock=True)
