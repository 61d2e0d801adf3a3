"""A tenant's WhatsApp numbers: connected, changed, rotated, switched off, handed to senders."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic import SecretStr

from app.contracts.carts import CartDesk
from app.contracts.gateways.whatsapp import WhatsAppAccount
from app.conversations.numbers import models
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.numbers.problems import (
    CartStoreUnknown,
    NoSecretToEnd,
    NumberNotFound,
    NumberUrlRefused,
    TokenNeeded,
)
from app.conversations.numbers.repository import NumberRepository
from app.conversations.numbers.rules import LOCKED_OUT
from app.conversations.numbers.schemas import NumberCreate, NumberUpdate
from app.core.clock import now
from app.core.crypto import Sealed, SecretUnreadable
from app.core.guard import UrlRefused
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.kernel.departments.service import DepartmentService
from app.kernel.tenancy import TOPIC as TENANTS
from app.kernel.usage.service import UsageService
from app.kernel.work import Work

LIMIT = "whatsapp_numbers"
_USUAL_PER_SECOND = 80
_COEXISTENT_PER_SECOND = 20
_PLAIN = ("api_version", "default_bot_id", "department_id", "base_url", "cart_store")


class NumberService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.numbers = NumberRepository(work.session)

    async def listed(self, page: PageRequest) -> Page[WhatsAppNumber]:
        """The tenant's numbers, newest first."""
        return await self.numbers.page(self.numbers.query(), page)

    async def get(self, number_id: UUID, *, lock: bool = False) -> WhatsAppNumber:
        """One number. Raises NumberNotFound."""
        return await self.numbers.get(number_id, lock=lock)

    async def find_by_phone_id(self, phone_number_id: str) -> WhatsAppNumber | None:
        """The number that a delivery names; None when it is not this tenant's."""
        return await self.numbers.by_phone_id(phone_number_id)

    async def create(self, body: NumberCreate) -> WhatsAppNumber:
        """Connect a number; its route is kept by the database in the same transaction.

        Raises NumberTaken (here or at another tenant), NumberUrlRefused, LimitReached,
        DepartmentNotFound.
        """
        self._check_url(body.base_url)
        if body.department_id is not None:
            await DepartmentService(self.work).get(body.department_id)
        row = WhatsAppNumber(
            id=new_id(),
            created_at=now(),
            name=body.name,
            waba_id=body.waba_id,
            phone_number_id=body.phone_number_id,
            display_phone=body.display_phone,
            base_url=body.base_url,
            api_version=body.api_version,
            quality="unknown",
            status="unknown",
            is_coexistent=body.is_coexistent,
            per_second=_COEXISTENT_PER_SECOND if body.is_coexistent else _USUAL_PER_SECOND,
            is_active=True,
            default_bot_id=body.default_bot_id,
            department_id=body.department_id,
        )
        row.token = self._sealed(models.TOKEN, row, body.access_token)
        row.app_secret = self._sealed(models.APP_SECRET, row, body.app_secret)
        row.verify_token = self._sealed(models.VERIFY_TOKEN, row, body.verify_token)
        await self.numbers.add(row)
        self.work.ring(TENANTS)
        await UsageService(self.work).take(LIMIT)
        self.work.record(
            "number.connected", "number", row.id, name=row.name, phone_number_id=row.phone_number_id
        )
        return row

    async def update(self, number_id: UUID, body: NumberUpdate) -> WhatsAppNumber:
        """Change a number; fields left out stay.

        Raises NumberNotFound, NumberUrlRefused, TokenNeeded, DepartmentNotFound, CartStoreUnknown.
        """
        row = await self.get(number_id, lock=True)
        await self._check_store(body.cart_store)
        given = body.model_fields_set
        if "base_url" in given and body.base_url != row.base_url:
            self._check_url(body.base_url)
            # Whoever may write a number could otherwise read its token at an address of their own.
            if body.access_token is None:
                raise TokenNeeded()
        if body.department_id is not None:
            await DepartmentService(self.work).get(body.department_id)
        for name in given.intersection(_PLAIN):
            setattr(row, name, getattr(body, name))
        row.display_phone = body.display_phone or row.display_phone
        row.name = body.name or row.name
        self._switch(row, body)
        if body.access_token is not None:
            row.token = self._sealed(models.TOKEN, row, body.access_token)
            row.check_error = None
            if (row.campaigns_stopped_why or "").startswith(LOCKED_OUT):
                row.campaigns_stopped_at = row.campaigns_stopped_why = None
        if body.verify_token is not None:
            row.verify_token = self._sealed(models.VERIFY_TOKEN, row, body.verify_token)
        await self.numbers.flush()
        self.work.record("number.updated", "number", row.id, changed=sorted(given))
        return row

    async def _check_store(self, slug: str | None) -> None:
        if slug and not await self.work.port(CartDesk).sells(slug):
            raise CartStoreUnknown()

    async def rotate(self, number_id: UUID, app_secret: SecretStr) -> WhatsAppNumber:
        """Take a new app secret; what the old one signs is accepted until ``end_rotation``.

        Raises NumberNotFound.
        """
        row = await self.get(number_id, lock=True)
        try:
            current = self._opened(models.APP_SECRET, row, row.app_secret)
        except SecretUnreadable:
            current = None  # its key is gone: a new secret is what mends that
        if current != app_secret.get_secret_value():
            if current is not None:
                row.app_secret_previous = self._sealed(
                    models.APP_SECRET_PREVIOUS, row, SecretStr(current)
                )
            row.app_secret = self._sealed(models.APP_SECRET, row, app_secret)
            self.work.record("number.secret_rotated", "number", row.id)
        return row

    async def end_rotation(self, number_id: UUID) -> WhatsAppNumber:
        """Forget the previous app secret. Raises NumberNotFound, NoSecretToEnd."""
        row = await self.get(number_id, lock=True)
        if row.app_secret_previous is None:
            raise NoSecretToEnd()
        row.app_secret_previous = None
        self.work.record("number.secret_rotation_ended", "number", row.id)
        return row

    async def delete(self, number_id: UUID) -> None:
        """Disconnect a number that never had a conversation. Raises NumberNotFound, NumberInUse."""
        row = await self.get(number_id, lock=True)
        await self.numbers.delete(row)
        self.work.ring(TENANTS)
        await UsageService(self.work).give_back(LIMIT)
        self.work.record("number.disconnected", "number", number_id, name=row.name)

    async def resume_campaigns(self, number_id: UUID) -> WhatsAppNumber:
        """Let campaigns use a number again that the vendor had warned of. Raises NumberNotFound."""
        row = await self.get(number_id, lock=True)
        row.campaigns_stopped_at = row.campaigns_stopped_why = None
        self.work.record("number.campaigns_resumed", "number", row.id)
        return row

    def account(self, row: WhatsAppNumber) -> WhatsAppAccount:
        """What the gateway needs to act as this number. Raises core.crypto.SecretUnreadable."""
        return WhatsAppAccount(
            token=self._opened(models.TOKEN, row, row.token),
            phone_number_id=row.phone_number_id,
            waba_id=row.waba_id,
            base_url=row.base_url or "",
            version=row.api_version or "",
        )

    async def account_of_waba(self, waba_id: str) -> WhatsAppAccount:
        """Any active number of the account, for what is the account's. Raises NumberNotFound."""
        rows = [row for row in await self.numbers.of_waba(waba_id) if row.is_active]
        if not rows:
            raise NumberNotFound()
        return self.account(rows[0])

    async def wabas(self) -> Sequence[str]:
        """The accounts of the active numbers."""
        return await self.numbers.wabas()

    def app_secrets(self, row: WhatsAppNumber) -> tuple[str, ...]:
        """The secrets that may have signed a delivery: today's, and while rotating the last."""
        found = [self._opened(models.APP_SECRET, row, row.app_secret)]
        if row.app_secret_previous is not None:
            previous = row.app_secret_previous
            found.append(self._opened(models.APP_SECRET_PREVIOUS, row, previous))
        return tuple(found)

    def verify_token(self, row: WhatsAppNumber) -> str:
        """What the vendor must show when it subscribes."""
        return self._opened(models.VERIFY_TOKEN, row, row.verify_token)

    def _switch(self, row: WhatsAppNumber, body: NumberUpdate) -> None:
        if body.is_active is not None:
            row.is_active = body.is_active
        if body.is_coexistent is not None and body.is_coexistent != row.is_coexistent:
            row.is_coexistent = body.is_coexistent
            row.per_second = _COEXISTENT_PER_SECOND if body.is_coexistent else _USUAL_PER_SECOND

    def _check_url(self, url: str | None) -> None:
        if url is None:
            return
        try:
            self.work.runtime.guard.check(url)
        except UrlRefused as refused:
            raise NumberUrlRefused(str(refused)) from None

    def _sealed(self, column: Sealed, row: WhatsAppNumber, plain: SecretStr) -> str:
        context = self._contexts(column, row)[0]
        return self.work.runtime.vault.encrypt(plain.get_secret_value(), context)

    def _opened(self, column: Sealed, row: WhatsAppNumber, envelope: str) -> str:
        return self.work.runtime.vault.decrypt(envelope, *self._contexts(column, row))

    def _contexts(self, column: Sealed, row: WhatsAppNumber) -> tuple[str, ...]:
        return column.bound_to({"tenant_id": self.work.tenant.id, "id": row.id})
