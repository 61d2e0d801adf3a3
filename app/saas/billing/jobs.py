"""The billing side of the inbox: Stripe's notices, and the HMAC webhooks of other systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, SecretStr, ValidationError

from app.contracts.gateways.billing import BillingFailure, BillingGateway, RemoteInvoice
from app.contracts.saas import InvoicePaymentFailed, TrialEnding
from app.core.clock import now
from app.core.problems import Invalid
from app.kernel.inbox.problems import WebhookBodyInvalid, WebhookWrongMode
from app.kernel.inbox.rules import verify_timed
from app.kernel.inbox.service import Delivery, Verified
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.tenants.service import TenantService
from app.kernel.users.service import UserService
from app.kernel.work import Actor, Runtime, UnitOfWork, unit_of_work
from app.saas.billing.mirror import Look, Mirror, begin_look, show_notice
from app.saas.billing.schemas import IntakeNotice, StatusNotice
from app.saas.billing.service import RECONCILE, BillingService, tenant_of_customer
from app.saas.plans.service import PlanService

_LOOKS = ("checkout.session.", "customer.subscription.", "invoice.")
_NO_INVOICE = frozenset({"invoice.upcoming", "invoice.deleted"})
"""They name an invoice that cannot be fetched."""
_AGAIN_S = 30.0
__all__ = ["RECONCILE", "IntakeSource", "StatusSource", "StripeSource", "reconcile"]
Notice = TypeVar("Notice", bound=BaseModel)
Object = dict[str, Any]


async def reconcile(job: JobContext) -> None:
    """Look at the vendor though no notice said so. Raises RetryLater, UnknownPrice."""
    async with job.works() as work:
        billing, gateway = BillingService(work), work.port(BillingGateway)
    try:
        await billing.look(gateway)
    except BillingFailure as failure:
        if failure.retryable:
            raise RetryLater(_AGAIN_S) from failure
        raise


class StripeSource:
    """Satisfies ``Source``. The event is a reason to look; its content is not believed."""

    name = "stripe"
    max_bytes = 1_000_000

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Verified:
        """Raises WebhookNotConfigured, WebhookSignatureInvalid, WebhookBodyInvalid,
        WebhookWrongMode.
        """
        config = self._runtime.settings
        signature = headers.get("stripe-signature")
        verify_timed(signature, body, config.stripe_webhook_secret, now().timestamp())
        event = _json(body)
        match event:
            case {"id": str(id_), "type": str(type_), "livemode": bool(live), "data": dict()}:
                if live != config.stripe_is_live:
                    raise WebhookWrongMode()
                return Verified(id_, type_, {"stripe-signature": signature or ""})
        raise WebhookBodyInvalid()

    async def tenant_of(self, body: bytes) -> UUID | None:
        subject = _subject(_json(body))
        customer = _id(subject.get("customer"))
        found = await tenant_of_customer(self._runtime, customer) if customer else None
        return found or _named(subject)

    async def handle(self, delivery: Delivery) -> None:
        """Raises RetryLater while Stripe cannot be asked, AlreadyApplied, UnknownPrice."""
        if not delivery.type.startswith(_LOOKS):
            async with delivery.once():
                return
        subject = _subject(_json(delivery.body))
        actor = Actor("system", "webhook:stripe", None, str(delivery.message_id))
        async with unit_of_work(delivery.runtime, delivery.tenant, actor) as work:
            gateway = work.port(BillingGateway)
        customer = _id(subject.get("customer"))
        look = await begin_look(delivery.runtime, delivery.tenant, actor, customer)
        if look is None:
            async with delivery.once():
                return
        try:
            found = await gateway.subscriptions(look.customer_id)
            invoice = await _invoice(gateway, delivery.type, subject)
        except BillingFailure as failure:
            if failure.retryable:
                raise RetryLater(_AGAIN_S) from failure
            raise
        async with delivery.once(platform=True) as work:
            await Mirror(work).show(look, found)
            if invoice is not None and invoice.customer_id == look.customer_id:
                await _show_invoice(work, look, invoice, delivery.type)
            if delivery.type == "customer.subscription.trial_will_end":
                ends = await Mirror(work).trial_ends_at()
                work.publish(TrialEnding(tenant_id=delivery.tenant.id, trial_ends_at=ends))


class _SignedSource:
    """The part that the two HMAC webhooks share."""

    max_bytes = 64_000

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def _read(self, kind: type[Notice], headers: Mapping[str, str], body: bytes) -> Notice:
        keys: tuple[SecretStr, ...] = self._runtime.settings.billing_keys
        verify_timed(headers.get("x-signature"), body, keys, now().timestamp())
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            raise Invalid(
                errors=[
                    {"pointer": "/" + "/".join(map(str, e["loc"])), "detail": e["msg"]}
                    for e in error.errors(include_url=False, include_input=False)
                ]
            ) from error


class StatusSource(_SignedSource):
    """Satisfies ``Source``: another billing system tells a tenant's plan and standing."""

    name = "billing-status"

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Verified:
        """Raises WebhookNotConfigured, WebhookSignatureInvalid, Invalid."""
        notice = self._read(StatusNotice, headers, body)
        return Verified(notice.event_id, "billing.status")

    async def tenant_of(self, body: bytes) -> UUID | None:
        slug = StatusNotice.model_validate_json(body).tenant.lower()
        tenant = await self._runtime.tenants.find("slug", slug)
        return None if tenant is None else tenant.id

    async def handle(self, delivery: Delivery) -> None:
        """Raises PlanNotFound, AlreadyApplied."""
        notice = StatusNotice.model_validate_json(delivery.body)
        async with delivery.once(platform=True) as work:
            await show_notice(work, notice)


class IntakeSource(_SignedSource):
    """Satisfies ``Source``: a contract was sold outside; makes tenant and owner when new.

    A notice of the platform itself, so the platform's tenant processes it.
    """

    name = "billing-intake"

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Verified:
        """Raises WebhookNotConfigured, WebhookSignatureInvalid, Invalid."""
        notice = self._read(IntakeNotice, headers, body)
        return Verified(notice.event_id, "billing.intake")

    async def tenant_of(self, body: bytes) -> UUID | None:
        return await TenantService(self._runtime).platform_id()

    async def handle(self, delivery: Delivery) -> None:
        """Raises PlanNotFound, AlreadyApplied."""
        notice = IntakeNotice.model_validate_json(delivery.body)
        runtime = delivery.runtime
        async with unit_of_work(runtime, delivery.tenant, _INTAKE) as work:
            await PlanService(work).get(notice.plan_code)  # before a tenant is made for nothing
        tenant = await runtime.tenants.find("slug", notice.slug)
        if tenant is None:
            tenant = await TenantService(runtime).ensure(notice.slug, name=notice.name)
        async with unit_of_work(runtime, tenant, _INTAKE) as work:
            await UserService(work).ensure_first_owner(notice.owner.name, notice.owner.email)
        async with delivery.once(platform=True, tenant=tenant) as work:
            await show_notice(work, notice)


_INTAKE = Actor("system", "webhook:billing-intake")


async def _invoice(gateway: BillingGateway, type_: str, subject: Object) -> RemoteInvoice | None:
    wanted = _id(subject.get("id"))
    if not type_.startswith("invoice.") or type_ in _NO_INVOICE or wanted is None:
        return None
    return await gateway.invoice(wanted)


async def _show_invoice(work: UnitOfWork, look: Look, invoice: RemoteInvoice, type_: str) -> None:
    row = await Mirror(work).show_invoice(look, invoice)
    if type_ == "invoice.payment_failed":
        work.publish(
            InvoicePaymentFailed(
                invoice_id=row.id,
                number=row.number,
                due_cents=row.due_cents,
                currency=row.currency,
                attempts=row.attempts,
                next_attempt_at=row.next_attempt_at,
                hosted_url=row.hosted_url,
            )
        )


def _json(body: bytes) -> Object:
    try:
        found = orjson.loads(body)
    except ValueError as error:
        raise WebhookBodyInvalid() from error
    if not isinstance(found, dict):
        raise WebhookBodyInvalid()
    return found


def _subject(event: Object) -> Object:
    """What the event is about; nothing when it is of somebody else's connected account."""
    match event:
        case {"account": str()}:
            return {}
        case {"data": {"object": dict(found)}}:
            return found
    return {}


def _id(value: object) -> str | None:
    """An id, also of an expanded object."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None


def _named(subject: Object) -> UUID | None:
    """The tenant that we wrote into what we made; Stripe gives it back."""
    details = (subject.get("parent") or {}).get("subscription_details") or {}
    for named in (
        (subject.get("metadata") or {}).get("tenant_id"),
        subject.get("client_reference_id"),
        (details.get("metadata") or {}).get("tenant_id"),
    ):
        try:
            return UUID(str(named)) if named else None
        except ValueError:
            continue
    return None
