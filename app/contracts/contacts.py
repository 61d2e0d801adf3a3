"""What is told of the people a tenant deals with, and what other domains know about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol
from uuid import UUID

from app.contracts.events import Event


class ContactsMerged(Event):
    """Two contacts turned out to be one; what other domains keep of the merged one follows."""

    name: ClassVar[str] = "contacts.merged"
    resource: ClassVar[str] = "contact"
    topic: ClassVar[str | None] = "contacts"
    contact_id: UUID
    """Who stays."""
    merged_id: UUID
    reason: str


class ContactsUnmerged(Event):
    name: ClassVar[str] = "contacts.unmerged"
    resource: ClassVar[str] = "contact"
    topic: ClassVar[str | None] = "contacts"
    contact_id: UUID
    merged_id: UUID


class ContactBlockChanged(Event):
    """The tenant wants nothing more of a contact, or lets them back in."""

    name: ClassVar[str] = "contacts.block_changed"
    resource: ClassVar[str] = "contact"
    topic: ClassVar[str | None] = "contacts"
    contact_id: UUID
    is_blocked: bool


class ConsentChanged(Event):
    """A contact agreed to hear of something on a channel, or asked to be left alone."""

    name: ClassVar[str] = "contacts.consent_changed"
    resource: ClassVar[str] = "contact"
    topic: ClassVar[str | None] = "contacts"
    contact_id: UUID
    channel: str
    category: str
    is_opt_in: bool
    source: str


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened between the tenant and a contact."""

    at: datetime
    id: UUID
    kind: str
    """``order.placed``, ``note``, ``consent``, ``message.in``..."""
    text: str
    """One line for people, in Portuguese."""
    resource: str
    resource_id: UUID
    grant: str | None = None
    """The ``module.action`` without which nobody is shown it; None: whoever sees the contact."""


class TimelineSource(Protocol):
    """Answered by every domain that meets contacts, bound under its own name."""

    async def entries(
        self, contact_ids: Sequence[UUID], before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[TimelineEntry]:
        """The newest ``limit`` before this (instant, id), newest first, of one person's ids."""
        ...
