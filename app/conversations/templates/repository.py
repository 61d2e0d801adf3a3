"""Queries over message templates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import and_, or_, update

from app.conversations.templates.models import MessageTemplate
from app.conversations.templates.problems import TemplateExists, TemplateNotFound
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository


class TemplateRepository(Repository[MessageTemplate]):
    model = MessageTemplate
    missing = TemplateNotFound
    conflicts: ClassVar = {"message_templates_tenant_id_waba_id_name_language_key": TemplateExists}

    async def listed(
        self, page: PageRequest, filters: dict[str, str | None], *, deleted: bool
    ) -> Page[MessageTemplate]:
        statement = self.query()
        for name, value in filters.items():
            if value is not None:
                statement = statement.where(getattr(MessageTemplate, name) == value)
        if not deleted:
            statement = statement.where(MessageTemplate.deleted_at.is_(None))
        return await self.page(statement, page)

    async def named(
        self, waba_id: str, name: str, language: str, *, lock: bool = False
    ) -> MessageTemplate | None:
        statement = self.query().where(
            MessageTemplate.waba_id == waba_id,
            MessageTemplate.name == name,
            MessageTemplate.language == language,
        )
        return await self.one_or_none(statement.with_for_update() if lock else statement)

    async def told_of(
        self, waba_id: str, vendor_id: str, name: str, language: str
    ) -> MessageTemplate | None:
        """The template that a notice names, by the vendor's id or by name and language."""
        named = and_(MessageTemplate.name == name, MessageTemplate.language == language)
        rows = await self.all(
            self.query()
            .where(
                MessageTemplate.waba_id == waba_id,
                or_(MessageTemplate.vendor_id == vendor_id, named),
            )
            .with_for_update()
        )
        return next((row for row in rows if row.vendor_id == vendor_id), rows[0] if rows else None)

    async def of_names(self, waba_id: str, names: Sequence[str]) -> Sequence[MessageTemplate]:
        return await self.all(
            self.query()
            .where(MessageTemplate.waba_id == waba_id, MessageTemplate.name.in_(names))
            .order_by(MessageTemplate.id)
            .with_for_update()
        )

    async def approved(self, waba_id: str, most: int) -> Sequence[MessageTemplate]:
        return await self.all(
            self.query()
            .where(
                MessageTemplate.waba_id == waba_id,
                MessageTemplate.status == "approved",
                MessageTemplate.deleted_at.is_(None),
            )
            .order_by(MessageTemplate.name, MessageTemplate.language)
            .limit(most)
        )

    async def gone(self, waba_id: str, before: datetime, at: datetime) -> None:
        """Mark what a whole look at the account, begun at ``before``, has not met."""
        await self.session.execute(
            update(MessageTemplate)
            .where(
                MessageTemplate.waba_id == waba_id,
                MessageTemplate.deleted_at.is_(None),
                MessageTemplate.created_at < before,
                or_(MessageTemplate.synced_at.is_(None), MessageTemplate.synced_at < before),
            )
            .values(deleted_at=at, status="deleted")
        )
