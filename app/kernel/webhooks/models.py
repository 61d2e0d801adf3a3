"""Where a tenant's events go, and what became of each."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.crypto import Sealed
from app.core.model import Json, TenantModel, unique_within_tenant, within_tenant

PENDING, SUCCEEDED, FAILED = "pending", "succeeded", "failed"


class WebhookEndpoint(TenantModel):
    __tablename__ = "webhook_endpoints"

    url: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    events: Mapped[list[str]]
    """Event names, or ``*`` alone for all."""
    secret: Mapped[str]
    """``core.crypto`` envelope of ``whsec_...``; shown once."""
    retiring: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    """Secrets that were rotated out and still sign: last instant (ISO 8601) to envelope."""
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    disabled_reason: Mapped[str | None]
    """``manual``, ``gone`` (it answered 410) or ``failing``."""
    failing_since: Mapped[datetime | None]
    """Of the first failure since the last success."""

    def hears(self, event: str) -> bool:
        return self.is_enabled and ("*" in self.events or event in self.events)

    def enable(self) -> None:
        """Switch on with a clean slate."""
        self.is_enabled, self.disabled_reason, self.failing_since = True, None, None

    def disable(self, reason: str) -> None:
        self.is_enabled, self.disabled_reason = False, reason


class WebhookDelivery(TenantModel):
    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        within_tenant("endpoint_id", "webhook_endpoints", ondelete="CASCADE"),
        unique_within_tenant("endpoint_id", "event_id"),
        CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="state"),
        Index("webhook_deliveries_tenant_id_endpoint_id_id_idx", "tenant_id", "endpoint_id", "id"),
        Index("webhook_deliveries_tenant_id_state_idx", "tenant_id", "endpoint_id", "state", "id"),
    )

    endpoint_id: Mapped[UUID]
    event_id: Mapped[UUID]
    """Stable over retries and replays: the receiver's key against duplicates."""
    type: Mapped[str]
    payload: Mapped[str]
    """The body's exact text: every attempt sends and signs the same bytes."""
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    attempts_before: Mapped[int] = mapped_column(server_default="0")
    """Attempts made when it was last replayed: the retries count from there."""
    next_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    last_response: Mapped[str | None]
    """Start of the last answer's body."""
    duration_ms: Mapped[int | None]
    attempted_at: Mapped[datetime | None]


ENDPOINT_SECRET = Sealed("webhook_endpoints", "secret", ("webhook_endpoints:{tenant_id}:{id}",))
SEALED = (
    ENDPOINT_SECRET,
    Sealed("webhook_endpoints", "retiring", ENDPOINT_SECRET.contexts, in_object=True),
)
