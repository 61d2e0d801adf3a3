"""What the platform itself tells: facts about the machinery that a tenant set up."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from app.contracts.events import Event


class AgentStatusChanged(Event):
    """Somebody came, stepped away or left; told by themselves."""

    name: ClassVar[str] = "platform.agent_status_changed"
    resource: ClassVar[str] = "user"
    topic: ClassVar[str | None] = "team"
    user_id: UUID
    status: str


class ImpersonationStarted(Event):
    """Somebody of the platform works in a member's name until ``expires_at`` at the latest."""

    name: ClassVar[str] = "platform.impersonation_started"
    resource: ClassVar[str] = "impersonation"
    impersonation_id: UUID
    user_id: UUID
    user_email: str
    by: str
    reason: str
    expires_at: datetime


class ImpersonationEnded(Event):
    """``reason`` is ``logout``, ``platform`` or ``tenant``; ``expired``: its time was over."""

    name: ClassVar[str] = "platform.impersonation_ended"
    resource: ClassVar[str] = "impersonation"
    impersonation_id: UUID
    user_id: UUID
    by: str
    reason: str


class WebhookEndpointDisabled(Event):
    """Switched off by us, not by a person; ``reason`` is ``gone`` (410) or ``failing``."""

    name: ClassVar[str] = "platform.webhook_endpoint_disabled"
    resource: ClassVar[str] = "webhook_endpoint"
    webhook_endpoint_id: UUID
    url: str
    reason: str


class ConnectionExpired(Event):
    """A vendor ended a consent: what stands on the connection waits for a person."""

    name: ClassVar[str] = "platform.connection_expired"
    resource: ClassVar[str] = "connection"
    connection_id: UUID
    provider: str
    label: str


class JobHeld(Event):
    """A job of some tenant failed for good and waits for a person; told to the platform's own
    tenant, since whoever runs the platform looks after it."""

    name: ClassVar[str] = "platform.job_held"
    resource: ClassVar[str] = "job"
    number: int
    """The job's id in the queue of ``tenant_id``."""
    tenant_id: UUID | None
    entrypoint: str
    error: str
