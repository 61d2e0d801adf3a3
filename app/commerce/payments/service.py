"""What happens to an order's money; each public method is one use case.

Whoever changes a payment holds its order's row: cancelling, paying and expiring meet there, and
exactly one of them is first.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from app.commerce.payments.models import Payment, PaymentRefund
from app.commerce.payments.pix import (
    CITY_LENGTH,
    NAME_LENGTH,
    InvalidPixKey,
    PixCode,
    br_code,
    folded,
    normalised_key,
)
from app.commerce.payments.problems import (
    NothingToRefund,
    PaymentChanged,
    PaymentNotFound,
    PaymentNotOpen,
    PaymentNotPix,
    PixKeyInvalid,
    PixNotConfigured,
    ProviderConfirms,
)
from app.commerce.payments.repository import (
    OrderFacts,
    PaymentRepository,
    RefundRepository,
    SettingsRepository,
)
from app.commerce.payments.rules import (
    AWAITED,
    OPEN,
    PROVIDER,
    Balance,
    balance,
    expires_at,
    settle,
    spread,
    txid,
)
from app.commerce.payments.schemas import (
    OrderMoneyRead,
    OrderPaymentRead,
    PaymentPage,
    PaymentSettingsPut,
    PaymentSettingsRead,
    PixRead,
    RefundCreate,
    RefundRead,
)
from app.contracts.commerce import PaymentFlagged, PaymentPaid, RefundDue
from app.core.clock import now
from app.core.crypto import SignatureInvalid
from app.core.ids import new_id
from app.core.lazy import lazy
from app.kernel.work import Work

if TYPE_CHECKING:
    import segno
else:
    segno = lazy("segno")  # 90 ms that only a code needs

REFUND = "commerce.payments.refund"
CLOSE_INTENT = "commerce.payments.close_intent"
_BASE = "/api/v1/orders"


class PaymentService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.payments = PaymentRepository(work.session)
        self.refunds = RefundRepository(work.session)
        self.settings = SettingsRepository(work.session)

    async def configured(self) -> PaymentSettingsRead:
        """How the tenant is paid."""
        row = await self.settings.current()
        if row is None:
            nothing = dict.fromkeys(PaymentSettingsRead.model_fields)
            return PaymentSettingsRead.model_validate(nothing)
        return PaymentSettingsRead.model_validate(row)

    async def configure(self, body: PaymentSettingsPut) -> PaymentSettingsRead:
        """Replace the settings. Raises PixKeyInvalid."""
        key = _pix_key(body)
        row = await self.settings.locked()
        before = PaymentSettingsRead.model_validate(row).model_dump(mode="json")
        row.pix_key, row.pix_key_type = key, body.pix_key_type if key else None
        row.merchant_name = folded(body.merchant_name or "", NAME_LENGTH) or None
        row.merchant_city = folded(body.merchant_city or "", CITY_LENGTH) or None
        row.unpaid_minutes = body.unpaid_minutes
        await self.settings.flush()
        after = PaymentSettingsRead.model_validate(row)
        self.work.record(
            "payment_settings.put", "payment_settings", row.id,
            before=before, after=after.model_dump(mode="json"),
        )  # fmt: skip
        return after

    async def page(self, order_id: UUID, token: str) -> PaymentPage:
        """What the holder of the tracking token may see and pay. Raises PaymentNotFound."""
        self.require_token(order_id, token)
        found = await self.shown(order_id)
        if found is None:
            raise PaymentNotFound()
        return found

    async def is_overdue(self, order_id: UUID) -> bool:
        """Whether this order was to be paid by now, and nothing came in; ask under its lock."""
        return bool(await self.payments.unpaid(order_id))

    async def overdue(self, after: UUID) -> list[UUID]:
        """Pending orders beyond ``after`` whose time to be paid is over, by id; at most 100."""
        return await self.payments.unpaid(after=after)

    async def shown(self, order_id: UUID) -> PaymentPage | None:
        """The payment that is to be paid, else the last one; None: the order has none."""
        order = await self.payments.order(order_id)
        payment = current(await self.payments.of_order(order_id))
        if payment is None:
            return None
        settings = await self.configured()
        is_open = payment.status in OPEN and not order.is_closed and payment.amount_cents > 0
        waits = is_open and order.status == "pending" and payment.method in AWAITED
        code = _pix(payment, order, settings) if is_open and payment.method == "pix" else None
        return PaymentPage(
            id=payment.id,
            order_id=order.id,
            method=payment.method,
            status=payment.status,
            amount_cents=payment.amount_cents,
            received_cents=payment.received_cents,
            currency=order.currency,
            is_open=is_open,
            expires_at=expires_at(payment.created_at, settings.unpaid_minutes) if waits else None,
            pix=code,
        )

    async def qr(self, order_id: UUID, token: str, kind: str) -> bytes:
        """The PIX code as an image. Raises PaymentNotFound, PaymentNotPix, PixNotConfigured."""
        page = await self.page(order_id, token)
        if page.method != "pix" or not page.is_open:
            raise PaymentNotPix(method=page.method, status_now=page.status)
        if page.pix is None:
            raise PixNotConfigured()
        return await asyncio.to_thread(qr_image, page.pix.copy_paste, kind)

    async def money(self, order_id: UUID) -> OrderMoneyRead:
        """All payments and refunds of an order. Raises PaymentNotFound."""
        order = await self.payments.order(order_id)
        payments = await self.payments.of_order(order_id)
        owed = balance(
            0 if order.is_closed else order.total_cents, await self.refunds.held(payments)
        )
        return OrderMoneyRead(
            order_id=order.id,
            version=order.version,
            total_cents=order.total_cents,
            due_cents=owed.due_cents,
            excess_cents=owed.excess_cents,
            currency=order.currency,
            payments=[OrderPaymentRead.model_validate(p) for p in payments],
            refunds=[RefundRead.model_validate(r) for r in await self.refunds.of_order(order_id)],
        )

    async def mark_received(
        self, order_id: UUID, payment_id: UUID, received_cents: int, version: int | None
    ) -> OrderMoneyRead:
        """Somebody of the shop saw money come in; less or more than asked is flagged.

        Raises PaymentNotFound, PaymentChanged, ProviderConfirms, PaymentNotOpen.
        """
        order = await self.payments.order(order_id, lock=True)
        payment = _named(payment_id, await self.payments.of_order(order_id))
        if version is not None and version != order.version:
            raise PaymentChanged(version=order.version, status_now=order.status)
        if payment.method == PROVIDER:
            raise ProviderConfirms()
        if payment.status not in OPEN | {"cancelled"}:
            raise PaymentNotOpen(method=payment.method, status_now=payment.status)
        await self.receive(order, payment, payment.received_cents + received_cents)
        await self.payments.touch(order_id)
        return await self.money(order_id)

    async def receive(
        self, order: OrderFacts, payment: Payment, total_cents: int, currency: str | None = None
    ) -> None:
        """Note that ``total_cents`` came in for a payment in all; under the order's lock.

        What comes after the order was cancelled is flagged and goes back by itself.
        """
        if total_cents <= payment.received_cents and payment.status not in OPEN:
            return  # heard before
        same = currency is None or currency == order.currency
        found = settle(
            payment.amount_cents, total_cents, is_closed=order.is_closed, same_currency=same
        )
        fresh = total_cents - payment.received_cents
        payment.flag, payment.error = found.flag, None
        if same:
            payment.received_cents = total_cents
        if found.status == "paid":
            payment.status, payment.paid_at = "paid", payment.paid_at or now()
        await self.payments.flush()
        facts = self.facts(order, payment)
        if found.flag is not None:
            self.work.publish(PaymentFlagged(**facts, received_cents=total_cents, flag=found.flag))
        if found.status == "paid" and not order.is_closed:
            self.work.publish(PaymentPaid(**facts, received_cents=total_cents))
        if order.is_closed and same and fresh > 0:
            await self.give_back(order, payment, fresh, "pago depois do cancelamento")

    async def refund(
        self, order_id: UUID, payment_id: UUID, body: RefundCreate, version: int | None
    ) -> OrderMoneyRead:
        """Give part or all of a payment back.

        Raises PaymentNotFound, PaymentChanged, NothingToRefund.
        """
        order = await self.payments.order(order_id, lock=True)
        payment = _named(payment_id, await self.payments.of_order(order_id))
        if version is not None and version != order.version:
            raise PaymentChanged(version=order.version, status_now=order.status)
        [held] = await self.refunds.held([payment])
        cents = held.left_cents if body.amount_cents is None else body.amount_cents
        if not 0 < cents <= held.left_cents:
            raise NothingToRefund(refundable_cents=held.left_cents)
        await self.give_back(order, payment, cents, body.reason)
        await self.payments.touch(order_id)
        return await self.money(order_id)

    async def order_closed(self, order_id: UUID, reason: str) -> None:
        """The order was cancelled or rejected in this Work: nothing is paid, all goes back."""
        order = await self.payments.order(order_id, lock=True)
        payments = await self.payments.of_order(order_id)
        for payment, held in zip(payments, await self.refunds.held(payments), strict=True):
            if payment.status in OPEN:
                payment.status = "cancelled"
                if payment.provider_ref is not None:
                    self.work.enqueue(CLOSE_INTENT, {"payment_id": payment.id})
            if held.left_cents and payment.flag != "currency":
                await self.give_back(order, payment, held.left_cents, reason)
        await self.payments.flush()

    async def total_changed(self, order_id: UUID, total_cents: int, reason: str) -> Balance:
        """An order in this Work now costs ``total_cents``: ask for the rest, or give it back.

        An open payment takes the difference; without one a new one of the same method is made.
        """
        order = await self.payments.order(order_id, lock=True)
        payments = await self.payments.of_order(order_id)
        held = await self.refunds.held(payments)
        owed = balance(total_cents, held)
        waiting = [p for p in payments if p.status in OPEN]
        if owed.excess_cents:
            by_id = {p.id: p for p in payments}
            for payment_id, cents in spread(owed.excess_cents, held):
                await self.give_back(order, by_id[payment_id], cents, reason)
        for payment in waiting[1:]:
            payment.status = "cancelled"
        if waiting:
            self._ask(waiting[0], owed.due_cents)
        elif owed.due_cents and payments:
            await self.payments.add(
                Payment(
                    id=new_id(), order_id=order_id, method=payments[-1].method,
                    amount_cents=owed.due_cents, created_at=now(), status="pending",
                    received_cents=0,
                )
            )  # fmt: skip
        await self.payments.flush()
        return owed

    async def give_back(
        self, order: OrderFacts, payment: Payment, cents: int, reason: str
    ) -> PaymentRefund:
        """Start a refund: a vendor's job does it, or a person is asked to."""
        row = await self.refunds.add(
            PaymentRefund(
                id=new_id(), payment_id=payment.id, order_id=order.id, amount_cents=cents,
                reason=reason, actor_name=self.work.actor.name, status="pending", tries=1,
                created_at=now(),
            )
        )  # fmt: skip
        if payment.method == PROVIDER:
            self.work.enqueue(REFUND, {"refund_id": row.id})
            self.work.record(
                "payment_refund.started", "payment_refund", row.id, order_id=str(order.id),
                amount_cents=cents, reason=reason,
            )  # fmt: skip
        else:
            facts = self.facts(order, payment) | {"amount_cents": cents}
            self.work.publish(RefundDue(**facts, refund_id=row.id))
        return row

    def facts(self, order: OrderFacts, payment: Payment) -> dict[str, Any]:
        """What every event of a payment says."""
        return {
            "payment_id": payment.id,
            "order_id": order.id,
            "number": order.number,
            "method": payment.method,
            "amount_cents": payment.amount_cents,
        }

    def require_token(self, order_id: UUID, token: str) -> None:
        """Raises PaymentNotFound unless the tracking token opens this order."""
        try:
            self.work.runtime.tracking.check(order_id.bytes, token)
        except SignatureInvalid:
            raise PaymentNotFound() from None

    def _ask(self, payment: Payment, due_cents: int) -> None:
        if due_cents:
            payment.amount_cents = payment.received_cents + due_cents
            return
        # The rest is covered: by what it received itself, or by the others.
        payment.amount_cents, payment.flag = payment.received_cents, None
        payment.status = "paid" if payment.received_cents else "cancelled"
        payment.paid_at = now() if payment.received_cents else None


def current(payments: Sequence[Payment]) -> Payment | None:
    """Of an order's payments the one to be paid, else the last."""
    waiting = [p for p in payments if p.status in OPEN]
    return next(iter(waiting or payments[-1:]), None)


def qr_image(code: str, kind: str) -> bytes:
    """A QR code as ``svg`` or ``png``; slow at its first call, so call it off the event loop."""
    out = io.BytesIO()
    found = segno.make_qr(code, error="m")
    if kind == "svg":
        found.save(out, kind="svg", scale=6, border=4, xmldecl=False)
    else:
        found.save(out, kind="png", scale=8, border=4)
    return out.getvalue()


def _named(payment_id: UUID, payments: Sequence[Payment]) -> Payment:
    for payment in payments:
        if payment.id == payment_id:
            return payment
    raise PaymentNotFound()


def _pix(payment: Payment, order: OrderFacts, settings: PaymentSettingsRead) -> PixRead | None:
    if settings.pix_key is None or order.currency != "BRL":
        return None
    cents, reference = payment.amount_cents - payment.received_cents, txid(order.number, payment.id)
    code = PixCode(
        settings.pix_key, settings.merchant_name or "", settings.merchant_city or "",
        cents, reference,
    )  # fmt: skip
    path = f"{_BASE}/{order.id}/payment/qr"
    return PixRead(
        copy_paste=br_code(code), txid=reference, amount_cents=cents,
        svg_path=f"{path}-svg", png_path=f"{path}-png",
    )  # fmt: skip


def _pix_key(body: PaymentSettingsPut) -> str | None:
    if body.pix_key is None:
        return None
    errors = [
        {"pointer": f"/body/{name}", "detail": "Needed with a PIX key, with letters that remain."}
        for name, length in (("merchant_name", NAME_LENGTH), ("merchant_city", CITY_LENGTH))
        if not folded(getattr(body, name) or "", length)
    ]
    key = None
    try:
        if body.pix_key_type is None:
            errors.append({"pointer": "/body/pix_key_type", "detail": "Needed with a PIX key."})
        else:
            key = normalised_key(body.pix_key_type, body.pix_key)
    except InvalidPixKey as error:
        errors.append({"pointer": "/body/pix_key", "detail": str(error)})
    if errors:
        raise PixKeyInvalid(errors=errors)
    return key
