"""The audit trail: who did what to which thing; append-only, in the transaction of the change."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped

from app.core.model import Json, TenantModel


class AuditEntry(TenantModel):
    __tablename__ = "audit_entries"
    __goes_by_trigger__ = True
    # Partial: the entry of an order that a customer places pays for the first alone.
    __table_args__ = (
        Index("audit_entries_tenant_id_resource_id_idx", "tenant_id", "resource_id"),
        Index(
            "audit_entries_tenant_id_actor_id_idx",
            "tenant_id",
            "actor_id",
            "id",
            postgresql_where=text("actor_id IS NOT NULL"),
        ),
        Index(
            "audit_entries_tenant_id_action_idx",
            "tenant_id",
            "action",
            "id",
            postgresql_where=text("action <> 'commerce.order_placed'"),
        ),
        Index(
            "audit_entries_tenant_id_resource_idx",
            "tenant_id",
            "resource",
            "id",
            postgresql_where=text("resource <> 'order'"),
        ),
    )

    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str]
    impersonator_id: Mapped[UUID | None]
    """Who of the platform acted in the user's name."""
    impersonator_name: Mapped[str | None]
    action: Mapped[str]
    resource: Mapped[str]
    resource_id: Mapped[UUID | None]
    facts: Mapped[Json]
    """What the event said; ``before`` and ``after`` for a change of fields. Never secrets."""
    request_id: Mapped[str | None]
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]
