"""Wire models of the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import Field, JsonValue

from app.core.schema import Output


class AuditRead(Output):
    id: UUID
    created_at: datetime
    actor_kind: str = Field(description="user, api_key, public, job, system or platform.")
    actor_id: UUID | None
    actor_name: str
    impersonator_id: UUID | None = Field(
        description="Who of the platform acted in the user's name."
    )
    impersonator_name: str | None
    action: str
    resource: str
    resource_id: UUID | None
    facts: dict[str, JsonValue]
    request_id: str | None
    ip: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; None matches everything."""

    action: str | None = None
    resource: str | None = None
    resource_id: UUID | None = None
    actor_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    resources: tuple[str, ...] | None = None
    """Any of these."""
