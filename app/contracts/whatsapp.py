"""What a tenant's WhatsApp account tells others: its numbers and templates have changed."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from app.contracts.events import Event


class NumberChanged(Event):
    """The vendor says something new of a number; ``what`` names the fields."""

    name: ClassVar[str] = "whatsapp.number_changed"
    resource: ClassVar[str] = "number"
    topic: ClassVar[str | None] = "numbers"
    number_id: UUID
    label: str
    what: list[str]
    quality: str
    status: str


class NumberInTrouble(Event):
    """The vendor warns, restricts or bans: somebody must act."""

    name: ClassVar[str] = "whatsapp.number_in_trouble"
    resource: ClassVar[str] = "number"
    topic: ClassVar[str | None] = "numbers"
    number_id: UUID
    label: str
    reason: str


class TemplateChanged(Event):
    """A template's status, quality or content is another than before."""

    name: ClassVar[str] = "whatsapp.template_changed"
    resource: ClassVar[str] = "template"
    topic: ClassVar[str | None] = "templates"
    template_id: UUID
    template_name: str
    language: str
    status: str
    quality: str
    reason: str | None


class TemplateRefused(Event):
    """A template can no longer be sent: rejected, paused or disabled."""

    name: ClassVar[str] = "whatsapp.template_refused"
    resource: ClassVar[str] = "template"
    topic: ClassVar[str | None] = "templates"
    template_id: UUID
    template_name: str
    language: str
    status: str
    reason: str | None
