"""A tenant's message templates: kept in step with the vendor, previewed, checked before a send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.contracts.gateways.whatsapp import Component, RemoteTemplate, Template
from app.contracts.whatsapp import TemplateChanged, TemplateRefused
from app.conversations.numbers.service import NumberService
from app.conversations.templates import rules
from app.conversations.templates.models import CATEGORIES, FORMATS, MessageTemplate
from app.conversations.templates.problems import (
    TemplateNotApproved,
    TemplateNotFound,
    TemplateParametersInvalid,
)
from app.conversations.templates.repository import TemplateRepository
from app.conversations.templates.schemas import PreviewRead, SyncStarted
from app.core.clock import now
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.kernel.work import Work

SYNC = "conversations.templates.sync"
APPROVED = "approved"
SUBMITTING = "submitting"
"""Handed in, and the vendor has not confirmed it."""
_BLOCKED = ("rejected", "paused", "disabled")
_STATUS = {"flagged": APPROVED, "reinstated": APPROVED, "pending_deletion": "deleted"}
_MOST_OFFERED = 50


class TemplateService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.templates = TemplateRepository(work.session)

    async def listed(
        self, page: PageRequest, *, deleted: bool = False, **filters: str | None
    ) -> Page[MessageTemplate]:
        """Templates, newest first; ``filters`` are columns and the values they must have."""
        return await self.templates.listed(page, filters, deleted=deleted)

    async def get(self, template_id: UUID, *, lock: bool = False) -> MessageTemplate:
        """One template, also one that is gone at the vendor. Raises TemplateNotFound."""
        return await self.templates.get(template_id, lock=lock)

    async def template_for_sending(self, waba_id: str, wanted: Template) -> MessageTemplate:
        """The approved template of that name and language, whose values were checked.

        Raises TemplateNotFound, TemplateNotApproved, TemplateParametersInvalid.
        """
        row = await self.templates.named(waba_id, wanted.name, wanted.language.code)
        if row is None or row.deleted_at is not None:
            raise TemplateNotFound()
        if row.status != APPROVED:
            raise TemplateNotApproved(template_status=row.status)
        found = self.faults(row, wanted.components or [])
        if found:
            raise TemplateParametersInvalid(errors=found)
        return row

    async def sendable(self, waba_id: str) -> Sequence[MessageTemplate]:
        """What may be sent outside a person's window, by name; at most fifty."""
        return await self.templates.approved(waba_id, _MOST_OFFERED)

    def faults(self, row: MessageTemplate, given: Sequence[Component]) -> list[dict[str, str]]:
        """What keeps these values from being sent with this template."""
        return rules.faults(row.components, given, row.parameter_format == "named")

    async def preview(self, template_id: UUID, given: Sequence[Component]) -> PreviewRead:
        """The template as a person would read it. Raises TemplateNotFound."""
        row = await self.get(template_id)
        named = row.parameter_format == "named"
        values = {c.type: c.parameters or [] for c in given}
        header, footer = (rules.part(row.components, kind) for kind in ("HEADER", "FOOTER"))
        form = str(header.get("format", "TEXT")).lower()
        title = (
            form if form in rules.MEDIA else rules.filled(header, values.get("header", []), named)
        )
        cards = rules.parts_of(rules.part(row.components, "CAROUSEL"), "cards")
        found = self.faults(row, given)
        return PreviewRead(
            header=title if header else None,
            body=rules.filled(rules.part(row.components, "BODY"), values.get("body", []), named),
            footer=str(footer.get("text", "")) if footer else None,
            buttons=[str(b.get("text", "")) for b in rules.buttons(row.components)],
            cards=[
                rules.filled(rules.part(rules.parts_of(card, "components"), "BODY"), [], named)
                for card in cards
            ],
            is_sendable=not found and row.status == APPROVED and row.deleted_at is None,
            errors=found,
        )

    async def queue_sync(self) -> SyncStarted:
        """Read all accounts' templates anew, in the background."""
        wabas = await NumberService(self.work).wabas()
        for waba_id in wabas:
            self.work.enqueue(SYNC, {"waba_id": waba_id})
        return SyncStarted(queued=len(wabas))

    async def keep(self, waba_id: str, page: Sequence[RemoteTemplate], at: datetime) -> None:
        """Write a page of what the vendor has; ``at`` is when the look began."""
        rows = await self.templates.of_names(waba_id, sorted({t.name for t in page}))
        known = {(row.name, row.language): row for row in rows}
        for remote in page:
            row = known.get((remote.name, remote.language))
            if row is None:
                row = MessageTemplate(
                    id=new_id(), waba_id=waba_id, name=remote.name, language=remote.language,
                    category="utility", status="", quality="unknown", components=[],
                )  # fmt: skip
                self.templates.session.add(row)
            self._follow(row, remote, at)
        await self.templates.flush()

    async def finish_look(self, waba_id: str, began: datetime) -> None:
        """Mark what the vendor no longer has; rows stay for what refers to them."""
        await self.templates.gone(waba_id, began, now())

    async def apply(self, waba_id: str, field: str, value: Mapping[str, Any]) -> bool:
        """Apply one change of an account webhook; False: the field is none of ours."""
        known = {
            "message_template_status_update": self.apply_status,
            "message_template_quality_update": self.apply_quality,
            "message_template_components_update": self.apply_components,
            "template_category_update": self.apply_category,
        }
        if field not in known:
            return False
        await known[field](waba_id, value)
        return True

    async def apply_status(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``message_template_status_update``; one of a template we do not know asks for a sync."""
        row = await self._told_of(waba_id, value)
        if row is None:
            return
        event = str(value.get("event", "")).lower()
        reason = str(value.get("reason") or "NONE")
        status = _STATUS.get(event, event) or row.status
        if status == "deleted":
            row.deleted_at = row.deleted_at or now()
        self._set(row, status, row.quality, None if reason.upper() == "NONE" else reason)

    async def stopped(self, waba_id: str, name: str, language: str, status: str, why: str) -> None:
        """A send said so before its notice came: not to be sent again until the vendor says."""
        row = await self.templates.named(waba_id, name, language, lock=True)
        if row is not None and row.status == APPROVED:
            self._set(row, status, row.quality, why)

    async def apply_quality(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``message_template_quality_update``."""
        row = await self._told_of(waba_id, value)
        if row is not None:
            quality = str(value.get("new_quality_score") or "unknown").lower()
            self._set(row, row.status, quality, row.reason)

    async def apply_category(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``template_category_update``."""
        row = await self._told_of(waba_id, value)
        category = str(value.get("new_category") or "").lower()
        if row is not None and category in CATEGORIES and row.category != category:
            row.category = category
            self._publish(row)

    async def apply_components(self, waba_id: str, value: Mapping[str, Any]) -> None:
        """``message_template_components_update``: it tells a part only, so all is read anew."""
        self.work.enqueue(SYNC, {"waba_id": waba_id})

    async def _told_of(self, waba_id: str, value: Mapping[str, Any]) -> MessageTemplate | None:
        row = await self.templates.told_of(
            waba_id,
            str(value.get("message_template_id", "")),
            str(value.get("message_template_name", "")),
            str(value.get("message_template_language", "")),
        )
        if row is None:
            self.work.enqueue(SYNC, {"waba_id": waba_id})
        elif row.vendor_id is None and value.get("message_template_id"):
            row.vendor_id = str(value["message_template_id"])
        return row

    def _follow(self, row: MessageTemplate, remote: RemoteTemplate, at: datetime) -> None:
        row.vendor_id = remote.id
        if remote.category in CATEGORIES:
            row.category = remote.category
        row.parameter_format = (
            remote.parameter_format if remote.parameter_format in FORMATS else "positional"
        )
        row.components = [dict(component) for component in remote.components]
        row.synced_at, row.deleted_at = at, None
        self._set(row, remote.status, remote.quality, remote.reason)

    def _set(self, row: MessageTemplate, status: str, quality: str, reason: str | None) -> None:
        before = (row.status, row.quality)
        row.status, row.quality, row.reason = status, quality, reason
        if (status, quality) == before:
            return
        self._publish(row)
        if status in _BLOCKED and status != before[0]:
            self.work.publish(
                TemplateRefused(
                    template_id=row.id, template_name=row.name, language=row.language,
                    status=status, reason=reason,
                )
            )  # fmt: skip

    def _publish(self, row: MessageTemplate) -> None:
        self.work.publish(
            TemplateChanged(
                template_id=row.id, template_name=row.name, language=row.language,
                status=row.status, quality=row.quality, reason=row.reason,
            )
        )  # fmt: skip
